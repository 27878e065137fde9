"""Masking of free text and of records that fail, as expressions for DuckDB.

What does NOT belong here: finding what identifies (`privacy.masking`), tokens (`privacy.tokens`).

A scan in DuckDB picks out the texts that may hold something; only those go through Python, so
millions of plain texts cost a scan. A name in running text has no form and stays; a record that
cannot be parsed at all is therefore reduced to its shape wherever its source carries identities
(`shape`).
"""

from __future__ import annotations

import duckdb
import pyarrow as pa
from duckdb.func import PythonUDFType

from ingestion.sql import literal
from privacy import masking
from privacy.masking import EMAIL_MARK

RESTRICTED_MARK = "‹restricted›"
UNDECLARED_MARK = "‹undeclared›"
#: The functions that `register` gives a connection.
FUNCTION, VALUE_FUNCTION = "mask_free_text", "mask_value"
_EMAIL = r"[\p{L}\p{N}._%+\-]+(@|%40|＠)[\p{L}\p{N}\-]+(\.[\p{L}\p{N}\-]+)+"
_SPACE = r"[\s\p{Z}\x{0b}\x{1c}-\x{1f}\x{85}]"  # what Python takes for \s
_SIGNS = (
    # Digits that are not ASCII, and what takes no place on the screen: `masking` reads past it.
    r"[^\P{N}0-9]|[\x{ad}\x{61c}\x{180e}\x{200b}-\x{200f}\x{202a}-\x{202e}]"
    r"|[\x{2060}-\x{206f}\x{feff}]"
    r"|@|＠|[%％]40|艾特"
    r"|[0-9]{3}[^\p{N}]{5,6}[0-9]{4}|[0-9]\s?(号楼|号院|[栋幢])"
    rf"|(?i:[(（\[［{{｛<＜]{_SPACE}*(at|ａｔ)|{_SPACE}(at|ａｔ){_SPACE}(?s:.*)(dot|ｄｏｔ|点|\.|．))"
    r"|(路|街|道|巷|弄|胡同|村|小区|花园|苑|大厦|公寓)\p{Han}{0,3}"
    rf"{_SPACE}?[0-9一二三四五六七八九十百]"
    rf"|[0-9][A-Za-z]?,?{_SPACE}[A-Za-z0-9]|(?i:box{_SPACE}[0-9])"
)
#: Whatever `masking` finds has one of these: five digits, a sign or word of an address to write
#: mail to, or a digit near a word of one to send things to. A test holds the two together.
SUSPECT = _SIGNS + r"|[0-9](?:[^\p{N}]{0,4}[0-9]){4}"
#: And whatever it finds in values: nine digits, or seven in running text, so that most codes cost
#: no more than the scan.
SUSPECT_VALUE = _SIGNS + r"|[0-9](?:[^\p{N}]{0,4}[0-9]){8}|[+＋][\s(]{0,2}[0-9]"
_SPEECH = rf"\p{{L}}{_SPACE}|{_SPACE}\p{{L}}|\p{{Han}}"


def register(con: duckdb.DuckDBPyConnection) -> None:
    """Give a connection the functions that `free_text` and `value` call."""

    def texts(given: pa.ChunkedArray) -> pa.Array:
        return pa.array([t and masking.mask(t) for t in given.to_pylist()], pa.string())

    def values(given: pa.ChunkedArray) -> pa.Array:
        return pa.array([t and masking.mask_value(t) for t in given.to_pylist()], pa.string())

    for name, function in ((FUNCTION, texts), (VALUE_FUNCTION, values)):
        con.create_function(name, function, ["VARCHAR"], "VARCHAR", type=PythonUDFType.ARROW)


def emails(expression: str) -> str:
    """SQL that replaces e-mail addresses in a text expression."""
    return f"regexp_replace({expression}, {literal(_EMAIL)}, {literal(EMAIL_MARK)}, 'g')"


def free_text(expression: str) -> str:
    """SQL that masks all that `privacy.masking` finds; for a connection that has `register`ed."""
    return (
        f"case when regexp_matches({expression}, {literal(SUSPECT)}) "
        f"then {FUNCTION}({expression}) else {expression} end"
    )


def value(expression: str) -> str:
    """SQL as `free_text`, of a column that may hold codes and moments: those stay."""
    return (
        f"case when regexp_matches({expression}, {literal(SUSPECT_VALUE)}) "
        f"or (regexp_matches({expression}, '[0-9]{{7}}') "
        f"and regexp_matches({expression}, {literal(_SPEECH)})) "
        f"then {VALUE_FUNCTION}({expression}) else {expression} end"
    )


def emails_if_any(expression: str) -> str:
    """SQL as `emails`, at the cost of one scan where a text has no sign of an address."""
    return (
        f"case when contains({expression}, '@') or contains({expression}, '%40') "
        f"then {emails(expression)} else {expression} end"
    )


def shape(expression: str) -> str:
    """SQL that keeps a text's punctuation and lengths and nothing else of it.

    Letters become x, Chinese characters 字, digits 9.
    """
    letters = f"regexp_replace({expression}, '[^\\P{{L}}\\p{{Han}}]', 'x', 'g')"
    chinese = f"regexp_replace({letters}, '\\p{{Han}}', '字', 'g')"
    return f"regexp_replace({chinese}, '\\p{{N}}', '9', 'g')"
