"""Everything that is held on a person, for the person.

What does not belong here: who the person is (rights.py). Records of others are not given out: what
is known by a shared device alone is counted, not shown.
"""

import json
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from expectations.contract import Contract, load_deployment
from ingestion.sql import ident, literal
from orchestration.config import Settings
from orchestration.lib.lake import ALIAS
from orchestration.lib.publication import NothingPublishedError
from orchestration.lib.rights import (
    Person,
    mine,
    own_records,
    people_entities,
    raw_files,
    register_own,
    token_columns,
)
from orchestration.lib.rights_certificate import page, shown
from orchestration.lib.rights_plan import TOKENS
from orchestration.lib.secrets import vault
from orchestration.lib.warehouse import PUBLISHED_LAYERS, new_connection, published_connection
from privacy.sealing import write_whole

Rows = list[dict[str, Any]]
RETENTION = (
    "Raw records, published tables and outputs stay until they are erased: habitus deletes none "
    "by age. Replaced versions of tables go after HABITUS_KEEP_VERSIONS_DAYS."
)


def access(habitus: Settings, person: Person, folder: Path) -> tuple[Path, Path]:
    """Write everything that is held on a person, as JSON and as a page; gives the paths.

    Args:
        habitus: whose data.
        person: from `find_person`.
        folder: made if it is not there; both files can be read by their owner only.
    """
    said = held_on(habitus, person)
    text = json.dumps(said, indent=2, ensure_ascii=False, default=str) + "\n"
    paths = folder / "held.json", folder / "held.html"
    write_whole(paths[0], text.encode())
    write_whole(paths[1], _page(json.loads(text)).encode())
    return paths


def held_on(habitus: Settings, person: Person) -> dict[str, Any]:
    """Everything that is held on a person, in clear where the vault knows it."""
    contracts = load_deployment(habitus.contracts).contracts
    with closing(new_connection(habitus)) as con:
        records = own_records(con, habitus.lake, person.own)
        register_own(con, person.own, records)
        raw = {
            name: _rows(
                con,
                f"select * exclude (filename, _record_hash) "
                f"from {raw_files(habitus.lake, entity)} where {mine(entity)} order by _known_at",
            )
            for name, entity in people_entities().items()
        }
        quarantine = _quarantine(con, habitus.lake)
        held = _held(con, habitus.lake, raw)
        ml = _ml(con, habitus.lake, person)
    identity = {
        "own": [{"type": kind, "token": token} for kind, token in person.own],
        "seen_with_others_too": [{"type": kind, "token": t} for kind, t in person.shared],
    }
    said = {
        "subject": person.digest,
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "identifiers": identity,
        "raw_records": {name: rows for name, rows in raw.items() if rows},
        "quarantined_records": quarantine,
        "held_records": held,
        "published_tables": _published(habitus, person),
        "ml_outputs": ml,
        "purposes_and_sources": _sources(contracts, raw),
        "kept_for": RETENTION,
        "not_included": (
            "What was done on a device that others used too, without anybody being named, is "
            "nobody's alone and is not given out. Landing files: the sources named above."
        ),
    }
    return _in_clear(habitus, person, raw, said)


def _rows(con: duckdb.DuckDBPyConnection, query: str, *values: Any) -> Rows:
    found = con.execute(query, list(values))
    names = [column[0] for column in found.description or []]
    return [
        {k: v for k, v in zip(names, row, strict=True) if v is not None} for row in found.fetchall()
    ]


def _quarantine(con: duckdb.DuckDBPyConnection, lake: Path) -> Rows:
    """Failed records that hold one of the person's tokens; where none could be read, nobody knows.

    They are given whole: a record is of one person or it would not hold the other's token.
    """
    if not any((lake / "quarantine").glob("*/*.parquet")):
        return []
    files = literal(str(lake / "quarantine" / "*" / "*.parquet"))
    return _rows(
        con,
        "select source, entity, file, failure_type, reason, record, first_seen_at "
        f"from read_parquet({files}) where list_has_any(regexp_extract_all(record, "
        f"{literal(TOKENS)}), (select list(value) from own)) order by all",
    )


