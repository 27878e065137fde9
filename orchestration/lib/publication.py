"""Publication: one pointer file that names the snapshot every reader pins.

What does not belong here: building tables (dbt) or opening connections (warehouse.py).
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
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
class Publication:
    """What the pointer says.

    Attributes:
        snapshot: the warehouse's snapshot number.
        run_id: the run that published it.
        published_at: ISO 8601, UTC.
        as_of: last day that the tables cover, ISO 8601; None when there is no data.
    """

    snapshot: int
    run_id: str
    published_at: str
    as_of: str | None


def read_pointer(pointer: Path) -> Publication:
    """The current publication.

    Raises:
        NothingPublishedError: no run has published yet.
    """
    if not pointer.exists():
        raise NothingPublishedError(
            f"nothing is published yet ({pointer} is missing): run `habitus run` first"
        )
    return Publication(**json.loads(pointer.read_text()))


def write_atomically(path: Path, text: str) -> None:
    """Write a whole file or nothing: readers see the old text or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def swap_pointer(pointer: Path, *, snapshot: int, run_id: str, as_of: str | None) -> Publication:
    """Publish a snapshot: from here on, new readers see it."""
    publication = Publication(snapshot, run_id, datetime.now(UTC).isoformat(), as_of)
    write_atomically(pointer, json.dumps(asdict(publication), indent=2) + "\n")
    return publication


@contextmanager
def writer(lock: Path) -> Iterator[None]:
    """The right to write to the warehouse, across processes.

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
