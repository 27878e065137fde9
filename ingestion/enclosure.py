"""What reading one source may touch: the kernel's rules for a worker, and DuckDB's own.

What does NOT belong here: how the kernel is told (`privacy.sandbox`), limits of memory and time
(`worker`).

A worker reads the files that it was given, what its source brought before, and the libraries that
it runs on. It writes to its entity's raw folder, its source's quarantine, the lists of held
records, the ledger, and the vault's segments, which it cannot open. Keys, other sources' landing
folders and quarantines, the warehouse, reports, and the rest of the machine are out of its reach.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

import expectations.contract
import privacy
from expectations.contract import load_entities
from ingestion.find import FoundFile
from ingestion.held import held_path
from ingestion.readers.parquet import duckdb_opens
from ingestion.schema import ensure_raw_schemas
from ingestion.sql import file_list
from privacy import sandbox

if TYPE_CHECKING:
    from ingestion.source import Task

#: What libraries look at when they start threads, set limits or read the clock's zone.
_SYSTEM = (
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/share/zoneinfo",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/proc/self",
    "/proc/meminfo",
    "/proc/cpuinfo",
    "/proc/sys/vm/overcommit_memory",
    "/sys/fs/cgroup",
    "/sys/devices/system/cpu",
    "/dev/urandom",
    "/dev/random",
    "/dev/zero",
)


@dataclass
class Enclosure:
    """The worker's own hold on what must stay open while it is confined.

    Attributes:
        lacking: What this machine could not take away.
    """

    lacking: list[str]
    _keeper: sqlite3.Connection = field(repr=False)

    def close(self) -> None:
        """Let go of the ledger."""
        self._keeper.close()


def enclose(task: Task, files: Sequence[FoundFile]) -> Enclosure:
    """Confine this process to one task, for good.

    Raises:
        SandboxError: If the kernel offers a protection and then refuses it.
    """
    lake, entity = task.paths.lake, task.contract.entity
    referred = {prop.references[0] for prop in task.contract.properties if prop.references}
    # Made now: a folder cannot be granted before it is there, nor be made afterwards.
    ensure_raw_schemas([entity, *(load_entities()[name] for name in sorted(referred))], lake)
    write = written(task)
    for folder in write:
        folder.mkdir(parents=True, exist_ok=True)
    ledger, keeper = _ledger(task)
    read = [*_libraries(), lake / "raw", *(found.path for found in files if found.fault is None)]
    return Enclosure(sandbox.confine(read, [*write, *ledger, Path(os.devnull)]), keeper)


def written(task: Task) -> list[Path]:
    """Folders in which a task makes files."""
    lake, sealer = task.paths.lake, task.keys.sealer
    return [
        *([] if sealer is None else [sealer.segments]),
        lake / "raw" / task.contract.entity.name,
        task.paths.quarantine / task.contract.name,
        held_path(lake, task.contract.name).parent,
    ]


def _ledger(task: Task) -> tuple[list[Path], sqlite3.Connection]:
    """The ledger's files, all of them there, and a connection that keeps them there.

    The folder of the ledger is the deployment's, so nothing may be made in it. SQLite's two files
    beside a database go when its last connection does, in whichever process.
    """
    path = task.paths.ledger
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.with_name(f"{path.name}.{task.contract.name}.lock")
    lock.touch()
    keeper = sqlite3.connect(path, timeout=60, isolation_level=None)
    keeper.execute("pragma journal_mode = wal").fetchone()
    keeper.execute("select count(*) from sqlite_master").fetchone()
    return [path, *(path.with_name(path.name + end) for end in ("-wal", "-shm")), lock], keeper


def _libraries() -> list[Path]:
    """Code that may still be imported, and what the system's libraries look at."""
    packages = [Path(entry) for entry in sys.path if entry.endswith(("-packages", "lib-dynload"))]
    ours = [Path(module.__path__[0]) for module in (expectations, privacy)]
    return [
        *map(Path, _SYSTEM),
        Path(os.__file__).parent,
        Path(__file__).parent,
        Path(sys.base_prefix, "lib"),
        *ours,
        *packages,
    ]


def lock_down(con: duckdb.DuckDBPyConnection, task: Task, files: Iterable[FoundFile]) -> None:
    """Close a connection to everything but a task's own files, and its settings to all changes.

    Where the kernel confines the process this says the same twice; elsewhere it is what stands
    between a contract's expression, or a hostile file, and the rest of the disk.
    """
    is_parquet = task.contract.source.format == "parquet"
    paths = [found.path for found in files if found.fault is None] if is_parquet else []
    folders = [task.paths.lake / "raw", *written(task)]
    con.execute(f"set allowed_paths = {file_list(filter(duckdb_opens, paths))}")
    con.execute(f"set allowed_directories = {file_list(folders)}")
    con.execute("set enable_external_access = false")
    con.execute("set lock_configuration = true")
