"""What kind of file is it: format, encoding, delimiter, header; and all its records as text.

What does NOT belong here: what the columns mean.
"""

from __future__ import annotations

import codecs
import contextlib
import csv
import json
import re
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
import pyarrow as pa

from expectations.contract import Source, is_reserved
from ingestion.files import GZIP_MAGIC, OpenFile, inflate
from ingestion.find import FoundFile
from ingestion.readers.base import own, own_columns
from ingestion.readers.delimited import read_delimited
from ingestion.readers.encodings import to_utf8
from ingestion.readers.parquet import footer, read_parquet
from ingestion.results import FileError

_SAMPLE = 1 << 20
_DELIMITERS = (",", ";", "\t", "|")
_PAIR = re.compile(rb"[\xa1-\xf7][\xa1-\xfe]")
_HIGH = re.compile(rb"[\x80-\xff]+")
_NUMERIC = re.compile(r"[\s$€£¥￥]*[+-]?\d[\d.,:/\s-]*\Z")


@dataclass
class Sniffed:
    """A file as it was found to be.

    Attributes:
        path: The file.
        format: csv, jsonl or parquet.
        table: Its columns as text, all records.
        delimiter: Of CSV.
        encoding: Of text.
        header: Whether CSV names its columns.
        notes: What was uncertain.
    """

    path: Path
    format: str
    table: pa.Table
    delimiter: str = ","
    encoding: str = "utf-8"
    header: bool = True
    notes: tuple[str, ...] = ()

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return list(self.table.column_names)


def guess_encoding(data: bytes) -> str:
    """utf-8, utf-16(-le, -be), gb18030 or cp1252.

    Chinese in GB 18030 comes in pairs of high bytes; a European letter stands alone.
    """
    if data.startswith(codecs.BOM_UTF8):
        return "utf-8"
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    head = data[: 1 << 16]
    if head and head.count(0) > len(head) // 4:
        return "utf-16-le" if head[1::2].count(0) > head[::2].count(0) else "utf-16-be"
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        sample = data[:_SAMPLE]
        paired = 2 * len(_PAIR.findall(sample))
        if paired > 0.8 * sum(len(run) for run in _HIGH.findall(sample)):
            with contextlib.suppress(UnicodeDecodeError):
                data.decode("gb18030")
                return "gb18030"
        return "cp1252"
    return "utf-8"


def guess_delimiter(text: str) -> str:
    """The delimiter under which most lines have the same number of fields, more than one."""
    lines = [line for line in text.splitlines()[:200] if line.strip()]
    best, best_score = ",", 0.0
    for delimiter in _DELIMITERS:
        widths = [len(row) for row in csv.reader(lines, delimiter=delimiter)]
        if not widths or widths[0] < 2:
            continue
        alike = sum(1 for width in widths if width == widths[0]) / len(widths)
        score = alike * 100 + min(widths[0], 50)
        if score > best_score:
            best, best_score = delimiter, score
    return best


def _has_header(text: str, delimiter: str) -> bool:
    lines = [line for line in text.splitlines()[:50] if line.strip()]
    if not lines:
        return True
    first = next(iter(csv.reader(lines[:1], delimiter=delimiter)), [])
    return not any(_NUMERIC.match(cell) or "@" in cell for cell in first)


def sniff(path: Path) -> Sniffed:
    """Look at a file, without columns whose names no contract may declare.

    Raises:
        FileError: If it is empty, damaged, or of a kind that cannot be read.
    """
    found = _sniff(path)
    reserved = [name for name in found.columns if is_reserved(name)]
    if not reserved:
        return found
    note = f"left out, as ingestion keeps such names for itself: {', '.join(reserved)}"
    return replace(found, table=found.table.drop_columns(reserved), notes=(*found.notes, note))


def _sniff(path: Path) -> Sniffed:
    data = path.read_bytes()
    if not data:
        raise FileError("file_empty", "the file is empty")
    if data.startswith(b"PAR1"):
        _names, number = footer(path)
        with duckdb.connect(":memory:") as con:
            con.execute("set timezone = 'UTC'")
            table, _clean = read_parquet(con, path, (0, number))
        return Sniffed(path, "parquet", _source_table(table))
    if data.startswith(GZIP_MAGIC):
        data = inflate(data)
    encoding = guess_encoding(data)
    text = to_utf8(data, encoding)
    start = text[:_SAMPLE].lstrip()
    if start.startswith(b"["):
        raise FileError("file_json", "a JSON array: write one object a line (JSONL) instead")
    if start.startswith(b"{"):
        return Sniffed(path, "jsonl", _json_table(text), encoding=encoding)
    sample = text[:_SAMPLE].decode("utf-8", "replace")
    delimiter = guess_delimiter(sample)
    header = _has_header(sample, delimiter)
    source = Source("local", format="csv", delimiter=delimiter, encoding=encoding, header=header)
    opened = OpenFile(FoundFile(path, path.name), "", len(data), data)
    table, _number = read_delimited(opened, source)
    notes = () if header else ("the file has no header: columns are column0, column1, ...",)
    return Sniffed(path, "csv", _source_table(table), delimiter, encoding, header, notes)


def _source_table(records: pa.Table) -> pa.Table:
    """The source's columns of a reader's table, under the source's names."""
    names = own_columns(records)
    return records.select(list(map(own, names))).rename_columns(names)


def _json_table(text: bytes) -> pa.Table:
    """Leaves of JSON objects as text columns under dotted names, in order of appearance."""
    rows: list[dict[str, str]] = []
    names: dict[str, None] = {}

    def walk(value: object, at: str, row: dict[str, str]) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                if "." not in key:
                    walk(inner, f"{at}.{key}" if at else key, row)
        elif value is not None:
            names.setdefault(at)
            row[at] = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

    for line in text.split(b"\n"):
        try:
            parsed = json.loads(line) if line.strip() else None
        except ValueError:
            continue
        if isinstance(parsed, dict):
            row: dict[str, str] = {}
            walk(parsed, "", row)
            rows.append(row)
    leaves = [n for n in names if not any(other.startswith(n + ".") for other in names)]
    return pa.table(
        {name: pa.array([row.get(name) for row in rows], pa.string()) for name in leaves}
    )
