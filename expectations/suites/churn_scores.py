"""What churn scores look like: probabilities, of people with features, ranked.

What does not belong here: how good they are (the ship gate in ml).
"""

from expectations.suite import TABLE, Suite, between, no_rows, rows_when

# The tables keep earlier days too; the gate looks at what this run made.
_CURRENT = "as_of = (select max(as_of) from marts.ml_cutoffs)"
_HAS_FEATURES = (
    "exists (select 1 from marts.ml_features "
    "where as_of = (select max(as_of) from marts.ml_cutoffs))"
)

SUITE = Suite(
    table="ml.churn_scores",
    gate="ml",
    where=_CURRENT,
    needs=frozenset({"orders", "order_items"}),
    expectations=[
        rows_when(_HAS_FEATURES, "Where there are features on the newest day, there are scores."),
        between("score", 0, 1, name="score_is_a_probability"),
        no_rows(
            "score_finite",
            "Every row has a score, and it is a finite number.",
            f"select 1 from {TABLE} where score is null or not isfinite(score)",
            column="score",
        ),
        no_rows(
            "scores_vary",
            "The scores are not all the same, if there are 50.",
            f"select 1 from {TABLE} having count(*) >= 50 and count(distinct score) < 2",
            column="score",
        ),
        no_rows(
            "customers_have_features",
            "Whoever is scored has features as of the same day.",
            f"select 1 from {TABLE} as s where not exists (select 1 from marts.ml_features as f "
            "where f.customer = s.customer and f.as_of = s.as_of)",
            column="customer",
        ),
        no_rows(
            "everyone_is_scored",
            "Nobody with features is left out, once there are scores.",
            f"select 1 from marts.ml_features as f where f.as_of = (select max(as_of) from {TABLE} "
            f"as s) and not exists (select 1 from {TABLE} as s where s.customer = f.customer "
            "and s.as_of = f.as_of)",
            column="customer",
        ),
        no_rows(
            "rank_follows_score",
            "Rank 1 is the highest score, and ranks run without gaps.",
            f"select 1 from (select rank, score, lead(score) over (order by rank) as next_score, "
            f"row_number() over (order by rank) as place "
            f"from {TABLE}) as t where rank <> place or next_score > score",
            column="rank",
        ),
        no_rows(
            "mean_near_base_rate",
            "The mean score is within 25 points of the newest known churn rate.",
            f"select 1 from (select avg(score) as p from {TABLE}) as s, "
            "(select avg(churned::integer) as rate from marts.ml_labels "
            "where as_of = (select max(as_of) from marts.ml_labels)) as l "
            "where abs(s.p - l.rate) > 0.25",
            column="score",
            blocking=False,
        ),
    ],
)
