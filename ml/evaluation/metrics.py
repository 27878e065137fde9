"""Metrics of ranking and calibration, with intervals, on plain arrays.

`y` is boolean or 0/1 (1 = the event), `p` a probability or any score, both of shape (n,).
Where a metric does not exist (one class only, no rows) it is NaN, never an error.
What does not belong here: which model is good enough (`ml.churn.gate`), plots.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri
from scipy.stats import rankdata

FloatArray = NDArray[np.float64]

# Resamples times rows stay below this: 25,000 rows then cost about 0.1 s a model.
_BOOTSTRAP_CELLS = 1_000_000
_BOOTSTRAP_RANGE = (40, 200)


class Estimate(NamedTuple):
    """A value with its two-sided interval."""

    value: float
    low: float
    high: float


class AucDifference(NamedTuple):
    """Paired difference of two AUCs on the same rows, and its standard error."""

    difference: float
    standard_error: float


NOTHING = Estimate(float("nan"), float("nan"), float("nan"))


def _clean(y: ArrayLike, p: ArrayLike) -> tuple[NDArray[np.bool_], FloatArray]:
    events = np.asarray(y, dtype=bool)
    scores = np.asarray(p, dtype=np.float64)
    if events.shape != scores.shape or events.ndim != 1:
        raise ValueError(f"y and p must have one equal dimension: {events.shape}, {scores.shape}")
    if not np.isfinite(scores).all():
        raise ValueError("p holds values that are not finite")
    return events, scores


def auc(y: ArrayLike, p: ArrayLike) -> float:
    """Area under the ROC curve; ties count half."""
    events, scores = _clean(y, p)
    positives = int(events.sum())
    negatives = len(events) - positives
    if not positives or not negatives:
        return float("nan")
    ranks = rankdata(scores)[events].sum()
    return float((ranks - positives * (positives + 1) / 2) / (positives * negatives))


def _placements(events: NDArray[np.bool_], scores: FloatArray) -> tuple[FloatArray, FloatArray]:
    """DeLong's structural components by mid-ranks, O(n log n) (Sun and Xu 2014)."""
    among_positive = rankdata(scores[events])
    among_negative = rankdata(scores[~events])
    among_all = rankdata(scores)
    positives, negatives = len(among_positive), len(among_negative)
    return (
        (among_all[events] - among_positive) / negatives,
        1.0 - (among_all[~events] - among_negative) / positives,
    )


def auc_interval(y: ArrayLike, p: ArrayLike, level: float = 0.95) -> Estimate:
    """AUC with DeLong's interval, made on the logit scale so that it stays in [0, 1]."""
    events, scores = _clean(y, p)
    value = auc(events, scores)
    if np.isnan(value):
        return NOTHING
    if min(events.sum(), (~events).sum()) < 2 or value in (0.0, 1.0):
        return Estimate(value, 0.0 if value < 1 else value, 1.0 if value > 0 else value)
    of_positive, of_negative = _placements(events, scores)
    variance = np.var(of_positive, ddof=1) / len(of_positive)
    variance += np.var(of_negative, ddof=1) / len(of_negative)
    half = ndtri(0.5 + level / 2) * np.sqrt(variance) / (value * (1 - value))
    centre = np.log(value / (1 - value))
    return Estimate(value, *(float(1 / (1 + np.exp(-(centre + s * half)))) for s in (-1, 1)))


def auc_difference(y: ArrayLike, p: ArrayLike, q: ArrayLike) -> AucDifference:
    """AUC(p) - AUC(q) on the same rows, with DeLong's paired standard error."""
    events, first = _clean(y, p)
    _, second = _clean(y, q)
    difference = auc(events, first) - auc(events, second)
    if np.isnan(difference) or min(events.sum(), (~events).sum()) < 2:
        return AucDifference(difference, float("nan"))
    a, b = _placements(events, first), _placements(events, second)
    variance = sum(np.var(u - v, ddof=1) / len(u) for u, v in zip(a, b, strict=True))
    return AucDifference(difference, float(np.sqrt(variance)))


def _tie_ends(sorted_scores: FloatArray) -> NDArray[np.intp]:
    """Last position of each run of equal scores."""
    return np.append(np.flatnonzero(np.diff(sorted_scores)), len(sorted_scores) - 1)


def _cumulated(
    weights: FloatArray, events: FloatArray, ends: NDArray[np.intp]
) -> tuple[FloatArray, FloatArray]:
    """Rows and events seen down to each distinct score, for each row of weights (b, n)."""
    return np.cumsum(weights, axis=1)[:, ends], np.cumsum(weights * events, axis=1)[:, ends]


