"""Published aggregates: counts of people by segment and cohort, as they may be shown.

What does not belong here: the rules of hiding (privacy/aggregates), tables of one row a customer
(dbt_project/: those are personal data for authorised readers), the report's look (ml/evaluation).

The numbers of all files and of summary.json are made together, because one could give away what
another hides.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd

from orchestration.lib.lake import ALIAS
from orchestration.lib.publication import write_atomically
from privacy.aggregates import (
    ALL,
    OTHER,
    Sum,
    is_small,
    merge_small,
    merged_sizes,
    protect,
    too_close,
)
from privacy.export import escape_formula

SEGMENTS, RETAINED, COHORT = "segments", "retained", "cohort"
Group = tuple[str, str, str]  # what kind, which set or cohort, which label or period
# What is given up first where two groups differ by few people.
CHEAPEST = (RETAINED, SEGMENTS, COHORT)


@dataclass(frozen=True)
class People:
    """What the aggregates are made of, by customer.

    Attributes:
        labels: index customer; a column of labels for each set of segments.
        months: columns customer, cohort, period: the months with a purchase, as numbers of months
            since the customer's first one; and orders, revenue in that month.
        complete: (cohort, period) -> whether that month had ended.
    """

    labels: pd.DataFrame
    months: pd.DataFrame
    complete: Mapping[tuple[str, int], bool]


@dataclass(frozen=True)
class Aggregates:
    """What may be shown; a missing number is hidden.

    Attributes:
        labels: set -> label -> the label under which it is shown.
        segments: set -> label -> customers.
        retention: cohort, period, customers, retained, rate, is_complete.
        cohorts: cohort, customers, orders, revenue; the total under `all`.
    """

    labels: Mapping[str, Mapping[str, str]]
    segments: Mapping[str, Mapping[str, int]]
    retention: pd.DataFrame
    cohorts: pd.DataFrame


def read_people(con: duckdb.DuckDBPyConnection, sets: Mapping[str, str]) -> People:
    """Read what the aggregates are made of.

    Args:
        con: a connection with the lake.
        sets: name of the set -> its column in `marts.customer_360`.
    """
    columns = "".join(f', cast("{column}" as varchar) as "{name}"' for name, column in sets.items())
    labels = con.execute(f"select customer{columns} from {ALIAS}.marts.customer_360").df()
    months = con.execute(
        "select customer, strftime(min(month) over (partition by customer), '%Y-%m-%d') as cohort, "
        "cast(datediff('month', min(month) over (partition by customer), month) as integer) "
        "as period, orders, revenue from (select customer, date_trunc('month', ordered_at) as "
        "month, count(*) as orders, cast(sum(revenue) as double) as revenue "
        # Those who may be used for analytics: whom the marts count.
        f"from {ALIAS}.behaviour.fct_orders semi join {ALIAS}.marts.rfm using (customer) "
        "where is_purchase group by all)"
    ).df()
    periods = con.execute(
        f"select strftime(cohort, '%Y-%m-%d'), period, is_complete from {ALIAS}.marts.retention"
    ).fetchall()
    complete = {(str(cohort), int(period)): bool(done) for cohort, period, done in periods}
    return People(labels.set_index("customer"), months, complete)


def aggregate(people: People, k: int) -> Aggregates:
    """Count, and hide until nothing small is shown or told by two numbers together.

    Args:
        people: whom to count.
        k: smallest count that may be shown.
    """
    everybody = everybody_of(people)
    hidden: set[Group] = set()
    while True:
        shown = _hide(people, k, hidden)
        groups = groups_shown(people, shown)
        close = too_close(groups, len(everybody), k)
        if not close:
            return shown
        hidden.add(_given_up(close[0], groups))


def _given_up(pair: tuple[Group, Group], groups: Mapping[Group, np.ndarray]) -> Group:
    """Which group is hidden so that a pair tells nothing: what costs least, then the smaller."""

    def cost(group: Group) -> tuple[int, int, Group]:
        return CHEAPEST.index(group[0]), len(groups[group]), group

    _, name, label = chosen = min(pair, key=lambda g: (g[2] == OTHER, *cost(g)))
    if label != OTHER:
        return chosen
    # `other` grows by the next smallest; alone in its set, it goes with it.
    rest = [g for g in groups if g[:2] == (SEGMENTS, name) and g[2] != OTHER]
    return min(rest, key=cost) if rest else chosen


def everybody_of(people: People) -> pd.Index:
    """All people that any number counts."""
    return people.labels.index.union(pd.Index(people.months["customer"].unique()))


def _hide(people: People, k: int, hidden: set[Group]) -> Aggregates:
    """The aggregates with some groups hidden, and what must be hidden with them."""
    labels: dict[str, dict[str, str]] = {}
    segments: dict[str, dict[str, int]] = {}
    for name in people.labels.columns:
        sizes = {str(v): int(n) for v, n in people.labels[name].value_counts().items()}
        unlabelled = int(people.labels[name].isna().sum())
        merge = {label for kind, which, label in hidden if (kind, which) == (SEGMENTS, name)}
        labels[name] = merge_small(sizes, k, unlabelled=unlabelled, merge=merge)
        shown = merged_sizes(sizes, k, unlabelled=unlabelled, merge=merge)
        segments[name] = {} if OTHER in merge else shown
    cohorts = _cohorts(people, k, {which for kind, which, _ in hidden if kind == COHORT})
    retention = _retention(people, k, cohorts, hidden)
    return Aggregates(labels, segments, retention, cohorts)


def _cohorts(people: People, k: int, hide: set[str]) -> pd.DataFrame:
    """Customers, orders and revenue by month of the first purchase, and in all."""
    sums = people.months.groupby("cohort", sort=True).agg(
        customers=("customer", "nunique"), orders=("orders", "sum"), revenue=("revenue", "sum")
    )
    table = sums.reset_index()
    total = {"cohort": ALL, **sums.sum().to_dict()}
    table = pd.concat([table, pd.DataFrame([total])], ignore_index=True)
    counts = [int(n) for n in table["customers"]]
    places = {i for i, cohort in enumerate(table["cohort"]) if cohort in hide}
    gone = protect(counts, [Sum(len(counts) - 1, tuple(range(len(counts) - 1)))], k, places)
    table["revenue"] = table["revenue"].round(2)
    table = table.astype({"customers": "Int64", "orders": "Int64", "revenue": "Float64"})
    table.loc[sorted(gone), ["customers", "orders", "revenue"]] = pd.NA
    return table


def _retention(people: People, k: int, cohorts: pd.DataFrame, hidden: set[Group]) -> pd.DataFrame:
    """Retention of the cohorts that are shown, where neither part of a cohort is small."""
    sizes = cohorts.dropna(subset=["customers"]).set_index("cohort")["customers"].to_dict()
    back = people.months.groupby(["cohort", "period"])["customer"].nunique().to_dict()
    rows: list[tuple[Any, ...]] = []
    for (cohort, period), done in sorted(people.complete.items()):
        if cohort not in sizes:
            continue
        customers, retained = int(sizes[cohort]), int(back.get((cohort, period), 0))
        few = is_small(retained, k) or is_small(customers - retained, k)
        if few or (RETAINED, cohort, str(period)) in hidden:
            rows.append((cohort, period, customers, pd.NA, pd.NA, done))
        else:
            rate = round(retained / customers, 4) if customers else pd.NA
            rows.append((cohort, period, customers, retained, rate, done))
    columns = ["cohort", "period", "customers", "retained", "rate", "is_complete"]
    types = {"customers": "Int64", "retained": "Int64", "rate": "Float64"}
    return pd.DataFrame(rows, columns=columns).astype(types)


def groups_shown(people: People, shown: Aggregates) -> dict[Group, np.ndarray]:
    """Who stands behind each number that is shown, as places in `everybody_of`."""
    everybody = everybody_of(people)
    groups: dict[Group, np.ndarray] = {}
    for name, sizes in shown.segments.items():
        under = _shown_under(shown, name, people.labels[name])
        for label in sizes:
            groups[SEGMENTS, name, label] = everybody.get_indexer(under.index[under == label])
    of_cohort = people.months.groupby("cohort")["customer"].unique().to_dict()
    of_cohort[ALL] = people.months["customer"].unique()
    for cohort in shown.cohorts.dropna(subset=["customers"])["cohort"]:
        groups[COHORT, cohort, ""] = everybody.get_indexer(of_cohort[cohort])
    back = people.months.groupby(["cohort", "period"])["customer"].unique().to_dict()
    told = shown.retention.dropna(subset=["retained"])
    for cohort, period in zip(told["cohort"], told["period"], strict=True):
        members = everybody.get_indexer(back.get((cohort, period), []))
        groups[RETAINED, cohort, str(period)] = members
    return groups


def _shown_under(aggregates: Aggregates, name: str, labels: pd.Series) -> pd.Series:
    """The label under which each customer is counted; none for who is not."""
    sizes = aggregates.segments[name]
    under = labels.map(aggregates.labels[name])
    if sizes.get(OTHER, 0) > int((under == OTHER).sum()):
        under = under.fillna(OTHER)  # those without a label were too few to be left out
    return under.where(under.isin(list(sizes)))


def shown_labels(
    aggregates: Aggregates, customers: pd.DataFrame, sets: Mapping[str, str]
) -> pd.DataFrame:
    """`customer_360` with the labels under which segments are shown."""
    return customers.assign(
        **{
            column: _shown_under(aggregates, name, customers[column])
            for name, column in sets.items()
        }
    )


def write_aggregates(folder: Path, aggregates: Aggregates) -> list[Path]:
    """Write `segments.csv`, `retention.csv` and `cohorts.csv`; a hidden number is empty."""
    segments = aggregates.segments.items()
    rows = [(name, label, n) for name, sizes in segments for label, n in sizes.items()]
    tables = {
        "segments.csv": pd.DataFrame(rows, columns=["set", "label", "customers"]),
        "retention.csv": aggregates.retention,
        "cohorts.csv": aggregates.cohorts,
    }
    for name, table in tables.items():
        write_atomically(folder / name, _csv(table))
    return [folder / name for name in tables]


def _csv(table: pd.DataFrame) -> str:
    """CSV in which no spreadsheet finds a formula."""
    texts = table.copy()
    for column in texts.select_dtypes(include=["object", "string"]).columns:
        texts[column] = _escaped(texts[column])
    return str(texts.to_csv(index=False, lineterminator="\n"))


def _escaped(values: Iterable[object]) -> list[str | None]:
    return [escape_formula(str(value)) if isinstance(value, str) else None for value in values]
