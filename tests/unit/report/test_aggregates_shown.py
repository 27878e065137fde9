"""The published aggregates as files: every number, and every pair of numbers."""

import csv
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from orchestration.lib.aggregates import People, aggregate, shown_labels, write_aggregates
from orchestration.lib.evaluation import profiles
from privacy.aggregates import OTHER

K = 10
SETS = {"rfm": "rfm_segment", "stage": "lifecycle_stage"}


def people(seed: int, size: int) -> People:
    """Customers with unequal segments, sets of which one nearly repeats another, and cohorts."""
    rng = np.random.default_rng(seed)
    names = np.array([f"c_{i:04d}" for i in range(size)])
    rfm = rng.choice(list("abcdef"), size, p=[0.4, 0.3, 0.15, 0.1, 0.04, 0.01]).astype(object)
    stage = np.where(rng.random(size) < 0.02, "z", np.where(rfm == "a", "prospect", "active"))
    stage = stage.astype(object)
    stage[rng.random(size) < 0.02] = None
    months, first = [], rng.choice(6, size, p=[0.5, 0.25, 0.12, 0.08, 0.04, 0.01])
    for name, start, segment in zip(names, first, rfm, strict=True):
        if segment == "a":
            continue
        later = [p for p in range(1, 6 - start) if rng.random() < 0.5 / p]
        months += [(name, f"2024-0{start + 1}-01", p, 1, 10.0) for p in (0, *later)]
    columns = ["customer", "cohort", "period", "orders", "revenue"]
    labels = pd.DataFrame({"rfm": rfm, "stage": stage}, index=pd.Index(names, name="customer"))
    complete = {(f"2024-0{c + 1}-01", p): True for c in range(6) for p in range(6 - c)}
    return People(labels, pd.DataFrame(months, columns=columns), complete)


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def who(data: People, folder: Path) -> dict[tuple[str, ...], tuple[int, set[str]]]:
    """Every number of the files, beside the customers that it can only mean.

    `other`, and customers without a label, are what a set's other labels leave.
    """
    found: dict[tuple[str, ...], tuple[int, set[str]]] = {}
    segments = read(folder / "segments.csv")
    for row in segments:
        labels = data.labels[row["set"]].dropna()
        mine = set(labels.index[labels == row["label"]])
        if row["label"] == OTHER:
            named = {r["label"] for r in segments if r["set"] == row["set"]}
            mine = set(labels.index[~labels.isin(named - {OTHER})])
            if int(row["customers"]) != len(mine):
                mine |= set(data.labels.index[data.labels[row["set"]].isna()])
        found["segments", row["set"], row["label"]] = (int(row["customers"]), mine)
    for row in read(folder / "cohorts.csv"):
        if row["customers"]:
            rows = data.months
            rows = rows if row["cohort"] == "all" else rows[rows["cohort"] == row["cohort"]]
            found["cohort", row["cohort"]] = (int(row["customers"]), set(rows["customer"]))
    for row in read(folder / "retention.csv"):
        if row["retained"]:
            rows = data.months[data.months["cohort"] == row["cohort"]]
            rows = rows[rows["period"] == int(row["period"])]
            key = ("retained", row["cohort"], row["period"])
            found[key] = (int(row["retained"]), set(rows["customer"]))
            assert float(row["rate"]) == pytest.approx(
                int(row["retained"]) / int(row["customers"]), abs=1e-4
            )
    return found


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("size", [30, 120, 500])
def test_every_number_and_every_pair(seed: int, size: int, tmp_path: Path) -> None:
    data = people(seed, size)
    write_aggregates(tmp_path, aggregate(data, K))
    found = who(data, tmp_path)
    for key, (n, mine) in found.items():
        assert n == len(mine), key
        assert n == 0 or n >= K, key
    total = len(data.labels)
    for (a, (n, mine)), (b, (m, others)) in combinations(found.items(), 2):
        if mine <= others or others <= mine:
            assert abs(n - m) == 0 or abs(n - m) >= K, (a, b)
        if not mine & others:
            assert total - n - m == 0 or total - n - m >= K, (a, b)
    cohorts = {r["cohort"]: r["customers"] for r in read(tmp_path / "cohorts.csv")}
    whole = cohorts.pop("all")
    if whole:
        rest = int(whole) - sum(int(n) for n in cohorts.values() if n)
        assert rest == 0 or rest >= K


def test_without_hiding_the_walk_finds_what_is_small(tmp_path: Path) -> None:
    """The walk above is no check that cannot fail."""
    data = people(0, 120)
    write_aggregates(tmp_path, aggregate(data, 1))
    found = who(data, tmp_path)
    assert any(0 < n < K for n, _ in found.values())
    assert any(a < b and len(b) - len(a) < K for (_, a), (_, b) in combinations(found.values(), 2))


def test_hardly_anything_is_hidden_where_groups_are_large() -> None:
    shown = aggregate(people(1, 20_000), K)
    assert OTHER not in shown.segments["rfm"]
    assert shown.retention["retained"].notna().all()


def test_a_set_that_can_be_told_from_another_gives_way() -> None:
    """Two labels of different sets that differ by three people."""
    names = pd.Index([f"c_{i}" for i in range(100)], name="customer")
    labels = pd.DataFrame(index=names)
    labels["one"] = ["x"] * 40 + ["y"] * 60
    labels["two"] = ["x"] * 37 + ["y"] * 63
    months = pd.DataFrame(columns=["customer", "cohort", "period", "orders", "revenue"])
    shown = aggregate(People(labels, months, {}), K)
    assert sorted(map(len, shown.segments.values())) in ([0, 2], [1, 2])


def test_formulas_are_escaped(tmp_path: Path) -> None:
    names = pd.Index([f"c_{i}" for i in range(40)], name="customer")
    labels = pd.DataFrame({"own": ['=HYPERLINK("x")'] * 20 + ["+1"] * 20}, index=names)
    months = pd.DataFrame(columns=["customer", "cohort", "period", "orders", "revenue"])
    write_aggregates(tmp_path, aggregate(People(labels, months, {}), K))
    assert [r["label"] for r in read(tmp_path / "segments.csv")] == ["'+1", '\'=HYPERLINK("x")']


def test_the_reports_counts_are_those_of_the_summary() -> None:
    """Else the difference of two counts of one label would tell who has none."""
    for seed in range(8):
        data = people(seed, 150)
        shown = aggregate(data, K)
        frame = data.labels.rename(columns=SETS).reset_index().assign(frequency=1.0)
        table = profiles(shown_labels(shown, frame, SETS), SETS, K)
        counts = {(r.set, r.label): r.customers for r in table.itertuples(index=False)}
        expected = {
            (n, label): c for n, sizes in shown.segments.items() for label, c in sizes.items()
        }
        assert counts == expected
