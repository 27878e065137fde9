"""Cells of a CSV file that no spreadsheet takes for a formula.

What does NOT belong here: which records are exported, files and formats (`ingestion.review`).
"""

from __future__ import annotations

import unicodedata

#: A cell that begins so is a formula to one spreadsheet or another; also in other widths.
FORMULA = "=+-@\t\r\n\x00\u2212"
#: Marks that are not shown: control characters, a byte order mark, joiners, marks without a letter.
_UNSEEN = ("Cc", "Cf", "Me", "Mn")
#: Letters and signs that are blank, and quotes: what reads the file next may take them off.
_BLANK = "\u115f\u1160\u2800\u3164\uffa0\"'`´‘’“”„«»＂＇"


def escape_formula(text: str | None) -> str | None:
    """The text, with an apostrophe before it if a spreadsheet would take it for a formula.

    What is not shown at its beginning (spaces, byte order marks), and quotes, do not hide the rest.
    """
    if not text:
        return text
    for char in text:
        if unicodedata.normalize("NFKC", char)[0] in FORMULA:
            return f"'{text}"
        if not (char.isspace() or char in _BLANK or unicodedata.category(char) in _UNSEEN):
            break
    return text
