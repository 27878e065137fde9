"""The raw gate looks at each record once, and at all of them when anything but that changed."""

from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from expectations.engine import validate
from expectations.suite import TABLE, WHOLE, Suite, no_rows
from ingestion.session import CORRECTIONS
from orchestration.config import Settings, settings
from orchestration.lib.checked import narrowed, note_checked, raw_state, what_came
from orchestration.lib.lake import create_input_views

SUITE = Suite(
    table="raw.things",
    gate="raw",
    part="shop",
    where="_source = 'shop'",
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


def came(habitus: Settings, *suites: Suite) -> list[str] | None:
    """Batches that the gate would look at now; None for all."""
    found = what_came(habitus, raw_state(habitus, suites or (SUITE,)))
    return [Path(name).stem for name in found["things"]] if found else None


def hold(habitus: Settings, batch: str) -> None:
    """Let a batch's record wait for what it refers to."""
    path = habitus.lake / "held" / "shop.parquet"
    path.parent.mkdir(parents=True)
    duckdb.execute(
        f"copy (select 'things' as entity, '{batch}' as _batch_id, 1 as _row_number) to '{path}'"
    )


def let_through(habitus: Settings) -> None:
    """Note that the gate passed what is there."""
    note_checked(habitus, raw_state(habitus, (SUITE,)))


def failed(habitus: Settings) -> set[str]:
    """Names of what is not met when the gate looks now."""
    files = what_came(habitus, raw_state(habitus, (SUITE,)))
    (suite,) = narrowed((SUITE,), files)
    with duckdb.connect() as con:
        create_input_views(con, habitus.version_home, files)
        return {r.expectation for r in validate(con, suite) if r.status != "passed"}


def test_each_record_is_looked_at_when_it_has_come(habitus: Settings) -> None:
    land(habitus, "a", is_bad=True)
    assert came(habitus) is None
    assert failed(habitus) == {"good"}
    let_through(habitus)
    assert came(habitus) == []
    assert failed(habitus) == set()
    land(habitus, "b")
    land(habitus, "c")
    assert came(habitus) == ["b", "c"]
    assert failed(habitus) == {"few"}
    land(habitus, "d", is_bad=True)
    assert failed(habitus) == {"few", "good"}


def test_a_record_that_waits_is_not_looked_at(habitus: Settings) -> None:
    hold(habitus, "b")
    land(habitus, "a")
    let_through(habitus)
    land(habitus, "b", is_bad=True)
    assert came(habitus) == ["b"]
    assert failed(habitus) == set()
    land(habitus, "c", is_bad=True)
    assert failed(habitus) == {"good"}


def test_an_entity_that_cannot_be_narrowed_is_read_whole(habitus: Settings) -> None:
    assert narrowed((SUITE,), ()) == [SUITE]
    (suite,) = narrowed((SUITE,), {"things"})
    assert (suite.whole, suite.table) == (SUITE.sql, SUITE.table)
    assert suite.sql == "select * from came.things where _source = 'shop'"


def test_all_is_looked_at_when_more_than_that_changed(habitus: Settings) -> None:
    kept = land(habitus, "a")
    let_through(habitus)
    assert came(habitus) == []

    other = replace(SUITE, expectations=SUITE.expectations[:2])
    assert came(habitus, other) is None

    land(habitus, f"{CORRECTIONS}1")
    assert came(habitus) is None
    let_through(habitus)

    land(habitus, "a", is_bad=True)
    assert came(habitus) is None
    let_through(habitus)

    hold(habitus, "a")
    assert came(habitus) is None
    let_through(habitus)

    kept.unlink()
    assert came(habitus) is None
