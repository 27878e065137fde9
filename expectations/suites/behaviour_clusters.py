"""What behavioural clusters look like: several, named one by one, of people we know.

What does not belong here: how good they are (ml).
"""

from expectations.suite import TABLE, Suite, between, no_rows, rows_when

# The tables keep earlier days too; the gate looks at what this run made.
_CURRENT = "as_of = (select max(as_of) from marts.ml_cutoffs)"
_HAS_FEATURES = (
    "exists (select 1 from marts.ml_features "
    "where as_of = (select max(as_of) from marts.ml_cutoffs))"
)

SUITE = Suite(
    table="ml.behaviour_clusters",
    gate="ml",
    where=_CURRENT,
    needs=frozenset({"orders", "order_items"}),
    expectations=[
        rows_when(_HAS_FEATURES, "Where there are features on the newest day, there are clusters."),
        no_rows(
            "number_of_clusters",
            "There are at most 20 clusters.",
            f"select 1 from {TABLE} having count(distinct cluster) > 20",
            column="cluster",
        ),
        no_rows(
            "one_label_each",
            "A cluster has one label, and a label one cluster.",
            f"select 1 from (select count(distinct (cluster, label)) as pairs, "
            f"count(distinct cluster) as clusters, count(distinct label) as labels from {TABLE}"
            ") as t where pairs <> clusters or pairs <> labels",
            column="label",
        ),
        between("distance", 0, 1e12, name="distance_plausible"),
        no_rows(
            "customers_have_features",
            "Whoever has a cluster has features as of the same day.",
            f"select 1 from {TABLE} as s where not exists (select 1 from marts.ml_features as f "
            "where f.customer = s.customer and f.as_of = s.as_of)",
            column="customer",
        ),
        no_rows(
            "no_cluster_of_all",
            "No cluster holds more than 95 % of the customers.",
            f"select 1 from (select count(*) as n, sum(count(*)) over () as "
            f"all_n from {TABLE} group by cluster) as t where n > 0.95 * all_n",
            column="cluster",
            blocking=False,
        ),
    ],
)
