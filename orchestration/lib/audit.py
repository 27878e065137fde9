"""What a deployment writes into its audit trail, and where that lies.

What does not belong here: how lines are sealed and verified (privacy/audit), or what is done.

`record(habitus, "access", subjects=[token], purpose="request for access")` before an act: no act
without its line. What cannot write its line is not done, with one exception: `note_read`, because
opening published tables must work where nothing can be written.
"""

import hashlib
import warnings
from collections import defaultdict
from collections.abc import Iterable, Sequence

import dagster as dg
from filelock import Timeout

from orchestration.config import Settings
from orchestration.lib.secrets import keyring
from privacy.audit import AuditError, AuditKeys, Event, Trail
from privacy.keys import AUDIT, KeyringError

# A reader waits no longer than this for its line.
READ_SECONDS = 5.0
# Layers of asset keys -> what a run did to their tables. Whatever is not here was built by dbt.
ACTIONS = {"raw": "ingest", "ml": "learn", "publication": "report"}
MADE = dg.DagsterEventType.ASSET_MATERIALIZATION
FAILED = dg.DagsterEventType.STEP_FAILURE

_warned: set[str] = set()


class UnauditedReadWarning(UserWarning):
    """Published tables were opened and the audit trail could not say so."""


def trail(habitus: Settings) -> Trail:
    """The deployment's trail; rebuilds of the past write into the same one."""
    keys = keyring(habitus)
    return Trail(
        habitus.deployment_home / "audit" / "trail.jsonl",
        habitus.keys / f"audit.{habitus.deployment}.head.json",
        AuditKeys(keys.current(AUDIT).version, lambda v: keys.version(AUDIT, v).secret),
    )


def record(
    habitus: Settings,
    action: str,
    *,
    tables: Sequence[str] = (),
    purpose: str | None = None,
    run_id: str | None = None,
    subjects: Sequence[str] = (),
    **detail: str | int | float | bool | None,
) -> str:
    """Write one line, on disk when this returns; gives the trail's new head.

    Args:
        habitus: whose trail.
        action: what is being done: access, correct, erase, rotate, export, replay, ...
        tables: to which, as `schema.name`.
        purpose: what for, in a few words.
        run_id: the run that does it.
        subjects: tokens of those whom it is about; anything else becomes a keyed digest.
        detail: counts, and names of things.

    Raises:
        AuditError: another process holds the trail.
        KeyringError: the audit key is open to others, or lost.
        OSError: the trail cannot be written.
        ValueError: a text could be personal data.
    """
    event = Event(action, tables, purpose, run_id, subjects, detail)
    return trail(habitus).append(event)


def note_read(habitus: Settings, action: str, *, purpose: str | None = None) -> None:
    """Say that published tables were opened; where nothing can be written, warn once and go on."""
    try:
        trail(habitus).append(Event(action, purpose=purpose), timeout=READ_SECONDS)
    except (OSError, AuditError, KeyringError, Timeout) as error:
        if str(habitus.deployment_home) not in _warned:
            _warned.add(str(habitus.deployment_home))
            warnings.warn(
                f"the audit trail of {habitus.deployment} does not say that its tables were "
                f"opened: {error}. The tables can be read all the same",
                UnauditedReadWarning,
                stacklevel=3,
            )


def digest_of(path_bytes: bytes) -> str:
    """The name of a file's content in the trail: file names can name people."""
    return hashlib.sha256(path_bytes).hexdigest()


def record_run_start(habitus: Settings, run_id: str, job: str) -> None:
    """A run begins."""
    record(habitus, "run_started", run_id=run_id, job=job, as_of=_as_of(habitus))


def record_run_end(
    habitus: Settings, instance: dg.DagsterInstance, run_id: str, outcome: str | None = None
) -> None:
    """What a run made, an action a line, and how it ended.

    Args:
        habitus: of the run.
        instance: where the run was recorded.
        run_id: Dagster's run id.
        outcome: `lost` for a run whose process is gone; None to look whether a step failed.
    """
    log = instance.all_logs(run_id, of_type={MADE, FAILED})
    events = [e.dagster_event for e in log if e.dagster_event is not None]
    for action, tables in _made(events):
        record(habitus, action, tables=tables, run_id=run_id)
    if outcome is None:
        failed = any(e.event_type is FAILED for e in events)
        outcome = "failed" if failed else "finished"
    record(habitus, f"run_{outcome}", run_id=run_id, as_of=_as_of(habitus))


def _made(events: Iterable[dg.DagsterEvent]) -> list[tuple[str, list[str]]]:
    """(action, tables) of what was materialised, in order of action."""
    made: dict[str, set[str]] = defaultdict(set)
    for event in events:
        if event.event_type is MADE:
            path = event.step_materialization_data.materialization.asset_key.path
            made[ACTIONS.get(path[0], "build")].add(".".join(path))
    return sorted((action, sorted(tables)) for action, tables in made.items())


def _as_of(habitus: Settings) -> str | None:
    return habitus.as_of.isoformat() if habitus.as_of else None
