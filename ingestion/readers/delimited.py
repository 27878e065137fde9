"""CSV and its kin: bytes -> records, found by quote parity, then columns by Arrow's parser.

What does NOT belong here: which columns are wanted (`compile`), encodings (`lines`).

Two things read each file: `record_spans` finds where records begin and end, from lines and their
quotes alone, and Arrow parses. Where the two disagree, each record is parsed by itself. A quote
that never closes costs its own line: the lines behind it are records again.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from expectations.contract import Source
from ingestion.files import OpenFile
from ingestion.readers.base import META, Records
from ingestion.readers.encodings import disk_lines, to_utf8
from ingestion.readers.lines import (
    BLANK,
    Offsets,
    count_lines,
    flag_bad,
    kept_text,
    line_spans,
    on_disk,
    sparse,
)
from ingestion.results import FileError

_LONE_CR = re.compile(rb"\r(?!\n)")
#: A quoted value may run over so many lines; beyond, the quote is taken for a stray one.
MAX_LINES_IN_RECORD = 500


@dataclass
class _Split:
    header: list[str]
    starts: Offsets
    ends: Offsets
    bad: dict[int, str]
    multiline: bool


def parse_record(text: str, source: Source) -> list[list[str]] | None:
    """What the csv module makes of a text, or None if a quote stays open."""
    options: dict[str, object] = {"delimiter": source.delimiter, "strict": True}
    if source.quote is None:
        options["quoting"] = csv.QUOTE_NONE
    else:
        options["quotechar"] = source.quote
    try:
        return list(csv.reader(io.StringIO(text, newline=""), **options))  # type: ignore[arg-type]
    except csv.Error:
        return None


def _fits(text: str, source: Source, width: int) -> bool:
    rows = parse_record(text, source)
    return rows is not None and len(rows) == 1 and len(rows[0]) == width


def record_spans(
    data: bytes, source: Source, width: int, first: int
) -> tuple[Offsets, Offsets, dict[int, str], bool]:
    """(starts, ends, bad records, whether any runs over lines) behind the header.

    Args:
        data: UTF-8 with LF line ends.
        source: Delimiter and quote.
        width: Fields in a whole record.
        first: Offset at which to begin.
    """
    buffer = np.frombuffer(data, np.uint8)[first:]
    blank = BLANK.replace(source.delimiter.encode(), b"")
    starts, ends = line_spans(buffer, blank)
    starts, ends = starts + first, ends + first
    if source.quote is None or starts.size == 0:
        return starts, ends, {}, False
    quotes = np.concatenate([[0], np.cumsum(buffer == ord(source.quote), dtype=np.int64)])
    odd = np.flatnonzero((quotes[ends - first] - quotes[starts - first]) & 1)
    if odd.size == 0:
        return starts, ends, {}, False
    drop = np.zeros(starts.size, bool)
    unclosed: list[int] = []
    multiline = False
    position = 0
    while position < odd.size:
        line = int(odd[position])
        position += 1
        text = data[starts[line] : ends[line]].decode("utf-8", "replace")
        if _fits(text.rstrip("\r\n"), source, width):
            continue
        close = int(odd[position]) if position < odd.size else -1
        if 0 < close - line <= MAX_LINES_IN_RECORD:
            whole = data[starts[line] : ends[close]].decode("utf-8", "replace")
            if _fits(whole.rstrip("\r\n"), source, width):
                drop[line + 1 : close + 1] = True
                ends[line] = ends[close]
                multiline = True
                position += 1
                continue
        unclosed.append(line)
    kept = np.cumsum(~drop) - 1
    bad = {int(kept[line]): "unclosed_quote" for line in unclosed}
    return starts[~drop], ends[~drop], bad, multiline


def _header(data: bytes, source: Source) -> tuple[list[str], int]:
    """(column names, offset behind the header)."""
    buffer = np.frombuffer(data[: 1 << 20], np.uint8)
    starts, ends = line_spans(buffer, BLANK.replace(source.delimiter.encode(), b""))
    if starts.size == 0:
        raise FileError("file_empty", "the file holds no header and no record")
    if b"\x00" in data[: ends[0]]:
        raise FileError("file_magic", "the file is not text", _behind_header(data))
    rows = parse_record(data[starts[0] : ends[0]].decode("utf-8", "replace").rstrip("\r\n"), source)
    if not rows:
        raise FileError(
            "file_header", "the header has a quote that stays open", _behind_header(data)
        )
    if not source.header:
        return [f"column{index}" for index in range(len(rows[0]))], int(starts[0])
    names = [" ".join(name.split()) for name in rows[0]]
    seen: set[str] = set()
    for index, name in enumerate(names):
        if not name:
            names[index] = f"column{index}"
        elif name.lower() in seen:
            reason = f"the header names a column twice: {name}"
            raise FileError("file_duplicate_header", reason, _behind_header(data))
        seen.add(name.lower())
    return names, int(ends[0])


def _behind_header(data: bytes) -> int:
    """Lines behind the first: the records of a file whose header cannot be used."""
    return max(count_lines(data) - 1, 0)


def _split(data: bytes, source: Source) -> _Split:
    header, first = _header(data, source)
    starts, ends, bad, multiline = record_spans(data, source, len(header), first)
    flagged = flag_bad(data, starts, ends)
    return _Split(header, starts, ends, {**flagged, **bad}, multiline)


def _lf_only(data: bytes) -> bytes:
    """A lone CR ends a line too; CR LF stays as it is."""
    return data if b"\r" not in data else _LONE_CR.sub(b"\n", data)


def read_delimited(opened: OpenFile, source: Source) -> tuple[pa.Table, int]:
    """Records of one file.

    Args:
        opened: The file; its data is taken.
        source: Delimiter, quote, header, encoding.

    Returns:
        The table (see `Records`) and the number of records that the splitter counted.

    Raises:
        FileError: If the file cannot be read as a whole.
    """
    raw = opened.data or b""
    data = _lf_only(to_utf8(raw, source.encoding))
    moved = None if data is raw else disk_lines(raw, source.encoding, lone_cr=True)
    opened.data = None
    split = _split(data, source)
    size = split.starts.size
    fed = np.ones(size, bool)
    fed[list(split.bad)] = False
    columns, width_errors = _parse(data, split, fed, source)
    bad = {**split.bad, **dict.fromkeys(width_errors, "field_count")}
    good = np.ones(size, bool)
    good[list(bad)] = False
    whole = _spread(columns, good, split.header)
    table = pa.table(
        {
            "_file_idx": pa.array(np.zeros(size, np.int32)),
            "_row_number": pa.array(np.arange(1, size + 1)),
            "_byte_offset": pa.array(on_disk(np.frombuffer(data, np.uint8), split.starts, moved)),
            "_bad": sparse(bad, size),
            "_raw": sparse(
                {i: kept_text(data[split.starts[i] : split.ends[i]]) for i in bad}, size
            ),
            **whole,
        }
    )
    return table, int(size)


def _spread(columns: pa.Table, good: np.ndarray, header: Sequence[str]) -> dict[str, pa.Array]:
    """Parsed columns on the places of the good records, null elsewhere."""
    if good.all():
        return {name: columns.column(name) for name in header}
    places = np.cumsum(good) - 1
    indices = pa.array(places, mask=~good)
    return {name: columns.column(name).take(indices) for name in header}


def _parse(
    data: bytes, split: _Split, fed: np.ndarray, source: Source
) -> tuple[pa.Table, list[int]]:
    """(columns of the readable records, positions of those with too many or too few fields)."""
    places = np.flatnonzero(fed)
    if places.size == 0:
        empty = {name: pa.array([], pa.string()) for name in split.header}
        return pa.table(empty), []
    spans = list(zip(split.starts[places], split.ends[places], strict=True))
    touching = np.array_equal(split.starts[places][1:], split.ends[places][:-1])
    feed = data[spans[0][0] : spans[-1][1]] if touching else b"".join(data[a:b] for a, b in spans)
    if not feed.endswith(b"\n"):
        feed += b"\n"
    wrong: list[int] = []

    def on_invalid(row: pacsv.InvalidRow) -> str:
        wrong.append(row.number - 1)
        return "skip"

    try:
        table = pacsv.read_csv(
            pa.py_buffer(feed),
            read_options=pacsv.ReadOptions(
                use_threads=False,
                column_names=split.header,
                block_size=min(max(len(feed) + 1, 1024), (1 << 31) - 1),
            ),
            parse_options=pacsv.ParseOptions(
                delimiter=source.delimiter,
                quote_char=source.quote or False,
                newlines_in_values=split.multiline,
                ignore_empty_lines=False,
                invalid_row_handler=on_invalid,
            ),
            convert_options=pacsv.ConvertOptions(
                column_types=dict.fromkeys(split.header, pa.string()),
                strings_can_be_null=False,
                null_values=[],
            ),
        )
    except pa.ArrowInvalid:
        return _parse_each(data, spans, places, split.header, source)
    if table.num_rows + len(wrong) != places.size:
        return _parse_each(data, spans, places, split.header, source)
    return table, [int(places[index]) for index in wrong]


def _parse_each(
    data: bytes,
    spans: list[tuple[int, int]],
    places: np.ndarray,
    header: Sequence[str],
    source: Source,
) -> tuple[pa.Table, list[int]]:
    """Record by record: slower, but one record's quotes cannot reach into the next."""
    rows: list[list[str]] = []
    wrong: list[int] = []
    for place, (start, end) in zip(places, spans, strict=True):
        found = parse_record(data[start:end].decode("utf-8", "replace").rstrip("\r\n"), source)
        if found is not None and len(found) == 1 and len(found[0]) == len(header):
            rows.append(found[0])
        else:
            wrong.append(int(place))
    columns = {
        name: pa.array([row[index] for row in rows], pa.string())
        for index, name in enumerate(header)
    }
    return pa.table(columns), wrong


def join_tables(tables: Sequence[pa.Table], counts: dict[int, int]) -> Records:
    """Tables of several files as one; a column that a file lacks is null there."""
    joined = pa.concat_tables(tables, promote_options="default")
    columns = [name for name in joined.column_names if name not in META.names]
    return Records(joined, counts, columns)
