"""Held records: accepted, but what they refer to has not arrived.

What does NOT belong here: held files (`settled`), leaving the records out (whoever reads raw).

A contract may say that a field refers to another entity's (ODCS `relationships`). A record whose
reference is not in raw is in raw itself, so nothing has to be read again when the other one comes;
it is listed in `held/<source>.parquet` of the lake, and a reader of raw leaves out what is listed:

    from raw anti join read_parquet('held/*.parquet') as held using (_batch_id, _row_number)

The list is made anew from what is in raw: at the end of each ingestion of the source, and before
the tables are built. In which order the two arrive makes no difference then.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import duckdb

from expectations.contract import Contract, Property, load_entities
from ingestion.files import Paths
from ingestion.schema import ensure_raw_schemas
from ingestion.session import copy_whole
from ingestion.sql import ident, literal


def held_path(lake: Path, source: str) -> Path:
    """Where the held records of a source are listed; no file is an empty list."""
    return lake / "held" / f"{source}.parquet"


def refresh_held(contract: Contract, paths: Paths) -> int:
    """List anew the held records of a source; gives their number.

    Args:
        contract: Of the source.
        paths: Where the lake is.
    """
    path = held_path(paths.lake, contract.name)
    referring = [prop for prop in contract.properties if prop.references is not None]
    if not referring:
        path.unlink(missing_ok=True)
        return 0
    queries = " union all ".join(_orphans(paths.lake, contract, prop) for prop in referring)
    with closing(duckdb.connect(":memory:")) as con:
        con.execute("set threads = 2")
        return copy_whole(
            con,
            "select _batch_id, _row_number, file_sha256, source, entity, "
            f"string_agg(reason, '; ' order by reason) as reason from ({queries}) "
            "group by all order by all",
            path,
        )


def _orphans(lake: Path, contract: Contract, prop: Property) -> str:
    entity, column = prop.references or ("", "")
    ensure_raw_schemas([load_entities()[entity]], lake)
    mine, theirs = (
        f"read_parquet({literal(str(lake / 'raw' / name / '*.parquet'))}, union_by_name = true)"
        for name in (contract.entity.name, entity)
    )
    reason = f"orphan: {prop.name} is no {entity}.{column} that has arrived"
    return f"""
select _batch_id, _row_number, _file_sha256 as file_sha256, _source as source,
    {literal(contract.entity.name)} as entity, {literal(reason)} as reason
from {mine} as mine
where _source = {literal(contract.name)} and {ident(prop.name)} is not null
    and {ident(prop.name)} not in (
        select {ident(column)} from {theirs} as theirs where {ident(column)} is not null
    )
"""
