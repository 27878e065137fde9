"""Publication: one pointer file that names the snapshot every reader pins.

What does not belong here: building tables (dbt), opening connections (warehouse.py), or removing
versions that nobody may pin any more (maintenance.py).
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from filelock import FileLock, Timeout

WRITER_TIMEOUT_SECONDS = 1800
# Languages of the evaluation report -> its file in a run's folder.
LANGUAGES = {"en": "report.html", "zh": "report.zh.html"}


class NothingPublishedError(RuntimeError):
    """There is no published snapshot yet."""


class WarehouseBusyError(RuntimeError):
    """Another process holds the writer's lock."""


@dataclass(frozen=True)
class Version:
    """A snapshot that was published before the present one.

    Attributes:
        snapshot: its number.
        replaced_at: when the next one was published, ISO 8601, UTC.
    """

    snapshot: int
    replaced_at: str


@dataclass(frozen=True)
class Publication:
    """What the pointer says.

    Attributes:
        snapshot: the warehouse's snapshot number.
        run_id: the run that published it.
        published_at: ISO 8601, UTC.
        as_of: last day that the tables cover, ISO 8601; None when there is no data.
        earlier: versions before it that can still be read, the newest first.
    """

    snapshot: int
    run_id: str
    published_at: str
    as_of: str | None
    earlier: tuple[Version, ...] = ()

    def readable(self) -> set[int]:
        """Snapshots that a reader may be pinned to."""
        return {self.snapshot, *(version.snapshot for version in self.earlier)}


def read_pointer(pointer: Path) -> Publication:
    """The current publication.

    Raises:
        NothingPublishedError: no run has published yet.
    """
    try:
        said = json.loads(pointer.read_text())
    except FileNotFoundError as error:
        raise NothingPublishedError(
            f"nothing is published yet ({pointer} is missing): run `habitus run` first"
        ) from error
    earlier = tuple(Version(**version) for version in said.pop("earlier", ()))
    return Publication(**said, earlier=earlier)


def write_atomically(path: Path, text: str) -> None:
    """Write a whole file or nothing: readers see the old text or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _still_readable(replaced: Publication, now: datetime, keep_days: float) -> tuple[Version, ...]:
    """The version that is being replaced, and those before it that are not too old.

    A reader that read the pointer just now holds the version being replaced, so that it stays
    however short the time; and the time runs from when a version was replaced, not published.
    """
    oldest = now - timedelta(days=min(keep_days, 36_500))
    kept = [v for v in replaced.earlier if datetime.fromisoformat(v.replaced_at) >= oldest]
    return (Version(replaced.snapshot, now.isoformat()), *kept)


def swap_pointer(
    pointer: Path,
    *,
    snapshot: int,
    run_id: str,
    as_of: str | None,
    keep_days: float = float("inf"),
) -> Publication:
    """Publish a snapshot: from here on, new readers see it.

    Args:
        pointer: the pointer's file.
        snapshot: the warehouse's snapshot number.
        run_id: the run that made it.
        as_of: last day that the tables cover, ISO 8601.
        keep_days: how long versions that were replaced stay readable.
    """
    now = datetime.now(UTC)
    earlier: tuple[Version, ...] = ()
    if pointer.exists():
        before = read_pointer(pointer)
        # Published a second time, a snapshot has not been replaced.
        same = before.snapshot == snapshot
        earlier = before.earlier if same else _still_readable(before, now, keep_days)
        earlier = tuple(version for version in earlier if version.snapshot != snapshot)
    publication = Publication(snapshot, run_id, now.isoformat(), as_of, earlier)
    write_atomically(pointer, json.dumps(asdict(publication), indent=2) + "\n")
    return publication


@contextmanager
def writer(lock: Path) -> Iterator[None]:
    """The right to write to the warehouse, across processes; a killed process gives it back.

    Raises:
        WarehouseBusyError: another process kept it for half an hour.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(lock, timeout=WRITER_TIMEOUT_SECONDS):
            yield
    except Timeout as error:
        raise WarehouseBusyError(
            f"another process holds {lock}; see `habitus status`, or wait for it"
        ) from error


def is_held(lock: Path) -> bool:
    """Whether another process holds a lock at this moment."""
    if not lock.exists():
        return False
    try:
        with FileLock(lock, timeout=0):
            return False
    except Timeout:
        return True
