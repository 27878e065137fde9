"""What erasing a person means: which tables and places hold people, by which key, and the plan.

What does NOT belong here: reading or removing anything (orchestration/lib/rights_*), the list of
who stays out (`suppression`).

Tables are registered by what they are made of: a column that is named `customer`, or as an identity
field of an entity, is its key, so that a new mart needs no line here. Only what cannot be seen so
is written down: graphs of identifiers, and tables that hold nobody. A table that is neither fails
the tests, and the run before it publishes.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Any

#: Columns that hold the key of a customer, in any table.
CUSTOMER_COLUMNS = ("customer", "anonymous_customer_id")
#: Key columns of tables that name people by other columns than those.
EXPLICIT: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "behaviour.customer_id_map": ("id_value", "customer"),
        "intermediate.int_identity__components": ("id_value",),
        "intermediate.int_identity__edges": ("left_id", "right_id"),
        "intermediate.int_identity__labels": ("id_value",),
        "intermediate.int_identity__map": ("id_value", "customer"),
        "intermediate.int_identity__nodes": ("id_value",),
        "intermediate.int_identity__sightings": (
            "customer_id", "login", "email", "phone", "name", "phone_name", "device_name",
            "device_id", "anonymous_id",
        ),
        "intermediate.int_events__changed": ("customer", "anonymous_customer_id", "was_customer"),
        "intermediate.int_events__touched": ("customer", "was_customer"),
    }
)  # fmt: skip
#: Tables that hold nobody, and why. A model of a user's says so in its yml:
#: `config: {meta: {erasure: none, erasure_reason: "..."}}`.
WITHOUT_PEOPLE: Mapping[str, str] = MappingProxyType(
    {
        "behaviour.dim_products": "goods",
        "behaviour.run_clock": "parameters of the run",
        "intermediate.int_run_clock": "parameters of the run",
        "marts.churn_horizon": "one figure over all customers",
        "marts.consent_counts": "counts over all customers",
        "marts.ml_cutoffs": "days",
        "marts.retention": "counts of cohorts",
        "ml.churn_evaluation": "metrics of models",
        "ml.churn_importance": "weights of features",
        "raw.campaigns": "campaigns",
        "raw.market": "figures of the market",
        "raw.products": "goods",
    }
)


@dataclass(frozen=True)
class Place:
    """A place below a deployment's home that is no table.

    Attributes:
        path: As a glob below the home.
        treatment: What erasing does with it.
        searched: Whether it is searched for traces afterwards.
    """

    path: str
    treatment: str
    searched: bool = True


#: Every place of a deployment's home. What is found there and is not listed is told in the
#: certificate as not searched.
PLACES: tuple[Place, ...] = (
    Place("lake", "raw, quarantine and ML outputs rewritten without the person; held lists anew"),
    Place("warehouse", "tables copied without the person, all earlier versions destroyed"),
    Place("warehouse.broken-*", "removed: rebuilt from raw when needed"),
    Place("as_of", "rebuilds of the past removed: made again when asked for"),
    Place("access", "answers to requests for access removed"),
    Place("vault", "clear values forgotten; sealed, so asked and not searched", searched=False),
    Place("ledger.sqlite*", "holds names of files and counts; searched"),
    Place("dagster", "holds counts and names; searched"),
    Place("dbt", "holds SQL and logs; searched"),
    Place("docs", "expectations keep no values; searched"),
    Place("models", "hold weights, no rows; versions that may have learnt are named; searched"),
    Place("audit", "keeps keyed digests of subjects; searched"),
    Place("published.json", "points to the version without the person; searched"),
    Place("erasures", "the list of who stays out: keyed digests", searched=False),
    Place("landing", "the company's own files: never changed, listed by file", searched=False),
    Place("run.lock", "empty"),
    Place("warehouse.lock", "empty"),
    Place("releases*", "noisy counts; searched"),
)


@dataclass
class Plan:
    """What an erasure is to remove; on the disk before anything is removed, so that it can resume.

    Attributes:
        erasure_id: Its name.
        subjects: Keyed digests of the persons.
        started_at: ISO 8601, UTC.
        requested: Keyed digests of what was asked for, so that the same request is known again.
        own: (token type, token) of the persons' identifiers.
        keys: Customer keys that name the persons.
        gone: Every text that must not be found afterwards: tokens, composites, keys.
        records: Values of key fields of their records, by field: `order_id`.
        shared: Identifiers that others have too, which must go on counting those who went.
        suppressed: Lines of the list of who stays out.
        done: Steps that are finished, with their figures.
        landing: Files that hold the persons, as the ledger shows them.
        models: Versions that may have learnt from them, by output.
        seconds: Spent so far.
    """

    erasure_id: str
    subjects: list[str]
    started_at: str
    requested: list[str] = field(default_factory=list)
    own: list[tuple[str, str]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    records: dict[str, list[str]] = field(default_factory=dict)
    shared: list[dict[str, str | int]] = field(default_factory=list)
    suppressed: list[str] = field(default_factory=list)
    done: dict[str, dict[str, Any]] = field(default_factory=dict)
    landing: list[str] = field(default_factory=list)
    models: dict[str, list[str]] = field(default_factory=dict)
    seconds: float = 0.0

    def to_json(self) -> str:
        """As a text."""
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """From that text."""
        said = json.loads(text)
        said["own"] = [(kind, token) for kind, token in said["own"]]
        return cls(**said)


def key_columns(
    table: str, columns: Sequence[str], token_fields: Collection[str]
) -> tuple[str, ...]:
    """Columns of a table by which it names people; empty if it names none.

    Args:
        table: `schema.name`.
        columns: Its columns.
        token_fields: Names of the entities' identity fields.
    """
    if table in WITHOUT_PEOPLE:
        return ()
    wanted = EXPLICIT.get(table, (*CUSTOMER_COLUMNS, *sorted(token_fields)))
    return tuple(column for column in wanted if column in columns)


def unregistered(
    tables: Mapping[str, Sequence[str]],
    token_fields: Collection[str],
    record_fields: Collection[str],
    declared: Mapping[str, str],
) -> list[str]:
    """Tables of which nobody says how to erase a person from them, with the reason; sorted.

    Args:
        tables: Columns by `schema.name`.
        token_fields: Names of the entities' identity fields.
        record_fields: Keys of people's records, as `order_id`.
        declared: Reason by table, of models whose yml says `erasure: none`; an empty one fails.
    """
    found = []
    for table, columns in sorted(tables.items()):
        if table in WITHOUT_PEOPLE:
            continue
        if table in declared:
            if not declared[table].strip():
                found.append(f"{table}: `erasure: none` without `erasure_reason`")
        elif not key_columns(table, columns, token_fields) and not set(columns) & set(
            record_fields
        ):
            found.append(
                f"{table}: no column `customer`, no identity field. Add one, or say in its yml "
                "`config: {meta: {erasure: none, erasure_reason: ...}}`"
            )
    return found
