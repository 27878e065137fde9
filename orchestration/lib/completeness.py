"""No false green: what a run planned must have been made before anybody may see it.

dbt's outputs are optional to Dagster, and what depends on a missing one is skipped, so that a run
whose dbt says nothing about a model ends green with less.

What does not belong here: whether what was made is right (expectations, dbt's tests).
"""

from collections.abc import Collection, Iterable
from datetime import datetime

import dagster as dg

from orchestration.lib.run_parameters import AS_OF_TAG

PLANNED = dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED
MADE = dg.DagsterEventType.ASSET_MATERIALIZATION


class IncompleteRunError(RuntimeError):
    """Assets that a run planned were not materialised; the message names them."""


def require_all(
    expected: Iterable[dg.AssetKey], made: Iterable[dg.AssetKey], what_then: str
) -> None:
    """Fail when something expected was not made.

    Args:
        expected: keys that should have been materialised.
        made: keys that were.
        what_then: what does not happen because of it, for the message.

    Raises:
        IncompleteRunError: names what is missing.
    """
    missing = sorted(key.to_user_string() for key in set(expected) - set(made))
    if missing:
        raise IncompleteRunError(
            f"planned but not materialised: {', '.join(missing)}. {what_then} Look at the log of "
            "the step that makes them, mend the cause, then `habitus run`."
        )


def _keys(instance: dg.DagsterInstance, run_id: str, kind: dg.DagsterEventType) -> set[dg.AssetKey]:
    events = (entry.dagster_event for entry in instance.all_logs(run_id, of_type=kind))
    return {event.asset_key for event in events if event and event.asset_key}


def require_planned(
    instance: dg.DagsterInstance, run_id: str, before: Iterable[dg.AssetKey]
) -> None:
    """Compare a run's plan with what its event log says was made.

    Args:
        instance: where the run is recorded.
        run_id: the run.
        before: keys that must be there by now if they were planned.

    Raises:
        IncompleteRunError: names what is missing.
    """
    planned = _keys(instance, run_id, PLANNED) & set(before)
    require_all(planned, _keys(instance, run_id, MADE), "Nothing was published.")


# A run that waits for its turn is started too, but no step of it is.
NOT_WELL_ENDED = [
    dg.DagsterRunStatus.FAILURE,
    dg.DagsterRunStatus.CANCELED,
    dg.DagsterRunStatus.CANCELING,
    dg.DagsterRunStatus.STARTED,
]


def _family(run: dg.DagsterRun) -> str:
    """A run and those that try it again are one."""
    return run.root_run_id or run.run_id


def half_built_by(
    instance: dg.DagsterInstance, run: dg.DagsterRun, since: datetime | None, steps: Collection[str]
) -> list[str]:
    """Other runs that began to write tables since a moment and did not end well; their ids."""
    found = []
    filters = dg.RunsFilter(statuses=NOT_WELL_ENDED, updated_after=since)
    for record in instance.get_run_records(filters):
        other = record.dagster_run
        same_tables = other.tags.get(AS_OF_TAG) == run.tags.get(AS_OF_TAG)
        if not same_tables or _family(other) == _family(run):
            continue
        entries = instance.all_logs(other.run_id, of_type=dg.DagsterEventType.STEP_START)
        if any(entry.step_key in steps for entry in entries):
            found.append(other.run_id)
    return found


def require_no_halves(
    instance: dg.DagsterInstance,
    run: dg.DagsterRun,
    *,
    since: datetime | None,
    steps: Collection[str],
    tables: Iterable[dg.AssetKey],
) -> None:
    """Do not publish what failed runs left behind under the name of one that only adds to it.

    Args:
        instance: where runs are recorded.
        run: the run that wants to publish.
        since: the last publication; None if there is none.
        steps: names of the steps that write tables.
        tables: all that is published; a run that makes them all leaves nothing of another.

    Raises:
        IncompleteRunError: names the failed runs.
    """
    if set(tables) <= _keys(instance, run.run_id, PLANNED):
        return
    if left := half_built_by(instance, run, since, steps):
        raise IncompleteRunError(
            f"tables were left half built by runs that failed: {', '.join(left)}. Nothing was "
            "published, as this run builds only some of them anew: `habitus run` builds them all."
        )
