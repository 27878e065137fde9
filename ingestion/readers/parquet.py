"""Parquet: DuckDB reads it, every column becomes text; the footer counts the records.

What does NOT belong here: other formats.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ingestion.readers.base import MAX_RECORD_BYTES, own, require_columns
from ingestion.results import FileError
from ingestion.sql import ident, literal

_MAGIC = b"PAR1"
_GLOB_SIGN = re.compile(r"[*?\[]")
#: A file that states so many values, and so many for each of its bytes, is taken for a bomb.
MAX_VALUES = 50_000_000
MAX_VALUES_A_BYTE = 400
#: How DuckDB says that a text is no UTF-8: an error of the whole page, not of the value.
_NOT_UTF8 = "Invalid string encoding"
_UNDECODED = '"_undecoded"'
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
        FileError: If the file is empty, truncated, a bomb or no Parquet, or its footer names a
            column twice or in no way that can be read, or contradicts itself.
    """
    with path.open("rb") as handle:
        head = handle.read(4)
        if not head:
            raise FileError("file_empty", "the file is empty")
        if head != _MAGIC:
            raise FileError("file_magic", "not a Parquet file")
        try:
            found = pq.read_metadata(handle)
            names = list(found.schema.to_arrow_schema().names)
        except UnicodeDecodeError:
            raise FileError("file_damaged", "a column's name is not UTF-8") from None
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
            if _is_the_machines(error):
                raise
            raise FileError("file_truncated", "the Parquet footer cannot be read") from None
    if not all(names) or any("\x00" in name for name in names):
        raise FileError("file_damaged", "a column's name is empty or holds NUL", found.num_rows)
    if len({name.lower() for name in names}) != len(names):
        raise FileError("file_duplicate_header", "a column is named twice", found.num_rows)
    require_columns(len(names), found.num_rows)
    values = found.num_rows * max(found.num_columns, 1)
    if values > max(MAX_VALUES, path.stat().st_size * MAX_VALUES_A_BYTE):
        raise FileError("file_bomb", f"states {values} values in {path.stat().st_size} bytes")
    groups = [found.row_group(index) for index in range(found.num_row_groups)]
    _require_records(found.num_rows, sum(group.num_rows for group in groups), found.num_rows)
    columns = range(found.num_columns)
    flat = next((i for i in columns if found.schema.column(i).max_repetition_level == 0), None)
    if flat is not None:
        held = sum(group.column(flat).num_values for group in groups)
        _require_records(found.num_rows, held, found.num_rows)
    return names, found.num_rows


def _require_records(stated: int, held: int, total: int) -> None:
    if stated != held:
        reason = f"the Parquet footer states {stated} records where the file holds {held}"
        raise FileError("file_damaged", reason, total)


def duckdb_opens(path: Path) -> bool:
    """Whether DuckDB can open the very file: its names are globs, in UTF-8.

    Escaping a glob is no remedy: to match it DuckDB lists the folder, which no worker may.
    """
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return _GLOB_SIGN.search(str(path)) is None


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
    con: duckdb.DuckDBPyConnection,
    path: Path,
    rows: tuple[int, int],
    total: int = 0,
    needed: Collection[str] = (),
) -> tuple[pa.Table, frozenset[str]]:
    """Records `rows[0]` (from 0) to `rows[1]` (not included) of a file as text columns.

    Args:
        con: A connection.
        path: The file.
        rows: Which records.
        total: Records in the file, as its footer states.
        needed: Binary columns that must be text; in others, bytes that are none become null.

    Returns:
        The table, and the columns whose text cannot have space at its ends.

    Raises:
        FileError: If a page cannot be read, or there are not as many records as stated.
        OutOfMemoryException: If the records need more memory than the connection may use.
    """
    try:
        if duckdb_opens(path):
            # A folder `total=9` is no column of the file's: a contract reads what files hold.
            told = "file_row_number = true, hive_partitioning = false"
            relation = f"read_parquet({literal(str(path))}, {told})"
            try:
                table, plain = _select(con, relation, rows, needed)
            except duckdb.InvalidInputException as error:
                if _NOT_UTF8 not in str(error):
                    raise
                table, plain = _select_bytes(con, path, rows, needed)
        else:
            table, plain = _select_bytes(con, path, rows, needed)
    except duckdb.OutOfMemoryException:
        raise  # says nothing of the file
    except (
        duckdb.Error, pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError, UnicodeError
    ) as error:  # fmt: skip
        if _is_the_machines(error):
            raise
        raise FileError("file_damaged", "a Parquet page cannot be read", total) from None
    _require_records(rows[1] - rows[0], table.num_rows, total)
    return table, plain


