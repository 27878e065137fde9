"""Is the shop a fair exam? Oracle, simple rules and base rate at the last cutoff.

Does not belong here: any model of habitus; those are judged in ml/evaluation.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from simulator.oracle import Truth, no_purchase
from simulator.world import Floats, Ints

ORACLE_RANGE = (0.80, 0.90)
RULE_MARGIN = 0.04
BASE_RANGE = (0.30, 0.75)


@dataclass(frozen=True)
class Exam:
    """Figures of the exam; AUCs of "no purchase in the horizon" among the eligible."""

    as_of: str
    horizon_days: int
    eligible: int
    base_rate: float
    mean_p: float
    oracle: float
    recency: float
    frequency: float
    purchase_days_84d: float
    logistic_rf: float
    best_rule: str
    margin: float
    fair: bool
    reasons: list[str]

    def rows(self) -> list[tuple[str, str, str]]:
        """Figure, value and what it must be: rows of a table to print."""
        return [
            ("cutoff", self.as_of, "last day - H"),
            ("horizon H", f"{self.horizon_days} days", "90th percentile of gaps, 30 to 180"),
            ("eligible customers", f"{self.eligible:,}", "purchase in the 365 days before"),
            ("churn base rate", f"{self.base_rate:.3f}", ".30 to .75"),
            ("mean true hazard", f"{self.mean_p:.3f}", "near the base rate"),
            ("AUC of the true hazard", f"{self.oracle:.3f}", ".80 to .90"),
            ("AUC recency", f"{self.recency:.3f}", "hazard - .04 or less"),
            ("AUC frequency", f"{self.frequency:.3f}", "hazard - .04 or less"),
            ("AUC purchase days 84 d", f"{self.purchase_days_84d:.3f}", "hazard - .04 or less"),
            ("AUC logistic R + F", f"{self.logistic_rf:.3f}", "for information"),
            ("fair exam", "yes" if self.fair else "NO: " + "; ".join(self.reasons), "yes"),
        ]

    def as_dict(self) -> dict[str, object]:
        """JSON-able."""
        return asdict(self)


def auc(score: Floats, label: NDArray[np.bool_]) -> float:
    """Area under the ROC curve; ties count half. nan if one class is missing."""
    positives = int(label.sum())
    negatives = len(label) - positives
    if not positives or not negatives:
        return float("nan")
    ranks = pd.Series(score).rank().to_numpy()
    return float((ranks[label].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def horizon(person: Ints, day: Ints) -> int:
    """H: 90th percentile of the gaps between purchase days, held to 30 to 180 days."""
    order = np.lexsort((day, person))
    p, d = person[order], day[order]
    gaps = (d[1:] - d[:-1])[(p[1:] == p[:-1]) & (d[1:] > d[:-1])]
    if not len(gaps):
        return 180
    return int(np.clip(np.rint(np.quantile(gaps, 0.9)), 30, 180))


def _logistic(x: Floats, y: NDArray[np.bool_]) -> Floats:
    """Fitted scores of a plain logistic regression by Newton steps (in-sample)."""
    x = np.column_stack([np.ones(len(x)), (x - x.mean(0)) / (x.std(0) + 1e-9)])
    beta = np.zeros(x.shape[1])
    for _ in range(25):
        p = 1 / (1 + np.exp(-np.clip(x @ beta, -30, 30)))
        hessian = (x * (p * (1 - p))[:, None]).T @ x + 1e-6 * np.eye(x.shape[1])
        beta += np.linalg.solve(hessian, x.T @ (y - p))
    return np.asarray(x @ beta)


def sit_exam(truth: Truth) -> Exam:
    """Compute the exam at last day - H."""
    days, n = truth.calendar.days, len(truth.people)
    person, day = truth.purchases["person"].to_numpy(), truth.purchases["day"].to_numpy()
    h = horizon(person, day)
    cutoff = max(days - 1 - h, 1)
    known = day <= cutoff
    last = np.full(n, -1.0)
    np.maximum.at(last, person[known], day[known].astype(float))
    count = np.bincount(person[known], minlength=n).astype(float)
    recent = np.bincount(person[known & (day > cutoff - 84)], minlength=n).astype(float)
    eligible = (last >= 0) & (last > cutoff - 365)
    later = np.zeros(n, dtype=bool)
    later[person[(day > cutoff) & (day <= cutoff + h)]] = True
    label = ~later[eligible]
    p = no_purchase(truth, cutoff, h)[eligible]
    recency = (cutoff - last)[eligible]
    rules = {
        "recency": auc(recency, label),
        "frequency": auc(-count[eligible], label),
        "purchase_days_84d": auc(-recent[eligible], label),
    }
    best = max(sorted(rules), key=lambda k: rules[k])
    oracle, base = auc(p, label), float(label.mean()) if len(label) else float("nan")
    both = np.column_stack([np.log1p(recency), np.log1p(count[eligible])])
    reasons = []
    if not ORACLE_RANGE[0] <= oracle <= ORACLE_RANGE[1]:
        reasons.append(f"true hazard {oracle:.3f} outside {ORACLE_RANGE}")
    if not oracle - rules[best] >= RULE_MARGIN:
        reasons.append(f"{best} only {oracle - rules[best]:.3f} below the true hazard")
    if not BASE_RANGE[0] <= base <= BASE_RANGE[1]:
        reasons.append(f"base rate {base:.3f} outside {BASE_RANGE}")
    start = truth.calendar.start.toordinal()
    return Exam(
        as_of=truth.calendar.end.fromordinal(start + cutoff).isoformat(), horizon_days=h,
        eligible=int(eligible.sum()), base_rate=round(base, 6), mean_p=round(float(p.mean()), 6),
        oracle=round(oracle, 6), logistic_rf=round(auc(_logistic(both, label), label), 6),
        best_rule=best, margin=round(oracle - rules[best], 6), fair=not reasons, reasons=reasons,
        **{k: round(v, 6) for k, v in rules.items()},
    )  # fmt: skip
