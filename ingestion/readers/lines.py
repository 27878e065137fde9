"""Bytes -> records of one line each (JSONL and text).

What does NOT belong here: encodings (`encodings`), quotes (`delimited`), JSON itself (DuckDB reads
it, see `compile`).

What a record is, for JSONL and text: a line that is not blank. A line ends with LF, CR LF, or, in a
file without any LF, CR. Blank is defined once, in `BLANK`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ingestion.files import OpenFile
from ingestion.names import shown_column
from ingestion.readers.base import KEPT_TEXT, MAX_RECORD_BYTES, Records
from ingestion.readers.encodings import UNDECODABLE, disk_lines, to_utf8

#: A line of only these bytes is blank, and no record.
BLANK = b" \t\r"
#: So many records of a chunk of JSON are looked at for columns that no contract names.
SAMPLED = 1000

_ESCAPED_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")

Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]


def count_lines(data: bytes, expected: int = -1, blank: bytes = BLANK) -> int:
    """Records of a text, counted without the splitter: lines that are not blank.

    Args:
        data: Text with LF line ends.
        expected: The splitter's number. If it is the number of all lines, no line is blank and
            counting line ends is enough; else blank lines are counted out here too.
        blank: Bytes that make no record.
    """
    lines = data.count(b"\n") + (1 if data and not data.endswith(b"\n") else 0)
    if lines == expected:
        return lines
    return sum(map(bool, data.translate(None, blank).split(b"\n")))


def line_spans(buffer: Bytes, blank: bytes = BLANK) -> tuple[Offsets, Offsets]:
    """(starts, ends) of the lines that are not blank; ends are behind the line's LF.

    Args:
        buffer: The bytes, with LF as the end of line.
        blank: Bytes that make no record.
    """
    if buffer.size == 0:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    ends = np.flatnonzero(buffer == 10).astype(np.int64) + 1
    if ends.size == 0 or ends[-1] != buffer.size:
        ends = np.append(ends, buffer.size)
    starts = np.concatenate([np.zeros(1, np.int64), ends[:-1]])
    short = np.flatnonzero(ends - starts <= 2)
    is_blank = np.zeros(ends.size, bool)
    ignored = np.zeros(256, bool)
    ignored[list(blank + b"\n")] = True
    if short.size or ignored[buffer[starts]].any():
        solid = ~ignored[buffer]
        is_blank = np.add.reduceat(solid, starts, dtype=np.int64) == 0
    return starts[~is_blank], ends[~is_blank]


def newline_form(data: bytes) -> bytes:
    """The text with LF line ends: CR LF, and CR where there is no LF, become LF.

    So a record has the same content whatever ends its line.
    """
    if b"\r" not in data:
        return data
    return data.replace(b"\r\n", b"\n") if b"\n" in data else data.replace(b"\r", b"\n")


def flag_bad(data: bytes, starts: Offsets, ends: Offsets) -> dict[int, str]:
    """Records (by position) that must not be parsed: too long, with NUL, or not decodable."""
    bad: dict[int, str] = {}
    for index in np.flatnonzero(ends - starts > MAX_RECORD_BYTES):
        bad[int(index)] = "oversized"
    mark = UNDECODABLE.encode()
    if mark in data:
        found = [match.start() for match in re.finditer(mark, data)]
        _flag(bad, np.array(found, np.int64), starts, "encoding")
    if b"\x00" in data:
        _flag(bad, np.flatnonzero(np.frombuffer(data, np.uint8) == 0), starts, "nul")
    return bad


def _flag(bad: dict[int, str], at: Offsets, starts: Offsets, why: str) -> None:
    for index in np.unique(np.searchsorted(starts, at, side="right") - 1):
        if index >= 0:
            bad.setdefault(int(index), why)


def kept_text(data: bytes) -> str:
    """The beginning of an unreadable record as text without NUL."""
    text = data[:KEPT_TEXT].decode("utf-8", "replace").replace(UNDECODABLE, "\ufffd")
    return text.replace("\x00", "\u2400").rstrip("\r\n")


def without_head(data: bytes, lines: int) -> bytes:
    """The text behind its first `lines` lines."""
    at = 0
    for _ in range(lines):
        at = data.find(b"\n", at) + 1
        if at == 0:
            return b""
    return data[at:]


def prepare(opened: OpenFile, encoding: str, skip_lines: int = 0) -> None:
    """Make a file's text UTF-8 with LF line ends, without its head; keep where its lines begin.

    Raises:
        FileError: If the bytes are not text in that encoding at all.
    """
    raw = opened.data or b""
    text = newline_form(to_utf8(raw, encoding))
    if text is not raw or skip_lines:
        opened.line_starts = disk_lines(raw, encoding, lone_cr=False)[skip_lines:]
    opened.data = without_head(text, skip_lines)


def on_disk(text: Bytes, starts: Offsets, line_starts: Offsets | None) -> Offsets:
    """Where records begin in the file, from where they begin in its text.

    Args:
        text: The text, UTF-8 with LF line ends.
        starts: Beginnings of records in it; each is the beginning of a line.
        line_starts: Where the file's lines begin, or None where text and file are the same bytes.
    """
    if line_starts is None:
        return starts
    lines = np.searchsorted(np.flatnonzero(text == 10), starts)
    return line_starts[lines] if lines.size and lines[-1] < line_starts.size else starts


def read_lines(files: Sequence[OpenFile], column: str, is_json: bool = False) -> Records:
    """Records of several files in one table with one text column.

    Args:
        files: Opened files, their data prepared; it is taken from them.
        column: Name of the text column.
        is_json: Whether a NUL may be written as an escape.
    """
    texts: list[bytes] = []
    for opened in files:
        text = opened.data or b""
        opened.data = None
        texts.append(text if text.endswith(b"\n") or not text else text + b"\n")
    borders = np.cumsum([0, *(len(text) for text in texts)])
    joined = texts[0] if len(texts) == 1 else b"".join(texts)
    buffer = np.frombuffer(joined, np.uint8)
    starts, ends = line_spans(buffer)
    file_idx = np.searchsorted(borders, starts, side="right") - 1
    first = np.searchsorted(starts, borders[:-1], side="left")
    split = np.bincount(file_idx, minlength=len(texts))
    counts = {i: count_lines(text, int(split[i])) for i, text in enumerate(texts)}
    texts.clear()
    bad = flag_bad(joined, starts, ends)
    if is_json and b"\\u0000" in joined:
        found = [match.start() for match in _ESCAPED_NUL.finditer(joined)]
        _flag(bad, np.array(found, np.int64), starts, "nul")
    lines = string_array(joined, starts, ends)
    if bad:
        keep = np.ones(starts.size, bool)
        keep[list(bad)] = False
        lines = pa.compute.if_else(pa.array(keep), lines, pa.scalar(None, pa.string()))
    offsets = starts - borders[file_idx]
    for index, opened in enumerate(files):
        if opened.line_starts is not None:
            here = file_idx == index
            part = buffer[borders[index] : borders[index + 1]]
            offsets[here] = on_disk(part, offsets[here], opened.line_starts)
    table = pa.table(
        {
            "_file_idx": pa.array(file_idx.astype(np.int32)),
            "_row_number": pa.array(np.arange(starts.size) - first[file_idx] + 1),
            "_byte_offset": pa.array(offsets),
            "_bad": sparse(bad, starts.size),
            "_raw": sparse({i: kept_text(joined[starts[i] : ends[i]]) for i in bad}, starts.size),
            column: lines,
        }
    )
    # JSON may write a letter beyond ASCII in ASCII.
    return Records(table, counts, [column], joined.isascii() and b"\\u" not in joined)


def sampled_keys(records: Records) -> set[str]:
    """Top-level keys of some JSON records, from all over the table: what a new column shows in."""
    step = max(records.table.num_rows // SAMPLED, 1)
    lines = records.table.column(records.columns[0])
    places = range(0, records.table.num_rows, step)
    found: set[str] = set()
    for text in lines.take(pa.array(places, pa.int64())).to_pylist():
        try:
            value = json.loads(text) if text else None
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            found.update(map(shown_column, value))
    return found


def string_array(data: bytes, starts: Offsets, ends: Offsets) -> pa.Array:
    """An Arrow string array over bytes, without a copy where the spans touch each other."""
    if starts.size == 0:
        return pa.array([], pa.string())
    if np.array_equal(starts[1:], ends[:-1]):
        offsets = np.append(starts, ends[-1]).astype(np.int32)
        return pa.StringArray.from_buffers(
            starts.size, pa.py_buffer(offsets.tobytes()), pa.py_buffer(data)
        )
    return pa.array([data[a:b] for a, b in zip(starts, ends, strict=True)], pa.binary()).cast(
        pa.string()
    )


def sparse(values: dict[int, str], size: int) -> pa.Array:
    """A string array that is null but at the given positions."""
    if not values:
        return pa.nulls(size, pa.string())
    column: list[str | None] = [None] * size
    for index, value in values.items():
        column[index] = value
    return pa.array(column, pa.string())
