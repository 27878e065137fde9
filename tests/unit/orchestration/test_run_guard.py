"""Runs whose process is gone are failed, those that live are not, and only one runs."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from small_lake import deployment

from orchestration.lib import publication, run_guard
from orchestration.lib.publication import WarehouseBusyError
from orchestration.lib.run_guard import PROCESS_TAG, end_dead_runs, process_tags, the_only_run

STARTED = dg.DagsterRunStatus.STARTED


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as made:
        yield made


@dg.job
def nothing() -> None:
    """A job without a step."""


def started(instance: dg.DagsterInstance, tags: dict[str, str] | None = None) -> str:
    """A run that is under way, in this process unless the tags say otherwise."""
    run = instance.create_run_for_job(nothing, status=dg.DagsterRunStatus.NOT_STARTED)
    instance.add_run_tags(run.run_id, process_tags(run.run_id) if tags is None else tags)
    event = dg.DagsterEvent("PIPELINE_START", "nothing")
    instance.report_dagster_event(event, run.run_id)
    return run.run_id


def status(instance: dg.DagsterInstance, run_id: str) -> dg.DagsterRunStatus:
    run = instance.get_run_by_id(run_id)
    assert run is not None
    return run.status


def test_living_and_dead(instance: dg.DagsterInstance) -> None:
    alive = started(instance)
    dead = started(instance, {})
    with subprocess.Popen([sys.executable, "-c", "pass"]) as gone:
        pass
    instance.add_run_tags(dead, {PROCESS_TAG: f"{dead} {gone.pid} 1"})
    reused = started(instance, {})
    instance.add_run_tags(reused, {PROCESS_TAG: f"{reused} {os.getpid()} 1"})
    assert set(end_dead_runs(instance)) == {dead, reused}
    assert status(instance, alive) == STARTED
    assert status(instance, dead) == dg.DagsterRunStatus.FAILURE
    assert end_dead_runs(instance) == []


def test_tags_of_another_run_say_nothing(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that is tried again is given the tags of the first, whose process is dead."""
    again = started(instance, {PROCESS_TAG: "other 1 1"})
    assert end_dead_runs(instance) == []
    monkeypatch.setattr(run_guard, "SILENCE_SECONDS", -1)
    assert end_dead_runs(instance) == [again]


def test_its_place_in_the_pool_is_freed(instance: dg.DagsterInstance) -> None:
    storage = instance.event_log_storage
    storage.set_concurrency_slots("warehouse", 1)
    dead = started(instance, {})
    instance.add_run_tags(dead, {PROCESS_TAG: f"{dead} 999999999 1"})
    storage.claim_concurrency_slot("warehouse", dead, "step")
    assert storage.get_concurrency_info("warehouse").active_slot_count == 1
    end_dead_runs(instance)
    assert storage.get_concurrency_info("warehouse").active_slot_count == 0


def test_and_that_of_a_run_which_ended_without_leaving_it(instance: dg.DagsterInstance) -> None:
    """A run that is interrupted is marked as failed by Dagster itself, and keeps its place."""
    storage = instance.event_log_storage
    storage.set_concurrency_slots("warehouse", 1)
    interrupted, alive = started(instance), started(instance)
    storage.claim_concurrency_slot("warehouse", interrupted, "step")
    end_dead_runs(instance)
    assert not storage.claim_concurrency_slot("warehouse", alive, "step").is_claimed
    run = instance.get_run_by_id(interrupted)
    assert run is not None
    instance.report_run_failed(run)
    assert end_dead_runs(instance) == []
    assert storage.claim_concurrency_slot("warehouse", alive, "step").is_claimed


HOLD = """
import sys, time
from pathlib import Path
from orchestration.lib.publication import writer
with writer(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""


def holder(lock: Path, seconds: float) -> subprocess.Popen[str]:
    """A process that holds a lock."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(lock), str(seconds)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_run_waits(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    habitus = deployment(tmp_path)
    other = holder(habitus.run_lock, 1.0)
    with the_only_run(habitus, instance, started(instance)):
        # It let go at the end of its life only.
        assert other.wait(timeout=10) == 0


def test_or_is_refused(
    instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    habitus = deployment(tmp_path)
    monkeypatch.setattr(publication, "WRITER_TIMEOUT_SECONDS", 0.2)
    other = holder(habitus.run_lock, 60)
    run = started(instance)
    with pytest.raises(WarehouseBusyError), the_only_run(habitus, instance, run):
        pytest.fail("two runs at once")
    other.kill()
    other.wait()
    with the_only_run(habitus, instance, run):
        pass
