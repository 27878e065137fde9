"""What makes two records of columns the same one: the names and texts of all their values.

What does NOT belong here: records of one line, which are that line (`compile`), hashing (`compile`,
`postgres`).
"""

from __future__ import annotations

from collections.abc import Collection

from ingestion.readers.base import own
from ingestion.sql import ident, literal


def content(columns: Collection[str]) -> str:
    """SQL of a record's content: name NUL value for each value, in the order of the names.

    No name and no value of a record that can be accepted holds a NUL, so two contents are equal
    only where all names and values are. Empty, null and absent mean the same to every check, and
    are the same here: a record stays what it was when its source adds a column that it leaves
    empty, and in whatever order the columns stand.

    Args:
        columns: The source's, under its own names.
    """
    named = ", ".join(
        f"case when {column} <> '' then {literal(name)} || chr(0) || {column} end"
        for name, column in ((name, ident(own(name))) for name in sorted(columns))
    )
    return f"concat_ws(chr(0), {named})" if named else "''"
