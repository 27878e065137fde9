"""The ingestion of one local source in this process: its files, then its landed repairs.

What does NOT belong here: in which process that is (`ingest`, `worker`), the way of a file (`run`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType

import duckdb

from expectations.contract import Contract
from ingestion import mask
from ingestion.enclosure import lock_down
from ingestion.files import Paths
from ingestion.find import FoundFile, find_files
from ingestion.ledger import Ledger
from ingestion.repairs import Repairs, ingest_repair, is_repair, landed_repairs
from ingestion.results import SourceResult
from ingestion.run import SourceRun
from ingestion.session import IngestKeys, Session
from ingestion.sql import ident

_DEFAULTS = MappingProxyType({"threads": 2, "memory_limit": "3GB"})


@dataclass(frozen=True)
class Task:
    """One source to ingest.

    Attributes:
        contract: Of a local source.
        paths: Where to read and write.
        keys: Of tokens, record hashes and the vault.
        run_id: Goes into ledger and quarantine.
        now: The moment of ingestion, naive UTC.
        settings: DuckDB settings.
        starved: Whether the machine gives the process that reads it less memory than its limit.
    """

    contract: Contract
    paths: Paths
    keys: IngestKeys
    run_id: str
    now: datetime
    settings: Mapping[str, str | int]
    starved: bool = False


def connect(settings: Mapping[str, str | int] | None) -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB for ingestion.

    The time zone is UTC, nothing is installed from outside, and nothing spills to disk unless
    `temp_directory` is given: clear values stay in memory.

    Args:
        settings: DuckDB settings that replace the defaults (threads 2, memory_limit 3GB).
    """
    con = duckdb.connect(":memory:")
    con.execute("set timezone = 'UTC'")
    con.execute("set autoinstall_known_extensions = false")
    con.execute("set temp_directory = ''")
    con.execute("set enable_progress_bar = false")
    for name, value in {**_DEFAULTS, **(settings or {})}.items():
        con.execute(f"set {ident(name)} = ?", [str(value)])
    mask.register(con)
    return con


def session_of(task: Task, con: duckdb.DuckDBPyConnection) -> Session:
    """A session for one run of the source."""
    return Session(
        con, task.contract, task.paths, task.keys, task.run_id, task.now, starved=task.starved
    )


def files_of(task: Task) -> list[FoundFile]:
    """Files of the source that may be new, in the order in which they are read: repairs come last.

    Raises:
        SourceError: If the source has no file.
    """
    contract, landing = task.contract, task.paths.landing
    found = find_files(contract, landing)
    with closing(Ledger(task.paths.ledger)) as ledger:
        return [*ledger.to_open(contract.name, found), *landed_repairs(contract, landing)]


class _Told(list[FoundFile]):
    """Files of which somebody is told just before each is opened."""

    def __init__(self, files: Iterable[FoundFile], tell: Callable[[FoundFile], None]) -> None:
        super().__init__(files)
        self._tell = tell

    def __iter__(self) -> Iterator[FoundFile]:
        for found in super().__iter__():
            self._tell(found)
            yield found


def ingest_files(
    task: Task, files: Sequence[FoundFile], tell: Callable[[FoundFile], None] = lambda _: None
) -> SourceResult:
    """Ingest what is new in these files of a source; the counts are this call's.

    Args:
        task: The source.
        files: All or some of its files; without any, only what a crash left is cleared up.
        tell: Called with each file before it is opened.

    Raises:
        IngestError: If the counts of a file do not add up, or the contract's expressions do not
            fit.
    """
    repairs = [found for found in files if is_repair(found)]
    ordinary = [found for found in files if not is_repair(found)]
    with (
        closing(Ledger(task.paths.ledger)) as ledger,
        ledger.writing(task.contract.name),
        connect(task.settings) as con,
    ):
        lock_down(con, task, files)
        result = SourceRun(session_of(task, con), ledger).local(_Told(ordinary, tell))
        for found in _unsettled(task, repairs):
            tell(found)
            session = session_of(task, con)
            result.merge(ingest_repair(session, ledger, found, sha256_of(found.path)))
    return result


def _unsettled(task: Task, repairs: Sequence[FoundFile]) -> list[FoundFile]:
    if not repairs:
        return []
    with closing(Repairs(task.paths.ledger)) as page:
        settled = page.settled(task.contract.name)
    return [found for found in repairs if found.shown not in settled]


def sha256_of(path: Path) -> str:
    """Content hash of a file, in hex."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
