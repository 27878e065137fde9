"""Curves and paired comparisons of scores: numpy in, numpy out.

Point metrics with their intervals belong in ``metrics``; drawing belongs in ``plots``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml.evaluation.metrics import auc_difference, calibration_points

Floats = NDArray[np.float64]
MAX_POINTS = 200
MAX_CANDIDATES = 20 * MAX_POINTS  # thresholds looked at for them
FEWEST = 10  # no published count of customers below this
Z95 = 1.959964


@dataclass(frozen=True)
class Difference:
    """Difference of two AUCs on the same customers, with its 95 % interval."""

    value: float
    low: float
    high: float


def _counts(churned: Floats, score: Floats) -> tuple[Floats, Floats]:
    """True and false positives at each distinct threshold, from the highest score down."""
    order = np.argsort(-score, kind="stable")
    y, s = churned[order], score[order]
    last = np.append(np.flatnonzero(np.diff(s)), len(s) - 1)
    hits = np.cumsum(y)[last]
    return hits, (last + 1.0) - hits


def _shown_counts(churned: Floats, score: Floats, fewest: int) -> tuple[Floats, Floats]:
    """True and false positives from (0, 0) to all, at the thresholds that a curve may show.

    Between two of them lie no churned and no kept customers, or at least ``fewest`` of each kind:
    what a point says of its neighbour is a count of people too.
    """
    tp, fp = _counts(churned, score)
    candidates = np.unique(np.linspace(0, len(tp) - 1, MAX_CANDIDATES).round().astype(int))
    kept = [(0.0, 0.0)]
    step = len(churned) / MAX_POINTS
    for hits, misses in zip(tp[candidates].tolist(), fp[candidates].tolist(), strict=True):
        gained = hits - kept[-1][0], misses - kept[-1][1]
        if sum(gained) >= step and _many(gained, fewest):
            kept.append((hits, misses))
    end = (float(tp[-1]), float(fp[-1]))
    while len(kept) > 1 and not _many((end[0] - kept[-1][0], end[1] - kept[-1][1]), fewest):
        kept.pop()
    counts = np.array([*kept, end] if kept[-1] != end else kept)
    return counts[:, 0], counts[:, 1]


def _many(counts: tuple[float, float], fewest: int) -> bool:
    """None of the counts is a small one."""
    return all(n == 0 or n >= fewest for n in counts)


def roc_points(churned: Floats, score: Floats, fewest: int = FEWEST) -> Floats:
    """ROC curve: rows (false positive rate, true positive rate) from (0,0) to (1,1)."""
    tp, fp = _shown_counts(churned, score, fewest)
    return np.column_stack([fp / max(fp[-1], 1), tp / max(tp[-1], 1)])


def pr_points(churned: Floats, score: Floats, fewest: int = FEWEST) -> Floats:
    """Precision-recall curve: rows (recall, precision) by growing recall."""
    tp, fp = (counts[1:] for counts in _shown_counts(churned, score, fewest))
    points = np.column_stack([tp / max(tp[-1], 1), tp / (tp + fp)])
    # the first few customers decide the precision at the far left: noise, not a finding
    return points[tp + fp >= min(20, len(churned))]


def lift_points(churned: Floats, score: Floats, fewest: int = FEWEST, parts: int = 50) -> Floats:
    """Cumulative lift: rows (share of customers taken from the top, churn rate / base rate).

    Between the thresholds that may be shown customers count by their average, as those tied at an
    edge do: so ties never flatter a rule.
    """
    tp, fp = _shown_counts(churned, score, fewest)
    n, base = len(churned), float(np.mean(churned))
    shares = np.linspace(0, 1, parts + 1)[1:]
    shares = shares[shares * n >= fewest]
    return np.column_stack([shares, np.interp(shares * n, tp + fp, tp) / (shares * n) / base])


def calibration_bins(churned: Floats, p: Floats, fewest: int = FEWEST) -> Floats:
    """Bins of about equal size: rows (mean predicted, observed, low, high, n).

    The interval is Wilson's, 95 %. At most ten bins, none for fewer than 30 customers each, and
    none with a few churned or a few kept: such a bin goes together with its neighbour.
    """
    bins: list[tuple[float, float, float]] = []
    for said, rate, size in calibration_points(churned > 0.5, p, max(1, min(10, len(p) // 30))):
        bins.append((said * size, float(round(rate * size)), float(size)))
        if len(bins) > 1 and not _many(_outcomes(bins[-2]), fewest):
            bins[-2:] = [_joined(bins[-2], bins[-1])]
    while len(bins) > 1 and not _many(_outcomes(bins[-1]), fewest):
        bins[-2:] = [_joined(bins[-2], bins[-1])]
    rows = []
    for predicted, events, n in bins:
        rate = events / n
        centre = (rate + Z95**2 / (2 * n)) / (1 + Z95**2 / n)
        half = Z95 * np.sqrt(rate * (1 - rate) / n + Z95**2 / (4 * n * n)) / (1 + Z95**2 / n)
        # rounding may put the ends past a rate of exactly 0 or 1
        rows.append((predicted / n, rate, min(centre - half, rate), max(centre + half, rate), n))
    return np.array(rows, dtype=float)


def _outcomes(one: tuple[float, float, float]) -> tuple[float, float]:
    """Churned and kept customers of a bin of (sum of predictions, churned, customers)."""
    return one[1], one[2] - one[1]


def _joined(
    one: tuple[float, float, float], other: tuple[float, float, float]
) -> tuple[float, float, float]:
    return one[0] + other[0], one[1] + other[1], one[2] + other[2]


def difference(churned: Floats, first: Floats, second: Floats) -> Difference | None:
    """AUC(first) - AUC(second) on the same customers with DeLong's paired 95 % interval.

    None when a class occurs fewer than two times.
    """
    gap = auc_difference(churned > 0.5, first, second)
    if not np.isfinite(gap.standard_error):
        return None
    half = Z95 * gap.standard_error
    return Difference(gap.difference, gap.difference - half, gap.difference + half)
