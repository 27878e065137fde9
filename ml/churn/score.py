"""Scores of the newest day by what shipped, with reasons for those at highest risk.

What does not belong here: training, thresholds of a campaign.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ml.churn.boosted import Boosted
from ml.churn.data import add_bgnbd, days, numeric_features
from ml.churn.fitting import Blend, Model, probabilities
from ml.churn.rules import RULES, LogitModel
from ml.churn.store import FOLDER, unpack
from ml.churn.tables import CHURN_SCORES
from ml.contracts import ContractMismatchError, MlContext, MlResult, conform, empty
from ml.models import ModelMissingError, load_model

# SHAP costs about a millisecond a row, so only those at highest risk get reasons.
TOP_SHARE = 0.05
TOP_LIMIT = 1_000
REASONS = 3


def run(inputs: Mapping[str, pd.DataFrame], context: MlContext) -> MlResult:
    """Score every customer of the newest as_of in marts.ml_features.

    Raises:
        ModelTamperedError: the stored model is not what was signed.
        ContractMismatchError: ml_features lacks a column that the model was trained on.
    """
    features = inputs["marts.ml_features"]
    try:
        stored = load_model(context.models_dir / FOLDER, context.model_key)
    except ModelMissingError as error:
        return MlResult({CHURN_SCORES.name: empty(CHURN_SCORES)}, {"reason": str(error)})
    if features.empty:
        reason = "no eligible customer"
        return MlResult({CHURN_SCORES.name: empty(CHURN_SCORES)}, {"reason": reason})
    horizon = int(stored.manifest["horizon_days"])
    as_of = days(features["as_of"])
    rows, _ = add_bgnbd(numeric_features(features[as_of == as_of.max()]), horizon)
    missing = [c for c in stored.manifest["features"] if c not in rows.columns]
    if missing:
        raise ContractMismatchError(f"ml_features lacks {missing} of the model; train again")
    name = str(stored.manifest["shipped"])
    model = unpack(name, stored.manifest["parameters"], stored.files)
    frame = scored(model, rows).assign(model_version=stored.version, horizon_days=horizon)
    metrics = {
        "model": name,
        "model_version": stored.version,
        "as_of": rows["as_of"].iloc[0].date().isoformat(),
        "customers": len(frame),
        "mean_score": round(float(frame["score"].mean()), 6),
    }
    return MlResult({CHURN_SCORES.name: conform(frame, CHURN_SCORES)}, metrics)


def scored(model: Model, rows: pd.DataFrame) -> pd.DataFrame:
    """Customers by falling risk with score, rank and, for the top, reasons."""
    # Twelve digits: a different machine's last bit does not change the order of ties.
    frame = rows.assign(model=model.name, score=probabilities(model, rows).round(12))
    # Rows come in an order that their keys do not decide, and a stable sort keeps it among ties.
    frame = frame.sort_values("score", ascending=False, kind="stable", ignore_index=True)
    top = min(TOP_LIMIT, math.ceil(TOP_SHARE * len(frame)))
    texts = [*reasons(model, frame.head(top)), *[None] * (len(frame) - top)]
    return frame[["customer", "as_of", "model", "score"]].assign(
        rank=np.arange(1, len(frame) + 1), reasons=pd.Series(texts, dtype="str")
    )


def reasons(model: Model, rows: pd.DataFrame) -> list[str]:
    """For each row JSON: up to three features that raise its risk most, in log-odds.

    A blend is explained by its trees, whose contributions count by their share. A simple rule is
    named in each reason.
    """
    columns, values = _contributions(model, rows)
    shown = rows[list(columns)].to_numpy(float)
    order = np.argsort(-values, axis=1, kind="stable")[:, :REASONS]
    texts = []
    for i, best in enumerate(order):
        raising = [j for j in best if values[i, j] > 0] or [best[0]]
        items = []
        for j in raising:
            value = float(shown[i, j])
            item: dict[str, object] = {
                "feature": columns[j],
                "value": round(value, 6) if math.isfinite(value) else None,
                "contribution": round(float(values[i, j]), 6),
            }
            items.append(item | {"rule": model.name} if model.name in RULES else item)
        texts.append(json.dumps(items))
    return texts


def _contributions(model: Model, rows: pd.DataFrame) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    if isinstance(model, Blend):
        boosted = next(p for p in model.parts if isinstance(p, Boosted))
        return boosted.features, boosted.contributions(rows) / len(model.parts)
    if isinstance(model, Boosted):
        return model.features, model.contributions(rows)
    if isinstance(model, LogitModel):
        return model.columns, model.contributions(rows)
    return ("bgnbd_p0",), model.logits(rows)[:, None]
