"""Whether a run may bring its tables forward from the published version, or builds them anew.

Tables are brought forward by what was loaded since the last publication (dbt_project/macros/
increment.sql). That is right only if they stand exactly as that publication left them, were built
by the same models, and if raw has only gained files since. Whatever else happened, a failed run, a
change to a model, an erasure, a table built by hand, is answered by building everything anew, which
is always right; the reason is told.

What does not belong here: which models can be brought forward, or how (dbt_project/).
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from orchestration.config import Settings
from orchestration.lib.dbt_server import PROJECT_DIR, SOURCE_SUFFIXES
from orchestration.lib.publication import read_pointer, write_atomically
from orchestration.lib.raw_state import RawFiles, held_digest, is_only_grown, raw_files
from orchestration.lib.warehouse import latest_snapshot, reader

#: Its models read raw once, as it comes; the other entities are small, and rebuilt whole.
ENTITY = "events"
#: Each increment leaves small files and lists of removed rows behind; so many, and the tables are
#: written whole again.
MOST_INCREMENTS = 30


@dataclass(frozen=True)
class Inputs:
    """What the tables were built from.

    Attributes:
        files: raw files of the entity.
        held: digest of the entity's records that had to wait for others.
        project: digest of the models.
        increments: how many have followed the last full build.
    """

    files: RawFiles
    held: str
    project: str
    increments: int = 0


@dataclass(frozen=True)
class Plan:
    """How the tables are made.

    Attributes:
        since: snapshot to bring them forward from; None builds them anew.
        why: the reason, for people.
        files: raw files that were loaded since.
        inputs: what they are built from now.
    """

    since: int | None
    why: str
    inputs: Inputs
    files: list[str] = field(default_factory=list)


@cache
def project_digest() -> str:
    """A digest of everything that says how tables are built."""
    digest = hashlib.sha256()
    paths = [PROJECT_DIR / "dbt_project.yml"]
    for folder in ("models", "macros"):
        paths += sorted(p for p in (PROJECT_DIR / folder).rglob("*") if p.suffix in SOURCE_SUFFIXES)
    for path in paths:
        digest.update(str(path.relative_to(PROJECT_DIR)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _inputs(habitus: Settings) -> Inputs:
    files = raw_files(habitus.lake, ENTITY)
    return Inputs(files, held_digest(habitus.lake, ENTITY), project_digest())


def _state(habitus: Settings) -> Path:
    """What the published tables were built from; it goes when the warehouse goes."""
    return habitus.warehouse / "increment.json"


def _obstacles(habitus: Settings, inputs: Inputs, said: dict[str, Any]) -> Iterator[str]:
    """Why the tables cannot be brought forward."""
    before = Inputs(**said["inputs"])
    with reader(habitus) as con:
        latest = latest_snapshot(con)
    if read_pointer(habitus.published).snapshot != said["published"]:
        yield "another version is published than the one that was noted"
    if latest != said["latest"]:
        yield "tables were changed since the last publication"
    if before.project != inputs.project:
        yield "the models changed"
    if before.held != inputs.held:
        yield "other records are held than before"
    if before.increments >= MOST_INCREMENTS:
        yield f"{MOST_INCREMENTS} increments have followed the last full build"
    if not is_only_grown(before.files, inputs.files):
        yield "raw files were removed or rewritten"


def plan(habitus: Settings) -> Plan:
    """How the next step is to make its tables; the caller holds the writer's lock."""
    inputs = _inputs(habitus)
    state = _state(habitus)
    if habitus.as_of is not None:
        return Plan(None, "a rebuild of the past", inputs)
    if not state.exists() or not habitus.published.exists():
        return Plan(None, "nothing is published to begin from", inputs)
    said: dict[str, Any] = json.loads(state.read_text())
    if obstacles := list(_obstacles(habitus, inputs, said)):
        return Plan(None, "; ".join(obstacles), inputs)
    before = Inputs(**said["inputs"])
    files = sorted(set(inputs.files) - set(before.files))
    inputs = replace(inputs, increments=before.increments + 1)
    return Plan(said["published"], f"{len(files)} new raw files of {ENTITY}", inputs, files)


def _built(habitus: Settings) -> Path:
    return habitus.warehouse / "increment.built.json"


def note_building(habitus: Settings) -> None:
    """What the tables are built from is not known while they are."""
    _built(habitus).unlink(missing_ok=True)


def note_built(habitus: Settings, built: Plan) -> None:
    """Note what all tables are built from now, until a run publishes them."""
    write_atomically(_built(habitus), json.dumps(asdict(built.inputs)))


def note_published(habitus: Settings) -> None:
    """Make what was noted the beginning of the next increment; the caller holds the lock."""
    built = _built(habitus)
    if not built.exists():
        return
    with reader(habitus) as con:
        latest = latest_snapshot(con)
    said = {
        "published": read_pointer(habitus.published).snapshot,
        "latest": latest,
        "inputs": json.loads(built.read_text()),
    }
    write_atomically(_state(habitus), json.dumps(said))
    built.unlink()
