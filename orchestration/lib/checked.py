"""Which batches the raw gate has let through: each record is looked at once, when it has come.

A batch is never changed, so what held of its records holds. Where files were rewritten or removed
(an erasure, a repair), other records wait than before, or the suites say something else, all is
looked at anew.

What does not belong here: what is expected (expectations/suites/raw.py).
"""

import hashlib
import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from expectations.suite import Suite
from ingestion.session import CORRECTIONS
from orchestration.config import Settings
from orchestration.lib.lake import CAME
from orchestration.lib.publication import write_atomically
from orchestration.lib.raw_state import held_digest, is_only_grown, raw_files


def _path(habitus: Settings) -> Path:
    """It goes when the warehouse goes."""
    return habitus.warehouse / "checked.json"


def _entity(suite: Suite) -> str:
    return suite.table.partition(".")[2]


def raw_state(habitus: Settings, suites: Sequence[Suite]) -> dict[str, Any]:
    """What the gate is about to look at: of each entity its files and what waits."""
    lake = habitus.lake
    return {
        "suites": hashlib.sha256(repr(suites).encode()).hexdigest(),
        "entities": {
            entity: {"files": raw_files(lake, entity), "held": held_digest(lake, entity)}
            for entity in sorted({_entity(suite) for suite in suites})
        },
    }


def _came(before: dict[str, Any] | None, now: dict[str, Any]) -> list[str] | None:
    """Files that are new; None where more than that has changed."""
    if before is None or before["held"] != now["held"]:
        return None
    if not is_only_grown(before["files"], now["files"]):
        return None
    names = sorted(set(now["files"]) - set(before["files"]))
    # What corrects records of other batches is named by them.
    if any(name.startswith(CORRECTIONS) for name in names):
        return None
    return names


def what_came(habitus: Settings, state: dict[str, Any]) -> dict[str, list[str]]:
    """Of each entity of which only that needs a look, its files that no gate has let through yet.

    Args:
        habitus: activated settings.
        state: as `raw_state` gives it.
    """
    path = _path(habitus)
    said = json.loads(path.read_text()) if path.exists() else None
    if said is None or said["suites"] != state["suites"]:
        return {}
    found = {
        entity: _came(said["entities"].get(entity), now)
        for entity, now in state["entities"].items()
    }
    return {entity: names for entity, names in found.items() if names is not None}


def narrowed(suites: Sequence[Suite], came: Collection[str]) -> list[Suite]:
    """The suites, those of the entities read from the views of what came (lake.py)."""
    return [
        suite.of_what_came(f"{CAME}.{_entity(suite)}") if _entity(suite) in came else suite
        for suite in suites
    ]


def note_checked(habitus: Settings, state: dict[str, Any]) -> None:
    """Note what the gate has let through."""
    write_atomically(_path(habitus), json.dumps(state))
