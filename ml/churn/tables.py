"""The tables that churn gives.

What does not belong here: how they are computed.
"""

from __future__ import annotations

from ml.contracts import Column, Table

_CUTOFF = Column("cutoff", "date", "Day on whose knowledge the prediction stands.")
_MODEL = Column(
    "model",
    "string",
    "recency, frequency, logistic_rfm, bgnbd (simple rules), lightgbm or blend (candidates).",
)

CHURN_EVALUATION = Table(
    name="churn_evaluation",
    grain="one row per test cutoff, model and metric",
    key=("cutoff", "model", "metric"),
    columns=(
        _CUTOFF,
        _MODEL,
        Column("metric", "string", "auc, pr_auc, brier, lift_10 or mean_predicted."),
        Column("value", "double", "The metric on all customers of the cutoff."),
        Column("low", "double", "Lower end of the 95 % interval.", nullable=True),
        Column("high", "double", "Upper end of the 95 % interval.", nullable=True),
        Column("n", "integer", "Customers of the cutoff."),
        Column("base_rate", "double", "Share of them that churned."),
    ),
)

CHURN_BACKTEST = Table(
    name="churn_backtest",
    grain="one row per test cutoff, customer and model",
    key=("cutoff", "customer", "model"),
    columns=(
        _CUTOFF,
        Column("customer", "string", "Pseudonymous customer key."),
        _MODEL,
        Column("p", "double", "Predicted probability of no purchase within the horizon."),
        Column("churned", "boolean", "Whether no purchase came."),
    ),
)

CHURN_IMPORTANCE = Table(
    name="churn_importance",
    grain="one row per feature of the boosted model",
    key=("feature",),
    columns=(
        Column("feature", "string", "Column of ml_features, or a BG/NBD figure."),
        Column("rank", "integer", "1 = largest mean absolute contribution."),
        Column("gain_share", "double", "Share of the loss that splits on it took away."),
        Column("mean_abs_contribution", "double", "Mean absolute SHAP value, in log-odds."),
    ),
)

CHURN_SCORES = Table(
    name="churn_scores",
    grain="one row per eligible customer at the score day",
    key=("customer", "as_of"),
    columns=(
        Column("customer", "string", "Pseudonymous customer key."),
        Column("as_of", "date", "Day on whose knowledge the score stands."),
        Column("model", "string", "What shipped: a model, or the simple rule."),
        Column("model_version", "string", "Digest of the stored model."),
        Column("horizon_days", "integer", "Days without a purchase that count as churn."),
        Column("score", "double", "Probability of no purchase within the horizon."),
        Column("rank", "integer", "1 = highest risk."),
        Column(
            "reasons",
            "json",
            "Highest risk only: up to three of {feature, value, contribution in log-odds}.",
            nullable=True,
        ),
    ),
)
