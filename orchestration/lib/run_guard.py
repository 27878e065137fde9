"""One run at a time, and none that stays "started" for ever.

A run's steps take the writer's lock one by one; between them another run could put half of its
tables under the first one's publication. So a run holds the deployment for as long as it lasts.

What does not belong here: what a run does.
"""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

from orchestration.config import Settings
from orchestration.lib.audit import record_run_end, record_run_start
from orchestration.lib.publication import writer

PROCESS_TAG = "habitus/process"
UNFINISHED = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
# A run names its process within seconds; after this time one that did not never will.
SILENCE_SECONDS = 240


def _started(pid: int) -> str | None:
    """When a process began, in the kernel's ticks; None when it is gone.

    A number alone does not name a process: numbers are given anew.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, *fields = text.rsplit(")", 1)[1].split()
    return None if state in "ZX" else fields[18]


def process_tags(run_id: str) -> dict[str, str]:
    """Tags that say in which process a run lives."""
    # With the run's id, as a run that is executed again is given the tags of the first.
    return {PROCESS_TAG: f"{run_id} {os.getpid()} {_started(os.getpid())}"}


def _is_dead(run_id: str, tags: Mapping[str, str], silent_for: float) -> bool:
    named, _, process = tags.get(PROCESS_TAG, "").partition(" ")
    if named != run_id:
        return silent_for > SILENCE_SECONDS
    pid, _, began = process.partition(" ")
    return _started(int(pid)) != began


def end_dead_runs(instance: dg.DagsterInstance) -> list[str]:
    """Mark runs as failed whose process is gone, and free what ended runs held; their ids."""
    if not Path("/proc/self/stat").exists():
        # Without /proc nobody can tell; run monitoring ends such runs by their age.
        return []
    ended = []
    for record in instance.get_run_records(dg.RunsFilter(statuses=UNFINISHED)):
        run = record.dagster_run
        if not _is_dead(run.run_id, run.tags, time.time() - record.update_timestamp.timestamp()):
            continue
        instance.report_run_failed(run, "The process of this run is gone: it was killed, or lost.")
        ended.append(run.run_id)
    _free_places(instance)
    return ended


def _free_places(instance: dg.DagsterInstance) -> None:
    """Free the places in pools that runs hold which have ended, however they did.

    One that was interrupted leaves its place taken, and the next run would wait for it for ever.
    Dagster's daemon frees such places, but `habitus run` needs no daemon.
    """
    storage = instance.event_log_storage
    if not storage.supports_global_concurrency_limits:
        return
    for run_id in storage.get_concurrency_run_ids():
        run = instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            storage.free_concurrency_slots_for_run(run_id)


@contextmanager
def the_only_run(habitus: Settings, instance: dg.DagsterInstance, run_id: str) -> Iterator[None]:
    """Hold the deployment for a run; a second one waits.

    Raises:
        WarehouseBusyError: another run has held it for half an hour.
    """
    instance.add_run_tags(run_id, process_tags(run_id))
    run = instance.get_run_by_id(run_id)
    with writer(habitus.run_lock):
        record_run_start(habitus, run_id, run.job_name if run else "")
        try:
            yield
        finally:
            record_run_end(habitus, instance, run_id)
