"""What of an entity lies in raw: by this a later run knows what came, and what was changed.

What does not belong here: what follows from it (increments.py, checked.py).
"""

from pathlib import Path

import duckdb

#: Files of raw by name: size in bytes and time of the last change in ns.
RawFiles = dict[str, list[int]]


def raw_files(lake: Path, entity: str) -> RawFiles:
    """The files of an entity."""
    stats = {path.name: path.stat() for path in sorted((lake / "raw" / entity).glob("*.parquet"))}
    return {name: [stat.st_size, stat.st_mtime_ns] for name, stat in stats.items()}


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
