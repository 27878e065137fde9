"""Run the main job in this process, watched.

What does not belong here: what the job does (orchestration/).
"""

import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import Any

import dagster as dg
from rich.console import Console

from habitus.progress import Progress
from ingestion.worker import start as start_worker
from orchestration.config import Settings
from orchestration.lib.audit import record_run_end
from orchestration.lib.imports import uncollected
from orchestration.lib.publication import is_held, writer
from orchestration.lib.recovery import what_is_wrong
from orchestration.lib.run_guard import end_dead_runs, process_tags
from orchestration.lib.run_parameters import AS_OF_TAG, at_day
from orchestration.lib.summary import collect, write_summary


class PartitionError(ValueError):
    """A day that is none of the partitions; the message says which there are."""


def _partition(
    job: dg.JobDefinition, first_day: str | None, last_day: str | None
) -> tuple[str | None, dict[str, str]]:
    """The partition key of a run, or the tags of a range of them."""
    if job.partitions_def is None:
        return None, {}
    keys = job.partitions_def.get_partition_keys()
    first, last = first_day or last_day or keys[-1], last_day or keys[-1]
    for day in (first, last):
        if day not in keys:
            raise PartitionError(f"{day} is not a partition: there are {keys[0]} to {keys[-1]}")
    if first == last:
        return first, {}
    return None, {
        "dagster/asset_partition_range_start": first,
        "dagster/asset_partition_range_end": last,
    }


def _execute(
    job: dg.JobDefinition,
    instance: dg.DagsterInstance,
    run_id: str,
    log: Path,
    days: tuple[str | None, dict[str, str]],
) -> str:
    """Execute the job; `success` or `failure`."""
    partition_key, tags = days
    log.parent.mkdir(parents=True, exist_ok=True)
    # dbt tells stdout everything; what matters of it reaches Progress as events.
    with log.open("w") as talk, redirect_stdout(talk):
        result = job.execute_in_process(
            instance=instance,
            run_id=run_id,
            raise_on_error=False,
            partition_key=partition_key,
            tags={**tags, **process_tags(run_id)},
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )
    return "success" if result.success else "failure"


# Imported by the steps themselves, in this order, and slow to import.
LATER_IMPORTS = (
    "great_expectations",
    "ml.segments.clusters",
    "ml.churn.train",
    "ml.evaluation.report",
    "orchestration.lib.evaluation",
)


def _import_ahead() -> None:
    """Import what later steps need while the first ones read files and leave a core idle."""

    def load() -> None:
        with uncollected():
            for name in LATER_IMPORTS:
                import_module(name)

    Thread(target=load, daemon=True).start()


@contextmanager
def open_instance(habitus: Settings) -> Iterator[dg.DagsterInstance]:
    """Dagster's record of runs; the first to open it creates it, and two at once would clash."""
    with writer(habitus.dagster_home / "creation.lock"):
        instance = dg.DagsterInstance.get()
        # Tables are made when they are first asked for.
        instance.get_runs_count()
        instance.all_asset_keys()
    with instance:
        yield instance


def end_lost_runs(habitus: Settings, instance: dg.DagsterInstance, console: Console) -> None:
    """Mark runs whose process was killed as failed, and write the summaries they did not."""
    for run_id in end_dead_runs(instance):
        console.print(f"[yellow]run {run_id} was killed; marked as failed[/yellow]")
        run = instance.get_run_by_id(run_id)
        of_run = at_day(habitus, run.tags) if run else habitus
        record_run_end(of_run, instance, run_id, "lost")
        write_summary(of_run, collect(instance, of_run, run_id, "failure"))


def _warned_job(habitus: Settings, job: str, console: Console) -> str:
    """The job to run: all of it when there is a warehouse to rebuild, which learning cannot do."""
    if is_held(habitus.run_lock):
        console.print("[yellow]another run is under way; waiting for it[/yellow]")
        return job
    if (why := what_is_wrong(habitus)) is None:
        return job
    console.print(f"[yellow]the warehouse is broken and will be rebuilt from raw:[/yellow] {why}")
    return "everything" if job == "retrain" else job


def run_job(
    habitus: Settings,
    loaded: dg.Definitions,
    *,
    job: str,
    first_day: str | None = None,
    last_day: str | None = None,
    as_of: str | None = None,
) -> dict[str, Any]:
    """Execute one of the jobs and return its summary, also when it fails.

    Args:
        habitus: activated settings.
        loaded: the definitions of this deployment.
        job: the job's name, for instance `everything`.
        first_day: first daily partition of the raw layer, ISO 8601; None for the newest only.
        last_day: last daily partition.
        as_of: rebuild what was known at the end of this day, ISO 8601, in a home of its own.

    Raises:
        PartitionError: a day outside the partitions.
        AsOfError: `as_of` is no day that has ended.
    """
    start_worker()
    run_id = str(uuid.uuid4())
    console = Console(file=sys.stdout)
    tags = {AS_OF_TAG: as_of} if as_of else {}
    of_run = at_day(habitus, tags)
    definition = loaded.resolve_job_def(_warned_job(of_run, job, console))
    day, span = _partition(definition, first_day, last_day)
    with open_instance(habitus) as instance:
        end_lost_runs(habitus, instance, console)
        instance.add_event_listener(run_id, Progress(console))
        _import_ahead()
        log = habitus.dbt_home / "logs" / f"{run_id}.log"
        status = _execute(definition, instance, run_id, log, (day, {**span, **tags}))
        summary = collect(instance, of_run, run_id, status)
    write_summary(of_run, summary)
    return summary
