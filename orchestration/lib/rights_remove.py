"""Removes people from files and tables so that nothing can be read of them afterwards.

Deleting is not enough: every file that holds somebody is written anew without them and takes the
old one's place; tables become new tables, and all versions from before go with their files, their
statistics and SQLite's free pages. Each function can be killed anywhere and called again.

What does not belong here: whom, and in which order (rights_plan.py, rights_erase.py).
"""

import json
import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from expectations.contract import load_deployment
from ingestion import refresh_held
from ingestion.session import settle
from ingestion.sql import ident, literal
from ingestion.suppressed import REASON
from orchestration.config import Settings
from orchestration.lib.lake import ALIAS, attach
from orchestration.lib.maintenance import maintain
from orchestration.lib.publication import NothingPublishedError, read_pointer, write_atomically
from orchestration.lib.raw_assets import ingestion_paths
from orchestration.lib.rights import mine, people_entities, raw_files, record_fields, register_own
from orchestration.lib.rights_plan import TOKENS
from orchestration.lib.rights_registry import key_columns_of, lake_tables
from orchestration.lib.warehouse import latest_snapshot, new_connection
from privacy.erasure import Plan

Figures = dict[str, int | str | bool | list[str]]
SHARED = pa.schema(
    [
        ("id_type", pa.string()),
        ("id_value", pa.string()),
        ("mark", pa.string()),
        ("customers", pa.int64()),
        ("known_at", pa.timestamp("us")),
    ]
)


def remember_shared(habitus: Settings, plan: Plan) -> Figures:
    """Note which identifiers of others go on counting somebody who went."""
    path = habitus.lake / "erased" / "shared.parquet"
    before = pq.read_table(path, schema=SHARED).to_pylist() if path.exists() else []
    # Of those who went earlier the mark goes too, once nobody has the identifier any more.
    gone = set(plan.gone)
    known = [row for row in before if row["id_value"] not in gone]
    marks = {row["mark"] for row in known}
    fresh = [
        {**row, "known_at": datetime.fromisoformat(str(row["known_at"]))}
        for row in plan.shared
        if row["mark"] not in marks
    ]
    if fresh or len(known) < len(before):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.tmp")
        together = pa.Table.from_pylist([*known, *fresh], SHARED)
        pq.write_table(together, temporary, compression="zstd")
        settle(temporary, path)
    return {"identifiers_of_others_too": len(plan.shared)}


def clean_raw(habitus: Settings, plan: Plan) -> Figures:
    """Write every raw file that holds the persons anew without them."""
    rows = files = written = 0
    with closing(new_connection(habitus)) as con:
        register_own(con, plan.own, plan.records)
        for entity in people_entities().values():
            found = con.execute(
                f"select filename, count(*) from {raw_files(habitus.lake, entity)} "
                f"where {mine(entity)} group by filename order by filename"
            ).fetchall()
            for name, count in found:
                written += _rewrite(
                    con,
                    Path(name),
                    f"select * exclude (filename) from {raw_files(habitus.lake, entity, [name])} "
                    f"where not {mine(entity)}",
                )
                rows, files = rows + count, files + 1
    return {"rows": rows, "files_rewritten": files, "bytes_written": written}


def _rewrite(con: duckdb.DuckDBPyConnection, path: Path, query: str) -> int:
    """Put a query's result in a file's place; gives the bytes written."""
    temporary = path.with_name(f".{path.name}.tmp")
    con.execute(f"copy ({query}) to {literal(str(temporary))} (format parquet, compression zstd)")
    settle(temporary, path)
    return path.stat().st_size


def clean_quarantine(habitus: Settings, plan: Plan) -> Figures:
    """Empty quarantined records that hold the persons; they stay as counts."""
    rows = files = 0
    theirs = f"list_has_any(regexp_extract_all(record, {literal(TOKENS)}), (select list(value) "
    theirs = f"coalesce({theirs} from own)), false)"
    emptied = "case when {0} then {1} else {2} end as {2}"
    columns = ", ".join(
        emptied.format(theirs, value, name)
        for name, value in (
            ("record", "null"),
            ("reason", literal(REASON)),
            ("failure_type", "'suppressed'"),
        )
    )
    with closing(new_connection(habitus)) as con:
        register_own(con, plan.own, {})
        for path in sorted((habitus.lake / "quarantine").glob("*/*.parquet")):
            file = f"read_parquet({literal(str(path))})"
            row = con.execute(f"select count(*) from {file} where {theirs}").fetchone()
            if row and row[0]:
                _rewrite(con, path, f"select * replace ({columns}) from {file}")
                rows, files = rows + int(row[0]), files + 1
    return {"records_emptied": rows, "files_rewritten": files}


def refresh_held_lists(habitus: Settings) -> Figures:
    """Make the lists of held records anew."""
    contracts = load_deployment(habitus.contracts).contracts
    return {"held": sum(refresh_held(c, ingestion_paths(habitus)) for c in contracts)}


