"""What follows a publication: versions past their time go, and files that no version names.

Under the writer's lock only: another writer's files are orphans until it commits.

What does not belong here: which versions stay readable (publication.py).
"""

from contextlib import closing
from dataclasses import dataclass
from typing import Any

import duckdb

from orchestration.config import Settings
from orchestration.lib.lake import ALIAS, attach
from orchestration.lib.publication import read_pointer
from orchestration.lib.warehouse import new_connection


@dataclass(frozen=True)
class Maintenance:
    """What was removed.

    Attributes:
        versions: snapshots that can no longer be read.
        files: data files of those snapshots.
        orphans: files that no snapshot ever named, left by runs that were killed.
    """

    versions: int
    files: int
    orphans: int


def maintain(habitus: Settings) -> Maintenance:
    """Remove versions that nobody may be pinned to; the caller holds the writer's lock.

    Most snapshots were never published: dbt commits after each model.
    """
    readable = read_pointer(habitus.published).readable()
    with closing(new_connection(habitus)) as con:
        attach(con, habitus.version_home, read_only=False)
        found = [int(row[0]) for row in _rows(con, f"select snapshot_id from {_snapshots()}")]
        past = sorted(set(found) - readable - {max(found)})
        if past:
            # By number and not `older_than`: a published version may be older than one that
            # was never published.
            versions = ", ".join(map(str, past))
            con.execute(f"call ducklake_expire_snapshots('{ALIAS}', versions => [{versions}])")
        files = _rows(con, f"call ducklake_cleanup_old_files('{ALIAS}', cleanup_all => true)")
        orphans = _rows(con, f"call ducklake_delete_orphaned_files('{ALIAS}', cleanup_all => true)")
    return Maintenance(len(past), len(files), len(orphans))


def _snapshots() -> str:
    return f"ducklake_snapshots('{ALIAS}')"


def _rows(con: duckdb.DuckDBPyConnection, query: str) -> list[tuple[Any, ...]]:
    return con.execute(query).fetchall()
