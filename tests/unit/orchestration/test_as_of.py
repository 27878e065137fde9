"""A rebuild of the past has a home of its own."""

import json
from datetime import UTC, date, datetime
from pathlib import Path

import dagster as dg
import pytest
from small_lake import build, deployment, publish, versions

from orchestration.lib.run_parameters import (
    AS_OF_TAG,
    AsOfError,
    as_of_day,
    at_day,
    write_run_parameters,
)
from orchestration.lib.summary import collect, write_summary


@pytest.mark.parametrize("text", ["yesterday", "2025-13-01", "", "2999-01-01"])
def test_what_is_no_day_that_has_ended(text: str) -> None:
    with pytest.raises(AsOfError, match="day"):
        as_of_day(text)


def test_today_has_not_ended() -> None:
    with pytest.raises(AsOfError, match="not ended"):
        as_of_day(datetime.now(UTC).date().isoformat())


def test_without_the_tag_it_is_the_present(tmp_path: Path) -> None:
    habitus = deployment(tmp_path)
    assert at_day(habitus, {"habitus/other": "x"}) == habitus
    write_run_parameters(habitus, "r")
    assert json.loads((habitus.lake / "run.json").read_text())["as_of"] is None


def test_it_shares_raw_and_nothing_that_is_built(tmp_path: Path) -> None:
    habitus = deployment(tmp_path)
    (habitus.lake / "raw" / "orders").mkdir(parents=True)
    build(habitus, 1)
    publish(habitus)
    for _ in range(2):
        then = at_day(habitus, {AS_OF_TAG: "2024-05-01"})
    assert then.as_of == date(2024, 5, 1)
    assert (then.lake / "raw" / "orders").resolve() == habitus.lake / "raw" / "orders"
    assert then.landing == habitus.landing
    assert then.ledger == habitus.ledger
    write_run_parameters(then, "r")
    assert json.loads((then.lake / "run.json").read_text())["as_of"] == "2024-05-01"
    assert not (habitus.lake / "run.json").exists()
    build(then, 2)
    publish(then)
    assert versions(habitus) == {1}
    assert versions(then) == {2}
    for name in ("warehouse", "published", "models", "docs", "writer_lock"):
        assert getattr(then, name) != getattr(habitus, name)
    assert then.run_lock == habitus.run_lock


def test_its_summary_is_not_the_latest_and_its_metrics_are_not_ours(tmp_path: Path) -> None:
    habitus = deployment(tmp_path)
    then = at_day(habitus, {AS_OF_TAG: "2024-05-01"})

    @dg.asset(key=["publication", "snapshot"])
    def snapshot(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        past = AS_OF_TAG in context.run.tags
        return dg.MaterializeResult(metadata={"segments": {"rfm": {"past": int(past)}}})

    @dg.asset
    def other() -> None:
        """Another asset."""

    with dg.DagsterInstance.ephemeral() as instance:
        dg.materialize([snapshot], instance=instance)
        made = dg.materialize([snapshot], instance=instance, tags={AS_OF_TAG: "2024-05-01"})
        of_past = collect(instance, then, made.run_id, "success")
        assert of_past["segments"] == {"rfm": {"past": 1}}
        later = dg.materialize([other], instance=instance)
        of_now = collect(instance, habitus, later.run_id, "success")
        assert of_now["segments"] == {"rfm": {"past": 0}}
    write_summary(habitus, of_now)
    write_summary(then, of_past)
    assert (habitus.reports / "latest").resolve().name == later.run_id
    assert (habitus.reports / made.run_id / "summary.json").exists()
