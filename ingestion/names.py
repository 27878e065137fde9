"""Names that somebody else gave, of files and of columns, as far as they may be shown and kept.

What does NOT belong here: values of records (`mask`), names that a contract declares.

A file is called `export_anna@example.org.csv`, or a file without a header gives its first record's
values as names of columns. Such names go into the ledger, warnings and events, which are no place
for personal data. What has a form is recognised, as in values. A person's name that stands alone
is not.
"""

from __future__ import annotations

import re

from privacy.masking import mask_name

#: Python's stand-ins for bytes of a name that are no UTF-8; neither SQLite nor Arrow takes them.
_SURROGATE = re.compile(r"[\ud800-\udfff]")
#: No honest column's name has so many digits, or is so long.
MAX_DIGITS, MAX_LENGTH = 6, 120


def shown_file(name: str) -> str:
    """A file's path as it may be shown. Times and numbers of deliveries stay."""
    return mask_name(_SURROGATE.sub("\ufffd", name))


def shown_column(name: str) -> str:
    """The name of a column that no contract declares, as it may be shown."""
    plain = _SURROGATE.sub("\ufffd", name)
    digits = sum(char.isdigit() for char in plain)
    if digits > MAX_DIGITS or len(plain) > MAX_LENGTH or mask_name(plain) != plain:
        return f"‹a name of {len(name)} characters›"
    return plain
