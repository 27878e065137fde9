"""Cells of a CSV file that no spreadsheet takes for a formula.

What does NOT belong here: which records are exported, files and formats (`ingestion.review`).
"""

from __future__ import annotations

import unicodedata

#: A cell that begins so is a formula to one spreadsheet or another; also in full width.
FORMULA = "=+-@\t\r\n\x00＝＋－＠"
#: Marks that are not shown: a byte order mark, a zero-width space, a change of direction.
_UNSEEN = "Cf"


def escape_formula(text: str | None) -> str | None:
    """The text, with an apostrophe before it if a spreadsheet would take it for a formula.

    What is not shown at its beginning (spaces, byte order marks) does not hide the rest.
    """
    if not text:
        return text
    for char in text:
        if char in FORMULA:
            return f"'{text}"
        if not (char.isspace() or unicodedata.category(char) == _UNSEEN):
            break
    return text
