"""Jobs, schedules and the sensor for new files.

What does not belong here: assets. Which assets roll forward on their own is said where they are
made, by their automation condition.
"""

from datetime import UTC, datetime

import dagster as dg
from dagster import AssetSelection, ResourceParam

from expectations.contract import load_deployment
from ingestion import pending_files
from ml.registry import OUTPUTS
from orchestration.config import Settings, settings
from orchestration.lib.audit import record_run_end
from orchestration.lib.ml_assets import output_keys
from orchestration.lib.partitions import daily_partitions
from orchestration.lib.raw_assets import ingestion_paths
from orchestration.lib.redaction import redacted
from orchestration.lib.run_guard import end_dead_runs
from orchestration.lib.run_parameters import AsOfError, at_day
from orchestration.lib.run_requests import request_run
from orchestration.lib.summary import collect, write_summary

_partitions = daily_partitions(load_deployment(settings().contracts))
_training = AssetSelection.assets(*[k for o in OUTPUTS if o.trains for k in output_keys(o)])

everything = dg.define_asset_job(
    "everything",
    selection=AssetSelection.all(),
    partitions_def=_partitions,
    description="Ingest, model, check, train, score, publish, report.",
)
daily = dg.define_asset_job(
    "daily",
    selection=AssetSelection.all() - _training,
    partitions_def=_partitions,
    description="The same without training: scores come from the model that last shipped.",
)
retrain = dg.define_asset_job(
    "retrain",
    selection=_training.downstream(),
    description="Train on what is in the warehouse, then score, publish, report.",
)

daily_schedule = dg.build_schedule_from_partitioned_job(
    daily, name="daily", hour_of_day=4, minute_of_hour=10
)
weekly_retrain = dg.ScheduleDefinition(
    name="weekly_retrain", job=retrain, cron_schedule="40 5 * * 1", execution_timezone="UTC"
)


@dg.sensor(job=daily, minimum_interval_seconds=30)
@redacted
def new_files(
    context: dg.SensorEvaluationContext, habitus: ResourceParam[Settings]
) -> dg.RunRequest | dg.SkipReason:
    """Ask for a run when files have landed whose content the ledger does not know.

    The run's key is made of source, content hash and generation, and what is new is asked of the
    ledger, never of the cursor: so a repaired file is seen, nothing is launched twice, and what a
    failed run did not take in is asked for again.
    """
    deployment = load_deployment(habitus.contracts)
    pending = pending_files(deployment.contracts, ingestion_paths(habitus))
    if not pending:
        return dg.SkipReason("no file has landed that is not ingested")
    day = _partitions.get_last_partition_key()
    return request_run(context.instance, pending, str(day), datetime.now(UTC))


@dg.run_failure_sensor(default_status=dg.DefaultSensorStatus.RUNNING)
@redacted
def summary_of_failed_runs(
    context: dg.RunFailureSensorContext, habitus: ResourceParam[Settings]
) -> None:
    """Every run leaves a summary: one that fails never reaches the step that writes it."""
    run = context.dagster_run
    try:
        of_run = at_day(habitus, run.tags)
    except AsOfError:
        of_run = habitus
    write_summary(of_run, collect(context.instance, of_run, run.run_id, "failure"))


@dg.sensor(job=daily, minimum_interval_seconds=60, default_status=dg.DefaultSensorStatus.RUNNING)
@redacted
def lost_runs(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Mark runs as failed whose process is gone; it never asks for a run.

    Run monitoring sees the daemon's own runs only, not those of `habitus run`.
    """
    ended = end_dead_runs(context.instance)
    for run_id in ended:
        record_run_end(settings(), context.instance, run_id, "lost")
    return dg.SkipReason(f"marked as failed: {', '.join(ended)}" if ended else "none was lost")
