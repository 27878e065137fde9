"""What of an entity lies in raw: by this a later run knows what came, and what was changed.

What does not belong here: what follows from it (increments.py, checked.py).
"""

import hashlib
import os
from pathlib import Path

import duckdb

#: Files of raw by name: a digest of size and time of the last change. Among plain numbers a search
#: after an erasure could find somebody's own.
RawFiles = dict[str, str]


def raw_files(lake: Path, entity: str) -> RawFiles:
    """The files of an entity."""
    paths = sorted((lake / "raw" / entity).glob("*.parquet"))
    return {path.name: _digest(path.stat()) for path in paths}


def _digest(stat: os.stat_result) -> str:
    said = f"{stat.st_size} {stat.st_mtime_ns}"
    return hashlib.blake2b(said.encode(), digest_size=16).hexdigest()


def held_digest(lake: Path, entity: str) -> str:
    """A digest of the entity's records that have to wait for others; empty for none."""
    lists = sorted((lake / "held").glob("*.parquet"))
    if not lists:
        return ""
    row = duckdb.execute(
        "select coalesce(md5(string_agg(_batch_id || ':' || _row_number, ',' order by all)), '') "
        "from read_parquet(?) where entity = ?",
        [[str(path) for path in lists], entity],
    ).fetchone()
    return str(row[0]) if row else ""


def is_only_grown(before: RawFiles, now: RawFiles) -> bool:
    """Whether files were added at most: none is gone, none was rewritten."""
    return all(now.get(name) == stat for name, stat in before.items())
