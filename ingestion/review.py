"""What the quarantine holds, for people: groups, records, and files to work on.

What does NOT belong here: writing the quarantine (`quarantine`), mending it (`replay`).

Records are shown as the quarantine keeps them: identities are tokens there, free text is masked.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from ingestion.quarantine import QUARANTINE_SCHEMA
from privacy.export import escape_formula

_COLUMNS = ", ".join(QUARANTINE_SCHEMA.names)


class ReviewError(ValueError):
    """What was asked for is not there; the message says what is."""


@dataclass(frozen=True)
class Group:
    """Records of one file that failed for one reason.

    Attributes:
        source: The contract's name.
        file: The file as the ledger shows it.
        file_sha256: Of its bytes, in hex.
        failure_type: Short name of the failure.
        reason: What is wrong, without values.
        records: How many; 1 for a file that is quarantined whole.
        first_seen_at: Naive UTC.
        recovered: How many of them a repair has brought since.
    """

    source: str
    file: str
    file_sha256: str
    failure_type: str
    reason: str
    records: int
    first_seen_at: datetime
    recovered: int


@dataclass(frozen=True)
class Failure:
    """One quarantined record, or one file that is quarantined whole (then without a row).

    Attributes:
        file: The file as the ledger shows it.
        file_sha256: Of its bytes, in hex.
        row_number: Of the record in its file, from 1.
        byte_offset: Of the record in the file's text; None where the format has none.
        reason: What is wrong, without values.
        record: The record as kept: JSON, or the masked text of what could not be read.
        recovered_at: When a repair brought it, naive UTC.
    """

    file: str
    file_sha256: str
    row_number: int | None
    byte_offset: int | None
    reason: str
    record: str | None
    recovered_at: datetime | None


def quarantine_groups(quarantine: Path, source: str | None = None) -> list[Group]:
    """What failed, by source, file, type and reason.

    Args:
        quarantine: The quarantine's folder.
        source: Only this source.

    Raises:
        ReviewError: If nothing of that source was ever quarantined.
    """
    files = _files(quarantine, source)
    if not files:
        return []
    query = (
        "select source, file, file_sha256, failure_type, reason, count(*), min(first_seen_at), "
        "count(recovered_at) from read_parquet(?) group by all "
        "order by source, file, file_sha256, count(*) desc, reason"
    )
    with closing(duckdb.connect(":memory:")) as con:
        return [Group(*row) for row in con.execute(query, [files]).fetchall()]


def quarantine_records(
    quarantine: Path, source: str, *, file: str = "", limit: int = 20
) -> list[Failure]:
    """Quarantined records of a source, in the order of file and row.

    Args:
        quarantine: The quarantine's folder.
        source: The contract's name.
        file: Beginning of the file's hash; empty means all files.
        limit: At most so many.

    Raises:
        ReviewError: If nothing of that source, or of that file, was ever quarantined.
    """
    files = _files(quarantine, source)
    query = (
        "select file, file_sha256, row_number, byte_offset, reason, record, recovered_at "
        "from read_parquet(?) where starts_with(file_sha256, ?) "
        "order by file, file_sha256, row_number limit ?"
    )
    with closing(duckdb.connect(":memory:")) as con:
        rows = con.execute(query, [files, file.lower(), limit]).fetchall()
    if not rows and file:
        raise ReviewError(
            f"source `{source}` has no quarantined file whose hash begins with {file!r}; "
            f"`habitus quarantine list --source {source}` shows the hashes"
        )
    return [Failure(*row) for row in rows]


def export_quarantine(quarantine: Path, source: str, target: Path) -> int:
    """Write all quarantined records of a source to a .csv, .parquet or .jsonl file.

    In CSV, a cell that a spreadsheet would take for a formula gets a leading apostrophe.

    Returns:
        How many records were written.

    Raises:
        ReviewError: If the source has none, or the file's name has another ending.
    """
    form = target.suffix.lower()
    if form not in (".csv", ".parquet", ".jsonl"):
        raise ReviewError(f"{target.name}: end the name in .csv, .parquet or .jsonl")
    files = _files(quarantine, source)
    query = f"select {_COLUMNS} from read_parquet(?) order by file, file_sha256, row_number"
    with closing(duckdb.connect(":memory:")) as con:
        table = con.execute(query, [files]).to_arrow_table().cast(QUARANTINE_SCHEMA)
    target.parent.mkdir(parents=True, exist_ok=True)
    if form == ".parquet":
        pq.write_table(table, target)
    elif form == ".csv":
        pacsv.write_csv(_escaped(table), target)
    else:
        with target.open("w", encoding="utf-8") as handle:
            for row in table.to_pylist():
                handle.write(json.dumps(row, ensure_ascii=False, default=_iso) + "\n")
    return int(table.num_rows)


def _escaped(table: pa.Table) -> pa.Table:
    for index, column in enumerate(table.schema):
        if pa.types.is_string(column.type):
            cells = [escape_formula(text) for text in table.column(index).to_pylist()]
            table = table.set_column(index, column, pa.array(cells, pa.string()))
    return table


def _iso(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _files(quarantine: Path, source: str | None) -> Sequence[str]:
    """Parquet files of a source's quarantine; of all sources if none is named."""
    found = sorted(quarantine.glob("*/*.parquet"))
    if source is None:
        return [str(path) for path in found]
    mine = [str(path) for path in found if path.parent.name == source]
    if not mine:
        names = sorted({path.parent.name for path in found})
        raise ReviewError(
            f"source `{source}` has nothing in quarantine; "
            + (f"these have: {', '.join(names)}" if names else "no source has")
        )
    return mine
