"""Metrics against scikit-learn, brute force and coverage."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from ml.evaluation import metrics


def _data(n: int, seed: int, tied: bool) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    p = rng.uniform(0.05, 0.95, n)
    p = p.round(1) if tied else p
    return rng.random(n) < p, p


@pytest.mark.parametrize("tied", [True, False])
def test_equal_to_scikit_learn(tied: bool) -> None:
    y, p = _data(500, 1, tied)
    assert metrics.auc(y, p) == pytest.approx(roc_auc_score(y, p), abs=1e-12)
    assert metrics.pr_auc(y, p) == pytest.approx(average_precision_score(y, p), abs=1e-12)
    assert metrics.brier(y, p) == pytest.approx(brier_score_loss(y, p), abs=1e-12)


def test_delong_equals_its_definition() -> None:
    y, p = _data(80, 2, tied=True)
    wins = (p[y][:, None] > p[~y][None, :]) + 0.5 * (p[y][:, None] == p[~y][None, :])
    variance = wins.mean(1).var(ddof=1) / y.sum() + wins.mean(0).var(ddof=1) / (~y).sum()
    difference = metrics.auc_difference(y, p, np.zeros(80))
    assert difference.standard_error == pytest.approx(np.sqrt(variance), rel=1e-10)
    assert metrics.auc_difference(y, p, p) == (0.0, 0.0)


def test_interval_covers_the_truth() -> None:
    rng = np.random.default_rng(3)
    truth = 0.7602499  # P(N(1, 1) > N(0, 1))
    hits = 0
    for _ in range(300):
        y = np.arange(120) < 60
        low, high = metrics.auc_interval(y, rng.normal(y.astype(float)))[1:]
        hits += low <= truth <= high
    assert 0.91 <= hits / 300 <= 0.985


def test_lift_counts_ties_in_proportion() -> None:
    y = np.array([True] * 5 + [False] * 15)
    assert metrics.lift(y, -np.arange(20)) == pytest.approx(4.0)
    assert metrics.lift(y, np.zeros(20)) == pytest.approx(1.0)


def test_order_of_rows_does_not_matter() -> None:
    y, p = _data(400, 4, tied=True)
    order = np.random.default_rng(1).permutation(400)
    for metric in (metrics.auc, metrics.pr_auc, metrics.lift, metrics.brier):
        assert metric(y, p) == pytest.approx(metric(y[order], p[order]), abs=1e-12)


def test_evaluate_gives_intervals_around_values() -> None:
    y, p = _data(600, 5, tied=False)
    found = metrics.evaluate(y, p, seed=1)
    assert set(found) == {"auc", "pr_auc", "brier", "lift_10", "mean_predicted"}
    for value, low, high in found.values():
        assert low <= value <= high
        assert low < high
    assert found == metrics.evaluate(y, p, seed=1)


def test_undefined_is_nan_and_bad_input_an_error() -> None:
    for y in ([], [True, True], [False, False]):
        assert np.isnan(metrics.auc(y, np.arange(len(y))))
        metrics.evaluate(y, np.linspace(0, 1, len(y)))
    assert np.isnan(metrics.pr_auc([False], [0.3]))
    with pytest.raises(ValueError, match="finite"):
        metrics.auc([True, False], [np.nan, 1])
    with pytest.raises(ValueError, match="dimension"):
        metrics.auc([True, False], [1.0])


def test_calibration_points_keep_every_row() -> None:
    y, p = _data(1000, 6, tied=False)
    points = metrics.calibration_points(y, p)
    assert len(points) == 10
    assert sum(n for _, _, n in points) == 1000
    assert all(abs(mean - rate) < 0.15 for mean, rate, _ in points)
    assert metrics.calibration_points(y, np.full(1000, 0.3)) == [
        (pytest.approx(0.3), pytest.approx(y.mean()), 1000)
    ]


def test_normalised_gini() -> None:
    amounts = np.array([0.0, 0, 5, 10, 100])
    assert metrics.normalised_gini(amounts, amounts) == pytest.approx(1.0)
    assert metrics.normalised_gini(amounts, -amounts) == pytest.approx(-1.0)
    assert metrics.normalised_gini(amounts, np.zeros(5)) == pytest.approx(0.0)
    assert np.isnan(metrics.normalised_gini([0, 0], [1, 2]))
    y, p = _data(300, 7, tied=False)
    assert metrics.normalised_gini(y, p) == pytest.approx(2 * metrics.auc(y, p) - 1)
