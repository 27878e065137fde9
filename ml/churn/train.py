"""Training of churn: backtest, gate, the final fit, its storage (outputs churn_*).

What does not belong here: scoring (`ml.churn.score`), drawing (`ml.evaluation.plots`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ml.churn.backtest import backtest, evaluation
from ml.churn.boosted import Boosted
from ml.churn.data import ChurnData, assemble
from ml.churn.fitting import CANDIDATES, Blend, Model, fit_all, guard_reasons
from ml.churn.gate import GateDecision, best_rule, decide
from ml.churn.rules import RULES
from ml.churn.store import FOLDER, pack
from ml.churn.tables import CHURN_BACKTEST, CHURN_EVALUATION, CHURN_IMPORTANCE
from ml.contracts import MlContext, MlResult, conform, empty
from ml.evaluation.plots import churn_png
from ml.models import save_model

_WITHOUT_LABELS = ("bgnbd", "recency")
_IMPORTANCE_ROWS = 1_000


def run(inputs: Mapping[str, pd.DataFrame], context: MlContext) -> MlResult:
    """Backtest every model beside every rule, decide what ships, fit and store it.

    Args:
        inputs: marts.ml_cutoffs, marts.ml_features, marts.ml_labels.
        context: seed, models_dir and model_key are used.

    Raises:
        ContractMismatchError: an input lacks a column or has a doubled key.
    """
    data = assemble(
        inputs["marts.ml_cutoffs"], inputs["marts.ml_features"], inputs["marts.ml_labels"]
    )
    if data is None or data.newest is None:
        return _nothing("no customer has purchased yet", None if data is None else data.horizon)
    predictions = backtest(data, context.seed)
    scores = evaluation(predictions, context.seed)
    decision = _decide(data, predictions)
    cutoffs = cutoff_metrics(scores)
    models = fit_all(data.training(data.newest), data, context.seed, learn=decision.passed)
    shipped = _available(decision.shipped, models)
    metrics: dict[str, Any] = {
        "shipped": shipped,
        "horizon_days": data.horizon,
        "cutoffs": cutoffs,
        "gate": {"passed": decision.passed, "reasons": list(decision.reasons)},
    }
    importance = empty(CHURN_IMPORTANCE)
    if shipped is not None:
        model = models[shipped]
        metrics["model_version"] = _store(model, data, metrics, context)
        importance = _importance(model, data)
    if data.newest in data.fits:
        metrics["bgnbd"] = data.fits[data.newest].as_dict()
    frames = {
        CHURN_EVALUATION.name: scores,
        CHURN_BACKTEST.name: predictions,
        CHURN_IMPORTANCE.name: importance,
    }
    return MlResult(frames, metrics, {"churn": churn_png(scores, predictions)})


def _nothing(reason: str, horizon: int | None) -> MlResult:
    """An empty, valid result that says why."""
    tables = (CHURN_EVALUATION, CHURN_BACKTEST, CHURN_IMPORTANCE)
    gate = {"passed": False, "reasons": [reason]}
    metrics: dict[str, Any] = {
        "shipped": None,
        "horizon_days": horizon,
        "cutoffs": [],
        "gate": gate,
    }
    return MlResult({t.name: empty(t) for t in tables}, metrics)


def _decide(data: ChurnData, predictions: pd.DataFrame) -> GateDecision:
    """The gate's decision, or the rule that needs no labels when the guards forbid training."""
    newest_test = data.tests[-1] if data.tests else data.newest
    if newest_test is None:
        return GateDecision(False, None, None, None, ("there is no cutoff",))
    guards = guard_reasons(data, newest_test)
    if not guards and len(predictions):
        return decide(predictions, CANDIDATES, RULES, groups=fairness_groups(data, newest_test))
    reasons = guards or ["no test cutoff has labels yet"]
    rule = best_rule(predictions, _WITHOUT_LABELS)
    if rule is None:
        fit = data.fits.get(data.newest) if data.newest is not None else None
        rule = "bgnbd" if fit is not None and fit.converged else "recency"
    reasons = [*reasons, f"no model was trained; the simple rule {rule} scores instead"]
    return GateDecision(False, rule, None, rule, tuple(reasons))


