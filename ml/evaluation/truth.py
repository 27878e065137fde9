"""Results against a known truth, where there is one (the simulated shop).

Pure functions over DataFrames that the caller has read. What does not belong here: reading the
truth's folder, and anything that training or features could import.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from ml.evaluation.metrics import auc, auc_interval


class PairQuality(NamedTuple):
    """How well identifiers were put together, counted over pairs of identifiers.

    Attributes:
        precision: of the pairs put together, the share that belong together.
        recall: of the pairs that belong together, the share put together.
        pairs_predicted, pairs_true, pairs_right: the counts.
        identifiers: identifiers on both sides. unmatched: those on one side only, not counted.
    """

    precision: float
    recall: float
    pairs_predicted: int
    pairs_true: int
    pairs_right: int
    identifiers: int
    unmatched: int


def oracle_comparison(backtest: pd.DataFrame, oracle: pd.DataFrame) -> pd.DataFrame:
    """AUC of each model beside that of the true hazard, on the same customers.

    Args:
        backtest: table churn_backtest (cutoff, customer, model, p, churned).
        oracle: cutoff, customer, p = true probability of churn, in any order-preserving form.

    Returns:
        cutoff, model, n, auc, low, high, oracle_auc, ratio (auc / oracle_auc), and coverage: the
        share of the backtest's customers whom the oracle knows. No row where they share none.
    """
    truth = pd.DataFrame(
        {
            "cutoff": pd.to_datetime(oracle["cutoff"]).astype("datetime64[us]"),
            "customer": oracle["customer"].astype("str"),
            "oracle_p": oracle["p"].astype("float64"),
        }
    ).drop_duplicates(["cutoff", "customer"])
    own = backtest.assign(cutoff=pd.to_datetime(backtest["cutoff"]).astype("datetime64[us]"))
    own["size"] = own.groupby(["cutoff", "model"])["customer"].transform("size")
    joined = own.merge(truth, on=["cutoff", "customer"], how="inner")
    rows = []
    for (cutoff, model), part in joined.groupby(["cutoff", "model"], sort=True):
        estimate = auc_interval(part["churned"], part["p"])
        best = auc(part["churned"], part["oracle_p"])
        rows.append(
            {
                "cutoff": cutoff,
                "model": model,
                "n": len(part),
                "auc": estimate.value,
                "low": estimate.low,
                "high": estimate.high,
                "oracle_auc": best,
                "ratio": estimate.value / best,
                "coverage": len(part) / int(part["size"].iloc[0]),
            }
        )
    columns = ["cutoff", "model", "n", "auc", "low", "high", "oracle_auc", "ratio", "coverage"]
    return pd.DataFrame(rows, columns=columns)


def _pairs(sizes: pd.Series) -> int:
    counts = sizes.to_numpy(dtype=np.int64)
    return int((counts * (counts - 1) // 2).sum())


def identity_quality(predicted: pd.DataFrame, truth: pd.DataFrame) -> PairQuality:
    """Pairwise precision and recall of identity, by counting group sizes, not pairs.

    Args:
        predicted: id, customer; repeated equal rows count once.
        truth: id, person; likewise.

    Raises:
        ValueError: an identifier stands in two groups.

    Returns:
        Both are 1 where there is no pair to judge.
    """
    left = predicted[["id", "customer"]].drop_duplicates()
    right = truth[["id", "person"]].drop_duplicates()
    for frame, name in ((left, "predicted"), (right, "truth")):
        if frame["id"].duplicated().any():
            raise ValueError(f"{name}: an identifier stands in two groups")
    both = left.merge(right, on="id", how="inner")
    pairs_predicted = _pairs(both.groupby("customer").size())
    pairs_true = _pairs(both.groupby("person").size())
    pairs_right = _pairs(both.groupby(["customer", "person"]).size())
    return PairQuality(
        precision=pairs_right / pairs_predicted if pairs_predicted else 1.0,
        recall=pairs_right / pairs_true if pairs_true else 1.0,
        pairs_predicted=pairs_predicted,
        pairs_true=pairs_true,
        pairs_right=pairs_right,
        identifiers=len(both),
        unmatched=len(left) + len(right) - 2 * len(both),
    )
