"""What a file's path says of the moment at which its records became known.

What does NOT belong here: finding files (`files`), other moments of knowing (`compile`).
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from pathlib import Path

import duckdb

from expectations.contract.patterns import captured


def path_moment(con: duckdb.DuckDBPyConnection, pattern: str, path: Path) -> datetime | None:
    """The end of the period that a path names, as naive UTC, or None.

    One group is a day, two are day and hour, three day, hour and minute. What stands under a day is
    known by the end of that day: its last microsecond.

    Args:
        con: A connection.
        pattern: The contract's.
        path: Of a file; foreign text.
    """
    digits = [re.sub(r"\D", "", group) for group in captured(con, pattern, path.as_posix())]
    if not digits:
        return None
    form = "%Y%m%d%H%M"[: 2 * (len(digits) + 2)]
    try:
        start = datetime.strptime("".join(digits), form)
    except ValueError:
        return None
    width = (timedelta(days=1), timedelta(hours=1), timedelta(minutes=1))[len(digits) - 1]
    return start + width - timedelta(microseconds=1)
