"""Run the main job in this process, watched.

What does not belong here: what the job does (orchestration/).
"""

import sys
import uuid
from contextlib import redirect_stdout
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import Any

import dagster as dg
from rich.console import Console

from habitus.progress import Progress
from orchestration.config import Settings
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
            tags=tags,
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
        for name in LATER_IMPORTS:
            import_module(name)

    Thread(target=load, daemon=True).start()


def run_job(
    habitus: Settings,
    loaded: dg.Definitions,
    *,
    job: str,
    first_day: str | None = None,
    last_day: str | None = None,
) -> dict[str, Any]:
    """Execute one of the jobs and return its summary, also when it fails.

    Args:
        habitus: activated settings.
        loaded: the definitions of this deployment.
        job: the job's name, for instance `everything`.
        first_day: first daily partition of the raw layer, ISO 8601; None for the newest only.
        last_day: last daily partition.

    Raises:
        PartitionError: a day outside the partitions.
    """
    run_id = str(uuid.uuid4())
    definition = loaded.resolve_job_def(job)
    days = _partition(definition, first_day, last_day)
    with dg.DagsterInstance.get() as instance:
        instance.add_event_listener(run_id, Progress(Console(file=sys.stdout)))
        _import_ahead()
        log = habitus.dbt_home / "logs" / f"{run_id}.log"
        status = _execute(definition, instance, run_id, log, days)
        summary = collect(instance, habitus, run_id, status)
    write_summary(habitus, summary)
    return summary
