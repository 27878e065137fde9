"""A run's parameters as data: one small file that dbt reads as a one-row relation.

Data and not dbt vars, because changed vars defeat dbt's partial parsing on every run. And the day
as of which a run rebuilds, which reaches it as a tag, from the command line or from the UI.

What does not belong here: settings (config.py), or any use of the parameters (dbt_project/).
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime

from expectations.contract import legal_bases, load_deployment
from orchestration.config import Settings
from orchestration.lib.publication import write_atomically

AS_OF_TAG = "habitus/as_of"
# What a rebuild of the past shares with the present: it is written once and never changed.
SHARED = ("raw", "quarantine", "erased")


class AsOfError(ValueError):
    """The day of a rebuild is none; the message says what to write instead."""


def as_of_day(text: str) -> date:
    """The day as of which to rebuild.

    Raises:
        AsOfError: not a day, or one that has not ended: more may become known on it.
    """
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise AsOfError(f"as of {text!r}: write a day as YYYY-MM-DD") from error
    if day >= datetime.now(UTC).date():
        raise AsOfError(f"as of {text}: that day has not ended (UTC); name one before today")
    return day


def at_day(habitus: Settings, tags: Mapping[str, str]) -> Settings:
    """Settings of a run: those of the present, or of a rebuild with a home of its own.

    Args:
        habitus: settings of the present.
        tags: the run's tags.

    Raises:
        AsOfError: the tag names no day.
    """
    if AS_OF_TAG not in tags:
        return habitus
    then = replace(habitus, as_of=as_of_day(tags[AS_OF_TAG]))
    for folder in (then.lake, then.models, then.docs):
        folder.mkdir(parents=True, exist_ok=True)
    for name in SHARED:
        shared, link = habitus.lake / name, then.lake / name
        shared.mkdir(parents=True, exist_ok=True)
        if not link.is_symlink():
            # Relative, so that a home can be moved.
            link.symlink_to(os.path.relpath(shared, then.lake), target_is_directory=True)
    return then


def write_run_parameters(
    habitus: Settings, run_id: str, since: int | None = None, fresh: Sequence[str] = ()
) -> None:
    """Write `lake/run.json`.

    Args:
        habitus: whose lake, and as of which day; without one the data's own clock is followed.
        run_id: Dagster's run id.
        since: snapshot from which tables are brought forward; None builds them anew.
        fresh: raw files of events that were loaded since.
    """
    deployment = load_deployment(habitus.contracts)
    churn = deployment.churn
    parameters = {
        "run_id": run_id,
        "as_of": habitus.as_of.isoformat() if habitus.as_of else None,
        "increment": {"since": since, "events": list(fresh)},
        "churn": {
            "horizon_days": churn.horizon_days if churn else None,
            "last_cutoff": churn.last_cutoff.isoformat() if churn and churn.last_cutoff else None,
            "cutoffs": churn.cutoffs if churn else None,
        },
        "legal_bases": legal_bases(deployment.contracts),
    }
    write_atomically(habitus.lake / "run.json", json.dumps(parameters, indent=2) + "\n")
