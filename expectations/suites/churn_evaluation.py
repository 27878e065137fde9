"""What the churn evaluation looks like: metrics in their ranges, with intervals.

What does not belong here: whether the model ships (the ship gate in ml).
"""

from expectations.suite import TABLE, Suite, no_rows, rows_when

SUITE = Suite(
    table="ml.churn_evaluation",
    gate="ml",
    needs=frozenset({"orders", "order_items"}),
    expectations=[
        rows_when(
            "exists (select 1 from marts.ml_cutoffs as c inner join marts.ml_labels as l "
            "on c.as_of = l.as_of where c.role = 'test')",
            "Where a test cutoff has labels, there is an evaluation.",
        ),
        no_rows(
            "metrics_in_range",
            "Areas, Brier scores and means of probabilities lie between 0 and 1.",
            f"select 1 from {TABLE} where metric in ('auc', 'pr_auc', 'brier', "
            "'mean_predicted') and value not between 0 and 1",
            column="value",
        ),
        no_rows(
            "intervals_in_order",
            "No interval ends below its beginning.",
            f"select 1 from {TABLE} where low > high",
            column="low",
        ),
        no_rows(
            "same_models_at_every_cutoff",
            "Every cutoff has every model.",
            f"select 1 from (select count(distinct (cutoff, model)) as pairs, count(distinct "
            f"cutoff) as cutoffs, count(distinct model) as models from {TABLE}) as t "
            "where pairs <> cutoffs * models",
            column="model",
            blocking=False,
        ),
        no_rows(
            "value_inside_interval",
            "Every value lies inside its own interval.",
            f"select 1 from {TABLE} where value < low - 1e-9 or value > high + 1e-9",
            column="value",
            blocking=False,
        ),
        no_rows(
            "better_than_chance",
            "Some model ranks better than chance at every cutoff.",
            f"select 1 from {TABLE} where metric = 'auc' group by cutoff having max(value) <= 0.5",
            column="value",
            blocking=False,
        ),
    ],
)
