"""The exam is fair, the oracle is right, and the signal can be learned."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import lightgbm as lgb
import numpy as np
import pandas as pd
import pytest
from shop_observables import Written, features, label

from simulator.exam import auc, horizon, sit_exam
from simulator.oracle import load_truth, no_purchase, p_no_purchase
from simulator.shop import Generated, generate, streams
from simulator.world import World


@pytest.mark.parametrize(
    ("customers", "days", "seed"), [(4000, 540, 7), (2000, 365, 1), (2000, 730, 2)]
)
def test_exam_is_fair(customers: int, days: int, seed: int) -> None:
    exam = sit_exam(generate(customers, days, None, streams(seed)).truth)
    assert exam.fair, exam.reasons
    assert exam.margin >= 0.04
    assert 0.80 <= exam.oracle <= 0.90
    assert 0.30 <= exam.base_rate <= 0.75


def test_exam_says_when_it_is_not_fair() -> None:
    pure_chance = World(rate_mean=1 / 400, rate_shape=500.0, chance_rate=1 / 50)
    exam = sit_exam(generate(1000, 365, None, streams(1), world=pure_chance).truth)
    assert not exam.fair
    assert any("true hazard" in reason for reason in exam.reasons)
    assert exam.rows()[-1][1].startswith("NO")


def test_oracle_is_calibrated(generated: Generated) -> None:
    for cutoff, days in ((250, 60), (330, 90)):
        p = no_purchase(generated.truth, cutoff, days)
        everyone = np.arange(len(p))
        stayed_away = label(generated, cutoff, days, everyone)
        assert abs(p.mean() - stayed_away.mean()) < 0.02
        groups = pd.qcut(p, 5, labels=False, duplicates="drop")
        for group in np.unique(groups):
            chosen = groups == group
            noise = 4 * np.sqrt(0.25 / chosen.sum())
            assert abs(p[chosen].mean() - stayed_away[chosen].mean()) < noise


def test_oracle_from_files_is_the_oracle_in_memory(written: Written) -> None:
    truth = load_truth(written.truth)
    day = truth.calendar.start + timedelta(days=100)
    frame = p_no_purchase(written.truth, day, 30)
    assert list(frame.columns) == ["person", "p"]
    assert np.allclose(frame["p"], no_purchase(truth, 100, 30))
    assert (no_purchase(truth, 100, 31) <= frame["p"] + 1e-12).all()
    assert np.allclose(no_purchase(truth, 100, 0), 1.0)
    beyond = p_no_purchase(written.truth, truth.calendar.end, 60)
    assert beyond["p"].between(0, 1).all()
    again = sit_exam(truth)
    assert again == written.summary.exam


def test_oracle_does_not_look_ahead(generated: Generated) -> None:
    truth, cutoff = generated.truth, 300
    cut = replace(
        truth,
        purchases=truth.purchases[truth.purchases["day"] <= cutoff],
        shocks=truth.shocks[truth.shocks["decided"] <= cutoff],
        regimes=truth.regimes[truth.regimes["day"] <= cutoff],
        sends=truth.sends[truth.sends["day"] <= cutoff],
    )
    assert np.array_equal(no_purchase(truth, cutoff, 60), no_purchase(cut, cutoff, 60))


def test_most_of_the_signal_can_be_learned(generated: Generated) -> None:
    exam = sit_exam(generated.truth)
    h = exam.horizon_days
    last = generated.truth.calendar.days - 1 - h
    parts = [features(generated, last - h - k * (h // 2)) for k in range(4)]
    cutoffs = [last - h - k * (h // 2) for k in range(4)]
    labels = [
        label(generated, c, h, f.index.to_numpy()) for c, f in zip(cutoffs, parts, strict=True)
    ]
    test = features(generated, last)
    model = lgb.LGBMClassifier(
        n_estimators=150, learning_rate=0.04, num_leaves=7, min_child_samples=60,
        colsample_bytree=0.6, reg_lambda=5, random_state=0, n_jobs=1, verbose=-1,
    )  # fmt: skip
    model.fit(pd.concat(parts), np.concatenate(labels))
    found = auc(model.predict_proba(test)[:, 1], label(generated, last, h, test.index.to_numpy()))
    assert found >= 0.95 * exam.oracle
    assert found >= exam.oracle - exam.margin + 0.03  # clearly above the best simple rule


def test_auc_and_horizon() -> None:
    assert auc(np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True])) == 0.75
    assert auc(np.ones(4), np.array([True, False, True, False])) == 0.5
    assert np.isnan(auc(np.ones(2), np.array([True, True])))
    person = np.zeros(12, dtype=np.int64)
    assert horizon(person, np.arange(12) * 50) == 50
    assert horizon(person, np.arange(12)) == 30
    assert horizon(person, np.arange(12) * 400) == 180
    assert horizon(person[:1], np.array([3])) == 180
