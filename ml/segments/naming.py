"""Readable, unique names for clusters, from what distinguishes them.

What does not belong here: finding clusters, carrying names from run to run.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Below this distance from the mean customer, in scaled units, a feature does not distinguish.
_NOTABLE = 0.4
_MOSTLY = 0.6


@dataclass(frozen=True)
class Dimension:
    """A feature that clusters stand on, and its words for much and little of it.

    An empty word means: not worth a name. `floor` is the smallest spread by which the logarithm is
    scaled: where all customers have about the same tenure, a week must not make a cluster.
    """

    column: str
    high: str
    low: str
    floor: float = 0.25


# In the order in which words stand in a name.
DIMENSIONS: tuple[Dimension, ...] = (
    Dimension("recency_days", "lapsing", "active"),
    Dimension("tenure_days", "long-standing", "new"),
    Dimension("frequency", "frequent", "occasional"),
    Dimension("revenue_365d", "high-value", "low-value"),
    Dimension("monetary", "big-basket", "small-basket"),
    Dimension("discount_share_365d", "deal-seeking", "full-price", floor=0.02),
    Dimension("sessions_84d", "browsing", ""),
    Dimension("messages_opened_84d", "message-reading", ""),
    Dimension("tickets_168d", "support-seeking", ""),
    Dimension("late_deliveries_168d", "late-served", ""),
    Dimension("refunds_365d", "goods-returning", ""),
)


def floors(columns: tuple[str, ...]) -> NDArray[np.float64]:
    """The smallest spread of each column."""
    known = {d.column: d.floor for d in DIMENSIONS}
    return np.array([known[c] for c in columns])


def name_cluster(
    columns: tuple[str, ...],
    offset: NDArray[np.float64],
    one_time_share: float,
    taken: Collection[str],
) -> str:
    """A name that no other cluster has.

    Args:
        columns: features.
        offset: the centre's distance from the mean customer by feature.
        one_time_share: share of its customers with a single purchase day.
        taken: names in use, now or in earlier runs.
    """
    noun = "one-time buyers" if one_time_share >= _MOSTLY else "buyers"
    order = {d.column: i for i, d in enumerate(DIMENSIONS)}
    known = {d.column: d for d in DIMENSIONS}
    notable: list[tuple[float, int, str]] = []
    for column, away in zip(columns, offset, strict=True):
        word = known[column].high if away > 0 else known[column].low
        says_noun = column == "frequency" and noun == "one-time buyers"
        if word and abs(away) >= _NOTABLE and not says_noun:
            notable.append((-abs(float(away)), order[column], word))
    notable.sort()
    for count in (2, 3, 4, 1, len(notable)):
        words = [w for _, _, w in sorted(notable[:count], key=lambda item: item[1])]
        name = " ".join([*(words or ["typical"]), noun])
        if name not in taken:
            return name
    number = 2
    while f"{name} {number}" in taken:
        number += 1
    return f"{name} {number}"
