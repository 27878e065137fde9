"""The plan of an erasure: everything that is to go, known before anything goes.

What does not belong here: removing (rights_remove.py), the order of steps (rights_erase.py).
"""

import json
import secrets
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from expectations.contract import Entity
from ingestion.sql import ident, literal
from orchestration.config import Settings
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
from orchestration.lib.secrets import record_secrets, vault
from orchestration.lib.warehouse import new_connection, published_connection
from privacy.erasure import Plan
from privacy.suppression import KEY_KIND, NAMING, digest_of, suppression_secret

TOKENS = r"tok_v[0-9]+_[a-z2-7]{32}"


def plan_erasure(habitus: Settings, persons: Sequence[Person]) -> Plan:
    """Everything that erasing these persons removes; the caller holds the run's lock."""
    plan = Plan(
        f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}",
        sorted({person.digest for person in persons}),
        datetime.now(UTC).isoformat(timespec="seconds"),
        own=sorted({pair for person in persons for pair in person.own}),
        keys=sorted({key for person in persons for key in person.keys}),
    )
    with closing(new_connection(habitus)) as con:
        plan.records = own_records(con, habitus.lake, plan.own)
        register_own(con, plan.own, plan.records)
        held = _held_tokens(con, habitus.lake)
        plan.shared = _shared(con, habitus.lake, persons)
        plan.landing = _landing(con, habitus.lake)
    theirs = {token for _, token in plan.own} | {token for token, ours, _ in held if ours}
    others = {token for token, _, rest in held if rest}
    plan.gone = sorted((theirs - others) | set(plan.keys))
    plan.suppressed = _suppressed(habitus, plan)
    plan.models = _models(habitus, plan.keys)
    return plan


def count_raw(habitus: Settings, plan: Plan) -> dict[str, int]:
    """Raw records of the persons by entity."""
    with closing(new_connection(habitus)) as con:
        register_own(con, plan.own, plan.records)
        found = {}
        for name, entity in people_entities().items():
            row = con.execute(
                f"select count(*) from {raw_files(habitus.lake, entity)} where {mine(entity)}"
            ).fetchone()
            found[name] = int(row[0]) if row else 0
    return found


def _held_tokens(con: duckdb.DuckDBPyConnection, lake: Path) -> list[tuple[str, bool, bool]]:
    """(token, whether the persons' records hold it, whether others' do) of raw and quarantine."""
    parts = []
    for entity in people_entities().values():
        rows = f"(select *, {mine(entity)} as is_mine from {raw_files(lake, entity)})"
        parts += [
            f"select {ident(name)} as token, is_mine from {rows} where {ident(name)} is not null"
            for name, _ in token_columns(entity)
        ]
        parts.append(
            f"select unnest(regexp_extract_all(attributes, {literal(TOKENS)})), is_mine "
            f"from {rows} where contains(attributes, 'tok_v')"
        )
    if any((lake / "quarantine").glob("*/*.parquet")):
        parts.append(
            f"select unnest(tokens), list_has_any(tokens, (select list(value) from own)) from ("
            f"select regexp_extract_all(record, {literal(TOKENS)}) as tokens "
            f"from read_parquet({literal(str(lake / 'quarantine' / '*' / '*.parquet'))}) "
            "where contains(record, 'tok_v'))"
        )
    return con.execute(
        "select token, bool_or(is_mine), bool_or(not is_mine) from ("
        + " union all ".join(parts)
        + ") group by token having bool_or(is_mine) or token in (select value from own)"
    ).fetchall()


