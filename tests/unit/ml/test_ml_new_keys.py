"""Customers' keys come from tokens and change when the tokens' key does; nothing learned may."""

import hashlib

import numpy as np
import pandas as pd

from ml.churn.boosted import fit_boosted, sample_rows
from ml.churn.data import in_order

FEATURES = ("recency_days", "frequency", "monetary")


def other_key(key: str) -> str:
    return "c_" + hashlib.md5(key.encode(), usedforsecurity=False).hexdigest()


def frame() -> pd.DataFrame:
    """2,000 customers on two days; many are alike but for their label."""
    random = np.random.default_rng(5)
    days = pd.to_datetime(["2025-01-01", "2025-04-01"])
    rows = pd.DataFrame(
        {
            "customer": [f"c_{n:05d}" for n in range(2_000) for _ in days],
            "as_of": list(days) * 2_000,
            "recency_days": random.integers(0, 12, 4_000).astype(float),
            "frequency": random.integers(1, 4, 4_000).astype(float),
            "monetary": random.integers(1, 9, 4_000) / 3.0,
        }
    )
    chance = 1 / (1 + np.exp(2 - 0.4 * rows["recency_days"] + 0.2 * rows["frequency"]))
    return rows.assign(churned=(random.random(4_000) < chance).astype(float))


def renamed(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(customer=rows["customer"].map(other_key))


def test_the_order_of_rows_is_that_of_their_content() -> None:
    one, other = in_order(frame()), in_order(renamed(frame()))
    assert not np.array_equal(frame().to_numpy(), one.to_numpy())
    pd.testing.assert_frame_equal(one.drop(columns="customer"), other.drop(columns="customer"))


def test_a_model_is_the_same_under_other_keys() -> None:
    one = fit_boosted(in_order(frame()), FEATURES, 50, 1)
    other = fit_boosted(in_order(renamed(frame())), FEATURES, 50, 1)
    assert one == other


def test_ordered_by_key_it_was_another() -> None:
    by_key = [rows.sort_values(["as_of", "customer"]) for rows in (frame(), renamed(frame()))]
    assert fit_boosted(by_key[0], FEATURES, 50, 1) != fit_boosted(by_key[1], FEATURES, 50, 1)


def test_a_sample_holds_the_same_people_whole() -> None:
    one = sample_rows(frame(), 1, limit=1_000)
    other = sample_rows(renamed(frame()), 1, limit=1_000)
    assert set(map(other_key, one["customer"])) == set(other["customer"])
    assert 700 < len(one) < 1_300
    assert (one.groupby("customer").size() == 2).all()
