"""A small shop of BG/NBD customers as the marts would show it.

What does not belong here: real data, the simulator.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

from ml.contracts import MlContext

START = pd.Timestamp("2024-01-01")


class Marts(NamedTuple):
    cutoffs: pd.DataFrame
    features: pd.DataFrame
    labels: pd.DataFrame

    @property
    def inputs(self) -> dict[str, pd.DataFrame]:
        names = ("marts.ml_cutoffs", "marts.ml_features", "marts.ml_labels")
        return dict(zip(names, self, strict=True))


def _orders(customers: int, days: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    rate = rng.gamma(0.8, 1 / 12.0, customers)
    leave = rng.beta(0.8, 4.0, customers)
    spend = rng.gamma(4.0, 10.0, customers)
    first = rng.integers(0, days // 2, customers)
    rows = []
    for i in range(customers):
        day, alive = float(first[i]), True
        while alive and day < days:
            rows.append((f"c_{i:05d}", int(day), round(float(spend[i] * rng.gamma(5.0, 0.2)), 2)))
            day += max(1.0, rng.exponential(1 / max(rate[i], 1e-6)))
            alive = len(rows) == 0 or rng.random() > leave[i]
    orders = pd.DataFrame(rows, columns=["customer", "day", "revenue"])
    return orders.groupby(["customer", "day"], as_index=False)["revenue"].sum()


def _features(orders: pd.DataFrame, at: int) -> pd.DataFrame:
    past = orders[orders["day"] <= at].assign(ago=lambda o: at - o["day"])
    grouped = past.groupby("customer")
    frame = pd.DataFrame(
        {
            "recency_days": grouped["ago"].min(),
            "frequency": grouped.size() - 1,
            "t_x_days": grouped["day"].max() - grouped["day"].min(),
            "tenure_days": grouped["ago"].max(),
            "monetary": grouped["revenue"].mean(),
        }
    )
    for window in (28, 84, 365):
        recent = past[past["ago"] < window].groupby("customer")
        frame[f"purchase_days_{window}d"] = recent.size().reindex(frame.index).fillna(0)
        frame[f"revenue_{window}d"] = recent["revenue"].sum().reindex(frame.index).fillna(0.0)
    frame["nps_last"] = np.nan
    return frame[frame["recency_days"] < 365].reset_index()


def build_marts(customers: int, days: int = 360, horizon: int = 30, seed: int = 1) -> Marts:
    orders = _orders(customers, days, seed)
    end = days - 1
    last, step = end - horizon, max(7, horizon // 2)
    tests = [last - k * horizon for k in range(3)]
    trains = list(range(last - horizon, horizon, -step))[:12]
    roles = [*((t, "test") for t in tests), *((t, "train") for t in trains), (end, "score")]
    cutoffs = pd.DataFrame(
        {
            "as_of": [(START + pd.Timedelta(days=t)).date() for t, _ in roles],
            "role": [r for _, r in roles],
            "horizon_days": horizon,
            "label_ends_on": [(START + pd.Timedelta(days=t + horizon)).date() for t, _ in roles],
        }
    )
    features, labels = [], []
    for at in sorted({t for t, _ in roles}):
        as_of = (START + pd.Timedelta(days=at)).date()
        rows = _features(orders, at)
        rows.insert(1, "as_of", as_of)
        features.append(rows)
        if at + horizon <= end:
            after = orders[(orders["day"] > at) & (orders["day"] <= at + horizon)]
            bought = rows["customer"].isin(after["customer"])
            labels.append(rows[["customer", "as_of"]].assign(churned=~bought))
    return Marts(cutoffs, pd.concat(features), pd.concat(labels))


@pytest.fixture(scope="session")
def marts() -> Marts:
    return build_marts(700)


@pytest.fixture(scope="session")
def make_marts() -> Callable[..., Marts]:
    return build_marts


@pytest.fixture
def context(tmp_path: Path) -> MlContext:
    return MlContext(date(2024, 12, 31), 11, tmp_path / "models", b"a key for tests only")
