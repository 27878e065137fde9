"""Raw entities: one suite for each contract, made from what the contract says.

It reads what landed, after ingestion: volume, freshness, types, allowed values, ranges, and
that no personal data got through. What is said of each record by itself is said of `{table}`, which
a gate may narrow to the batches that came since it last passed; the rest is said of `{whole}`, most
of it from `{counted}`: one scan of an entity for all sources and expectations.

What does not belong here: quarantine and conservation (ingestion), keys and relations (dbt).
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any

from expectations.suite import (
    COUNTED,
    ROWS,
    TABLE,
    WHOLE,
    Expectation,
    Suite,
    filled,
    in_set,
    no_rows,
)

if TYPE_CHECKING:
    from expectations.contract import Contract, Deployment, Entity, Property

# The columns that ingestion adds, in order, with their types.
META = {
    "attributes": "VARCHAR",
    "_batch_id": "VARCHAR",
    "_source": "VARCHAR",
    "_file_sha256": "VARCHAR",
    "_row_number": "BIGINT",
    "_known_at": "TIMESTAMP",
    "_record_hash": "BLOB",
}
# `tok_v1_` and 20 bytes in base32, which are 32 characters; room for a longer key number. A
# regular expression says no more that matters here, and took 2.1 s for 4M rows of 5 fields.
UNLIKE_IDENTITY = "not (starts_with({0}, 'tok_v') and strlen({0}) between 39 and 41)"
# The cheap `contains` comes first: on 10M rows it leaves the regular expression next to nothing.
EMAIL = r"[[:alnum:]._%+-]+@[[:alnum:]-]+(\.[[:alnum:]-]+)+"
MOBILE = r"(^|[^0-9])1[3-9][0-9]{9}([^0-9]|$)"
CUSTOMER = ("customer",)
# The newest record of any source: read once, not once for each source.
NEWEST = "raw.newest"
NUMBERS = {"integer", "decimal", "double"}


def build(deployment: "Deployment", entities: "Mapping[str, Entity]") -> tuple[Suite, ...]:
    """The suites of a deployment, one for each contract."""
    contracts = sorted(deployment.contracts, key=lambda contract: contract.entity.name)
    shared = {
        _counts(name): _count(name, list(group))
        for name, group in groupby(contracts, key=lambda contract: contract.entity.name)
        if name in entities
    }
    shared[NEWEST] = _newest(shared)
    return tuple(_suite(contract, shared) for contract in deployment.contracts)


def _counts(entity: str) -> str:
    """The table of what was counted of an entity's records, a row for each source."""
    return f"raw.counts_of_{entity}"


def _count(name: str, contracts: "list[Contract]") -> str:
    found = ["count(*) as n", "max(_known_at) as newest"]
    happened = next((at for at in map(_happened, contracts) if at), None)
    if happened:
        # Most were known when they happened, so that the sum with its calendar is seldom made.
        early = f"case when {happened} > _known_at then {happened} > _known_at + to_days(1) end"
        found.append(f"count(*) filter (where {early}) as early")
    customers = {column for contract in contracts for column in _customers(contract)}
    found += [f"count({column}) as with_{column}" for column in sorted(customers)]
    return f"select _source, {', '.join(found)} from raw.{name} group by _source"


def _suite(contract: "Contract", shared: Mapping[str, str]) -> Suite:
    entity = contract.entity
    return Suite(
        table=f"raw.{entity.name}",
        gate="raw",
        part=contract.name,
        where=f"_source = '{contract.name}'",
        shared=shared,
        counted=f"select * from {_counts(entity.name)} where _source = '{contract.name}'",
        expectations=[
            _rows(),
            _types(entity),
            *_privacy(entity),
            *_looks(contract),
            *[e for prop in contract.properties if _is_kept(prop) for e in _conformance(prop)],
        ],
    )


def _rows() -> Expectation:
    return no_rows(
        ROWS,
        "The source has at least 1 record.",
        f"select 1 where not exists (select 1 from {COUNTED} as counted)",
    )


def _is_kept(prop: "Property") -> bool:
    """Whether the property lands in a column of its own, as the source wrote it or as a token."""
    return prop.canonical and prop.privacy != "drop"


def _types(entity: "Entity") -> Expectation:
    columns = {f.name: f.duckdb_type for f in entity.fields} | META
    expected = ", ".join(f"('{name}', '{dtype}')" for name, dtype in columns.items())
    return no_rows(
        "columns_and_types",
        "The columns and their types are those of the entity.",
        f"select * from (values {expected}) as e(name, type) "
        f"where not exists (select 1 from (describe select * from {TABLE}) as d "
        "where d.column_name = e.name and d.column_type = e.type)",
    )


