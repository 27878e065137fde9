"""What features look like: finite, varied, and nothing that only the future could know.

What does not belong here: keys and nulls (dbt tests), how features are made (dbt models).
"""

from itertools import pairwise

from expectations.suite import TABLE, Suite, between, no_rows, rows_when

# The features of every deployment with orders; the others depend on which entities it has.
CORE = ("recency_days", "tenure_days")
SPREAD = ("frequency", "monetary")
WINDOWS = ("28d", "84d", "168d", "365d")

_NOT_FINITE = f"""
select 1
from (
    select greatest(*columns(*)) as high, least(*columns(*)) as low
    from (select columns(* exclude (customer, as_of))::double from {TABLE}) as numbers
) as t
where not isfinite(high) or not isfinite(low)
"""
_WITHOUT_ROWS = f"""
select 1
from (select distinct as_of from marts.ml_cutoffs) as c
where
    exists (select 1 from {TABLE} as f)
    and not exists (select 1 from {TABLE} as f where f.as_of = c.as_of)
"""
_SHRINKING = " or ".join(
    f"purchase_days_{short} > purchase_days_{long}" for short, long in pairwise(WINDOWS)
)
_CONSTANT = " or ".join(f"count(distinct {name}) < 2" for name in CORE)
_NO_SPREAD = " or ".join(f"count(distinct {name}) < 2" for name in SPREAD)

_GRANTED = (
    "d.purpose = 'personalisation' and d.may_use and d.valid_from <= c.as_of "
    "and (d.valid_to is null or d.valid_to > c.as_of)"
)

SUITE = Suite(
    table="marts.ml_features",
    gate="features",
    needs=frozenset({"orders", "order_items"}),
    expectations=[
        rows_when(
            "exists (select 1 from behaviour.fct_orders as o, "
            "(select max(as_of) as as_of from marts.ml_cutoffs) as c "
            "where o.is_purchase and o.customer is not null "
            "and o.ordered_at::date > c.as_of - 365 and o.ordered_at::date <= c.as_of "
            "and exists (select 1 from behaviour.dim_consents as d where d.customer = o.customer "
            f"and {_GRANTED}))",
            "Where somebody who consented bought in the year before the newest day, there are "
            "features.",
        ),
        no_rows("finite", "Every feature is a finite number or empty.", _NOT_FINITE),
        no_rows(
            "rows_on_the_newest_day",
            "The newest cutoff, from which scores are made, has rows.",
            _WITHOUT_ROWS + "and c.as_of = (select max(as_of) from marts.ml_cutoffs)",
            column="as_of",
        ),
        no_rows(
            "rows_for_every_as_of",
            "Every cutoff has rows; a history known only since it was loaded has none to give.",
            _WITHOUT_ROWS,
            column="as_of",
            blocking=False,
        ),
        between("recency_days", 0, 365, name="recency_in_the_eligible_year"),
        between("frequency", 0, name="frequency_not_negative"),
        no_rows(
            "first_before_last_before_as_of",
            "Days from the first to the last purchase and from there to as_of make the tenure.",
            f"select 1 from {TABLE} where t_x_days < 0 or t_x_days + recency_days <> tenure_days",
            column="t_x_days",
        ),
        no_rows(
            "windows_are_nested",
            "No shorter window counts more purchase days than a longer one.",
            f"select 1 from {TABLE} where {_SHRINKING}",
            column="purchase_days_28d",
        ),
        no_rows(
            "purchase_within_recency",
            "Whoever bought in the last 28 days has purchase days there, and nobody else.",
            f"select 1 from {TABLE} where (recency_days < 28) <> (purchase_days_28d > 0)",
            column="recency_days",
        ),
        no_rows(
            "core_not_constant",
            "Neither recency nor tenure is the same for everybody, if there are 100 rows.",
            f"select 1 from {TABLE} having count(*) >= 100 and ({_CONSTANT})",
        ),
        no_rows(
            "frequency_and_monetary_vary",
            "Neither frequency nor monetary is the same for everybody, if there are 100 rows.",
            f"select 1 from {TABLE} having count(*) >= 100 and ({_NO_SPREAD})",
            blocking=False,
        ),
        between("monetary", 0, name="monetary_not_negative"),
        no_rows(
            "as_of_alike",
            "No cutoff has twenty times the rows of another.",
            f"select 1 from (select max(n) as high, min(n) as low from (select count(*) as n "
            f"from {TABLE} group by as_of) as c) as t where high > 20 * low",
            column="as_of",
            blocking=False,
        ),
        no_rows(
            "recency_drift",
            "Mean recency at the newest cutoff is within three times that of the others.",
            f"select 1 from (select avg(recency_days) filter (where as_of = newest) as now, "
            f"avg(recency_days) filter (where as_of < newest) as before from (select *, "
            f"(select max(as_of) from {TABLE} as x) as newest from {TABLE} as y) as f) as t "
            "where now > 3 * before + 7 or before > 3 * now + 7",
            column="recency_days",
            blocking=False,
        ),
    ],
)
