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


def _thin(points: Floats, n: int) -> Floats:
    """At most ``MAX_POINTS`` points, and one for each ten customers, so that no point is one."""
    keep = max(2, min(MAX_POINTS, n // 10))
    if len(points) <= keep:
        return points
    return points[np.unique(np.linspace(0, len(points) - 1, keep).round().astype(int))]


def roc_points(churned: Floats, score: Floats) -> Floats:
    """ROC curve: rows (false positive rate, true positive rate) from (0,0) to (1,1)."""
    tp, fp = _counts(churned, score)
    points = np.column_stack([fp / max(fp[-1], 1), tp / max(tp[-1], 1)])
    return _thin(np.vstack([[0.0, 0.0], points]), len(churned))


def pr_points(churned: Floats, score: Floats) -> Floats:
    """Precision-recall curve: rows (recall, precision) by growing recall."""
    tp, fp = _counts(churned, score)
    points = np.column_stack([tp / max(tp[-1], 1), tp / (tp + fp)])
    # the first few customers decide the precision at the far left: noise, not a finding
    return _thin(points[tp + fp >= min(20, len(churned))], len(churned))


def lift_points(churned: Floats, score: Floats, parts: int = 50) -> Floats:
    """Cumulative lift: rows (share of customers taken from the top, churn rate / base rate).

    Customers tied at the edge count by their average, so ties never flatter a rule.
    """
    tp, fp = _counts(churned, score)
    taken = np.append(0.0, tp + fp)
    hits = np.append(0.0, tp)
    n, base = len(churned), float(np.mean(churned))
    shares = np.linspace(0, 1, parts + 1)[1:]
    shares = shares[shares * n >= 10]
    return np.column_stack([shares, np.interp(shares * n, taken, hits) / (shares * n) / base])


def calibration_bins(churned: Floats, p: Floats) -> Floats:
    """Bins of about equal size: rows (mean predicted, observed, low, high, n).

    The interval is Wilson's, 95 %. At most ten bins, and none for fewer than 30 customers each.
    """
    rows = []
    for said, rate, n in calibration_points(churned > 0.5, p, max(1, min(10, len(p) // 30))):
        centre = (rate + Z95**2 / (2 * n)) / (1 + Z95**2 / n)
        half = Z95 * np.sqrt(rate * (1 - rate) / n + Z95**2 / (4 * n * n)) / (1 + Z95**2 / n)
        # rounding may put the ends past a rate of exactly 0 or 1
        rows.append((said, rate, min(centre - half, rate), max(centre + half, rate), n))
    return np.array(rows, dtype=float)


def difference(churned: Floats, first: Floats, second: Floats) -> Difference | None:
    """AUC(first) - AUC(second) on the same customers with DeLong's paired 95 % interval.

    None when a class occurs fewer than two times.
    """
    gap = auc_difference(churned > 0.5, first, second)
    if not np.isfinite(gap.standard_error):
        return None
    half = Z95 * gap.standard_error
    return Difference(gap.difference, gap.difference - half, gap.difference + half)