def clean_ml(habitus: Settings, plan: Plan) -> Figures:
    """Take the persons out of ML outputs of all days."""
    rows = files = 0
    keys = pa.array(plan.keys, pa.string())
    for path in sorted((habitus.lake / "ml").glob("*/as_of=*/part.parquet")):
        table = pq.ParquetFile(path).read()
        if "customer" not in table.column_names:
            continue
        kept = table.filter(
            pc.invert(pc.is_in(table["customer"].cast(pa.string()), value_set=keys))
        )
        if kept.num_rows < table.num_rows:
            temporary = path.with_name("part.parquet.unfinished")
            pq.write_table(kept, temporary)
            settle(temporary, path)
            rows, files = rows + table.num_rows - kept.num_rows, files + 1
    return {"rows": rows, "files_rewritten": files}


def clean_warehouse(habitus: Settings, plan: Plan) -> Figures:
    """Make tables without the persons, publish them, and destroy all versions from before.

    The caller holds the writer's lock. A reader that has an earlier version open loses it.
    """
    catalogue = habitus.warehouse / "catalog.sqlite"
    if not catalogue.exists():
        return {"rows": 0, "tables": 0}
    data = habitus.warehouse / "data"
    stood = set(data.rglob("*.parquet"))
    with closing(new_connection(habitus)) as con:
        attach(con, habitus.version_home, read_only=False)
        register_own(con, [("gone", value) for value in plan.gone], plan.records)
        rows, tables = _copy_tables(con)
        snapshot = latest_snapshot(con)
    written = sum(p.stat().st_size for p in data.rglob("*.parquet") if p not in stood)
    try:
        before = read_pointer(habitus.published)
    except NothingPublishedError:
        pass
    else:
        now = replace(before, snapshot=snapshot, earlier=())
        write_atomically(habitus.published, json.dumps(asdict(now), indent=2) + "\n")
        done = maintain(habitus)
        rows_files: Figures = {"versions_destroyed": done.versions, "files_destroyed": done.files}
        _vacuum(catalogue)
        return {"rows": rows, "tables": tables, "bytes_written": written, **rows_files}
    raise NothingPublishedError(
        "tables are built and none is published: an erasure cannot tell which readers have. "
        "Run `habitus run` to its end, or remove the folder warehouse, then erase again"
    )


def _copy_tables(con: duckdb.DuckDBPyConnection) -> tuple[int, int]:
    """Replace each table that holds rows of the gone by one without them, all in one version."""
    removed = tables = 0
    con.execute("begin")
    for table, columns in lake_tables(con).items():
        keys = key_columns_of(table, columns)
        # Of two tokens that count together, as `a+b`, either may be the one that is gone.
        theirs = [
            f"{part} in (select value from own where kind = 'gone')"
            for key in keys
            for part in (
                ident(key),
                *(f"split_part({ident(key)}::varchar, '+', {n})" for n in (1, 2)),
            )
        ]
        whose = [k for k in ("customer", "customer_id") if k in columns]
        for name in record_fields():
            if name in columns:
                nobody = [f"{ident(k)} is null" for k in (*whose, *_others(columns))]
                held = f"{ident(name)} in (select value from own where kind = 'key:{name}')"
                theirs.append(" and ".join([held, *nobody]))
        if not theirs:
            continue
        rule = "coalesce(" + " or ".join(f"({part})" for part in theirs) + ", false)"
        schema, name = table.split(".")
        where = f"{ALIAS}.{ident(schema)}.{ident(name)}"
        row = con.execute(f"select count(*) from {where} where {rule}").fetchone()
        if row and row[0]:
            con.execute(
                f"create or replace table {where} as select * from {where} where not {rule}"
            )
            removed, tables = removed + int(row[0]), tables + 1
    con.execute("commit")
    return removed, tables


def _others(columns: Sequence[str]) -> list[str]:
    return [name for name in ("login", "email") if name in columns]


def _vacuum(catalogue: Path) -> None:
    """Write the catalogue anew: what SQLite deleted stays in free pages and in its log."""
    with closing(sqlite3.connect(catalogue, timeout=60, isolation_level=None)) as db:
        db.execute("vacuum")
        db.execute("pragma wal_checkpoint(truncate)").fetchone()


def remove_rebuilds(habitus: Settings) -> Figures:
    """Remove rebuilds of the past and warehouses that were set aside: both come from raw."""
    folders = [*habitus.deployment_home.glob("as_of/*")]
    folders += habitus.deployment_home.glob("warehouse.broken-*")
    for folder in folders:
        shutil.rmtree(folder)
    return {"folders": len(folders)}


def remove_answers(habitus: Settings, plan: Plan) -> Figures:
    """Remove the answers to requests for access that were kept here."""
    folders = [habitus.deployment_home / "access" / digest for digest in plan.subjects]
    found = [folder for folder in folders if folder.is_dir()]
    for folder in found:
        shutil.rmtree(folder)
    return {"answers": len(found)}