def _is_the_machines(error: Exception) -> bool:
    """Whether an error says nothing of the file: too many open files, a disk that does not answer.

    What Arrow finds wrong in a file is an OSError too, without the system's number.
    """
    return isinstance(error, OSError) and error.errno is not None


def _select(
    con: duckdb.DuckDBPyConnection, relation: str, rows: tuple[int, int], needed: Collection[str]
) -> tuple[pa.Table, frozenset[str]]:
    described = con.execute(f"describe select * from {relation}").fetchall()
    described = [row for row in described if row[0] != "file_row_number"]
    columns = ", ".join(f"{text_of(row[0], row[1])} as {ident(own(row[0]))}" for row in described)
    wide = [ident(own(row[0])) for row in described if not row[1].upper().startswith(_PLAIN)]
    size = " + ".join(f"coalesce(strlen({name}), 0)" for name in wide) or "0"
    must_decode = {" ".join(name.split()) for name in needed}
    undecoded = [
        f"({ident(name)} is not null and try(decode({ident(name)})) is null)"
        for name, kind, *_ in described
        if kind.upper() == "BLOB" and " ".join(name.split()) in must_decode
    ]
    table = con.execute(
        "select 0::integer as _file_idx, file_row_number + 1 as _row_number, "
        "null::bigint as _byte_offset, "
        f"case when {_UNDECODED} then 'encoding' when {size} > {MAX_RECORD_BYTES} then 'oversized' "
        f"end as _bad, null::varchar as _raw, * exclude (file_row_number, {_UNDECODED}) from ("
        f"select file_row_number, {' or '.join(undecoded) or 'false'} as {_UNDECODED}, {columns} "
        f"from {relation} "
        f"where file_row_number >= {rows[0]} and file_row_number < {rows[1]})"
    ).to_arrow_table()
    return table, frozenset(row[0] for row in described if row[1].upper().startswith(_PLAIN))


def _select_bytes(
    con: duckdb.DuckDBPyConnection, path: Path, rows: tuple[int, int], needed: Collection[str]
) -> tuple[pa.Table, frozenset[str]]:
    """As `_select`, with Arrow as the reader and texts as bytes, which may be no UTF-8."""
    with path.open("rb") as handle:
        file = pq.ParquetFile(handle)
        ends = np.cumsum(
            [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)], dtype=int
        )
        first = int(np.searchsorted(ends, rows[0], side="right"))
        last = int(np.searchsorted(ends, rows[1], side="left"))
        before = int(ends[first - 1]) if first else 0
        groups = range(first, min(last + 1, len(ends)))
        table = file.read_row_groups(list(groups)).slice(rows[0] - before, rows[1] - rows[0])
    texts = []
    for index, field in enumerate(table.schema):
        kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            column = table.column(index).cast(kind).cast(pa.large_binary())
            table = table.set_column(index, field.name, column)
            texts.append(field.name)
    table.validate(full=True)  # of nested texts nothing else says that they are UTF-8
    numbers = pa.array(np.arange(rows[0], rows[0] + table.num_rows))
    con.register("parquet_rows", table.append_column("file_row_number", numbers))
    try:
        return _select(con, "parquet_rows", rows, {*needed, *texts})
    finally:
        con.unregister("parquet_rows")
