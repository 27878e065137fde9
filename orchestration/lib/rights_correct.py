"""A correction of what is held on a person: a new version of the record, known from now.

It is a batch of its own in raw that names the source of the record which it replaces and bears that
record's hash, so that ingestion takes the old record for known when its file comes again, whatever
the ledger says. Earlier versions stay: what was known on a day is still what was known.

What does not belong here: who the person is (rights.py), removing (rights_remove.py).
"""

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime

import duckdb
import pyarrow as pa

from expectations.contract import Field, load_entities
from ingestion.session import CORRECTIONS, copy_whole
from ingestion.sql import ident
from orchestration.config import Settings
from orchestration.lib.publication import writer
from orchestration.lib.rights import Person, RightsError, mine, raw_files, register_own
from orchestration.lib.secrets import ingest_keys
from orchestration.lib.warehouse import new_connection
from privacy.tokens import tokenise
from privacy.vault import ENTRIES

#: The one entity that describes a person; all others are records of what happened.
ENTITY = "customers"


def parse_fields(pairs: list[str]) -> dict[str, str]:
    """`customers.city=上海` -> {"city": "上海"}; an empty value empties the field.

    Raises:
        RightsError: it is not of that form, or names what cannot be corrected.
    """
    if not pairs:
        raise RightsError("say what to correct: --field customers.city=VALUE")
    found = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        entity, _, column = name.partition(".")
        if not equals or not column:
            raise RightsError(f"--field wants ENTITY.COLUMN=VALUE, not {name!r}")
        found[column] = value
        _field(entity, column)
    return found


def _field(entity: str, column: str) -> Field:
    """The field that is to be corrected."""
    entities = load_entities()
    if entity not in entities:
        raise RightsError(f"no entity is named {entity!r}; there are: {', '.join(entities)}")
    if entity != ENTITY:
        raise RightsError(
            f"{entity} are records of what happened, and are corrected where they come from: mend "
            "the source's file and bring it with `habitus replay`, or send a later version of the "
            "record. What is only wrong about the person stands in customers"
        )
    field = entities[entity].field(column)
    if field is None:
        names = ", ".join(entities[entity].field_names)
        raise RightsError(f"customers has no {column!r}; it has: {names}")
    if column in entities[entity].key:
        raise RightsError(
            f"{column} is the record's key: a person with another number is another record. "
            "Correct it in the source, and erase the wrong number here"
        )
    return field


def correct(habitus: Settings, person: Person, fields: Mapping[str, str]) -> int:
    """Write new versions of a person's account records; gives their number.

    Args:
        habitus: whose data.
        person: whose records.
        fields: new value by field of `customers`, in clear; an empty one empties the field.

    Raises:
        RightsError: there is no account record, or a value is none of its field's type.
    """
    entity = load_entities()[ENTITY]
    now = datetime.now(UTC).replace(tzinfo=None)
    seed = json.dumps([person.digest, sorted(fields), now.isoformat()])
    batch = f"{CORRECTIONS}{hashlib.sha256(seed.encode()).hexdigest()[:16]}"
    with writer(habitus.run_lock), closing(new_connection(habitus)) as con:
        register_own(con, person.own, {})
        con.execute(
            f"create temp table latest as select * exclude (filename) from "
            f"{raw_files(habitus.lake, entity)} where {mine(entity)} qualify row_number() over "
            "(partition by customer_id order by _known_at desc, _batch_id desc, _row_number desc) "
            "= 1"
        )
        row = con.execute("select count(*) from latest").fetchone()
        if row is None or row[0] == 0:
            raise RightsError(
                "no account record is held on this person, only what happened: correct it where "
                "it comes from, and bring it with `habitus replay`"
            )
        values = {name: _value(con, entity.field(name), text) for name, text in fields.items()}
        _seal(habitus, batch, {n: fields[n] for n in fields if fields[n]}, values)
        changed = ", ".join(f"${name} as {ident(name)}" for name in values)
        meta = "$batch as _batch_id, $digest as _file_sha256, $now::timestamp as _known_at"
        con.execute(
            f"create temp table corrected as select * replace ({changed}, {meta}) from latest",
            {**values, "batch": batch, "digest": batch.removeprefix(CORRECTIONS), "now": now},
        )
        path = habitus.lake / "raw" / ENTITY / f"{batch}.parquet"
        written = copy_whole(con, "from corrected", path)
        handle = os.open(path.parent, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)
        return written


def _value(con: duckdb.DuckDBPyConnection, field: Field | None, text: str) -> object:
    """A value as raw keeps it: typed, and as a year where the entity keeps no more."""
    assert field is not None
    if not text:
        if field.required:
            raise RightsError(f"{field.name} cannot be empty")
        return None
    if field.token:
        return text
    kind = field.duckdb_type
    row = con.execute(f"select try_cast($1 as {kind})", [text]).fetchone()
    if row is None or row[0] is None:
        raise RightsError(f"{field.name} takes a {field.type}, which the value given is not")
    if field.generalise == "year":
        return row[0].replace(month=1, day=1)
    return row[0]


def _seal(
    habitus: Settings, batch: str, given: Mapping[str, str], values: dict[str, object]
) -> None:
    """Turn identity into tokens, whose clear values go to the vault first."""
    keys, entity = ingest_keys(habitus), load_entities()[ENTITY]
    rows = []
    for name, text in given.items():
        field = entity.field(name)
        if field is None or not field.token:
            continue
        token = tokenise([text], field.token, keys.token)[0]
        if token is None:
            raise RightsError(f"{name}: nothing is left of the value")
        values[name] = token
        entry = {"token": token, "token_type": field.token, "clear": text}
        rows.append({**entry, "source": "correction", "batch_id": batch})
    if rows and keys.sealer is not None:
        keys.sealer.seal(pa.Table.from_pylist(rows, ENTRIES), batch)
