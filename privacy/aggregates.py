"""Counts of people that can be shown: no small cell, and none that the others give away.

What does NOT belong here: which tables are published, reading them, noise (`release`).

A *cell* is a count of people, a *sum* says that one cell (the whole) is the sum of others (its
parts). Cells of 1 to k - 1 are hidden, and then as many more as it takes so that whoever knows all
that is shown, and that people are counted in whole numbers from 0, cannot pin down any hidden cell
to less than k different values more. That bound is computed, by integer programming, not assumed;
it also makes every difference of a shown whole and its shown parts 0 or at least k, because that
difference would bound each hidden cell in it.

Not covered: that whoever knows this algorithm knows that one of the hidden cells is small, and that
two releases of nearly the same data differ by few people (docs/summary.md).
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TypeVar

import numpy as np
import pandas as pd
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array

Name = TypeVar("Name", bound=Hashable)
OTHER = "other"
ALL = "all"
K = 10


@dataclass(frozen=True)
class Sum:
    """The whole is the sum of its parts; all are places in a list of cells."""

    whole: int
    parts: tuple[int, ...]


def is_small(count: int, k: int) -> bool:
    """Whether a count of people may not be shown."""
    return 0 < count < k


def merge_small(
    sizes: Mapping[str, int], k: int, *, unlabelled: int = 0, merge: Collection[str] = ()
) -> dict[str, str]:
    """Labels of disjoint groups -> the labels under which they can be shown.

    Groups under k become `other`, and while that is under k the next smallest joins it. So what is
    shown adds up, and each is at least k people; where all together are fewer, nothing is shown.

    Args:
        sizes: label -> people.
        k: smallest group that may be shown.
        unlabelled: people of the population without a label. Where they are few, the total would
            give them away: they are then counted in `other` by `merged_sizes`.
        merge: labels that become `other` whatever their size.
    """
    joined = {label for label, n in sizes.items() if n < k or label in merge or label == OTHER}
    spare = sorted((n, label) for label, n in sizes.items() if label not in joined)
    extra = unlabelled if is_small(unlabelled, k) else 0
    while spare and is_small(sum(sizes[label] for label in joined) + extra, k):
        joined.add(spare.pop(0)[1])
    return {label: OTHER if label in joined else label for label in sizes}


def merged_sizes(
    sizes: Mapping[str, int], k: int, *, unlabelled: int = 0, merge: Collection[str] = ()
) -> dict[str, int]:
    """People by the label under which they can be shown, in order of label, `other` last."""
    shown: dict[str, int] = {}
    for label, under in merge_small(sizes, k, unlabelled=unlabelled, merge=merge).items():
        shown[under] = shown.get(under, 0) + sizes[label]
    if is_small(unlabelled, k):
        shown[OTHER] = shown.get(OTHER, 0) + unlabelled
    ordered = sorted(shown.items(), key=lambda item: (item[0] == OTHER, item[0]))
    return {label: n for label, n in ordered if n >= k}


def protect(
    counts: Sequence[int], sums: Sequence[Sum], k: int, hide: Collection[int] = ()
) -> frozenset[int]:
    """Places of the cells that have to be hidden.

    Greedy: while a hidden cell is bounded too narrowly, the smallest shown cell of the sum that
    bounds it is hidden too, or the whole where no part is left.

    Args:
        counts: people in each cell.
        sums: which cells are sums of which; those of one whole may overlap with those of another.
        k: smallest count that may be shown, and smallest width of what can be known of a hidden
            one.
        hide: places that are hidden in any case.

    Raises:
        ValueError: a sum does not add up.
    """
    for s in sums:
        if counts[s.whole] != sum(counts[p] for p in s.parts):
            raise ValueError(f"cell {s.whole} is {counts[s.whole]}, not the sum of its parts")
    hidden = {i for i, n in enumerate(counts) if is_small(n, k)} | set(hide)
    wide: set[int] = set()
    while narrow := _narrow(counts, sums, k, hidden, wide):
        hidden.add(_complement(counts, sums, hidden, narrow[0]))
    return frozenset(hidden)


def _narrow(
    counts: Sequence[int], sums: Sequence[Sum], k: int, hidden: set[int], wide: set[int]
) -> list[int]:
    """The first hidden cell that is known too well, or nothing.

    `wide` keeps those that are not: hiding more cells can only widen what is known of one.
    """
    for s in sums:
        unknown = [i for i in (s.whole, *s.parts) if i in hidden]
        if len(unknown) == 1:
            return unknown
        if s.whole not in hidden and is_small(sum(counts[i] for i in unknown), k):
            return unknown[:1]
    for cell in sorted(hidden - wide):
        if width(counts, sums, hidden, cell) < k:
            return [cell]
        wide.add(cell)
    return []


def width(counts: Sequence[int], sums: Sequence[Sum], hidden: Collection[int], cell: int) -> float:
    """Largest less smallest whole number that a hidden cell may be, by all that is shown."""
    near = _connected(sums, hidden, cell)
    places = {i: place for place, i in enumerate(sorted(near))}
    rows, known = [], []
    for s in sums:
        members = [i for i in (s.whole, *s.parts) if i in places]
        if not members:
            continue
        row = np.zeros(len(places))
        for part in s.parts:
            if part in places:
                row[places[part]] += 1
        if s.whole in places:
            row[places[s.whole]] -= 1
        shown = sum(counts[p] for p in s.parts if p not in places)
        rows.append(row)
        known.append(-shown + (0 if s.whole in places else counts[s.whole]))
    if not rows:
        return float("inf")
    goal = np.zeros(len(places))
    goal[places[cell]] = 1
    exact = LinearConstraint(np.array(rows), known, known)
    ends = [
        milp(sign * goal, constraints=exact, integrality=np.ones(len(places)), bounds=Bounds(0))
        for sign in (1, -1)
    ]
    # The true counts are a solution, so what has none that is best has no bound.
    if any(end.x is None for end in ends):
        return float("inf")
    return float(round(-ends[1].fun) - round(ends[0].fun))


def _connected(sums: Sequence[Sum], hidden: Collection[int], cell: int) -> set[int]:
    """Hidden cells that share a sum with a cell, or with one that does."""
    near, grown = {cell}, True
    unknown = [{i for i in (s.whole, *s.parts) if i in hidden} for s in sums]
    while grown:
        grown = False
        for members in unknown:
            if members & near and not members <= near:
                near |= members
                grown = True
    return near


def _complement(
    counts: Sequence[int], sums: Sequence[Sum], hidden: Collection[int], cell: int
) -> int:
    """The cheapest cell whose hiding loosens what bounds another."""
    bounding = sorted(
        (s for s in sums if cell in (s.whole, *s.parts)),
        key=lambda s: (
            s.whole in hidden,
            sum(counts[p] for p in s.parts if p in hidden),
            s.whole,
        ),
    )
    shown_parts = [[p for p in s.parts if p not in hidden and counts[p]] for s in bounding]
    for parts, s in zip(shown_parts, bounding, strict=True):
        if parts:
            return min(parts, key=lambda p: (counts[p], p))
        if s.whole not in hidden:
            return s.whole
    rest = [i for i in range(len(counts)) if i not in hidden]
    return min(rest, key=lambda i: (counts[i] == 0, counts[i], i))


def suppress(
    table: pd.DataFrame, dimensions: Sequence[str], counts: Sequence[str], k: int = K
) -> pd.DataFrame:
    """A table of counts with all its totals, in which what must be hidden is missing.

    Args:
        table: one row for each combination of the dimensions that occurs; the others are 0.
        dimensions: columns that say which cell; each total stands under `all`.
        counts: columns with people. A cell is hidden in all of them where it is in one.
        k: smallest count that may be shown.

    Returns:
        The dimensions as text, and the counts as Int64 (missing where hidden), one row for each
        cell and each total, ordered by the dimensions.

    Raises:
        ValueError: a combination stands twice, or a value is named `all`.
    """
    values = [sorted(table[d].astype(str).unique()) for d in dimensions]
    if any(ALL in found for found in values):
        raise ValueError(f"a value of {', '.join(dimensions)} is named {ALL!r}, as totals are")
    keys = list(product(*([*found, ALL] for found in values)))
    places = {key: i for i, key in enumerate(keys)}
    sums = [
        Sum(i, tuple(places[(*key[:d], v, *key[d + 1 :])] for v in values[d]))
        for key, i in places.items()
        for d in range(len(dimensions))
        if key[d] == ALL and values[d]
    ]
    cells = list(zip(*(table[d].astype(str) for d in dimensions), strict=True))
    if len(set(cells)) != len(cells):
        raise ValueError(f"a combination of {', '.join(dimensions)} stands twice")
    columns = {c: _with_totals(dict(zip(cells, table[c], strict=True)), keys) for c in counts}
    hidden: frozenset[int] = frozenset()
    while True:
        before = hidden
        for numbers in columns.values():
            hidden = protect(numbers, sums, k, hidden)
        if hidden == before:
            break
    result = pd.DataFrame(keys, columns=list(dimensions))
    for name, numbers in columns.items():
        shown = [None if i in hidden else n for i, n in enumerate(numbers)]
        result[name] = pd.array(shown, dtype="Int64")
    return result


def _with_totals(
    cells: Mapping[tuple[str, ...], int], keys: Sequence[tuple[str, ...]]
) -> list[int]:
    """The count of every cell and total, in order of the keys."""
    totals = dict.fromkeys(keys, 0)
    for cell, n in cells.items():
        for key in product(*((value, ALL) for value in cell)):
            totals[key] += int(n)
    return [totals[key] for key in keys]


def too_close(groups: Mapping[Name, np.ndarray], people: int, k: int) -> list[tuple[Name, Name]]:
    """Pairs of groups of people whose sizes, with everybody's, give a small group away.

    Two groups cut everybody into four: both, one, the other, neither. Where one of the four is
    empty, as when one group is part of the other, the sizes tell the other three.

    Args:
        groups: name -> numbers of its people, from 0, each once.
        people: how many there are.
        k: smallest count that may be told.

    Returns:
        Pairs in the groups' order.
    """
    if not groups:
        return []
    names = list(groups)
    ends = np.cumsum([0, *(len(groups[name]) for name in names)])
    members = np.concatenate([groups[name] for name in names]).astype(np.int64)
    # Few groups a person: the product costs their square for each person, not for each group.
    inside = csr_array(
        (np.ones(len(members), dtype=np.int64), members, ends), shape=(len(names), people)
    )
    both = (inside @ inside.T).toarray()
    sizes = both.diagonal()
    one, other = sizes[:, None] - both, sizes[None, :] - both
    parts = np.stack([both, one, other, people - both - one - other])
    told = (parts.min(axis=0) == 0) & ((parts > 0) & (parts < k)).any(axis=0)
    first, second = np.nonzero(np.triu(told, 1))
    return [(names[i], names[j]) for i, j in zip(first, second, strict=True)]
