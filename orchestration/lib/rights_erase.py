"""Erasing people: the steps in their order, resumable, verified, and certified.

The plan is on the disk before anything goes, and each step can be repeated, so that a kill at any
moment is answered by the same command. The list of who stays out comes first: what goes cannot
come back while the rest is still being removed. Clear values are forgotten last, because the
search for traces needs them.

What does not belong here: how anything is removed (rights_remove.py), the certificate's form
(rights_certificate.py).
"""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from orchestration.config import Settings
from orchestration.lib import rights_remove as remove
from orchestration.lib.audit import record
from orchestration.lib.publication import writer
from orchestration.lib.rights import Person, RightsError, find_people, subject_digest
from orchestration.lib.rights_certificate import write_certificate
from orchestration.lib.rights_plan import count_raw, plan_erasure
from orchestration.lib.rights_verify import search_traces
from orchestration.lib.secrets import vault
from privacy.erasure import Plan
from privacy.sealing import write_whole
from privacy.suppression import add_to_list

LIST = "suppressed.txt"
_PLAN = ".plan.json"
Step = Callable[[Settings, Plan], remove.Figures]


class TracesLeftError(RuntimeError):
    """An erasure is not complete: something of a person was found; the message says where."""


def erasures(habitus: Settings) -> Path:
    """The folder of the list of who stays out, and of unfinished plans."""
    return habitus.deployment_home / "erasures"


def _keep_out(habitus: Settings, plan: Plan) -> remove.Figures:
    fresh = add_to_list(erasures(habitus) / LIST, plan.suppressed)
    return {"listed": len(plan.suppressed), "new": fresh}


def _verify(habitus: Settings, plan: Plan) -> remove.Figures:
    clear = vault(habitus).clear_of([token for _, token in plan.own] + _tokens(plan))
    found = search_traces(habitus, plan, clear)
    if found["traces"]:
        raise TracesLeftError(
            f"erasure {plan.erasure_id} is not complete, {len(found['traces'])} traces are left: "
            + "; ".join(found["traces"][:20])
            + ". Remove them, or let `habitus run` write the file anew; then call "
            "`habitus erase` again, which continues"
        )
    return found


def _tokens(plan: Plan) -> list[str]:
    return [text for text in plan.gone if text.startswith("tok_") and "+" not in text]


def _forget(habitus: Settings, plan: Plan) -> remove.Figures:
    opened = vault(habitus)
    removed = opened.forget(_tokens(plan))
    left = len(opened.clear_of(_tokens(plan)))
    if left:
        raise TracesLeftError(f"{left} tokens are still in the vault; erase again")
    return {"tokens": len(_tokens(plan)), "entries_removed": removed, "found_afterwards": left}


#: In this order; see the module's docstring.
STEPS: Mapping[str, Step] = {
    "kept out": _keep_out,
    "shared identifiers": remove.remember_shared,
    "raw": remove.clean_raw,
    "quarantine": remove.clean_quarantine,
    "held records": lambda habitus, _: remove.refresh_held_lists(habitus),
    "ml outputs": remove.clean_ml,
    "warehouse": remove.clean_warehouse,
    "rebuilds": lambda habitus, _: remove.remove_rebuilds(habitus),
    "answers": remove.remove_answers,
    "traces": _verify,
    "vault": _forget,
}


def unfinished(habitus: Settings) -> list[Plan]:
    """Plans that were begun and not finished, the oldest first."""
    paths = sorted(erasures(habitus).glob(f"*{_PLAN}"))
    return [Plan.from_json(path.read_text()) for path in paths]


def erase(
    habitus: Settings,
    subjects: Sequence[str],
    token_type: str | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> list[Path]:
    """Erase people, after finishing what an earlier call left; gives the certificates.

    Args:
        habitus: whose data.
        subjects: identifiers in clear or as tokens; none only finishes.
        token_type: what they are; None tries all types.
        tell: told of each step.

    Raises:
        RightsError: a subject names nobody; nothing is changed then.
        TracesLeftError: something was found afterwards; the plan stays.
        WarehouseBusyError: a run has held the deployment for half an hour.
    """
    written = []
    with writer(habitus.run_lock), writer(habitus.writer_lock):
        finished: set[str] = set()
        for plan in unfinished(habitus):
            tell(f"continuing {plan.erasure_id}")
            written.append(_carry_out(habitus, plan, tell))
            finished |= set(plan.requested)
        wanted = {subject_digest(habitus, text): text for text in subjects}
        left = [text for digest, text in wanted.items() if digest not in finished]
        if left:
            plan = _begin(habitus, left, token_type)
            written.append(_carry_out(habitus, plan, tell))
    return written


def _persons(habitus: Settings, subjects: Sequence[str], token_type: str | None) -> list[Person]:
    persons: dict[str, Person] = {}
    found, number = find_people(habitus, subjects, token_type), 0
    try:
        for number, person in enumerate(found, 1):  # noqa: B007  used where it ends
            persons[person.digest] = person
    except RightsError as error:
        # By number: what was given is in clear.
        raise RightsError(f"subject {number + 1}: {error}") from None
    return list(persons.values())


def preview(
    habitus: Settings, subjects: Sequence[str], token_type: str | None = None
) -> dict[str, int]:
    """What erasing would remove; changes nothing.

    Raises:
        RightsError: a subject names nobody.
    """
    persons = _persons(habitus, subjects, token_type)
    plan = plan_erasure(habitus, persons)
    return {
        "persons": len(persons),
        "identifiers of their own": len(plan.own),
        "identifiers that others have too": len({row["id_value"] for row in plan.shared}),
        **{f"raw.{name}": rows for name, rows in count_raw(habitus, plan).items()},
        "source files that hold them and stay": len(plan.landing),
        "model versions that may have learnt": sum(len(v) for v in plan.models.values()),
    }


def _begin(habitus: Settings, subjects: Sequence[str], token_type: str | None) -> Plan:
    started = time.monotonic()
    persons = _persons(habitus, subjects, token_type)
    plan = plan_erasure(habitus, persons)
    plan.requested = sorted(subject_digest(habitus, text) for text in subjects)
    record(habitus, "erase", subjects=plan.subjects, persons=len(persons), id=plan.erasure_id)
    plan.seconds = round(time.monotonic() - started, 3)
    _store(habitus, plan)
    return plan


def _path(habitus: Settings, plan: Plan) -> Path:
    return erasures(habitus) / f"{plan.erasure_id}{_PLAN}"


def _store(habitus: Settings, plan: Plan) -> None:
    write_whole(_path(habitus, plan), plan.to_json().encode())


def _carry_out(habitus: Settings, plan: Plan, tell: Callable[[str], None]) -> Path:
    for name, step in STEPS.items():
        if name in plan.done:
            continue
        started = time.monotonic()
        try:
            figures = step(habitus, plan)
        except TracesLeftError:
            # The next call removes again; what this one removed stays in the certificate.
            plan.done = {f"{n}, earlier pass": figures for n, figures in plan.done.items()}
            _store(habitus, plan)
            raise
        seconds = time.monotonic() - started
        plan.done[name] = {**figures, "seconds": round(seconds, 3)}
        plan.seconds = round(plan.seconds + seconds, 3)
        _store(habitus, plan)
        tell(f"{name}: " + ", ".join(f"{k} {v}" for k, v in figures.items() if k != "looked into"))
    path = write_certificate(habitus, plan)
    record(habitus, "erased", subjects=plan.subjects, id=plan.erasure_id)
    # Last: it names the persons, and until here the same command continues.
    _path(habitus, plan).unlink()
    return path
