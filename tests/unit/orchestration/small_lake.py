"""A deployment with a small lake that is written as dbt writes: a commit for each table.

What does not belong here: assertions.
"""

from contextlib import closing
from dataclasses import replace
from pathlib import Path

from orchestration.config import Settings, settings
from orchestration.lib.lake import attach
from orchestration.lib.publication import Publication, swap_pointer
from orchestration.lib.warehouse import latest_snapshot, new_connection, reader

TABLES = ("behaviour.a", "behaviour.b", "marts.c", "marts.d")


def deployment(home: Path) -> Settings:
    """Settings of a deployment in a home of its own."""
    return replace(settings("cdnow"), home=home, threads=1, memory_limit="512MB")


def build(habitus: Settings, version: int, rows: int = 20_000, upto: int = len(TABLES)) -> None:
    """Rebuild the first tables: every row says the version."""
    with closing(new_connection(habitus)) as con:
        attach(con, habitus.version_home, read_only=False)
        for table in TABLES[:upto]:
            con.execute(f"create schema if not exists lake.{table.split('.')[0]}")
            con.execute(
                f"create or replace table lake.{table} as "
                f"select {version} as version, hash(range + {version}) as noise from range({rows})"
            )


def publish(habitus: Settings, run_id: str = "r", keep_days: float = 2) -> Publication:
    """Publish the newest snapshot."""
    with reader(habitus) as con:
        number = latest_snapshot(con)
    return swap_pointer(
        habitus.published, snapshot=number, run_id=run_id, as_of=None, keep_days=keep_days
    )


def versions(habitus: Settings, snapshot: int | None = None) -> set[int]:
    """Every version found in any table."""
    with reader(habitus, snapshot) as con:
        found = (
            con.execute(f"select distinct version from lake.{table}").fetchall() for table in TABLES
        )
        return {row[0] for rows in found for row in rows}


def disk(habitus: Settings) -> int:
    """Bytes of the data files."""
    return sum(f.stat().st_size for f in (habitus.warehouse / "data").rglob("*.parquet"))
