"""Masking of free text and of records that fail: expressions in DuckDB's RE2.

What does NOT belong here: tokens (`tokens`).

Masking finds what has a form: e-mail addresses, telephone numbers, long runs of digits. A name in
running text has none and stays; a record that cannot be parsed at all is therefore reduced to its
shape wherever its source carries identities (`shape`).
"""

from __future__ import annotations

from ingestion.sql import literal

EMAIL_MARK, PHONE_MARK, NUMBER_MARK = "‹email›", "‹phone›", "‹number›"
RESTRICTED_MARK = "‹restricted›"
UNDECLARED_MARK = "‹undeclared›"
_EMAIL = r"[\p{L}\p{N}._%+\-]+(@|%40|＠)[\p{L}\p{N}\-]+(\.[\p{L}\p{N}\-]+)+"
_DIGIT = "[0-9０-９]"
_PHONE = (
    rf"(\+|＋){_DIGIT}[0-9０-９ ().\-]{{6,}}{_DIGIT}"
    r"|\b1[3-9][0-9][ \-]?[0-9]{4}[ \-]?[0-9]{4}\b"
    r"|１[３-９][０-９]{9}"
    r"|\b(\(?0[0-9]{2,4}\)?[ \-/])[0-9][0-9 \-]{5,}[0-9]\b"
    r"|\(?\b[0-9]{3}\)?[\-. ]{1,2}[0-9]{3}[\-. ][0-9]{4}\b"
)
_NUMBER = rf"{_DIGIT}{{7,}}[xX]?"


def emails(expression: str) -> str:
    """SQL that replaces e-mail addresses in a text expression."""
    return f"regexp_replace({expression}, {literal(_EMAIL)}, {literal(EMAIL_MARK)}, 'g')"


def free_text(expression: str) -> str:
    """SQL that masks e-mail addresses, telephone numbers and long runs of digits."""
    masked = f"regexp_replace({emails(expression)}, {literal(_PHONE)}, {literal(PHONE_MARK)}, 'g')"
    return f"regexp_replace({masked}, {literal(_NUMBER)}, {literal(NUMBER_MARK)}, 'g')"


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
