"""What the ledger and the quarantine hold, for people and for the sensor; reads only.

What does NOT belong here: reading sources, or changing either.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb

from expectations.contract import Contract
from ingestion.files import Paths
from ingestion.find import FoundFile, find_files
from ingestion.results import SourceError, SourceResult
from ingestion.settled import unfinished

COUNTS = ("records_in", "accepted", "quarantined", "duplicates")


@dataclass(frozen=True)
class PendingFile:
    """A file that has landed and is not in the ledger.

    Attributes:
        source: the contract's name.
        shown: its path as messages show it.
        sha256: of its bytes, in hex.
        generation: how often other bytes of this path were read before.
    """

    source: str
    shown: str
    sha256: str
    generation: int


def ledger_totals(ledger: Path) -> dict[str, dict[str, int]]:
    """Counts of everything ever read, by source; empty before the first ingestion."""
    if not ledger.exists():
        return {}
    sums = ", ".join(f"sum({c})" for c in COUNTS)
    with closing(sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)) as db:
        rows = db.execute(f"select source, {sums} from files group by source order by source")
        return {row[0]: dict(zip(COUNTS, row[1:], strict=True)) for row in rows}


def file_results(ledger: Path, contract: Contract) -> dict[str, SourceResult]:
    """Counts of every file of a source by content hash."""
    query = f"select sha256, known_from, known_to, {', '.join(COUNTS)} from files where source = ?"
    found = {}
    with closing(sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)) as db:
        for sha256, first, last, *counts in db.execute(query, (contract.name,)):
            figures = dict(zip(COUNTS, counts, strict=True))
            result = SourceResult(contract.name, contract.entity.name, files=1, **figures)
            result.widen(
                datetime.fromisoformat(first) if first else None,
                datetime.fromisoformat(last) if last else None,
            )
            found[str(sha256)] = result
    return found


def quarantine_counts(quarantine: Path) -> dict[str, dict[str, int]]:
    """Quarantined records by source and type of failure."""
    if not any(quarantine.glob("*/*.parquet")):
        return {}
    with closing(duckdb.connect(":memory:")) as con:
        rows = con.execute(
            "select source, failure_type, count(*) from read_parquet(?) group by all order by all",
            [str(quarantine / "*" / "*.parquet")],
        ).fetchall()
    found: dict[str, dict[str, int]] = {}
    for source, failure, count in rows:
        found.setdefault(str(source), {})[str(failure)] = int(count)
    return found


def pending_files(contracts: Sequence[Contract], paths: Paths) -> list[PendingFile]:
    """Files whose content the ledger does not know, of all local sources.

    A file that the ledger has under the same path and size, and that has not changed since, is
    not read again; every other one is hashed.
    """
    known: dict[tuple[str, str], list[tuple[int, str, float]]] = {}
    hashes: dict[str, set[str]] = {}
    if paths.ledger.exists():
        with closing(sqlite3.connect(f"file:{paths.ledger}?mode=ro", uri=True)) as db:
            for source, shown, size, sha, seconds in db.execute(
                "select source, path, bytes, sha256, "
                "cast(strftime('%s', ingested_at) as integer) from files"
            ):
                known.setdefault((source, shown), []).append((size, sha, seconds))
                hashes.setdefault(source, set()).add(sha)
    return list(_pending(contracts, paths, known, hashes))


def _pending(
    contracts: Sequence[Contract],
    paths: Paths,
    known: dict[tuple[str, str], list[tuple[int, str, float]]],
    hashes: dict[str, set[str]],
) -> Iterator[PendingFile]:
    for contract in contracts:
        for file in _found(contract, paths.landing):
            before = known.get((contract.name, file.shown), [])
            # What must not be read, or is still being written, is nothing to run for.
            if file.fault is not None or unfinished(file.path, contract.source.settle_seconds):
                continue
            stat = file.path.stat()
            if any(size == stat.st_size and stat.st_mtime < when for size, _, when in before):
                continue
            with file.path.open("rb") as opened:
                sha = hashlib.file_digest(opened, "sha256").hexdigest()
            if sha not in hashes.get(contract.name, set()):
                yield PendingFile(contract.name, file.shown, sha, len(before))


def _found(contract: Contract, landing: Path) -> list[FoundFile]:
    """The files of a local source; none yet is not an error for somebody who only looks."""
    if contract.source.type != "local":
        return []
    try:
        return find_files(contract, landing)
    except SourceError:
        return []
