"""Comparison with a known truth."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from ml.evaluation.truth import identity_quality, oracle_comparison


def test_identity_counts_equal_enumeration() -> None:
    rng = np.random.default_rng(1)
    ids = [f"i{i}" for i in range(60)]
    person = rng.integers(0, 15, 60)
    customer = np.where(rng.random(60) < 0.2, rng.integers(0, 15, 60), person)
    found = identity_quality(
        pd.DataFrame({"id": ids, "customer": customer}),
        pd.DataFrame({"id": ids, "person": person}),
    )
    pairs = list(combinations(range(60), 2))
    together = {(i, j) for i, j in pairs if customer[i] == customer[j]}
    belong = {(i, j) for i, j in pairs if person[i] == person[j]}
    assert found.precision == pytest.approx(len(together & belong) / len(together))
    assert found.recall == pytest.approx(len(together & belong) / len(belong))


def test_identity_extremes() -> None:
    truth = pd.DataFrame({"id": list("abcd"), "person": [1, 1, 2, 2]})
    mega = identity_quality(truth.rename(columns={"person": "customer"}).assign(customer=0), truth)
    assert (mega.precision, mega.recall) == (pytest.approx(2 / 6), 1.0)
    apart = pd.DataFrame({"id": list("abcx"), "customer": [1, 2, 3, 9]})
    alone = identity_quality(apart, truth)
    assert (alone.precision, alone.recall, alone.unmatched) == (1.0, 0.0, 2)
    with pytest.raises(ValueError, match="two groups"):
        identity_quality(pd.DataFrame({"id": ["a", "a"], "customer": [1, 2]}), truth)


def test_oracle_stands_beside_the_models_on_the_same_customers() -> None:
    rng = np.random.default_rng(2)
    p = rng.uniform(size=400)
    customers = [f"c{i}" for i in range(400)]
    y = rng.random(400) < p
    backtest = pd.concat(
        pd.DataFrame(
            {"cutoff": "2024-01-01", "customer": customers, "model": m, "p": q, "churned": y}
        )
        for m, q in (("good", p), ("bad", rng.uniform(size=400)))
    )
    oracle = pd.DataFrame({"cutoff": "2024-01-01", "customer": customers[:300], "p": p[:300]})
    found = oracle_comparison(backtest, oracle).set_index("model")
    assert found.loc["good", "ratio"] == pytest.approx(1.0)
    assert found.loc["bad", "ratio"] < 0.8
    assert (found["n"] == 300).all()
    assert (found["coverage"] == 0.75).all()
    assert oracle_comparison(backtest, oracle.assign(customer="other")).empty
