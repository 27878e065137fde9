"""Reading the warehouse: pinned connections for everyone, and facts about tables for metadata.

What does not belong here: how the lake is attached (lake.py), publishing (publication.py), and
any query about customers (dbt_project/).
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb

from expectations.contract import Entity
from ingestion.sql import ident
from orchestration.config import Settings
from orchestration.lib.lake import ALIAS, UNSIGNED, attach, create_input_views, load_extensions
from orchestration.lib.publication import read_pointer

# The layers that are published; the others are working state.
PUBLISHED_LAYERS = ("behaviour", "marts")


@dataclass(frozen=True)
class TableFacts:
    """Row count, and columns as (name, type), of one table."""

    rows: int
    columns: list[tuple[str, str]]


def new_connection(habitus: Settings) -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB with this deployment's limits, ready for `attach`."""
    con = duckdb.connect(
        ":memory:",
        config={"memory_limit": habitus.memory_limit, "threads": habitus.threads, **UNSIGNED},
    )
    # DuckDB takes `python -m` for somebody at a keyboard, and draws among what a command says.
    con.execute("set enable_progress_bar = false")
    load_extensions(con)
    return con


@contextmanager
def reader(habitus: Settings, snapshot: int | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """A read-only connection with the lake attached; unpinned unless a snapshot is named.

    Unpinned reads are for the run itself, between its own steps.
    """
    con = new_connection(habitus)
    try:
        attach(con, habitus.version_home, read_only=True, snapshot=snapshot)
        yield con
    finally:
        con.close()


def published_connection(habitus: Settings) -> duckdb.DuckDBPyConnection:
    """A connection pinned to the published snapshot, with its schemas as default."""
    publication = read_pointer(habitus.published)
    con = new_connection(habitus)
    attach(con, habitus.version_home, read_only=True, snapshot=publication.snapshot)
    con.execute(f"use {ALIAS}.marts")
    return con


def latest_snapshot(con: duckdb.DuckDBPyConnection) -> int:
    """The newest snapshot number of the attached lake."""
    row = con.execute(f"select max(snapshot_id) from ducklake_snapshots('{ALIAS}')").fetchone()
    if row is None or row[0] is None:
        raise RuntimeError("the lake has no snapshot: nothing was built")
    return int(row[0])


def published_tables(con: duckdb.DuckDBPyConnection) -> list[tuple[str, str]]:
    """(schema, name) of every table of the published layers, sorted."""
    rows = con.execute(
        "select schema_name, table_name from duckdb_tables() "
        f"where database_name = '{ALIAS}' and schema_name in (select unnest(?)) order by all",
        [list(PUBLISHED_LAYERS)],
    ).fetchall()
    return [(str(schema), str(name)) for schema, name in rows]


def row_counts(con: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Rows of every published table, by `schema.name`."""
    counts = {}
    for schema, name in published_tables(con):
        row = con.execute(f"select count(*) from {ALIAS}.{ident(schema)}.{ident(name)}").fetchone()
        counts[f"{schema}.{name}"] = int(row[0]) if row else 0
    return counts


def table_hash(con: duckdb.DuckDBPyConnection, schema: str, name: str) -> str:
    """A hash of a table's content that does not depend on the order of its rows.

    Each row's text is hashed to 128 bits and the hashes are summed, so that equal rows count.
    """
    row = con.execute(
        "select count(*), coalesce(sum(md5_number_lower(cast(t as varchar))), 0), "
        "coalesce(sum(md5_number_upper(cast(t as varchar))), 0) "
        f"from {ALIAS}.{ident(schema)}.{ident(name)} as t"
    ).fetchone()
    assert row is not None
    return f"{row[0]}-{int(row[1]):x}-{int(row[2]):x}"


def table_facts(con: duckdb.DuckDBPyConnection, schema: str, name: str) -> TableFacts:
    """Facts about one table as it stands now."""
    # `duckdb_columns()` asks the catalogue for every table: .25 s where this takes .01 s. In one
    # transaction, as each reads the catalogue anew where dbt has changed it meanwhile.
    con.begin()
    columns = con.execute(f"describe {ALIAS}.{ident(schema)}.{ident(name)}").fetchall()
    row = con.execute(f"select count(*) from {ALIAS}.{ident(schema)}.{ident(name)}").fetchone()
    con.commit()
    return TableFacts(int(row[0]) if row else 0, [(str(c[0]), str(c[1])) for c in columns])


def source_columns(habitus: Settings) -> dict[tuple[str, str], list[str]]:
    """Columns of what dbt reads: raw entities, ML outputs, the run's parameters."""
    with closing(new_connection(habitus)) as con:
        create_input_views(con, habitus.version_home)
        rows = con.execute(
            "select schema_name, table_name, list(column_name order by column_index) "
            "from duckdb_columns() where database_name = 'memory' group by all"
        ).fetchall()
    return {(str(schema), str(name)): list(columns) for schema, name, columns in rows}


def raw_row_count(lake: Path, entity: str) -> int:
    """Records of an entity in the raw layer."""
    con = duckdb.connect(":memory:")
    try:
        row = con.execute(
            "select count(*) from read_parquet(?, union_by_name = true)",
            [str(lake / "raw" / entity / "*.parquet")],
        ).fetchone()
        return int(row[0]) if row else 0
    finally:
        con.close()


def raw_columns(entity: Entity) -> list[tuple[str, str, str]]:
    """(name, type, description) of an entity's own fields, for the UI."""
    return [(f.name, f.type, f.description) for f in entity.fields]


def run_clock(habitus: Settings) -> date | None:
    """The day as of which the last dbt build stands; None when there is no data."""
    with reader(habitus) as con:
        row = con.execute(f"select as_of from {ALIAS}.intermediate.int_run_clock").fetchone()
    return row[0] if row else None


def published_hashes(habitus: Settings) -> dict[str, str]:
    """`table_hash` of every published table, by `schema.name`."""
    with closing(published_connection(habitus)) as con:
        return {f"{s}.{n}": table_hash(con, s, n) for s, n in published_tables(con)}


def export_published(habitus: Settings, folder: Path) -> Iterator[tuple[Path, int]]:
    """Write each published table as one plain Parquet file; gives path and rows.

    Args:
        habitus: whose tables.
        folder: made if it is not there; files of the same name are replaced.
    """
    with closing(published_connection(habitus)) as con:
        for schema, name in published_tables(con):
            path = folder / schema / f"{name}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            relation = con.table(f"{ALIAS}.{schema}.{name}")
            relation.write_parquet(str(path))
            row = relation.count("*").fetchone()
            yield path, int(row[0]) if row else 0
