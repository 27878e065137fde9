"""Rolling origin: at each test cutoff fit on the past, predict, compare with what came.

What does not belong here: the ship gate, plots.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from ml.churn.data import ChurnData
from ml.churn.fitting import Model, fit_all, guard_reasons, probabilities
from ml.churn.tables import CHURN_BACKTEST, CHURN_EVALUATION
from ml.contracts import conform, empty
from ml.evaluation.metrics import evaluate


def predict_cutoff(
    models: Mapping[str, Model], rows: pd.DataFrame, cutoff: pd.Timestamp
) -> pd.DataFrame:
    """Every model's predictions for the labelled rows of a cutoff, in backtest form."""
    parts = [
        pd.DataFrame(
            {
                "cutoff": cutoff,
                "customer": rows["customer"].to_numpy(),
                "model": name,
                "p": probabilities(models[name], rows),
                "churned": rows["churned"].to_numpy() > 0.5,
            }
        )
        for name in sorted(models)
    ]
    return pd.concat(parts, ignore_index=True)


def backtest(data: ChurnData, seed: int) -> pd.DataFrame:
    """Predictions at every test cutoff that has labels (table churn_backtest)."""
    parts = []
    for cutoff in data.tests:
        rows = data.at(cutoff)
        rows = rows[rows["churned"].notna()]
        if rows.empty:
            continue
        learn = not guard_reasons(data, cutoff)
        models = fit_all(data.training(cutoff), data, seed, learn)
        parts.append(predict_cutoff(models, rows, cutoff))
    if not parts:
        return empty(CHURN_BACKTEST)
    return conform(pd.concat(parts, ignore_index=True), CHURN_BACKTEST)


def evaluation(predictions: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Metrics of a backtest (table churn_evaluation); those that do not exist are left out."""
    rows = []
    for (cutoff, model), group in predictions.groupby(["cutoff", "model"], sort=True):
        y, p = group["churned"].to_numpy(bool), group["p"].to_numpy(float)
        for metric, estimate in evaluate(y, p, seed).items():
            rows.append(
                {
                    "cutoff": cutoff,
                    "model": model,
                    "metric": metric,
                    **estimate._asdict(),
                    "n": len(group),
                    "base_rate": float(y.mean()),
                }
            )
    if not rows:
        return empty(CHURN_EVALUATION)
    frame = pd.DataFrame(rows).dropna(subset=["value"])
    # Ten digits: the same table on any machine.
    frame[["value", "low", "high", "base_rate"]] = frame[
        ["value", "low", "high", "base_rate"]
    ].round(10)
    return conform(frame, CHURN_EVALUATION)
