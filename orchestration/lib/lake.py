"""Opens the warehouse: one way to attach the lake, for dbt and for every reader.

What belongs here: loading DuckDB's extensions, attaching the DuckLake catalogue, and the views
through which dbt reads raw batches, ML outputs and the run's parameters.
What does NOT belong here: publishing and the pointer file, locks, settings of the environment,
any model's SQL.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any

import duckdb

from ingestion.sql import ident, literal

ALIAS = "lake"
# Schema of the views of what came of an entity.
CAME = "came"
EXTENSIONS = ("ducklake", "sqlite_scanner")
# Configuration of a connection that is about to load them.
UNSIGNED = {"allow_unsigned_extensions": True}
# How long one connection waits for the catalogue while another commits, in milliseconds.
BUSY_TIMEOUT_MS = 30_000


class LakeError(RuntimeError):
    """The deployment's folder is not as the warehouse needs it; says what is missing."""


def load_extensions(con: duckdb.DuckDBPyConnection) -> None:
    """Load the extensions from their wheels and turn off every download.

    Their files came with wheels whose hashes are locked. To check DuckDB's signature again costs
    .28 s a connection, and a run opens thirty: so one opened with `UNSIGNED` does not, until the
    extensions are loaded. It cannot be turned on again.

    Args:
        con: An open DuckDB connection; later cursors of it share the extensions.

    Raises:
        LakeError: The wheel of an extension is missing or made for another DuckDB version.
    """
    con.execute("set autoinstall_known_extensions = false")
    row = con.execute("pragma version").fetchone()
    version = row[0] if row else ""
    for name in EXTENSIONS:
        spec = find_spec(f"duckdb_extension_{name}")
        if spec is None or not spec.submodule_search_locations:
            msg = f"package duckdb-extension-{name.replace('_', '-')} is not installed"
            raise LakeError(msg)
        # Loaded where it lies: INSTALL would copy it to a home folder that may not be writable.
        folder = Path(next(iter(spec.submodule_search_locations)))
        binary = folder / "extensions" / version / f"{name}.duckdb_extension"
        if not binary.exists():
            msg = f"extension {name} is not made for DuckDB {version}: {binary} does not exist"
            raise LakeError(msg)
        con.execute(f"load {_literal(binary)}")
    con.execute("set allow_unsigned_extensions = false")


def attach(
    con: duckdb.DuckDBPyConnection,
    home: Path,
    *,
    read_only: bool = True,
    snapshot: int | None = None,
) -> None:
    """Attach the deployment's lake as `lake` and set the session to UTC.

    Args:
        con: An open DuckDB connection.
        home: The deployment's folder, `$HABITUS_HOME/<deployment>`.
        read_only: Readers are; the one writer is dbt. A writer creates the lake when it is new.
        snapshot: The snapshot to pin to; None reads the newest, which may be half a run.

    Raises:
        LakeError: A reader asks for a lake that was never built, or a writer for a snapshot.
    """
    if snapshot is not None and not read_only:
        msg = "a writer cannot be pinned to a snapshot"
        raise LakeError(msg)
    load_extensions(con)
    con.execute("set TimeZone = 'UTC'")
    warehouse = home / "warehouse"
    catalogue = warehouse / "catalog.sqlite"
    if read_only and not catalogue.exists():
        msg = f"no warehouse at {warehouse}: run the pipeline first"
        raise LakeError(msg)
    (warehouse / "data").mkdir(parents=True, exist_ok=True)
    options = [f"data_path {_literal(f'{warehouse}/data/')}"]
    # A home may be moved: its files are named in relation to the folder that is stated here.
    options += ["override_data_path true"]
    options += ["meta_journal_mode 'WAL'", f"meta_busy_timeout {BUSY_TIMEOUT_MS}"]
    if read_only:
        options.append("read_only")
    if snapshot is not None:
        options.append(f"snapshot_version {int(snapshot)}")
    is_new = not catalogue.exists()
    con.execute(
        f"attach if not exists {_literal(f'ducklake:sqlite:{catalogue}')} as {ALIAS} "
        f"({', '.join(options)})"
    )
    if is_new:
        # Inlined rows live in the catalogue, where neither erasure nor file tools see them.
        con.execute(f"call {ALIAS}.set_option('data_inlining_row_limit', 0)")


