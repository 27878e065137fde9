"""A warehouse that cannot be read is set aside, so that the same run rebuilds it from raw.

Nothing is deleted: what is set aside lies beside the new one until somebody has looked at it.

What does not belong here: rebuilding (dbt_steps.py does, as always), or a disk that is full or a
catalogue that is busy, which pass and must not cost a warehouse.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from orchestration.config import Settings
from orchestration.lib.publication import NothingPublishedError, read_pointer

# Of the catalogue itself, and SQLITE_ERROR for tables that are not there: an empty file is a
# valid database.
BROKEN = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR}
SET_ASIDE = "warehouse.broken-"
WHY = "WHY.txt"

# A renamed table keeps its folder, and has a row in the catalogue for each name.
_FILES = """
    select distinct
        s.path, s.path_is_relative, t.path, t.path_is_relative, f.path, f.path_is_relative,
        f.file_size_bytes
    from (
        select table_id, path, path_is_relative, file_size_bytes, begin_snapshot, end_snapshot
        from ducklake_data_file
        union all
        select table_id, path, path_is_relative, file_size_bytes, begin_snapshot, end_snapshot
        from ducklake_delete_file
    ) as f
    join ducklake_table as t using (table_id)
    join ducklake_schema as s using (schema_id)
    where f.begin_snapshot <= ? and (f.end_snapshot is null or f.end_snapshot > ?)
"""


def _published(habitus: Settings) -> set[int]:
    try:
        return read_pointer(habitus.published).readable()
    except NothingPublishedError:
        return set()


def _files(con: sqlite3.Connection, data: Path, snapshot: int) -> Iterator[tuple[Path, int]]:
    """Path and size of every file that a snapshot reads."""
    for schema, in_data, table, in_schema, name, in_table, size in con.execute(
        _FILES, (snapshot, snapshot)
    ):
        folder = data / schema if in_data else Path(schema)
        folder = folder / table if in_schema else Path(table)
        yield (folder / name if in_table else Path(name)), int(size)


def _damage(habitus: Settings, published: set[int]) -> str | None:
    """What is wrong with a warehouse whose catalogue is there; None if it is sound."""
    catalogue = habitus.warehouse / "catalog.sqlite"
    with closing(sqlite3.connect(f"{catalogue.as_uri()}?mode=rw", uri=True)) as con:
        (verdict,) = con.execute("pragma quick_check(1)").fetchone()
        if verdict != "ok":
            return f"the catalogue is damaged: {verdict}"
        present = {row[0] for row in con.execute("select snapshot_id from ducklake_snapshot")}
        # A write-ahead log that is cut off is replayed up to the cut, without a word.
        if lost := sorted(published - present):
            return f"published snapshots are not in the catalogue: {lost}"
        for snapshot in {max(present), *published} if present else ():
            for path, size in _files(con, habitus.warehouse / "data", snapshot):
                if not path.is_file():
                    return f"a data file of snapshot {snapshot} is missing: {path}"
                if path.stat().st_size != size:
                    return f"a data file of snapshot {snapshot} is cut off or changed: {path}"
    return None


def what_is_wrong(habitus: Settings) -> str | None:
    """Why the warehouse cannot be read; None if it can, or if there is none yet.

    Raises:
        sqlite3.OperationalError: the catalogue cannot be read now, but may be later: it is busy,
            the disk is full, permission is missing.
    """
    published = _published(habitus)
    if not (habitus.warehouse / "catalog.sqlite").exists():
        return "the catalogue is missing" if published else None
    try:
        return _damage(habitus, published)
    except sqlite3.DatabaseError as error:
        # Extended codes keep the plain one in their lowest byte.
        if error.sqlite_errorcode & 0xFF not in BROKEN:
            raise
        return f"the catalogue cannot be opened: {error}"


def set_aside_if_broken(habitus: Settings) -> str | None:
    """Rename a broken warehouse with its pointer; the caller holds the writer's lock.

    Returns:
        What was wrong and where it is now; None when there was nothing to do.
    """
    why = what_is_wrong(habitus)
    if why is None:
        return None
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")
    aside = habitus.version_home / f"{SET_ASIDE}{moment}"
    habitus.warehouse.mkdir(parents=True, exist_ok=True)
    # The pointer first: a new catalogue counts from 0 again, and its number would name another
    # state, half built.
    if habitus.published.exists():
        habitus.published.rename(habitus.warehouse / habitus.published.name)
    (habitus.warehouse / WHY).write_text(f"{why}\n", encoding="utf-8")
    habitus.warehouse.rename(aside)
    return f"{why}. Set aside as {aside}; it is rebuilt from raw"


def set_asides(habitus: Settings) -> list[tuple[Path, str]]:
    """Warehouses that were set aside, with the reason."""
    found = []
    for folder in sorted(habitus.version_home.glob(f"{SET_ASIDE}*")):
        reason = folder / WHY
        found.append((folder, reason.read_text().strip() if reason.exists() else "unknown"))
    return found
