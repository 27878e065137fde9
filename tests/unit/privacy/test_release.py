"""Noise of the right size, and a budget that cannot be overdrawn."""

import statistics
from dataclasses import replace
from pathlib import Path

import pytest

from privacy.release import BudgetError, Spent, Table, exact, noisy, read_ledger, scale_of, spend

TABLE = Table("cohorts", ("2024", "2025", "none"), {f"c{i}": "2024" for i in range(500)})
SPENT = Spent("2025-01-01T00:00:00+00:00", "customers", 0.4, 1.0, ("cohorts",), 7)


def test_every_named_cell_is_released_and_none_else() -> None:
    assert exact(TABLE) == [500, 0, 0]
    released = noisy([TABLE], 1.0)["cohorts"]
    assert [cell for cell, _ in released] == list(TABLE.cells)
    with pytest.raises(ValueError, match="not among its cells"):
        exact(replace(TABLE, cells=("2025",)))


@pytest.mark.parametrize(("epsilon", "tables"), [(1.0, 1), (0.2, 1), (1.0, 2)])
def test_the_noise_has_the_scale_that_epsilon_asks_for(epsilon: float, tables: int) -> None:
    """The mean absolute deviation of Laplace noise is its scale."""
    drawn = []
    for _ in range(400):
        released = noisy([replace(TABLE, name=str(i)) for i in range(tables)], epsilon)
        drawn += [abs(rows[0][1] - 500) for rows in released.values()]
    assert statistics.mean(drawn) == pytest.approx(scale_of(tables, epsilon), rel=0.25, abs=0.15)


def test_neighbours_are_told_apart_by_no_more_than_epsilon() -> None:
    """One customer more: no outcome becomes more than exp(epsilon) times as likely."""
    epsilon, draws = 1.0, 20_000
    one = Table("t", ("a",), {f"c{i}": "a" for i in range(50)})
    two = replace(one, of_customer={**one.of_customer, "new": "a"})
    counts = [[noisy([table], epsilon)["t"][0][1] for _ in range(draws)] for table in (one, two)]
    for value in range(47, 55):
        first, second = (max(1, found.count(value)) for found in counts)
        # Five standard errors of a count, as nothing is known better than that.
        slack = 1 + 5 / min(first, second) ** 0.5
        assert max(first / second, second / first) < 2.7183**epsilon * slack


@pytest.mark.parametrize("epsilon", [0.0, -1.0, float("nan"), float("inf")])
def test_an_epsilon_that_promises_nothing_is_refused(epsilon: float, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="epsilon"):
        noisy([TABLE], epsilon)
    with pytest.raises(ValueError, match="epsilon"):
        spend(tmp_path / "ledger.jsonl", replace(SPENT, epsilon=epsilon))


def test_the_budget_holds_over_releases(tmp_path: Path) -> None:
    ledger = tmp_path / "release" / "ledger.jsonl"
    assert spend(ledger, SPENT) == pytest.approx(0.4)
    assert spend(ledger, SPENT) == pytest.approx(0.8)
    with pytest.raises(BudgetError, match=r"0\.8 of 1 are spent"):
        spend(ledger, SPENT)
    with pytest.raises(BudgetError, match="not allowed"):
        spend(ledger, replace(SPENT, budget=100.0))
    assert spend(ledger, replace(SPENT, epsilon=0.2)) == pytest.approx(1.0)
    assert spend(ledger, replace(SPENT, dataset="other")) == pytest.approx(0.4)
    assert len(read_ledger(ledger)) == 4


def test_a_ledger_that_cannot_be_read_allows_nothing(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.jsonl"
    spend(ledger, SPENT)
    with ledger.open("a") as file:
        file.write('{"at"')
    with pytest.raises(BudgetError, match="line 2 cannot be read"):
        spend(ledger, SPENT)