def _average_precision(seen: FloatArray, hits: FloatArray) -> FloatArray:
    """Average precision of each row of cumulated counts, by falling score."""
    total = hits[:, -1:]
    gained = np.diff(hits, axis=1, prepend=0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = np.where(seen > 0, hits / seen, 0.0)
        return np.asarray((precision * gained).sum(axis=1) / total[:, 0])


def _lift(seen: FloatArray, hits: FloatArray, top: float) -> FloatArray:
    """Event rate among the `top` share over the whole rate, for each row of cumulated counts."""
    wanted = seen[:, -1] * top
    rows = np.arange(len(seen))
    at = np.argmax(seen >= wanted[:, None] - 1e-9, axis=1)
    before_seen = np.where(at > 0, seen[rows, at - 1], 0.0)
    before_hits = np.where(at > 0, hits[rows, at - 1], 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        # Inside a tie the events are taken in proportion: the order of ties must not matter.
        share = (wanted - before_seen) / (seen[rows, at] - before_seen)
        found = before_hits + share * (hits[rows, at] - before_hits)
        return np.asarray((found / wanted) / (hits[:, -1] / seen[:, -1]))


def _sorted(y: ArrayLike, p: ArrayLike) -> tuple[FloatArray, NDArray[np.intp]] | None:
    events, scores = _clean(y, p)
    if not events.any():
        return None
    order = np.argsort(-scores, kind="stable")
    return events[order].astype(np.float64), _tie_ends(scores[order])


def pr_auc(y: ArrayLike, p: ArrayLike) -> float:
    """Area under the precision-recall curve as average precision."""
    ready = _sorted(y, p)
    if ready is None:
        return float("nan")
    return float(_average_precision(*_cumulated(np.ones((1, len(ready[0]))), *ready))[0])


def lift(y: ArrayLike, p: ArrayLike, top: float = 0.1) -> float:
    """Event rate among the `top` share of rows by score, over the rate of all."""
    ready = _sorted(y, p)
    if ready is None:
        return float("nan")
    return float(_lift(*_cumulated(np.ones((1, len(ready[0]))), *ready), top)[0])


def brier(y: ArrayLike, p: ArrayLike) -> float:
    """Mean squared difference of probability and outcome."""
    events, scores = _clean(y, p)
    return float(np.mean((scores - events) ** 2)) if len(events) else float("nan")


def log_loss(y: ArrayLike, p: ArrayLike) -> float:
    """Mean negative log-likelihood; probabilities are held off 0 and 1 by 1e-12."""
    events, scores = _clean(y, p)
    safe = np.clip(scores, 1e-12, 1 - 1e-12)
    loss = -np.where(events, np.log(safe), np.log1p(-safe))
    return float(loss.mean()) if len(events) else float("nan")


def _mean_interval(values: FloatArray, level: float) -> Estimate:
    if not len(values):
        return NOTHING
    mean = float(values.mean())
    if len(values) < 2:
        return Estimate(mean, mean, mean)
    half = float(ndtri(0.5 + level / 2) * values.std(ddof=1) / np.sqrt(len(values)))
    return Estimate(mean, mean - half, mean + half)


def evaluate(y: ArrayLike, p: ArrayLike, seed: int = 0, level: float = 0.95) -> dict[str, Estimate]:
    """AUC, PR-AUC, Brier, lift in the top tenth and mean prediction, each with an interval.

    AUC by DeLong, Brier and mean prediction by the normal approximation, PR-AUC and lift by a
    Poisson bootstrap (40 to 200 resamples, fewer on more rows).
    """
    events, scores = _clean(y, p)
    result = {"auc": auc_interval(events, scores, level), "pr_auc": NOTHING}
    result["brier"] = _mean_interval((scores - events) ** 2, level)
    result["lift_10"] = NOTHING
    result["mean_predicted"] = _mean_interval(scores, level)
    ready = _sorted(events, scores) if len(events) else None
    if ready is None:
        return result
    n = len(events)
    resamples = int(np.clip(_BOOTSTRAP_CELLS // n, *_BOOTSTRAP_RANGE))
    weights = np.random.default_rng(seed).poisson(1.0, size=(resamples, n)).astype(np.float64)
    seen, hits = _cumulated(weights, *ready)
    tails = (0.5 - level / 2, 0.5 + level / 2)
    for name, value, sampled in (
        ("pr_auc", pr_auc(events, scores), _average_precision(seen, hits)),
        ("lift_10", lift(events, scores), _lift(seen, hits, 0.1)),
    ):
        usable = sampled[np.isfinite(sampled)]
        low, high = np.quantile(usable, tails) if len(usable) else (value, value)
        result[name] = Estimate(value, min(float(low), value), max(float(high), value))
    return result


def calibration_points(
    y: ArrayLike, p: ArrayLike, bins: int = 10
) -> list[tuple[float, float, int]]:
    """(mean prediction, observed rate, rows) in bins of about equal size, by rising prediction.

    Equal predictions stay in one bin, so there may be fewer bins than asked for.
    """
    events, scores = _clean(y, p)
    if not len(events):
        return []
    edges = np.unique(np.quantile(scores, np.linspace(0, 1, bins + 1)[1:-1]))
    which = np.searchsorted(edges, scores, side="left")
    counts = np.bincount(which)
    means = np.bincount(which, weights=scores)
    rates = np.bincount(which, weights=events.astype(np.float64))
    return [
        (float(m / n), float(r / n), int(n))
        for m, r, n in zip(means, rates, counts, strict=True)
        if n
    ]


def normalised_gini(actual: ArrayLike, predicted: ArrayLike) -> float:
    """Gini of `actual` (amounts >= 0) ordered by `predicted`, over the Gini of the best order.

    1 = perfect order, 0 = random. Ties in `predicted` count in proportion.
    """
    amounts = np.asarray(actual, dtype=np.float64)
    scores = np.asarray(predicted, dtype=np.float64)
    if not len(amounts) or amounts.sum() <= 0:
        return float("nan")

    def gini(order_by: FloatArray) -> float:
        # Covariance form: mid-ranks make it independent of the order of ties.
        return float(np.sum(amounts * (rankdata(order_by) - (len(amounts) + 1) / 2)))

    best = gini(amounts)
    return gini(scores) / best if best > 0 else float("nan")