def _shared(
    con: duckdb.DuckDBPyConnection, lake: Path, persons: Sequence[Person]
) -> list[dict[str, str | int]]:
    """Identifiers in the persons' records that others' records have too, a line for each person.

    A device on which two people were seen stays a shared one when one of them is erased: else what
    happened on it anonymously would be taken for the other's.
    """
    owners = [
        {"kind": kind, "value": token, "person": index}
        for index, person in enumerate(persons)
        for kind, token in person.own
        if kind in NAMING
    ]
    con.register("owners", pa.Table.from_pylist(owners))
    parts = [part for entity in people_entities().values() for part in _uses(entity, lake)]
    rows = con.execute(
        f"""
with uses as ({" union all ".join(parts)}),
shared as (
    select kind, value from uses group by all having bool_or(is_mine) and bool_or(not is_mine)
)
select kind, value, person, count(distinct customer_id) as customers,
    min(_known_at)::varchar as known_at
from uses semi join shared using (kind, value)
where is_mine and person is not null group by all order by all
"""
    ).fetchall()
    con.unregister("owners")
    return [
        {
            "id_type": kind,
            "id_value": value,
            "mark": secrets.token_hex(8),
            "customers": customers,
            "known_at": known_at,
        }
        for kind, value, _, customers, known_at in rows
    ]


def _uses(entity: Entity, lake: Path) -> list[str]:
    """Queries of (kind, value, is_mine, person, customer_id, _known_at) over raw, a column each."""
    columns = [pair for pair in token_columns(entity) if pair[1] in NAMING]
    if not columns:
        return []
    order = sorted(columns, key=lambda pair: NAMING.index(pair[1]))
    person = ", ".join(
        f"(select any_value(person) from owners where kind = '{kind}' and value = {ident(name)})"
        for name, kind in order
    )
    customer = "customer_id" if entity.field("customer_id") else "null"
    rows = (
        f"(select *, {mine(entity)} as is_mine, coalesce({person}) as person, "
        f"{customer} as whose from {raw_files(lake, entity)})"
    )
    return [
        f"select '{kind}' as kind, {ident(name)} as value, is_mine, person, "
        f"whose as customer_id, _known_at from {rows} where {ident(name)} is not null"
        for name, kind in columns
    ]


def _landing(con: duckdb.DuckDBPyConnection, lake: Path) -> list[str]:
    """Hashes of source files that hold the persons, with their source; names could name people."""
    parts = [
        f"select distinct _source, _file_sha256 from {raw_files(lake, entity)} where {mine(entity)}"
        for entity in people_entities().values()
    ]
    rows = con.execute(" union ".join(parts) + " order by all").fetchall()
    return [f"{source} {sha256}" for source, sha256 in rows if sha256]


def _suppressed(habitus: Settings, plan: Plan) -> list[str]:
    """Lines of the list of who stays out, from the clear values that the vault has."""
    secrets = [suppression_secret(secret) for secret in record_secrets(habitus)]
    gone = set(plan.gone)
    wanted = [(kind, token) for kind, token in plan.own if kind in NAMING and token in gone]
    clear = vault(habitus).clear_of([token for _, token in wanted])
    lines = {
        f"{kind} {digest_of(clear[token], kind, *secrets)}"
        for kind, token in wanted
        if token in clear
    }
    for name, values in plan.records.items():
        kind = KEY_KIND + name
        lines |= {f"{kind} {digest_of(value, kind, *secrets)}" for value in values}
    return sorted(lines)


def _models(habitus: Settings, keys: Sequence[str]) -> dict[str, list[str]]:
    """Stored model versions by output that may have learnt from the persons.

    A model keeps no rows, so that nobody can ask it. Every stored version counts that was trained
    while the persons were among the features; all, where the present tables cannot say.
    """
    if not _in_features(habitus, keys):
        return {}
    found: dict[str, list[str]] = {}
    for manifest in sorted(habitus.models.glob("*/*/manifest.json")):
        said: dict[str, Any] = json.loads(manifest.read_text())
        found.setdefault(str(said.get("output", manifest.parents[1].name)), []).append(
            manifest.parent.name
        )
    return found


def _in_features(habitus: Settings, keys: Sequence[str]) -> bool:
    try:
        with closing(published_connection(habitus)) as con:
            row = con.execute(
                "select count(*) from ml_features where customer in (select unnest(?))",
                [list(keys)],
            ).fetchone()
    except NothingPublishedError:
        return False
    return bool(row and row[0])
