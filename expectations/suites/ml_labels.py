"""What churn labels look like: a plausible share, and in step with what was bought.

What does not belong here: keys, nulls (dbt tests), and whether to train at all (ml).
"""

from expectations.suite import TABLE, Suite, no_rows, rows_when

SUITE = Suite(
    table="marts.ml_labels",
    gate="features",
    needs=frozenset({"orders", "order_items"}),
    expectations=[
        rows_when(
            "exists (select 1 from marts.ml_cutoffs as c inner join marts.ml_features as f "
            "on c.as_of = f.as_of where c.role in ('train', 'test'))",
            "Where a cutoff before the newest has features, there are labels.",
        ),
        no_rows(
            "churned_means_no_order",
            "Whoever churned ordered nothing in the horizon, and nobody else.",
            f"select 1 from {TABLE} where churned <> (orders_in_horizon = 0)",
            column="churned",
        ),
        no_rows(
            "window_is_over",
            "Every label's window ended with the newest cutoff, which is the end of the data.",
            f"select 1 from {TABLE} where as_of + horizon_days::integer > "
            "(select max(as_of) from marts.ml_cutoffs)",
            column="as_of",
        ),
        no_rows(
            "both_outcomes",
            "Both outcomes occur, if there are 100 labels.",
            f"select 1 from {TABLE} having count(*) >= 100 and count(distinct churned) < 2",
            column="churned",
            blocking=False,
        ),
        no_rows(
            "base_rate_plausible",
            "Between 1 % and 99 % churn at every cutoff.",
            f"select 1 from (select avg(churned::integer) as rate, count(*) as n from {TABLE} "
            "group by as_of) as t where n >= 100 and rate not between 0.01 and 0.99",
            column="churned",
            blocking=False,
        ),
    ],
)
