"""Regular expressions of contracts: RE2's, which take linear time whatever the text.

What does NOT belong here: which texts they are held against (`ingestion`), strptime formats.

Python's engine can take for ever over a short hostile text. DuckDB's is RE2, and it is the one that
holds patterns against records; so a pattern is one when DuckDB says so.
"""

from __future__ import annotations

import duckdb

from expectations.contract.transform import parser

#: The most groups that any pattern of a contract may ask for.
MOST_GROUPS = 3


class PatternError(ValueError):
    """A text is no pattern; the message says why."""


def groups(pattern: object) -> int:
    """The groups of a pattern; one more than `MOST_GROUPS` stands for all beyond.

    Raises:
        PatternError: It is none.
    """
    if not isinstance(pattern, str) or "\x00" in pattern:
        raise PatternError("it is no text")
    number = 0
    con = parser().cursor()
    try:
        con.execute("select regexp_matches('', $1)", [pattern])
        for number in range(1, MOST_GROUPS + 2):
            names = [f"g{index}" for index in range(number)]
            con.execute(f"select regexp_extract('', $1, {names})", [pattern])
    except duckdb.InvalidInputException as error:
        raise PatternError(str(error).partition(": ")[2].partition("\n")[0]) from None
    except duckdb.BinderException:  # not so many
        return number - 1
    return number


def captured(con: duckdb.DuckDBPyConnection, pattern: str, text: str) -> list[str]:
    """What the groups of a pattern hold of a text, without those that hold nothing.

    Args:
        con: A connection.
        pattern: As `groups` has accepted it.
        text: Anything, also what is no UTF-8.
    """
    known = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    parts = ", ".join(f"regexp_extract($1, $2, {n})" for n in range(1, MOST_GROUPS + 1))
    row = con.execute(f"select {parts}", [known, pattern]).fetchone() or ()
    return [part for part in row if part]
