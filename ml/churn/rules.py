"""The simple rules that a model has to beat, and the one logistic form that most of them take.

What does not belong here: trees, the decision on what ships.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

FloatArray = NDArray[np.float64]

RULES = ("recency", "frequency", "logistic_rfm", "bgnbd")
# Probabilities are held this far from 0 and 1 before their log-odds are taken.
_EDGE = 1e-4


def log_odds(p: FloatArray) -> FloatArray:
    """Log-odds of probabilities, held off 0 and 1; an unknown one counts as even."""
    return np.asarray(logit(np.clip(np.where(np.isfinite(p), p, 0.5), _EDGE, 1 - _EDGE)))


def shift_to_rate(logits: FloatArray, rate: float) -> float:
    """The constant that, added to log-odds, makes the mean probability equal `rate`."""
    if not len(logits):
        return 0.0
    wanted = float(np.clip(rate, 0.5 / (len(logits) + 1), 1 - 0.5 / (len(logits) + 1)))
    return float(brentq(lambda s: float(expit(logits + s).mean()) - wanted, -40.0, 40.0))


def _logs(frame: pd.DataFrame, columns: tuple[str, ...]) -> FloatArray:
    """Signed log1p: counts, days and money have long tails, and refunds are negative."""
    values = frame[list(columns)].to_numpy(float)
    return np.asarray(np.sign(values) * np.log1p(np.abs(values)))


@dataclass(frozen=True)
class LogitModel:
    """Log-odds linear in the standardised logs of a few columns; a missing value is average."""

    name: str
    columns: tuple[str, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    coefficients: tuple[float, ...]
    intercept: float

    def contributions(self, frame: pd.DataFrame) -> FloatArray:
        """Log-odds from each column, shape (n, columns)."""
        z = (_logs(frame, self.columns) - np.array(self.mean)) / np.array(self.scale)
        return np.asarray(np.where(np.isfinite(z), z, 0.0) * np.array(self.coefficients))

    def logits(self, frame: pd.DataFrame) -> FloatArray:
        """Log-odds of churn, shape (n,)."""
        return np.asarray(self.contributions(frame).sum(axis=1) + self.intercept)

    def as_dict(self) -> dict[str, Any]:
        """JSON-able parameters."""
        return {
            "columns": list(self.columns),
            "mean": list(self.mean),
            "scale": list(self.scale),
            "coefficients": list(self.coefficients),
            "intercept": self.intercept,
        }

    @classmethod
    def from_dict(cls, name: str, values: Mapping[str, Any]) -> LogitModel:
        """Inverse of `as_dict`."""
        lists = {k: tuple(values[k]) for k in ("columns", "mean", "scale", "coefficients")}
        return cls(name=name, intercept=float(values["intercept"]), **lists)


@dataclass(frozen=True)
class BgNbdRule:
    """BG/NBD's P(no purchase in H) as it is: it has seen no label and gets no calibration."""

    name: str = "bgnbd"
    columns: tuple[str, ...] = ("bgnbd_p0",)

    def logits(self, frame: pd.DataFrame) -> FloatArray:
        """Log-odds of churn, shape (n,)."""
        return log_odds(frame["bgnbd_p0"].to_numpy(float))

    def as_dict(self) -> dict[str, Any]:
        """Nothing: its parameters are fitted at every as_of anew."""
        return {}


def recency_without_labels(horizon: int) -> LogitModel:
    """Odds of churn equal (days since the last purchase) : (horizon), for want of labels."""
    return LogitModel(
        "recency", ("recency_days",), (float(np.log1p(horizon)),), (1.0,), (1.0,), 0.0
    )


def frequency_column(frame: pd.DataFrame) -> str:
    """The 84-day purchase count, else the 365-day one, else all repeats: the first that varies."""
    for name in ("purchase_days_84d", "purchase_days_365d"):
        if name in frame.columns and frame[name].min() < frame[name].max():
            return name
    return "frequency"


def fit_logistic(
    name: str, columns: tuple[str, ...], train: pd.DataFrame, signs: tuple[int, ...] | None = None
) -> LogitModel:
    """Ridge logistic regression; a coefficient against its stated sign becomes almost zero.

    Args:
        name: of the model.
        columns: inputs.
        train: rows with `churned` of both classes.
        signs: +1 or -1 for each when the direction is given beforehand.
    """
    x = _logs(train, columns)
    known = np.isfinite(x)
    counts = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, x, 0.0).sum(axis=0) / counts
    scale = np.sqrt(np.where(known, (x - mean) ** 2, 0.0).sum(axis=0) / counts)
    scale = np.where(scale > 1e-9, scale, 1.0)
    z = np.where(known, (x - mean) / scale, 0.0)
    y = train["churned"].to_numpy(float) > 0.5
    solver = LogisticRegression(C=1.0, solver="lbfgs", tol=1e-8, max_iter=1000)
    with threadpool_limits(limits=1):
        solver.fit(z, y)
    coefficients = solver.coef_[0].astype(float)
    if signs is not None:
        # Still an order by the rule's own idea, even where the training days contradict it.
        coefficients = np.where(coefficients * signs > 0, coefficients, 0.01 * np.array(signs))
    floor = float(shift_to_rate((z * coefficients).sum(axis=1), float(y.mean())))
    return LogitModel(
        name,
        columns,
        tuple(float(v) for v in mean),
        tuple(float(v) for v in scale),
        tuple(float(v) for v in coefficients),
        floor,
    )


def calibrated(model: LogitModel, newest: pd.DataFrame) -> LogitModel:
    """The model shifted so that its mean on the newest training day equals what happened."""
    shift = shift_to_rate(model.logits(newest), float(newest["churned"].mean()))
    return replace(model, intercept=model.intercept + shift)
