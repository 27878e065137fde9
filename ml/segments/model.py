"""Clusters as centres in scaled features: fit, choice of their number, matching of runs.

What does not belong here: names, storage, reading inputs.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score, silhouette_score
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

NUMBERS = range(3, 9)
STABLE = 0.8
_CLOSE_SILHOUETTE = 0.02
_SAMPLE = 3_000
_FIT_ROWS = 100_000
_SUBSAMPLES = 5
_CLIP = 4.0


@dataclass(frozen=True)
class Scaler:
    """Centre and spread by feature; what lies beyond four spreads counts as four."""

    centre: FloatArray
    spread: FloatArray

    def apply(self, logs: FloatArray) -> FloatArray:
        """Scaled features, shape as given; a missing value is the centre."""
        z = (logs - self.centre) / self.spread
        return np.clip(np.where(np.isfinite(z), z, 0.0), -_CLIP, _CLIP)


@dataclass(frozen=True)
class Choice:
    """A number of clusters and how it was chosen."""

    number: int
    stability: dict[int, float]
    silhouette: dict[int, float]
    how: str


def fit_scaler(logs: FloatArray, floors: FloatArray) -> Scaler:
    """Median and interquartile range / 1.35; rare features by twice their standard deviation.

    A feature that is zero for most has no interquartile range. Twice the deviation keeps the few
    that have it from making every cluster.
    """
    centre, spread = np.zeros(logs.shape[1]), np.ones(logs.shape[1])
    for j in range(logs.shape[1]):
        known = logs[np.isfinite(logs[:, j]), j]
        if not len(known):
            continue
        low, centre[j], high = np.quantile(known, (0.25, 0.5, 0.75))
        width = (high - low) / 1.35
        rare = 2.0 * known.std()
        spread[j] = max(width if width > 1e-6 else rare, floors[j])
    return Scaler(centre.round(9), spread.round(9))


def _pick(rows: int, limit: int, rng: np.random.Generator) -> IntArray:
    return np.sort(rng.permutation(rows)[:limit]).astype(np.int64)


def fit_centres(
    z: FloatArray, number: int, seed: int, inits: int = 8, start: FloatArray | None = None
) -> tuple[FloatArray, float]:
    """(centres, inertia) of k-means on at most 100,000 rows, from `start` or several inits.

    One thread and strict convergence: the same rows give the same centres, and centres given as
    the start come back unmoved.
    """
    rows = z[_pick(len(z), _FIT_ROWS, np.random.default_rng(seed))]
    with threadpool_limits(limits=1):
        means = KMeans(
            n_clusters=number if start is None else len(start),
            init="k-means++" if start is None else start,
            n_init=inits if start is None else 1,
            tol=0.0,
            max_iter=500,
            random_state=seed,
        ).fit(rows)
    return means.cluster_centers_.round(9), float(means.inertia_)


def assign(z: FloatArray, centres: FloatArray) -> tuple[IntArray, FloatArray]:
    """(index of the nearest centre, distance to it), ties to the lower index."""
    squares = np.stack([((z - c) ** 2).sum(axis=1) for c in centres], axis=1)
    nearest = squares.argmin(axis=1).astype(np.int64)
    return nearest, np.sqrt(squares[np.arange(len(z)), nearest]).round(6)


def choose_number(z: FloatArray, seed: int) -> Choice:
    """How many clusters, from 3 to 8.

    For each number, five models on random 80 % of a sample label the same customers; stability is
    their mean adjusted Rand index. Among numbers of stability >= .8 the best silhouette wins, and
    within .02 of it the larger number (more useful at no loss). If none is stable: the most stable.
    """
    rng = np.random.default_rng(seed)
    sample = z[_pick(len(z), _SAMPLE, rng)]
    distinct = len(np.unique(sample, axis=0))
    stability: dict[int, float] = {}
    silhouette: dict[int, float] = {}
    for number in NUMBERS:
        if number >= distinct:
            break
        labels = []
        for i in range(_SUBSAMPLES):
            part = sample[_pick(len(sample), int(0.8 * len(sample)), rng)]
            labels.append(assign(sample, fit_centres(part, number, seed + i, inits=3)[0])[0])
        agreements = [adjusted_rand_score(u, v) for u, v in combinations(labels, 2)]
        stability[number] = round(float(np.mean(agreements)), 4)
        whole = assign(sample, fit_centres(sample, number, seed, inits=3)[0])[0]
        if len(np.unique(whole)) > 1:
            with threadpool_limits(limits=1):
                silhouette[number] = round(float(silhouette_score(sample, whole)), 4)
    stable = [n for n in silhouette if stability[n] >= STABLE]
    if stable:
        best = max(silhouette[n] for n in stable)
        number = max(n for n in stable if silhouette[n] >= best - _CLOSE_SILHOUETTE)
        return Choice(number, stability, silhouette, "best silhouette among the stable numbers")
    if silhouette:
        number = max(silhouette, key=lambda n: (stability[n], -n))
        how = f"no number reached a stability of {STABLE}; this is the most stable"
        return Choice(number, stability, silhouette, how)
    return Choice(1, stability, silhouette, "customers are too much alike to be told apart")


def match(centres: FloatArray, previous: FloatArray) -> dict[int, int]:
    """New centre -> previous centre: the cheapest one-to-one matching, near pairs only.

    Near: closer than half the median distance between the previous centres.
    """
    if not len(previous) or not len(centres):
        return {}
    gaps = np.sqrt(((centres[:, None, :] - previous[None, :, :]) ** 2).sum(axis=2))
    between = [float(np.linalg.norm(u - v)) for u, v in combinations(previous, 2)]
    limit = 0.5 * float(np.median(between)) if between else 1.0
    rows, columns = linear_sum_assignment(gaps)
    pairs = zip(rows.tolist(), columns.tolist(), strict=True)
    return {int(i): int(j) for i, j in pairs if gaps[i, j] <= limit}