def fairness_groups(data: ChurnData, cutoff: pd.Timestamp) -> pd.DataFrame:
    """Groups that a model might neglect, indexed by customer: newcomers and one-time buyers."""
    rows = data.at(cutoff).set_index("customer")
    return pd.DataFrame(
        {
            "tenure": np.where(rows["tenure_days"] < data.horizon, "newcomer", "established"),
            "purchases": np.where(rows["frequency"] < 1, "one", "several"),
        },
        index=rows.index,
    )


def _available(shipped: str | None, models: Mapping[str, Model]) -> str | None:
    """What was decided, or the rule nearest to it that could be fitted."""
    wanted: Sequence[str] = (shipped or "", *_WITHOUT_LABELS)
    return next((name for name in wanted if name in models), None)


def cutoff_metrics(scores: pd.DataFrame) -> list[dict[str, Any]]:
    """Table churn_evaluation as the run summary shows it."""
    result = []
    for cutoff, rows in scores.groupby("cutoff", sort=True):
        models: dict[str, dict[str, float]] = {}
        for model, metric, value in rows[["model", "metric", "value"]].itertuples(index=False):
            models.setdefault(model, {})[metric] = round(float(value), 6)
        result.append(
            {
                "cutoff": pd.Timestamp(str(cutoff)).date().isoformat(),
                "n": int(rows["n"].iloc[0]),
                "base_rate": round(float(rows["base_rate"].iloc[0]), 6),
                "models": models,
            }
        )
    return result


def data_digest(frame: pd.DataFrame) -> str:
    """SHA-256 over the rows that trained a model; keys left out, as new tokens change them."""
    hashes = pd.util.hash_pandas_object(frame, index=False).to_numpy()
    return hashlib.sha256(hashes.tobytes()).hexdigest()


def _store(model: Model, data: ChurnData, metrics: Mapping[str, Any], context: MlContext) -> str:
    """Save what ships with its manifest; give its version."""
    assert data.newest is not None
    train = data.training(data.newest)
    files, parameters = pack(model)
    fit = data.fits.get(data.newest)
    manifest = {
        "output": FOLDER,
        "shipped": model.name,
        "horizon_days": data.horizon,
        "seed": context.seed,
        "features": list(data.features),
        "training_as_ofs": [t.date().isoformat() for t in sorted(train["as_of"].unique())],
        "test_cutoffs": [t.date().isoformat() for t in data.tests],
        "rows": len(train),
        "data_sha256": data_digest(train[["as_of", *data.features, "churned"]]),
        "metrics": dict(metrics),
        "bgnbd": None if fit is None else fit.as_dict(),
        "parameters": parameters,
    }
    return save_model(context.models_dir / FOLDER, files, manifest, context.model_key)


def _importance(model: Model, data: ChurnData) -> pd.DataFrame:
    """Mean absolute contributions on up to 1,000 customers of the newest day."""
    parts = model.parts if isinstance(model, Blend) else (model,)
    boosted = next((p for p in parts if isinstance(p, Boosted)), None)
    if boosted is None or data.newest is None:
        return empty(CHURN_IMPORTANCE)
    rows = data.at(data.newest)
    rows = rows.iloc[:: max(1, len(rows) // _IMPORTANCE_ROWS)]
    frame = pd.DataFrame(
        {
            "feature": boosted.features,
            "gain_share": boosted.gain_shares().round(8),
            "mean_abs_contribution": np.abs(boosted.contributions(rows)).mean(axis=0).round(8),
        }
    ).sort_values(["mean_abs_contribution", "feature"], ascending=[False, True])
    return conform(frame.assign(rank=np.arange(1, len(frame) + 1)), CHURN_IMPORTANCE)
