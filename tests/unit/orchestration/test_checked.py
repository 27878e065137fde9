"""The raw gate looks at each record once, and at all of them when anything but that changed."""

from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from expectations.engine import validate
from expectations.suite import TABLE, WHOLE, Suite, no_rows
from ingestion.session import CORRECTIONS
from orchestration.config import Settings, settings
from orchestration.lib.checked import note_checked, of_what_came, raw_state

SUITE = Suite(
    table="raw.things",
    gate="raw",
    part="shop",
    query="select * from raw.things where _source = 'shop'",
    expectations=[
        no_rows("rows", "It has rows.", f"select 1 from (select count(*) as n from {WHOLE} as t) "
                "as counted where n = 0"),
        no_rows("good", "Nothing is bad.", f"select 1 from {TABLE} where is_bad"),
        no_rows("few", "There are two at most.", f"select 1 from (select count(*) as n from "
                f"{WHOLE} as t) as counted where n > 2"),
    ],
)  # fmt: skip


@pytest.fixture
def habitus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("HABITUS_HOME", str(tmp_path))
    return settings("cdnow")


def land(habitus: Settings, name: str, *, is_bad: bool = False) -> Path:
    """Write a batch of one record."""
    path = habitus.lake / "raw" / "things" / f"{name}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    duckdb.execute(
        f"copy (select '{name}' as _batch_id, 1 as _row_number, 'shop' as _source, "
        f"{is_bad} as is_bad) to '{path}'"
    )
    return path


def narrowed(habitus: Settings, *suites: Suite) -> list[Suite]:
    """What the gate would look at now."""
    chosen = suites or (SUITE,)
    return of_what_came(habitus, chosen, raw_state(habitus, chosen))


def let_through(habitus: Settings) -> None:
    """Note that the gate passed what is there."""
    note_checked(habitus, raw_state(habitus, (SUITE,)))


def failed(habitus: Settings, suite: Suite) -> set[str]:
    """Names of what is not met."""
    with duckdb.connect() as con:
        con.execute("create schema raw")
        files = habitus.lake / "raw" / "things" / "*.parquet"
        con.execute(f"create view raw.things as select * from read_parquet('{files}')")
        return {r.expectation for r in validate(con, suite) if r.status != "passed"}


def test_each_record_is_looked_at_when_it_has_come(habitus: Settings) -> None:
    land(habitus, "a", is_bad=True)
    assert narrowed(habitus) == [SUITE]
    assert failed(habitus, SUITE) == {"good"}
    let_through(habitus)
    (nothing,) = narrowed(habitus)
    assert failed(habitus, nothing) == set()
    land(habitus, "b")
    land(habitus, "c")
    (came,) = narrowed(habitus)
    assert failed(habitus, came) == {"few"}
    land(habitus, "d", is_bad=True)
    (came,) = narrowed(habitus)
    assert failed(habitus, came) == {"few", "good"}


def test_all_is_looked_at_when_more_than_that_changed(habitus: Settings) -> None:
    kept = land(habitus, "a")
    let_through(habitus)
    (nothing,) = narrowed(habitus)
    assert nothing != SUITE

    other = replace(SUITE, expectations=SUITE.expectations[:2])
    assert narrowed(habitus, other) == [other]

    land(habitus, f"{CORRECTIONS}1")
    assert narrowed(habitus) == [SUITE]
    let_through(habitus)

    land(habitus, "a", is_bad=True)
    assert narrowed(habitus) == [SUITE]
    let_through(habitus)

    held = habitus.lake / "held" / "shop.parquet"
    held.parent.mkdir()
    duckdb.execute(
        f"copy (select 'things' as entity, 'a' as _batch_id, 1 as _row_number) to '{held}'"
    )
    assert narrowed(habitus) == [SUITE]
    let_through(habitus)

    kept.unlink()
    assert narrowed(habitus) == [SUITE]
