"""No small cell is shown, and none can be computed from what is."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.aggregates import (
    ALL,
    OTHER,
    Sum,
    is_small,
    merge_small,
    merged_sizes,
    protect,
    suppress,
    too_close,
    width,
)

K = 3
HIGHEST = 8
ROWS, COLUMNS = ("a", "b"), ("x", "y", "z")
# Every table of 2 x 3 counts up to HIGHEST: what an attacker tries.
EVERY = np.array(list(product(range(HIGHEST + 1), repeat=6)), dtype=np.int8)


def possible(shown: pd.DataFrame) -> np.ndarray:
    """All tables of six counts that agree with everything that is shown, totals included."""
    fits = np.ones(len(EVERY), dtype=bool)
    for row, column, count in shown.itertuples(index=False):
        if pd.notna(count):
            fits &= combined(EVERY, row, column) == count
    return EVERY[fits]


def combined(tables: np.ndarray, row: str, column: str) -> np.ndarray:
    grid = tables.reshape(-1, 2, 3)
    rows = [ROWS.index(row)] if row != ALL else [0, 1]
    columns = [COLUMNS.index(column)] if column != ALL else [0, 1, 2]
    return grid[:, rows][:, :, columns].sum(axis=(1, 2))


counts_2x3 = st.lists(st.integers(0, HIGHEST - K), min_size=6, max_size=6)


@settings(max_examples=40, deadline=None)
@given(counts_2x3)
def test_an_attacker_who_tries_everything_finds_no_small_cell(counts: list[int]) -> None:
    table = pd.DataFrame(list(product(ROWS, COLUMNS)), columns=["row", "column"])
    table["people"] = counts
    shown = suppress(table, ["row", "column"], ["people"], K)
    assert not any(is_small(int(n), K) for n in shown["people"].dropna())
    tables = possible(shown)
    assert (tables == counts).all(axis=1).any()
    for row, column, count in shown.itertuples(index=False):
        if pd.isna(count):
            found = combined(tables, row, column)
            assert found.max() - found.min() >= K, (row, column)
    # Every union of cells, also over rows and columns: what is known of it exactly is not small.
    grid = tables.reshape(len(tables), 6)
    for chosen in product((False, True), repeat=6):
        sums = grid[:, list(chosen)].sum(axis=1)
        if sums.min() == sums.max():
            assert not is_small(int(sums[0]), K)


@settings(max_examples=100, deadline=None)
@given(counts_2x3)
def test_no_difference_of_a_whole_and_shown_parts_is_small(counts: list[int]) -> None:
    table = pd.DataFrame(list(product(ROWS, COLUMNS)), columns=["row", "column"])
    table["people"] = counts
    cells = {(r, c): n for r, c, n in suppress(table, ["row", "column"], ["people"], K).to_numpy()}
    for (row, column), whole in cells.items():
        if pd.isna(whole):
            continue
        for by, names in ((0, ROWS), (1, COLUMNS)):
            if (row, column)[by] != ALL:
                continue
            parts = [cells[(v, column) if by == 0 else (row, v)] for v in names]
            for some in product((False, True), repeat=len(parts)):
                taken = [n for n, yes in zip(parts, some, strict=True) if yes]
                if not any(pd.isna(n) for n in taken):
                    assert not is_small(int(whole - sum(taken)), K)


def test_without_complements_the_attacker_wins() -> None:
    """The brute force above is no check that cannot fail."""
    naive = pd.DataFrame(list(product((*ROWS, ALL), (*COLUMNS, ALL))), columns=["row", "column"])
    counts = np.array([[1, 4, 5], [4, 4, 4]])
    whole = np.block([[counts, counts.sum(1)[:, None]], [counts.sum(0), counts.sum()]]).flatten()
    naive["people"] = pd.array([None if is_small(n, K) else n for n in whole], dtype="Int64")
    tables = possible(naive)
    assert len(np.unique(tables[:, 0])) == 1


def test_hierarchies() -> None:
    """town < region < country: a hidden town hides its neighbour, not its region."""
    counts = [7, 50, 60, 40, 57, 100, 157]
    sums = [Sum(4, (0, 1)), Sum(5, (2, 3)), Sum(6, (4, 5))]
    assert protect(counts, sums, 10) == {0, 1}
    only_towns = [7, 3, 60, 40, 10, 100, 110]
    assert protect(only_towns, sums, 10) == {0, 1}
    # A region that is small as a whole goes with the other region.
    small = [2, 3, 60, 40, 5, 100, 105]
    hidden = protect(small, sums, 10)
    assert {0, 1, 4} < hidden
    assert all(width(small, sums, hidden, cell) >= 10 for cell in hidden)


def test_a_sum_that_does_not_add_up_is_refused() -> None:
    with pytest.raises(ValueError, match="not the sum"):
        protect([1, 2, 4], [Sum(2, (0, 1))], 10)


def test_three_dimensions_and_two_counts() -> None:
    table = pd.DataFrame(list(product("ab", "cd", "ef")), columns=["one", "two", "three"])
    table["people"] = [4, 20, 30, 25, 40, 50, 60, 70]
    table["buyers"] = [2, 15, 30, 25, 3, 50, 60, 70]
    shown = suppress(table, ["one", "two", "three"], ["people", "buyers"], 10)
    assert len(shown) == 27
    assert (shown["people"].isna() == shown["buyers"].isna()).all()
    for column in ("people", "buyers"):
        assert not shown[column].dropna().between(1, 9).any()
    assert shown["people"].notna().sum() > len(shown) / 3
    again = suppress(table.sample(frac=1, random_state=1), ["one", "two", "three"], ["people"], 10)
    assert len(again) == 27


def test_names_that_mean_totals_are_refused() -> None:
    table = pd.DataFrame({"x": ["all", "b"], "n": [20, 30]})
    with pytest.raises(ValueError, match="named 'all'"):
        suppress(table, ["x"], ["n"], 10)
    with pytest.raises(ValueError, match="stands twice"):
        suppress(pd.DataFrame({"x": ["b", "b"], "n": [20, 30]}), ["x"], ["n"], 10)


@settings(max_examples=300, deadline=None)
@given(
    st.dictionaries(st.sampled_from("abcdefg"), st.integers(0, 30), max_size=7),
    st.integers(0, 30),
)
def test_merged_labels(sizes: dict[str, int], unlabelled: int) -> None:
    shown = merged_sizes(sizes, 10, unlabelled=unlabelled)
    assert all(n >= 10 for n in shown.values())
    total = sum(sizes.values()) + unlabelled
    left = total - sum(shown.values())
    if shown:
        # What no label shows is nobody, or enough people; and each label with the rest is too.
        assert not is_small(left, 10)
        assert list(shown)[-1] == OTHER or OTHER not in shown
    else:
        assert sum(sizes.values()) < 10 or not sizes


def test_other_grows_until_it_can_be_shown() -> None:
    sizes = {"a": 3, "b": 4, "c": 12, "d": 100}
    assert merge_small(sizes, 10) == {"a": OTHER, "b": OTHER, "c": OTHER, "d": "d"}
    assert merged_sizes(sizes, 10) == {"d": 100, OTHER: 19}
    assert merged_sizes({"c": 12, "d": 100}, 10) == {"c": 12, "d": 100}
    assert merged_sizes({"a": 3}, 10) == {}
    assert merged_sizes({"c": 12, "d": 100}, 10, unlabelled=4) == {"d": 100, OTHER: 16}
    assert merged_sizes({"c": 12, "d": 100}, 10, merge=["d"]) == {"c": 12, OTHER: 100}


def test_groups_that_differ_by_few_people() -> None:
    def close(groups: dict[str, range]) -> list[tuple[str, str]]:
        return too_close({name: np.array(who) for name, who in groups.items()}, 100, 10)

    groups = {"prospects": range(40), "never bought": range(37), "even": range(0, 100, 2)}
    assert close(groups) == [("prospects", "never bought")]
    # Disjoint, and together nearly everybody: those who are left are few.
    assert close({"low": range(50), "high": range(53, 100)}) == [("low", "high")]
    # Everybody, and few in both.
    assert close({"low": range(53), "high": range(50, 100)}) == [("low", "high")]
    assert close({"low": range(50), "also": range(50)}) == []
    assert close({}) == []