def create_input_views(
    con: duckdb.DuckDBPyConnection,
    home: Path,
    came: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> None:
    """Create what dbt calls its sources, as views in the connection's own memory database.

    `raw.<entity>` and `ml.<output>` over the deployment's Parquet files, and `raw.run`, one row
    with the parameters of the run: data, not dbt variables, because a changed variable makes dbt
    parse the whole project again.

    Args:
        con: An open DuckDB connection.
        home: The deployment's folder.
        came: By entity, names of files in raw: `came.<entity>` reads what these hold of it.

    Raises:
        LakeError: `lake/raw` is missing or `lake/run.json` cannot be read.
    """
    raw = home / "lake" / "raw"
    if not raw.is_dir():
        msg = f"no raw lake at {raw}: ingest first, it writes _schema.parquet for every entity"
        raise LakeError(msg)
    held = _held(con, home / "lake" / "held")
    for schema, folder in (("raw", raw), ("ml", home / "lake" / "ml")):
        con.execute(f"create schema if not exists memory.{schema}")
        for name, files in _parquet_folders(folder):
            left_out = held.get(name, "") if schema == "raw" else ""
            con.execute(
                f"create or replace view memory.{schema}.{ident(name)} as "
                "select * from read_parquet("
                f"{_literal(files)}, union_by_name = true, hive_partitioning = false){left_out}"
            )
    con.execute(f"create schema if not exists memory.{CAME}")
    for name, batches in came.items():
        con.execute(
            f"create or replace view memory.{CAME}.{ident(name)} as "
            + _files_sql(raw, name, batches, held)
        )
    con.execute(f"create or replace view memory.raw.identity_shared as {_shared_sql(home)}")
    run = _read_run(home)
    con.execute(f"create or replace view memory.raw.run as {_run_sql(run)}")
    if (raw / "events").is_dir():
        fresh = (run.get("increment") or {}).get("events") or []
        con.execute(
            "create or replace view memory.raw.events_fresh as "
            + _files_sql(raw, "events", fresh, held)
        )


def _shared_sql(home: Path) -> str:
    """Identifiers that go on counting people who were erased, a row for each of those."""
    path = home / "lake" / "erased" / "shared.parquet"
    if path.exists():
        return f"select * from read_parquet({_literal(path)})"
    return (
        "select null::varchar as id_type, null::varchar as id_value, null::varchar as mark, "
        "null::bigint as customers, null::timestamp as known_at where false"
    )


def _files_sql(raw: Path, entity: str, names: Sequence[str], held: Mapping[str, str]) -> str:
    """What the named files hold of an entity; of none, the columns alone."""
    if not names:
        return f"select * from memory.raw.{ident(entity)} where false"
    # With the entity's schema: a file alone may lack a column that others have.
    schema = raw / entity / "_schema.parquet"
    paths = [*([schema] if schema.exists() else []), *(raw / entity / name for name in names)]
    return (
        f"select * from read_parquet([{', '.join(map(_literal, paths))}], "
        f"union_by_name = true, hive_partitioning = false){held.get(entity, '')}"
    )


def _held(con: duckdb.DuckDBPyConnection, folder: Path) -> dict[str, str]:
    """By entity, the clause that leaves out records whose reference has not arrived yet."""
    lists = _literal(folder / "*.parquet")
    if not any(folder.glob("*.parquet")):
        return {}
    rows = con.execute(f"select distinct entity from read_parquet({lists})").fetchall()
    return {
        str(entity): f" anti join (select _batch_id, _row_number from read_parquet({lists}) "
        f"where entity = {_literal(entity)}) as held using (_batch_id, _row_number)"
        for (entity,) in rows
    }


def _parquet_folders(folder: Path) -> Iterator[tuple[str, str]]:
    """Give (name, glob) of each subfolder that holds Parquet files."""
    for child in sorted(folder.iterdir()) if folder.is_dir() else ():
        if child.is_dir() and next(child.rglob("*.parquet"), None) is not None:
            yield child.name, f"{child}/**/*.parquet"


def _read_run(home: Path) -> Mapping[str, Any]:
    """Read `lake/run.json`; a deployment without it runs with the data's own clock."""
    path = home / "lake" / "run.json"
    if not path.exists():
        return {}
    try:
        run = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        msg = f"{path}: not JSON ({error})"
        raise LakeError(msg) from error
    if not isinstance(run, dict):
        msg = f"{path}: expected an object"
        raise LakeError(msg)
    return run


def _run_sql(run: Mapping[str, Any]) -> str:
    """Write the one-row query of the run's parameters from typed literals."""
    churn = run.get("churn") or {}
    since = (run.get("increment") or {}).get("since")
    try:
        as_of = _date(run.get("as_of"))
        last_cutoff = _date(churn.get("last_cutoff"))
        horizon = _integer(churn.get("horizon_days"))
        cutoffs = _integer(churn.get("cutoffs"))
        # A run that states nothing may use nobody without their own consent.
        bases = _literal(json.dumps(dict(run.get("legal_bases") or {}), sort_keys=True))
        increment_since = _integer(since)
    except (TypeError, ValueError) as error:
        msg = f"lake/run.json: {error}"
        raise LakeError(msg) from error
    run_id = run.get("run_id")
    return (
        f"select cast({'null' if run_id is None else _literal(run_id)} as varchar) as run_id, "
        f"cast({as_of} as date) as as_of, "
        f"cast({horizon} as integer) as churn_horizon_days, "
        f"cast({last_cutoff} as date) as churn_last_cutoff, "
        f"cast({cutoffs} as integer) as churn_cutoffs, "
        f"cast({bases} as varchar) as legal_bases, "
        f"cast({increment_since} as bigint) as increment_since"
    )


def _date(value: str | None) -> str:
    return "null" if value is None else _literal(date.fromisoformat(value))


def _integer(value: int | str | None) -> str:
    return "null" if value is None else str(int(value))


def _literal(value: object) -> str:
    """Quote a value as a SQL string."""
    return literal(str(value))
