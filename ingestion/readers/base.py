"""What every reader gives.

What does NOT belong here: any one format.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from ingestion.results import FileError

#: A longer record is quarantined unread; no honest customer record comes near it.
MAX_RECORD_BYTES = 1 << 20
#: A file of more columns is refused: each costs 5 ms of every batch, whatever is in it.
MAX_COLUMNS = 2000
#: So much of an unreadable record is kept as text.
KEPT_TEXT = 4096

META = pa.schema(
    [
        ("_file_idx", pa.int32()),
        ("_row_number", pa.int64()),
        ("_byte_offset", pa.int64()),
        ("_bad", pa.string()),
        ("_raw", pa.string()),
    ]
)

#: A source names its columns as it likes. Before each of their names in a table, this keeps them
#: apart from META, whatever they are.
_OWN = "s_"


def require_columns(number: int, records: int) -> None:
    """Require that a file has not more columns than any contract needs.

    Raises:
        FileError: It has.
    """
    if number > MAX_COLUMNS:
        reason = f"{number} columns, and no more than {MAX_COLUMNS} are read: leave some out"
        raise FileError("file_header", reason, records)


def own(column: str) -> str:
    """The name, in a table of records, of a source's own column."""
    return _OWN + column


def own_columns(table: pa.Table) -> list[str]:
    """The source's columns in a table of records, under the source's names."""
    return [name.removeprefix(_OWN) for name in table.column_names if name.startswith(_OWN)]


@dataclass
class Records:
    """Records of some files as text.

    Attributes:
        table: The columns of META, then the source's as text, each under its `own` name; of JSONL
            and text, one column of lines. `_bad` says why a record could not be read (its columns
            are then null), and `_raw` has its text.
        counts: Records in each file, counted apart from the parser, by file index.
        columns: The source's columns under its names, in the order of the files.
        clean: Columns whose text cannot have space at its ends, as they were numbers or times.
        ascii_only: Whether no text has a character beyond ASCII.
    """

    table: pa.Table
    counts: dict[int, int]
    columns: Sequence[str]
    ascii_only: bool = False
    clean: frozenset[str] = frozenset()
