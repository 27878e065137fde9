"""Point-in-time churn data: features, labels and BG/NBD figures by as_of.

What does not belong here: fitting on labels, and any feature that the warehouse can compute.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ml.contracts import ContractMismatchError
from ml.value.bgnbd import BgNbdFit, fit

KEYS = ("customer", "as_of")
RFM = ("recency_days", "frequency", "monetary")
_REQUIRED = (*RFM, "t_x_days", "tenure_days")
_DAYS_IN_WEEK = 7.0


@dataclass(frozen=True)
class ChurnData:
    """Everything that training and scoring need, rows in the order of `in_order`.

    Attributes:
        frame: customer, as_of, features (float64), churned (1, 0 or NaN where unknown).
        features: every numeric column of ml_features, and BG/NBD's two.
        horizon: days.
        tests: test cutoffs, rising. labelled: every as_of with labels, rising.
        newest: the newest as_of that has rows (the score day).
        history_days: from the first purchase known to the end of the newest knowledge.
        fits: BG/NBD by as_of.
    """

    frame: pd.DataFrame
    features: tuple[str, ...]
    horizon: int
    tests: tuple[pd.Timestamp, ...]
    labelled: tuple[pd.Timestamp, ...]
    newest: pd.Timestamp | None
    history_days: int
    fits: Mapping[pd.Timestamp, BgNbdFit]

    def at(self, as_of: pd.Timestamp) -> pd.DataFrame:
        """Rows of one as_of."""
        return self.frame[self.frame["as_of"] == as_of]

    def training(self, cutoff: pd.Timestamp) -> pd.DataFrame:
        """Labelled rows whose label window ends by the cutoff: no look ahead."""
        last = cutoff - pd.Timedelta(days=self.horizon)
        return self.frame[(self.frame["as_of"] <= last) & self.frame["churned"].notna()]


def days(values: pd.Series) -> pd.Series:
    """Dates of any kind as midnight timestamps."""
    return pd.to_datetime(values).astype("datetime64[us]").dt.normalize()


def feature_names(features: pd.DataFrame) -> tuple[str, ...]:
    """Every column of ml_features but its keys, in order."""
    return tuple(c for c in features.columns if c not in KEYS)


def numeric_features(features: pd.DataFrame) -> pd.DataFrame:
    """ml_features with float64 features, days as timestamps, in the order of `in_order`.

    Raises:
        ContractMismatchError: a needed column is missing, a column is not numeric, or a key is
            doubled.
    """
    missing = [c for c in (*KEYS, *_REQUIRED) if c not in features.columns]
    if missing:
        raise ContractMismatchError(f"ml_features: missing columns {missing}")
    columns: dict[str, pd.Series] = {
        "customer": features["customer"].astype("str"),
        "as_of": days(features["as_of"]),
    }
    for name in feature_names(features):
        try:
            columns[name] = features[name].astype("float64")
        except (TypeError, ValueError) as error:
            raise ContractMismatchError(f"ml_features.{name}: is not numeric") from error
    frame = pd.DataFrame(columns).replace([np.inf, -np.inf], np.nan)
    if frame.duplicated(list(KEYS)).any():
        raise ContractMismatchError("ml_features: (customer, as_of) is not unique")
    return in_order(frame)


def in_order(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows by day, features and label; customers' keys decide between equal rows alone.

    Row order changes a model, and keys change when the tokens' key is rotated.
    """
    label = [name for name in ("churned",) if name in frame.columns]
    hashes = pd.util.hash_pandas_object(frame.drop(columns=["customer", *label]), index=False)
    ordered = frame.assign(_content=hashes).sort_values(
        ["as_of", "_content", *label, "customer"], kind="stable", ignore_index=True
    )
    return ordered.drop(columns="_content")


def add_bgnbd(
    frame: pd.DataFrame, horizon: int
) -> tuple[pd.DataFrame, dict[pd.Timestamp, BgNbdFit]]:
    """Append bgnbd_p0 and bgnbd_expected, from a fit on each as_of's own rows.

    Each fit knows only what was known at its as_of: x = frequency, t_x and T in weeks. Rows
    without a usable history get NaN.
    """
    p_zero = np.full(len(frame), np.nan)
    expected = np.full(len(frame), np.nan)
    fits: dict[pd.Timestamp, BgNbdFit] = {}
    values = frame[["frequency", "t_x_days", "tenure_days"]].to_numpy(float)
    usable = np.isfinite(values).all(axis=1)
    x = np.maximum(values[:, 0], 0.0)
    last = np.where(x > 0, np.maximum(values[:, 1], 0.0), 0.0) / _DAYS_IN_WEEK
    age = np.maximum(values[:, 2] / _DAYS_IN_WEEK, last)
    for as_of, index in frame.groupby("as_of", sort=True).indices.items():
        rows = np.asarray(index)[usable[index]]
        if not len(rows):
            continue
        one = fit(x[rows], last[rows], age[rows])
        fits[pd.Timestamp(str(as_of))] = one
        weeks = horizon / _DAYS_IN_WEEK
        p_zero[rows] = one.model.p_zero(x[rows], last[rows], age[rows], weeks)
        expected[rows] = one.model.expected_purchases(x[rows], last[rows], age[rows], weeks)
    return frame.assign(bgnbd_p0=p_zero, bgnbd_expected=expected), fits


def assemble(
    cutoffs: pd.DataFrame, features: pd.DataFrame, labels: pd.DataFrame
) -> ChurnData | None:
    """Join marts.ml_cutoffs, ml_features and ml_labels; None where there is no cutoff at all.

    Raises:
        ContractMismatchError: an input lacks a column or has a doubled key.
    """
    horizons = cutoffs["horizon_days"].dropna()
    if horizons.empty:
        return None
    horizon = int(horizons.max())
    frame, fits = add_bgnbd(numeric_features(features), horizon)
    known = pd.DataFrame(
        {
            "customer": labels["customer"].astype("str"),
            "as_of": days(labels["as_of"]),
            "churned": labels["churned"].astype("float64"),
        }
    )
    if known.duplicated(list(KEYS)).any():
        raise ContractMismatchError("ml_labels: (customer, as_of) is not unique")
    frame = in_order(frame.merge(known, on=list(KEYS), how="left", sort=False))
    as_of = days(cutoffs["as_of"])
    ends = days(cutoffs["label_ends_on"]).dropna()
    spans = [t for t in (as_of.max(), frame["as_of"].max()) if not pd.isna(t)]
    # A label window that is over is history too; that of the score day is not.
    with_labels = tuple(sorted(frame.loc[frame["churned"].notna(), "as_of"].unique()))
    spans += [e for e in ends if any(e == t + pd.Timedelta(days=horizon) for t in with_labels)]
    started = (frame["as_of"] - pd.to_timedelta(frame["tenure_days"], unit="D")).min()
    history = 0 if pd.isna(started) or not spans else (max(spans) - started).days
    return ChurnData(
        frame=frame,
        features=(*feature_names(features), "bgnbd_p0", "bgnbd_expected"),
        horizon=horizon,
        tests=tuple(sorted(pd.Timestamp(t) for t in as_of[cutoffs["role"] == "test"].unique())),
        labelled=tuple(pd.Timestamp(t) for t in with_labels),
        newest=None if frame.empty else pd.Timestamp(frame["as_of"].max()),
        history_days=int(history),
        fits=fits,
    )
