"""Curves and calibration show no small count: what a point says of the next one is a count too."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from ml.evaluation.analysis import analyse
from ml.evaluation.curves import calibration_bins, lift_points, roc_points
from ml.evaluation.report_data import ReportData
from orchestration.lib.summary import tells_few

K = 10


def made(seed: int, n: int, rate: float, digits: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    churned = (rng.random(n) < rate).astype(float)
    return churned, np.round(0.2 * churned + rng.random(n), digits)


CASES = list(product(range(4), (60, 700, 9_000), (0.03, 0.5), (2, 6)))


@pytest.mark.parametrize(("seed", "n", "rate", "digits"), CASES)
def test_no_step_of_a_curve_is_a_small_count(seed: int, n: int, rate: float, digits: int) -> None:
    churned, score = made(seed, n, rate, digits)
    points = roc_points(churned, score, K)
    counts = points * [n - churned.sum(), churned.sum()]
    steps = np.diff(counts, axis=0).round().astype(int)
    whole = len(points) == 2  # from nothing to all: rates of 0 and 1 say nothing
    assert whole or not ((steps > 0) & (steps < K)).any()
    assert len(points) <= 202
    if n == 9_000:
        assert len(points) > 15


@pytest.mark.parametrize(("seed", "n", "rate", "digits"), CASES)
def test_no_bin_has_a_small_count(seed: int, n: int, rate: float, digits: int) -> None:
    churned, score = made(seed, n, rate, digits)
    bins = calibration_bins(churned, score.clip(0, 1), K)
    assert bins[:, 4].sum() == n
    events = (bins[:, 1] * bins[:, 4]).round()
    kept = bins[:, 4] - events
    if len(bins) > 1:
        assert not (((events > 0) & (events < K)) | ((kept > 0) & (kept < K))).any()


def test_lift_says_no_more_than_the_curve_that_it_is_read_from() -> None:
    churned, score = made(1, 700, 0.1, 6)
    fewer = lift_points(churned, score, K)
    assert fewer[-1].tolist() == [1, pytest.approx(1)]
    assert not np.allclose(fewer, lift_points(churned, score, 1))


def test_a_cutoff_with_few_of_a_class_is_left_out(full: ReportData) -> None:
    assert len(analyse(full).cutoffs) == 3
    n = analyse(full).cutoffs[0].n
    assert n is not None
    for rate in (4 / n, 1 - 4 / n):
        churn = full.summary["churn"]
        first = {**churn["cutoffs"][0], "base_rate": rate}
        summary = {**full.summary, "churn": {**churn, "cutoffs": [first, *churn["cutoffs"][1:]]}}
        assert len(analyse(replace(full, summary=summary)).cutoffs) == 2


def test_the_limit_is_a_setting(full: ReportData) -> None:
    strict = analyse(replace(full, small_cell=1_000))
    rfm = next(s for s in strict.segment_sets if s.name == "rfm")
    assert {s.label for s in rfm.segments if s.hidden} >= {"cant_lose"}
    few = next(s for s in strict.segment_sets if s.name == "lifecycle")
    assert {s.label for s in few.segments if s.hidden} >= {"new"}


@pytest.mark.parametrize(
    ("churned", "told"), [(0, False), (1, True), (9, True), (10, False), (91, True), (100, False)]
)
def test_the_summary_leaves_such_a_cutoff_out(churned: int, *, told: bool) -> None:
    assert tells_few({"n": 100, "base_rate": churned / 100}, K) is told
