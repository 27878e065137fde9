"""`marts.consent_counts` tells of nobody few: no number does, and no two or three together.

What does not belong here: which answer a statement is (dbt's own unit test of the model).
"""

from itertools import combinations, product
from pathlib import Path
from random import Random

import duckdb
import pytest
from jinja2 import Environment

MODELS = Path(__file__).resolve().parents[3] / "dbt_project" / "models" / "marts" / "customer"
PURPOSES = ["analytics", "personalisation", "marketing"]
ANSWERS = ("granted", "refused", None)
STATES = ("permitted", "refused", "no_answer")
Said = list[tuple[str | None, ...]]


def shown(said: Said, k: int, model: Path = MODELS / "consent_counts.sql") -> dict[str, list[int]]:
    """The mart's numbers by purpose, over customers who said these things of each purpose."""
    sql = Environment(autoescape=False).from_string(model.read_text(encoding="utf-8"))
    query = sql.render(
        config=lambda **_: "",
        env_var=lambda *_: str(k),
        purposes=lambda: PURPOSES,
        ref=lambda name: name,
    )
    con = duckdb.connect()
    con.execute("create table run_clock as select date '2025-01-01' as as_of")
    con.execute(f"create table dim_customers as select 'c' || i as customer, true as is_known, "
                f"0 as orders from range({len(said)}) r(i)")  # fmt: skip
    con.execute(
        "create table dim_consents (customer varchar, purpose varchar, valid_from date, "
        "valid_to date, answer varchar, basis varchar, is_today boolean, may_use boolean)"
    )
    rows = [
        (f"c{i}", purpose, "2024-01-01", None, answer, "consent", True, answer == "granted")
        for i, answers in enumerate(said)
        for purpose, answer in zip(PURPOSES, answers, strict=True)
        if answer
    ]
    if rows:
        con.executemany("insert into dim_consents values (?, ?, ?, ?, ?, ?, ?, ?)", rows)
    found = con.execute(query).fetchall()
    return {row[0]: list(row[2:]) for row in found}


def told(said: Said, purposes: list[str], k: int) -> list[tuple[tuple[str, str], ...]]:
    """Groups of 1 to k - 1 that are cut out by what any of the shown numbers count."""
    state = dict(zip(ANSWERS, STATES, strict=True))
    few = []
    for size in range(1, len(purposes) + 1):
        for some in combinations(purposes, size):
            places = [PURPOSES.index(purpose) for purpose in some]
            for cell in product(STATES, repeat=size):
                n = sum([state[a[p]] for p in places] == list(cell) for a in said)
                if 0 < n < k:
                    few.append(tuple(zip(some, cell, strict=True)))
    return few


def differences(numbers: dict[str, list[int]]) -> set[int]:
    """Differences of any two shown numbers."""
    flat = [n for row in numbers.values() for n in row]
    return {abs(a - b) for a, b in combinations(flat, 2)}


def test_the_refused_cannot_be_worked_out_by_way_of_another_purpose() -> None:
    """Nobody asked is the same people for every purpose, so that 9 refusals would show."""
    said: Said = [("granted", "granted", "granted")] * 100
    said += [("refused", "granted", "granted")] * 9 + [(None, None, None)] * 40
    found = shown(said, 10)
    assert found == {"personalisation": [149, 109, 0, 40], "marketing": [149, 109, 0, 40]}
    assert 9 in differences(shown(said, 1))


def test_who_refused_one_and_not_the_other_is_not_told() -> None:
    """Each number is large; 20 refused the one, 25 the other, and the 20 are among the 25."""
    said: Said = [("granted",) * 3] * 100 + [("refused", "refused", "granted")] * 20
    said += [("granted", "refused", "granted")] * 5
    found = shown(said, 10)
    assert set(found) == {"marketing", "analytics"}
    assert not {d for d in differences(found) if 0 < d < 10}
    assert 5 in differences(shown(said, 5))


def test_what_is_safe_is_shown() -> None:
    said: Said = [("granted",) * 3] * 30 + [("refused",) * 3] * 12 + [(None,) * 3] * 10
    assert shown(said, 10) == {p: [52, 30, 12, 10] for p in PURPOSES}
    assert shown([], 10) == {p: [0, 0, 0, 0] for p in PURPOSES}
    assert shown([("granted",) * 3] * 9, 10) == {}


@pytest.mark.parametrize("seed", range(25))
def test_no_combination_of_shown_numbers_cuts_out_a_few(seed: int) -> None:
    random = Random(seed)
    kinds = [tuple(random.choice(ANSWERS) for _ in PURPOSES) for _ in range(random.randint(1, 5))]
    said: Said = [kind for kind in kinds for _ in range(random.choice((2, 9, 10, 30, 90)))]
    found = shown(said, 10)
    assert not told(said, list(found), 10)
    if told(said, PURPOSES, 10):
        assert len(found) < len(PURPOSES)