def _privacy(entity: "Entity") -> list[Expectation]:
    tokens = [f.name for f in entity.fields if f.token]
    texts = [f.name for f in entity.fields if f.duckdb_type == "VARCHAR" and not f.token]
    free = [f.name for f in entity.fields if f.type == "text"]
    found = []
    if tokens:
        bad = " or ".join(UNLIKE_IDENTITY.format(name) for name in tokens)
        found.append(
            no_rows(
                "identity_is_tokens",
                "Every value of an identity field is a token.",
                f"select 1 from {TABLE} where {bad}",
            )
        )
    clear = " or ".join(
        f"(contains({name}, '@') and regexp_matches({name}, '{EMAIL}'))"
        for name in [*texts, "attributes"]
    )
    found.append(
        no_rows(
            "no_clear_email",
            "No text looks like an e-mail address in clear.",
            f"select 1 from {TABLE} where {clear}",
        )
    )
    if free:
        bad = " or ".join(f"regexp_matches({name}, '{MOBILE}')" for name in free)
        found.append(
            no_rows(
                "no_clear_mobile",
                "No free text holds what looks like a mobile number in clear.",
                f"select 1 from {TABLE} where {bad}",
            )
        )
    return found


def _newest(counts: Iterable[str]) -> str:
    moments = " union all ".join(f"select max(newest) as k from {name}" for name in counts)
    return f"select max(k) as k from ({moments}) as each_source"


def _happened(contract: "Contract") -> str | None:
    """The column that says at what moment a record happened, if the source tells it."""
    happened = contract.entity.field(contract.entity.ts)
    is_told = happened is not None and happened.type == "timestamp"
    return contract.entity.ts if is_told and contract.property(contract.entity.ts) else None


def _customers(contract: "Contract") -> list[str]:
    """Columns that say whose record it is."""
    if contract.entity.name == "customers":
        return []
    return [p.name for p in contract.properties if p.canonical and p.token_type in CUSTOMER]


def _looks(contract: "Contract") -> list[Expectation]:
    """Freshness against the deployment's own clock, and shares: warnings all of them."""
    found = []
    if contract.freshness_hours is not None:
        minutes = round(contract.freshness_hours * 60)
        found.append(
            no_rows(
                "fresh",
                f"The newest record is at most {contract.freshness_hours:g} hours behind the "
                "newest of any source.",
                f"select 1 from {COUNTED} as own, {NEWEST} as newest "
                f"where own.newest < newest.k - to_minutes({minutes})",
                column="_known_at",
                blocking=False,
            )
        )
    happened = _happened(contract)
    if happened:
        found.append(
            no_rows(
                "known_after_it_happened",
                "At most 1 % of the records were known a day or more before they happened.",
                f"select 1 from {COUNTED} as counted where early > 0.01 * n",
                column=happened,
                blocking=False,
            )
        )
    for column in _customers(contract):
        found += _customer_shares(column)
    return found


def _customer_shares(column: str) -> list[Expectation]:
    return [
        no_rows(
            f"{column}_somewhere",
            f"{column} is filled in at least 1% of the records.",
            f"select 1 from {COUNTED} as counted where with_{column} < 0.01 * n",
            column=column,
            blocking=False,
        ),
        no_rows(
            f"{column}_not_one_value",
            f"No single {column} is on more than half of the records, if there are 1,000.",
            f"select 1 from (select {column}, count(*) as n, sum(count(*)) over () as all_n "
            f"from {WHOLE} as t where {column} is not null group by {column}) as counted "
            "where all_n >= 1000 and n > 0.5 * all_n",
            column=column,
            blocking=False,
        ),
    ]


def _conformance(prop: "Property") -> list[Expectation]:
    """What the contract says of one column, checked on what landed."""
    found = []
    if prop.required:
        found.append(filled(prop.name, name=f"{prop.name}_required"))
    if prop.privacy is not None:
        return found  # a token or a year has lost the source's values and ranges
    if prop.enum:
        found.append(in_set(prop.name, [_typed(prop, value) for value in prop.enum]))
    found += _range(prop)
    rules = []
    if prop.min_length is not None:
        rules.append(f"length({prop.name}) < {prop.min_length}")
    if prop.max_length is not None:
        rules.append(f"length({prop.name}) > {prop.max_length}")
    if prop.pattern is not None:
        pattern = prop.pattern.replace("'", "''")
        rules.append(f"not regexp_full_match({prop.name}, '{pattern}')")
    if rules and prop.type in ("string", "text"):
        found.append(
            no_rows(
                f"{prop.name}_form",
                f"{prop.name} has the length and pattern that its contract allows.",
                f"select 1 from {TABLE} where {' or '.join(rules)}",
                column=prop.name,
            )
        )
    return found


def _range(prop: "Property") -> list[Expectation]:
    low = prop.minimum if prop.minimum is not None else prop.exclusive_minimum
    high = prop.maximum if prop.maximum is not None else prop.exclusive_maximum
    if (low is None and high is None) or prop.type not in NUMBERS | {"date", "timestamp"}:
        return []
    return [
        Expectation(
            name=f"{prop.name}_range",
            kind="ExpectColumnValuesToBeBetween",
            description=f"{prop.name} is in the range of its contract.",
            arguments={
                "min_value": None if low is None else _typed(prop, low),
                "max_value": None if high is None else _typed(prop, high),
                "strict_min": prop.minimum is None and low is not None,
                "strict_max": prop.maximum is None and high is not None,
            },
            column=prop.name,
        )
    ]


def _typed(prop: "Property", value: str) -> Any:
    """A value of the contract as the column's type compares it."""
    if prop.type in NUMBERS:
        return float(value)
    if prop.type in ("date", "timestamp"):
        moment = datetime.fromisoformat(value)
        return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
    return value
