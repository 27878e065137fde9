"""What the ledger and the quarantine hold, for people; reads only.

What does NOT belong here: reading sources (`pending`, `run`), or changing either.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path

import duckdb

from expectations.contract import Contract
from ingestion.results import SourceResult

COUNTS = ("records_in", "accepted", "quarantined", "duplicates")


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