def _held(con: duckdb.DuckDBPyConnection, lake: Path, raw: Mapping[str, Rows]) -> Rows:
    """The reasons why records of the person wait for others."""
    if not any((lake / "held").glob("*.parquet")):
        return []
    own = {(r["_batch_id"], r["_row_number"]) for rows in raw.values() for r in rows}
    rows = _rows(con, f"from read_parquet({literal(str(lake / 'held' / '*.parquet'))})")
    return [
        {"source": row["source"], "entity": row["entity"], "reason": row["reason"]}
        for row in rows
        if (row["_batch_id"], row["_row_number"]) in own
    ]


def _ml(con: duckdb.DuckDBPyConnection, lake: Path, person: Person) -> dict[str, Rows]:
    found = {}
    for folder in sorted((lake / "ml").glob("*")):
        files = f"read_parquet({literal(str(folder / '**' / '*.parquet'))}, union_by_name = true)"
        columns = {row[0] for row in con.execute(f"describe from {files}").fetchall()}
        if "customer" not in columns:
            continue
        query = f"select * from {files} where customer in (select unnest(?)) order by all"
        if rows := _rows(con, query, list(person.keys)):
            found[folder.name] = rows
    return found


def _published(habitus: Settings, person: Person) -> dict[str, Rows]:
    """The person's rows of every published table with a customer: segments, consents, messages."""
    found: dict[str, Rows] = {}
    try:
        con = published_connection(habitus)
    except NothingPublishedError:
        return found
    with closing(con):
        tables = con.execute(
            "select schema_name, table_name from duckdb_columns() where column_name = 'customer' "
            f"and database_name = '{ALIAS}' and schema_name in (select unnest(?)) order by all",
            [list(PUBLISHED_LAYERS)],
        ).fetchall()
        for schema, name in tables:
            query = f"select * from {ALIAS}.{ident(schema)}.{ident(name)} "
            query += "where customer in (select unnest(?)) order by all"
            if rows := _rows(con, query, list(person.keys)):
                found[f"{schema}.{name}"] = rows
    return found


def _sources(contracts: tuple[Contract, ...] | list[Contract], raw: Mapping[str, Rows]) -> Rows:
    """Where the records came from, and what for, as each contract states it."""
    counts: dict[str, int] = {}
    for rows in raw.values():
        for row in rows:
            counts[row["_source"]] = counts.get(row["_source"], 0) + 1
    return [
        {
            "source": contract.name,
            "records": counts[contract.name],
            "purpose": contract.description.get("purpose", "not stated"),
            "use": contract.description.get("usage", "not stated"),
        }
        for contract in contracts
        if contract.name in counts
    ]


def _in_clear(
    habitus: Settings, person: Person, raw: Mapping[str, Rows], said: dict[str, Any]
) -> dict[str, Any]:
    """Put the clear value beside each token that stands in the person's own records.

    Identifiers that others have too stay tokens where the person did not give them.
    """
    tokens = {token for _, token in person.own}
    for name, entity in people_entities().items():
        for column, _ in token_columns(entity):
            tokens |= {row[column] for row in raw[name] if column in row}
    clear = vault(habitus).clear_of(tokens)
    for identifier in said["identifiers"]["own"]:
        identifier["clear"] = clear.get(identifier["token"])
    for rows in said["raw_records"].values():
        for row in rows:
            row |= {f"{k} (clear)": clear[v] for k, v in tuple(row.items()) if _known(v, clear)}
    return said


def _known(value: object, clear: Mapping[str, str]) -> bool:
    return isinstance(value, str) and value in clear


def _page(said: Mapping[str, Any]) -> str:
    parts = []
    for heading, value in said.items():
        parts.append(f"<h2>{shown(heading.replace('_', ' '))}</h2>")
        if isinstance(value, dict) and all(isinstance(v, list) for v in value.values()):
            parts += [f"<h3>{shown(name)}</h3>{_table(rows)}" for name, rows in value.items()]
        elif isinstance(value, list):
            parts.append(_table(value))
        else:
            parts.append(f"<p>{shown(value)}</p>")
    return page("What is held on you", "".join(parts))


def _table(rows: Rows) -> str:
    if not rows:
        return "<p>none</p>"
    names = list(dict.fromkeys(name for row in rows for name in row))
    head = "".join(f"<th>{shown(name)}</th>" for name in names)
    body = "".join(
        "<tr>" + "".join(f"<td>{shown(row.get(name))}</td>" for name in names) + "</tr>"
        for row in rows
    )
    return f"<table><tr>{head}</tr>{body}</table>"
