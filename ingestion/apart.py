"""A source read in a worker; the file that kills it is quarantined whole, everything else loads.

What does NOT belong here: the worker itself (`worker`), what reading is (`source`, `run`).

When a worker dies, the files that it had opened are tried again by halves, until one dies alone.
A file is guilty when it was there at two deaths, the second one alone, and a worker without any
file lives: so neither the kernel that reclaims memory once, nor limits too small for anything, put
a good file into quarantine. Where the machine gives a worker less than its limits, a death says
nothing about a file: the run fails, and the next one reads it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from ingestion.files import OpenFile
from ingestion.find import FoundFile
from ingestion.ledger import Ledger
from ingestion.overview import file_results
from ingestion.results import FileError, IngestError, SourceResult
from ingestion.run import SourceRun
from ingestion.source import Task, connect, ingest_files, session_of, sha256_of
from ingestion.worker import Limits, Outcome, attempt

SETTINGS = "HABITUS_READER_MEMORY_GIB, HABITUS_READER_MINUTES"


@dataclass
class _Search:
    """What is left to try, and who was there at a death."""

    groups: list[list[FoundFile]]
    deaths: Counter[str] = field(default_factory=Counter)
    warnings: list[str] = field(default_factory=list)
    held: int = 0


def ingest_local(task: Task, files: Sequence[FoundFile], limits: Limits | None) -> SourceResult:
    """Ingest what is new in these files of a source: in a worker, or here without limits."""
    return ingest_files(task, files) if limits is None else ingest_apart(task, files, limits)


def ingest_apart(task: Task, files: Sequence[FoundFile], limits: Limits) -> SourceResult:
    """Ingest what is new in these files of a source, in a worker.

    Raises:
        IngestError: As `ingest_files`; also if the worker was stopped, or dies without any file.
    """
    started = time.monotonic()
    with closing(Ledger(task.paths.ledger)) as ledger:
        before = ledger.known(task.contract.name)
    first = attempt(task, files, limits)
    if first.result is not None:
        return first.result
    search = _Search([])
    _after_death(task, files, first, search, limits)
    while search.groups:
        group = search.groups.pop(0)
        outcome = attempt(task, group, limits)
        if outcome.result is not None:
            search.warnings.extend(outcome.result.warnings)
            search.held += outcome.result.held
        else:
            _after_death(task, group, outcome, search, limits)
    result = _since(task, before)
    result.warnings = list(dict.fromkeys(search.warnings))
    result.held = search.held
    result.seconds = round(time.monotonic() - started, 3)
    return result


def _after_death(
    task: Task, group: Sequence[FoundFile], outcome: Outcome, search: _Search, limits: Limits
) -> None:
    """Put what is to be tried next before the rest, or quarantine the file that is guilty."""
    suspects = [found for found in group if found.shown in outcome.opened]
    rest = [found for found in group if found.shown not in outcome.opened]
    if outcome.stopped or outcome.scarce or not suspects:
        raise IngestError(
            f"{task.contract.path.name}: the worker that reads source `{task.contract.name}` "
            f"{outcome.died}, and no file is to blame. {_way_out(outcome)}"
        )
    search.deaths.update(outcome.opened)
    half = (len(suspects) + 1) // 2
    lone = len(suspects) == 1
    if lone and search.deaths[suspects[0].shown] > 1:
        _condemn(task, suspects[0], str(outcome.died), search, limits)
        parts = [rest]
    else:
        parts = [suspects[:half], suspects[half:], rest]
    search.groups[:0] = [part for part in parts if part]


def _way_out(outcome: Outcome) -> str:
    if outcome.stopped:
        return "Run again"
    if outcome.scarce:
        return (
            f"This machine gives it less than its limits: {', '.join(outcome.scarce)}. Raise those "
            f"of the machine, or lower its own ({SETTINGS})"
        )
    return f"Raise its limits ({SETTINGS}), or free memory"


def _condemn(task: Task, found: FoundFile, died: str, search: _Search, limits: Limits) -> None:
    control = attempt(task, [], limits)
    if control.result is None:
        _after_death(task, [], control, search, limits)
    search.warnings.extend(_Crashed.quarantine(task, found, f"its reader {died}").warnings)


class _Crashed(SourceRun):
    """A run that reads nothing."""

    @classmethod
    def quarantine(cls, task: Task, found: FoundFile, reason: str) -> SourceResult:
        """Quarantine a file whole without opening it for more than its hash."""
        opened = OpenFile(found, sha256_of(found.path), found.path.stat().st_size)
        with (
            closing(Ledger(task.paths.ledger)) as ledger,
            ledger.writing(task.contract.name),
            connect(task.settings) as con,
        ):
            run = cls(session_of(task, con), ledger)
            if opened.sha256 not in ledger.known(task.contract.name):
                run._reject(opened, FileError("file_crash", reason))
            return run.result


def _since(task: Task, before: Collection[str]) -> SourceResult:
    """What the ledger has gained: a worker that died took its counts with it, not its batches."""
    result = SourceResult(task.contract.name, task.contract.entity.name)
    for sha256, counts in file_results(task.paths.ledger, task.contract).items():
        if sha256 not in before:
            result.merge(counts)
    return result
