"""Names that somebody else gave, of files and of columns, as far as they may be shown and kept.

What does NOT belong here: values of records (`mask`), names that a contract declares.

A file is called `export_anna@example.org.csv`, or a file without a header gives its first record's
values as names of columns. Such names go into the ledger, warnings and events, which are no place
for personal data. What has a form is recognised: an e-mail address, a telephone number, a long run
of digits. A person's name that stands alone is not.
"""

from __future__ import annotations

import re

_EMAIL = re.compile(r"[\w.%+\-]+(?:@|%40|＠)[\w\-]+(?:\.[\w\-]+)+")
_PHONE = re.compile(r"[+＋]\d[\d ().\-]{6,}\d|(?<!\d)1[3-9]\d{9}(?!\d)")
#: Python's stand-ins for bytes of a name that are no UTF-8; neither SQLite nor Arrow takes them.
_SURROGATE = re.compile(r"[\ud800-\udfff]")
#: No honest column's name has so many digits, or is so long.
MAX_DIGITS, MAX_LENGTH = 6, 120


def shown_file(name: str) -> str:
    """A file's path as it may be shown. Times and numbers of deliveries stay."""
    return _PHONE.sub("‹phone›", _EMAIL.sub("‹email›", _SURROGATE.sub("\ufffd", name)))


def shown_column(name: str) -> str:
    """The name of a column that no contract declares, as it may be shown."""
    digits = sum(char.isdigit() for char in name)
    if digits > MAX_DIGITS or len(name) > MAX_LENGTH or _EMAIL.search(name):
        return f"‹a name of {len(name)} characters›"
    return _SURROGATE.sub("\ufffd", name)
