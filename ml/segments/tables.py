"""The table of behavioural clusters.

What does not belong here: how clusters are found.
"""

from __future__ import annotations

from ml.contracts import Column, Table

BEHAVIOUR_CLUSTERS = Table(
    name="behaviour_clusters",
    grain="one row per eligible customer at the score day",
    key=("customer", "as_of"),
    columns=(
        Column("customer", "string", "Pseudonymous customer key."),
        Column("as_of", "date", "Day on whose knowledge the cluster stands."),
        Column("cluster", "integer", "Number of the cluster, the same from run to run."),
        Column("label", "string", "Readable name, the same from run to run."),
        Column("distance", "double", "Distance to the cluster's centre in scaled features."),
    ),
)
