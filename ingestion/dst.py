"""Local times that the clocks skipped or showed twice: accepted, and flagged.

What does NOT belong here: how a time becomes UTC (`casts`).

When clocks go back, a time of day without an offset occurs twice (the later of the two is taken);
when they go forward, it never was (it is moved on by the gap). Such a record is right to within the
hour, so it is kept, with the names of the fields under `dst_ambiguous` in its attributes.

Few records lie near a change of the clocks, and those are found by comparing moments. Only they are
read again as text.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import duckdb

from expectations.contract import Contract, Property
from ingestion import casts
from ingestion.compile import meta_name, property_text, source_stage
from ingestion.sql import ident, literal

FLAG = "dst_ambiguous"
#: Gives each record of `typed` its list of flagged fields, or null.
FLAGS_JOIN = (
    f" left join (select _file_idx, _row_number, list_sort(list(field)) as {FLAG} from flagged "
    "group by all) as flags on flags._file_idx = typed._file_idx "
    "and flags._row_number = typed._row_number"
)
_Change = tuple[datetime, timedelta, timedelta]


@lru_cache(maxsize=4096)
def changes(zone: str, year: int) -> tuple[_Change, ...]:
    """(moment in naive UTC, offset before, offset after) of a zone's changes in a year."""
    info = ZoneInfo(zone)

    def offset(moment: datetime) -> timedelta:
        return moment.astimezone(info).utcoffset() or timedelta()

    found: list[_Change] = []
    low = datetime(year, 1, 1, tzinfo=UTC)
    end = datetime(year + 1, 1, 1, tzinfo=UTC)
    while low < end:
        high = min(low + timedelta(days=7), end)
        before, after = offset(low), offset(high)
        if before != after:
            left, right = low, high
            while right - left > timedelta(seconds=1):
                middle = left + (right - left) // 2
                left, right = (middle, right) if offset(middle) == before else (left, middle)
            moment = right.replace(microsecond=0, tzinfo=None)
            found.append((moment, before, after))
        low = high
    return tuple(found)


def mark(
    con: duckdb.DuckDBPyConnection, contract: Contract, available: Collection[str]
) -> dict[str, int]:
    """Fill `flagged` (record, field) for the accepted records at hand; gives counts by field.

    Works on `chunk`, `typed` and `verdict`, see `batch.write_chunk`. `flagged` is there only if
    anything is counted.
    """
    counts: dict[str, int] = {}
    zoned = [
        (prop, zone)
        for prop in contract.properties
        if prop.type == "timestamp"
        and (zone := prop.timezone or contract.timezone) not in (None, "UTC")
        and zone is not None
    ]
    if not zoned:
        return counts
    ranges = ", ".join(f"min({_value(prop)}), max({_value(prop)})" for prop, _zone in zoned)
    limits = con.execute(f"select {ranges} from typed where _reason is null").fetchone() or ()
    for place, (prop, zone) in enumerate(zoned):
        first, last = limits[2 * place], limits[2 * place + 1]
        if first is None:
            continue
        near = [
            change
            for year in range(first.year, last.year + 1)
            for change in changes(zone, year)
            if first - timedelta(days=1) <= change[0] <= last + timedelta(days=1)
        ]
        number = _mark_one(con, contract, available, prop, near) if near else 0
        if number:
            counts[prop.name] = number
    return counts


def _mark_one(
    con: duckdb.DuckDBPyConnection,
    contract: Contract,
    available: Collection[str],
    prop: Property,
    near: list[_Change],
) -> int:
    value = _value(prop)
    widths = [(moment, abs(after - before)) for moment, before, after in near]
    close = _within(value, [(moment - width, moment + width) for moment, width in widths])
    con.execute(
        "create or replace temp table part as select chunk.* from chunk semi join (select * from "
        f"typed anti join verdict using (_file_idx, _row_number) where {close}) "
        "using (_file_idx, _row_number)"
    )
    local = casts.naive_timestamp(prop.formats, "text")
    odd = [
        (moment + min(before, after), moment + max(before, after)) for moment, before, after in near
    ]
    con.execute(
        "create temp table if not exists flagged "
        "(_file_idx integer, _row_number bigint, field varchar)"
    )
    found = con.execute(
        f"""
insert into flagged
with src as ({source_stage(contract, available, chunk="part")}),
texts as (
    select {meta_name("_file_idx")} as _file_idx, _row_number,
        {property_text(prop, contract.source.format)} as text
    from src
),
clocks as (select _file_idx, _row_number, {local} as clock from texts)
select _file_idx, _row_number, {literal(prop.name)} from clocks where {_within("clock", odd)}
"""
    ).fetchone()
    return int(found[0]) if found else 0


def with_flags(query: str) -> str:
    """The query of raw, with its last column (the flagged fields) put into `attributes`."""
    entry = f"""'"{FLAG}":' || to_json({FLAG})::varchar || '}}'"""
    return f"""
select * exclude ({FLAG}) replace (
    case when {FLAG} is null then attributes when attributes = '{{}}' then '{{' || {entry}
        else attributes[:-2] || ',' || {entry} end as attributes
)
from ({query})
"""


def _value(prop: Property) -> str:
    return ident("v_" + prop.name)


def _within(expression: str, spans: list[tuple[datetime, datetime]]) -> str:
    return " or ".join(
        f"({expression} >= timestamp '{low}' and {expression} < timestamp '{high}')"
        for low, high in spans
    )
