"""A run in which something planned was not made is not green, and publishes nothing."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from orchestration.lib import dbt_steps
from orchestration.lib.completeness import (
    IncompleteRunError,
    require_all,
    require_no_halves,
    require_planned,
)
from orchestration.lib.dbt_steps import _with_facts
from orchestration.lib.run_parameters import AS_OF_TAG

KEYS = [dg.AssetKey(["marts", name]) for name in ("rfm", "lifecycle")]


class NoFacts:
    """Instead of the lake."""

    def __init__(self, *_: object) -> None:
        pass

    def of(self, _: dg.AssetKey) -> dict[str, object]:
        return {}


def step(silent_about: set[str]) -> dg.AssetsDefinition:
    """A step as dbt's are, whose dbt says nothing about some models."""

    @dg.multi_asset(
        specs=[dg.AssetSpec(key, skippable=True) for key in KEYS], can_subset=True, name="marts"
    )
    def marts(context: dg.AssetExecutionContext) -> Iterator[object]:
        events = (
            dg.Output(None, "__".join(key.path))
            for key in sorted(context.selected_asset_keys)
            if key.path[-1] not in silent_about
        )
        yield from _with_facts(events, context, None, Path())  # type: ignore[arg-type]

    return marts


def publication(published: list[str]) -> dg.AssetsDefinition:
    """What stands for the swap of the pointer."""

    @dg.asset(deps=KEYS)
    def snapshot(context: dg.AssetExecutionContext) -> None:
        published.append(context.run_id)

    return snapshot


@pytest.mark.parametrize("silent_about", [set(), {"rfm"}])
def test_a_silent_dbt_fails_the_run(
    silent_about: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dbt_steps, "_Facts", NoFacts)
    published: list[str] = []
    result = dg.materialize([step(silent_about), publication(published)], raise_on_error=False)
    assert result.success == (not silent_about)
    assert len(published) == (0 if silent_about else 1)
    if silent_about:
        (failure,) = result.get_step_failure_events()
        assert "marts/rfm" in str(failure.step_failure_data.error)
        assert "marts/lifecycle" not in str(failure.step_failure_data.error.message)


def test_without_the_check_it_would_be_green(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason for it: Dagster skips what depends on an output that never came."""
    monkeypatch.setattr(dbt_steps, "_Facts", NoFacts)
    monkeypatch.setattr(dbt_steps, "require_all", lambda *_: None)
    published: list[str] = []
    result = dg.materialize([step({"rfm"}), publication(published)], raise_on_error=False)
    assert result.success
    assert not published


def test_a_part_of_a_step_need_not_make_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dbt_steps, "_Facts", NoFacts)
    assert dg.materialize([step({"rfm"})], selection=[KEYS[1]]).success


def test_the_event_log_is_asked_before_publication() -> None:
    """What Dagster planned and nobody made, although nothing failed."""
    seen: list[str] = []

    @dg.multi_asset(specs=[dg.AssetSpec(key, skippable=True) for key in KEYS])
    def half() -> Iterator[dg.MaterializeResult]:
        yield dg.MaterializeResult(asset_key=KEYS[1])

    @dg.asset(deps=[KEYS[1]])
    def snapshot(context: dg.AssetExecutionContext) -> None:
        graph = context.job_def.asset_layer.asset_graph
        require_planned(
            context.instance, context.run_id, graph.get_ancestor_asset_keys(context.asset_key)
        )
        try:
            require_planned(context.instance, context.run_id, KEYS)
        except IncompleteRunError as error:
            seen.append(str(error))

    with dg.DagsterInstance.ephemeral() as instance:
        assert dg.materialize([half, snapshot], instance=instance).success
    assert len(seen) == 1
    assert "marts/rfm" in seen[0]


def test_the_message_names_and_helps() -> None:
    with pytest.raises(IncompleteRunError, match=r"marts/lifecycle, marts/rfm.*habitus run"):
        require_all(KEYS, [], "Nothing was published.")
    require_all(KEYS, KEYS, "")


@dg.asset(key=KEYS[0])
def rfm() -> None:
    """The step that writes tables; its name is the step's."""


@dg.asset(key=KEYS[1], deps=[rfm])
def lifecycle(context: dg.AssetExecutionContext) -> None:
    """Fails if its run says so."""
    if "fail" in context.run.tags:
        raise RuntimeError("as asked")


def wants_to_publish(
    instance: dg.DagsterInstance, selection: list[dg.AssetKey], since: datetime | None = None
) -> None:
    """Run a selection, then ask whether it may publish."""
    result = dg.materialize([rfm, lifecycle], instance=instance, selection=selection)
    run = instance.get_run_by_id(result.run_id)
    assert run is not None
    require_no_halves(instance, run, since=since, steps={"marts__rfm"}, tables=KEYS)


def fail(instance: dg.DagsterInstance, **tags: str) -> str:
    """A run that fails after its first table."""
    tags = {"fail": "", **tags}
    return dg.materialize(
        [rfm, lifecycle], instance=instance, raise_on_error=False, tags=tags
    ).run_id


def test_what_a_failed_run_left_is_not_published_by_a_part() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        wants_to_publish(instance, [KEYS[1]])
        failed = fail(instance)
        with pytest.raises(IncompleteRunError, match=f"{failed}.*habitus run"):
            wants_to_publish(instance, [KEYS[1]])
        wants_to_publish(instance, KEYS)
        # As that run published, nothing is left of the failed one.
        wants_to_publish(instance, [KEYS[1]], since=datetime.now(UTC))


def test_a_rebuild_of_the_past_that_failed_is_no_hindrance() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        fail(instance, **{AS_OF_TAG: "2024-05-01"})
        wants_to_publish(instance, [KEYS[1]])
