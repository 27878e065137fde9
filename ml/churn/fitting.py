"""Fit every rule and candidate on the rows that a cutoff allows.

What does not belong here: choosing the rows, choosing what ships.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit

from ml.churn.boosted import fit_boosted
from ml.churn.data import RFM, ChurnData
from ml.churn.rules import (
    BgNbdRule,
    calibrated,
    fit_logistic,
    frequency_column,
    log_odds,
    recency_without_labels,
    shift_to_rate,
)

FloatArray = NDArray[np.float64]

# In the order of preference when there is no earlier cutoff to choose by.
CANDIDATES = ("blend", "lightgbm")
MIN_OF_A_CLASS = 100
MIN_HORIZONS = 3


class Model(Protocol):
    """What every rule and model can do."""

    @property
    def name(self) -> str:
        """Model name of the vocabulary."""

    def logits(self, frame: pd.DataFrame) -> FloatArray:
        """Log-odds of churn, shape (n,)."""

    def as_dict(self) -> dict[str, Any]:
        """JSON-able parameters."""


@dataclass(frozen=True)
class Blend:
    """Mean log-odds of its parts, shifted so as to be calibrated in the large."""

    parts: tuple[Model, ...]
    shift: float = 0.0
    name: str = "blend"

    def logits(self, frame: pd.DataFrame) -> FloatArray:
        """Log-odds of churn, shape (n,)."""
        # Through probabilities: each part is held off 0 and 1, so that none outvotes the rest.
        stacked = [log_odds(probabilities(part, frame)) for part in self.parts]
        return np.asarray(np.mean(stacked, axis=0) + self.shift)

    def as_dict(self) -> dict[str, Any]:
        """Names of the parts and the shift."""
        return {"parts": [p.name for p in self.parts], "shift": self.shift}


def probabilities(model: Model, frame: pd.DataFrame) -> FloatArray:
    """P(no purchase within the horizon), shape (n,)."""
    return np.asarray(expit(model.logits(frame)))


def guard_reasons(data: ChurnData, cutoff: pd.Timestamp) -> list[str]:
    """Why nothing is learned from labels at a cutoff, in plain words; empty when it is.

    Customers are counted once, however many training days they have.
    """
    reasons = []
    if data.history_days < MIN_HORIZONS * data.horizon:
        reasons.append(
            f"history is {data.history_days} days, shorter than {MIN_HORIZONS} horizons of "
            f"{data.horizon} days"
        )
    train = data.training(cutoff)
    if train.empty:
        return [*reasons, f"no training day has a label window that ends by {cutoff.date()}"]
    for value, word in ((1.0, "churned"), (0.0, "kept")):
        found = train.loc[train["churned"] == value, "customer"].nunique()
        if found < MIN_OF_A_CLASS:
            reasons.append(f"only {found} customers {word}, {MIN_OF_A_CLASS} are needed")
    return reasons


def fit_rules(train: pd.DataFrame, data: ChurnData) -> dict[str, Model]:
    """The simple rules; without labels of both classes only those that need none."""
    models: dict[str, Model] = {"recency": recency_without_labels(data.horizon)}
    if data.frame["bgnbd_p0"].notna().any():
        models["bgnbd"] = BgNbdRule()
    if train["churned"].nunique() < 2:
        return models
    newest = train[train["as_of"] == train["as_of"].max()]
    often = frequency_column(train)
    for model in (
        fit_logistic("recency", ("recency_days",), train, signs=(1,)),
        fit_logistic("frequency", (often,), train, signs=(-1,)),
        fit_logistic("logistic_rfm", RFM, train),
    ):
        models[model.name] = calibrated(model, newest)
    return models


def fit_all(train: pd.DataFrame, data: ChurnData, seed: int, learn: bool) -> dict[str, Model]:
    """Every rule and, where `learn`, the boosted trees and the blend.

    Args:
        train: rows allowed (`ChurnData.training`).
        data: horizon and feature names.
        seed: of the trees.
        learn: whether the guards allow it.
    """
    models = fit_rules(train, data)
    if not learn:
        return models
    boosted = fit_boosted(train, data.features, data.horizon, seed)
    models["lightgbm"] = boosted
    parts = [boosted, *(models[n] for n in ("logistic_rfm", "bgnbd") if n in models)]
    blend = Blend(tuple(parts))
    newest = train[train["as_of"] == train["as_of"].max()]
    shift = shift_to_rate(blend.logits(newest), float(newest["churned"].mean()))
    models["blend"] = replace(blend, shift=shift)
    return models
