"""Counts with noise, for outside the company: differential privacy, and its budget.

What does NOT belong here: which tables are counted (orchestration/lib/release), exact aggregates
for inside (`aggregates`).

Neighbours are two sets of customers of which one has one customer more. Each customer is in one
cell of each table, so one customer changes each table by 1 in one cell, and discrete Laplace noise
of scale tables / epsilon in every cell gives epsilon for all tables together. Cells are named
beforehand, never found in the data: that a cell exists says nothing, and cells of 0 get noise too.
The budget is spent in the ledger before the noise is drawn: who is killed in between has spent.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import opendp.prelude as dp
from filelock import FileLock

SIGNIFICANT = 1e-9
# OpenDP's name for mechanisms whose proofs its own review has not finished; Laplace is among them.
dp.enable_features("contrib")


class BudgetError(ValueError):
    """The budget does not allow a release; the message says what is left."""


@dataclass(frozen=True)
class Table:
    """A table to be released.

    Attributes:
        name: the file's name.
        cells: all its cells, known without looking at the data.
        of_customer: customer -> cell; one cell a customer by construction.
    """

    name: str
    cells: tuple[str, ...]
    of_customer: Mapping[str, str]


@dataclass(frozen=True)
class Spent:
    """One line of the ledger."""

    at: str
    dataset: str
    epsilon: float
    budget: float
    tables: tuple[str, ...]
    snapshot: int


def exact(table: Table) -> list[int]:
    """Customers in each cell.

    Raises:
        ValueError: a customer is in a cell that was not named beforehand.
    """
    counts = dict.fromkeys(table.cells, 0)
    for cell in table.of_customer.values():
        if cell not in counts:
            raise ValueError(
                f"release: {table.name} has customers in {cell!r}, which is not among its cells"
            )
        counts[cell] += 1
    return list(counts.values())


def noisy(tables: Sequence[Table], epsilon: float) -> dict[str, list[tuple[str, int]]]:
    """Each table's cells with noise; below 0 becomes 0, which costs nothing.

    Args:
        tables: released together, for epsilon in all.
        epsilon: privacy loss, above 0.

    Raises:
        ValueError: epsilon is not a number above 0.
    """
    scale = scale_of(len(tables), epsilon)
    measure = _measurement(scale)
    if measure.map(1) > epsilon / len(tables) * (1 + SIGNIFICANT):
        raise ValueError(f"release: noise of scale {scale} does not give {epsilon}")
    released = {}
    for table in tables:
        counts = [max(0, int(n)) for n in measure(exact(table))]
        released[table.name] = list(zip(table.cells, counts, strict=True))
    return released


@cache
def _measurement(scale: float) -> dp.Measurement:
    space = dp.vector_domain(dp.atom_domain(T=int)), dp.l1_distance(T=int)
    return dp.m.make_laplace(*space, scale=scale)


def scale_of(tables: int, epsilon: float) -> float:
    """Scale of the noise in each cell; 95 % of it lies within three times that."""
    return tables / _checked(epsilon)


def _checked(epsilon: float) -> float:
    if not 0 < epsilon < float("inf"):
        raise ValueError(f"epsilon is {epsilon}: write a number above 0, for instance 0.5")
    return epsilon


def read_ledger(path: Path) -> list[Spent]:
    """What was spent so far.

    Raises:
        BudgetError: a line cannot be read, so that nobody knows what was spent.
    """
    if not path.exists():
        return []
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            said = json.loads(line)
            found.append(Spent(**{**said, "tables": tuple(said["tables"])}))
        except (ValueError, TypeError, KeyError) as error:
            raise BudgetError(
                f"{path}, line {number} cannot be read, so that nobody knows what was spent: "
                "restore the ledger from its copy"
            ) from error
    return found


def spend(path: Path, spent: Spent) -> float:
    """Enter a release into the ledger; gives what was spent in all, this one with it.

    Every release of a dataset counts, whatever its tables and its day: the people are the same.

    Raises:
        BudgetError: more would be spent than the budget, or than the first release's budget.
        ValueError: epsilon is not a number above 0.
    """
    _checked(spent.epsilon)
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_suffix(".lock"), timeout=60):
        before = [s for s in read_ledger(path) if s.dataset == spent.dataset]
        total = sum(s.epsilon for s in before)
        budget = min([spent.budget, *(s.budget for s in before)])
        if total + spent.epsilon > budget * (1 + SIGNIFICANT):
            raise BudgetError(
                f"{total:g} of {budget:g} are spent on {spent.dataset}: {spent.epsilon:g} more are "
                f"not allowed, {max(0.0, budget - total):g} are. What was released stays known; a "
                f"larger budget is a decision about people, taken by editing {path}"
            )
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(spent)) + "\n")
            file.flush()
            os.fsync(file.fileno())
    return total + spent.epsilon


def now() -> str:
    """This moment, ISO 8601, UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")
