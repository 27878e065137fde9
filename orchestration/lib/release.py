"""A release of noisy counts for outside the company: what is counted, and where the budget stands.

What does not belong here: the noise and the ledger's rules (privacy/release), aggregates for inside
(aggregates.py).

Only what a customer's own orders say is counted. RFM segments, stages and clusters are not: their
borders are quantiles of everybody, so one customer more can move others, and noise for one cell
would promise too much.
"""

from collections.abc import Mapping
from contextlib import closing
from datetime import date
from pathlib import Path

import duckdb

from ingestion.review import escape_formula
from orchestration.config import Settings
from orchestration.lib.audit import record
from orchestration.lib.lake import ALIAS
from orchestration.lib.publication import Publication, read_pointer, write_atomically
from orchestration.lib.warehouse import published_connection
from privacy.release import Spent, Table, noisy, now, spend

DATASET = "customers"
MONTHS = 24
EARLIER, NONE = "earlier", "none"
# Upper ends, included: days since the last purchase; purchases.
RECENCY = (30, 90, 180, 365)
FREQUENCY = (0, 1, 2, 5, 10)


def ledger(habitus: Settings) -> Path:
    """Where a deployment's budget is kept: rebuilds of the past spend the same one."""
    return habitus.deployment_home / "release" / "ledger.jsonl"


def months_before(day: date, count: int) -> list[str]:
    """The months up to a day, the oldest first, as YYYY-MM."""
    last = day.year * 12 + day.month - 1
    return [f"{m // 12}-{m % 12 + 1:02d}" for m in range(last - count + 1, last + 1)]


def bucket(value: int, ends: tuple[int, ...]) -> str:
    """The cell of a number: `0`, `3-5`, `11+`."""
    low = 0
    for end in ends:
        if value <= end:
            return str(end) if low == end else f"{low}-{end}"
        low = end + 1
    return f"{low}+"


def buckets(ends: tuple[int, ...]) -> tuple[str, ...]:
    """All cells of a number."""
    return tuple(bucket(value, ends) for value in (*ends, ends[-1] + 1))


def tables_of(con: duckdb.DuckDBPyConnection, as_of: date) -> list[Table]:
    """Each customer in one cell of each table.

    Args:
        con: a connection with the published tables.
        as_of: the published day, which is public.
    """
    rows = con.execute(
        "select customer, strftime(first_ordered_at, '%Y-%m'), "
        "date_diff('day', cast(last_ordered_at as date), cast(? as date)), orders "
        # Those who may be used for analytics.
        f"from {ALIAS}.marts.customer_360 semi join {ALIAS}.marts.rfm using (customer)",
        [as_of.isoformat()],
    ).fetchall()
    months = months_before(as_of, MONTHS)
    cohort: dict[str, str] = {}
    recency: dict[str, str] = {}
    frequency: dict[str, str] = {}
    for customer, month, days, orders in rows:
        earlier = EARLIER if month is not None else NONE
        cohort[customer] = month if month in months else earlier
        recency[customer] = NONE if days is None else bucket(max(int(days), 0), RECENCY)
        frequency[customer] = bucket(int(orders or 0), FREQUENCY)
    return [
        Table("cohorts", (EARLIER, *months, NONE), cohort),
        Table("recency_days", (*buckets(RECENCY), NONE), recency),
        Table("purchases", buckets(FREQUENCY), frequency),
    ]


def release(
    habitus: Settings, out: Path, epsilon: float, budget: float
) -> tuple[float, list[Path]]:
    """Write noisy counts of the published customers; gives what is spent in all, and the files.

    The line of the audit trail and the ledger's come first: who is killed after has spent.

    Args:
        habitus: whose customers.
        out: folder; files of the same name are replaced.
        epsilon: privacy loss of this release.
        budget: of all releases of this deployment together.

    Raises:
        NothingPublishedError: no run has published yet.
        BudgetError: too much would be spent.
        ValueError: epsilon is not a number above 0, or nothing is published but no data.
    """
    published: Publication = read_pointer(habitus.published)
    if published.as_of is None:
        raise ValueError("what is published holds no data: there is nothing to release")
    with closing(published_connection(habitus)) as con:
        tables = tables_of(con, date.fromisoformat(published.as_of))
    names = tuple(table.name for table in tables)
    record(
        habitus,
        "release",
        tables=["marts.customer_360"],
        purpose="external release with noise",
        epsilon=epsilon,
        budget=budget,
        snapshot=published.snapshot,
    )
    entry = Spent(now(), DATASET, epsilon, budget, names, published.snapshot)
    spent = spend(ledger(habitus), entry)
    written = noisy(tables, epsilon)
    return spent, [_write(out / f"{name}.csv", rows) for name, rows in written.items()]


def _write(path: Path, rows: list[tuple[str, int]]) -> Path:
    cells: Mapping[str, int] = {escape_formula(cell) or "": n for cell, n in rows}
    text = "".join(f"{cell},{n}\n" for cell, n in cells.items())
    write_atomically(path, "cell,customers_noisy\n" + text)
    return path
