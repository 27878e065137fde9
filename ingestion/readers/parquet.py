"""Parquet: DuckDB reads it, every column becomes text; the footer counts the records.

What does NOT belong here: other formats.
"""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from ingestion.readers.base import MAX_RECORD_BYTES
from ingestion.results import FileError
from ingestion.sql import ident, literal

_MAGIC = b"PAR1"
#: A file that states so many values, and so many for each of its bytes, is taken for a bomb.
MAX_VALUES = 50_000_000
MAX_VALUES_A_BYTE = 400
_PLAIN = (
    "TINYINT",
    "SMALLINT",
    "INTEGER",
    "BIGINT",
    "HUGEINT",
    "DOUBLE",
    "FLOAT",
    "DECIMAL",
    "DATE",
    "TIMESTAMP",
    "BOOLEAN",
    "UINTEGER",
    "UBIGINT",
    "TIME",
)


def footer(path: Path) -> tuple[list[str], int]:
    """(columns, records) as a file's footer states them.

    Raises:
        FileError: If the file is empty, truncated, a bomb or no Parquet, or names a column twice.
    """
    with path.open("rb") as handle:
        head = handle.read(4)
    if not head:
        raise FileError("file_empty", "the file is empty")
    if head != _MAGIC:
        raise FileError("file_magic", "not a Parquet file")
    try:
        found = pq.read_metadata(path)
        names = list(found.schema.to_arrow_schema().names)
    except (pa.ArrowInvalid, OSError):
        raise FileError("file_truncated", "the Parquet footer cannot be read") from None
    if len({name.lower() for name in names}) != len(names):
        raise FileError("file_duplicate_header", "a column is named twice", found.num_rows)
    values = found.num_rows * max(found.num_columns, 1)
    if values > max(MAX_VALUES, path.stat().st_size * MAX_VALUES_A_BYTE):
        raise FileError("file_bomb", f"states {values} values in {path.stat().st_size} bytes")
    return names, found.num_rows


def text_of(name: str, kind: str) -> str:
    """SQL that gives a typed column as text: whole floats as integers, nested values as JSON."""
    column = ident(name)
    upper = kind.upper()
    if upper in ("DOUBLE", "FLOAT"):
        return (
            f"case when {column} = trunc({column}) and abs({column}) < 1e15 "
            f"then {column}::bigint::varchar else {column}::varchar end"
        )
    if upper.startswith(("STRUCT", "MAP")) or upper.endswith("]"):
        return f"to_json({column})::varchar"
    if upper == "BLOB":
        return f"try(decode({column}))"
    return f"{column}::varchar"


def read_parquet(
    con: duckdb.DuckDBPyConnection, path: Path, rows: tuple[int, int], total: int = 0
) -> tuple[pa.Table, frozenset[str]]:
    """Records `rows[0]` (from 0) to `rows[1]` (not included) of a file as text columns.

    Args:
        con: A connection.
        path: The file.
        rows: Which records.
        total: Records in the file, as its footer states.

    Returns:
        The table, and the columns whose text cannot have space at its ends.

    Raises:
        FileError: If a page cannot be read.
        OutOfMemoryException: If the records need more memory than the connection may use.
    """
    relation = f"read_parquet({literal(str(path))}, file_row_number = true)"
    try:
        described = con.execute(f"describe select * from {relation}").fetchall()
        described = [row for row in described if row[0] != "file_row_number"]
        columns = ", ".join(f"{text_of(row[0], row[1])} as {ident(row[0])}" for row in described)
        wide = [ident(row[0]) for row in described if not row[1].upper().startswith(_PLAIN)]
        size = " + ".join(f"coalesce(strlen({name}), 0)" for name in wide) or "0"
        table = con.execute(
            "select 0::integer as _file_idx, file_row_number + 1 as _row_number, "
            "null::bigint as _byte_offset, "
            f"case when {size} > {MAX_RECORD_BYTES} then 'oversized' end as _bad, "
            "null::varchar as _raw, * exclude (file_row_number) from ("
            f"select file_row_number, {columns} from {relation} "
            f"where file_row_number >= {rows[0]} and file_row_number < {rows[1]})"
        ).to_arrow_table()
        plain = frozenset(row[0] for row in described if row[1].upper().startswith(_PLAIN))
        return table, plain
    except duckdb.OutOfMemoryException:
        raise  # says nothing of the file
    except duckdb.Error:
        raise FileError("file_damaged", "a Parquet page cannot be read", total) from None
