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
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from expectations.contract import Source
from ingestion.files import OpenFile
from ingestion.readers.base import MAX_RECORD_BYTES, Records, own, own_columns, require_columns
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
#: A quoted value that runs over more lines is looked at more closely: is it not rather a stray
#: quote that another stray one, far behind, happens to close?
MANY_LINES = 500
#: What no value reaches that the csv module must parse; it takes 4 bytes a character.
_MAX_SPAN = 16 * MAX_RECORD_BYTES
#: Lines in a quoted value that are records of their own betray a quote that was never closed, if
#: together they have so many delimiters: 3 lines of 5 columns, or 1 of 13. The narrower the table,
#: the sooner prose has the right number of commas by chance, and the more lines it takes.
MIN_SWALLOWED_DELIMITERS = 12
#: So many lines say how wide a file without a header is.
WIDTH_LINES = MANY_LINES + 100
#: So many widths are tried there.
MAX_WIDTHS = 8

#: A line that is one field whatever the delimiter, which is ASCII.
_PROBE = "\uffff"

# The csv module's own limit, 128 KiB, is below what a record may have; a longer value must parse
# too, to be told as one oversized record.
csv.field_size_limit(_MAX_SPAN)


@dataclass
class _Split:
    header: list[str]
    starts: Offsets
    ends: Offsets
    bad: dict[int, str]
    multiline: bool


def _csv_rows(lines: Iterable[str], source: Source, strict: bool) -> Iterator[list[str]]:
    return csv.reader(
        lines,
        delimiter=source.delimiter,
        quotechar=source.quote or '"',
        quoting=csv.QUOTE_NONE if source.quote is None else csv.QUOTE_MINIMAL,
        strict=strict,
    )


def parse_record(text: str, source: Source, strict: bool = True) -> list[list[str]] | None:
    """What the csv module makes of a text, or None if a quote stays open.

    Args:
        text: The text, without the line end of its last record.
        source: Delimiter and quote.
        strict: Whether text behind a closing quote, as in `"a" b`, is an error (None) too.
    """
    # A lenient reader closes an open quote silently at the end; a line put behind it shows that.
    lines = io.StringIO(f"{text}\n{_PROBE}", newline="")
    try:
        *rows, last = _csv_rows(lines, source, strict)
    except csv.Error:
        return None
    return rows if last == [_PROBE] else None


def _fits(text: str, source: Source, width: int) -> bool:
    rows = parse_record(text, source)
    return rows is not None and len(rows) == 1 and len(rows[0]) == width


def _line_fields(line: bytes, source: Source) -> list[str]:
    """Fields of a line taken by itself, whatever its quotes."""
    text = line.decode("utf-8", "replace").rstrip("\r\n")
    try:
        return next(_csv_rows([text], source, strict=False), [])
    except csv.Error:
        return []


def _swallows_records(swallowed: Sequence[bytes], source: Source, width: int) -> bool:
    """Whether lines that a quoted value would take in are records themselves.

    A stray quote that a later one happens to close, as an inch mark does, makes a record of the
    right width out of many. Then the line that closes it is a whole record by itself, and so are
    (nearly) all between. The last line of a genuine text is the text's end and what follows it; its
    other lines have as many delimiters as a record only now and then. A line with a space behind
    every delimiter is prose ("Berlin, Germany"), however many it has. Of very many lines the last
    says little: what most of them are decides.
    """
    are_many = len(swallowed) > MANY_LINES
    if not are_many and len(swallowed) * (width - 1) < MIN_SWALLOWED_DELIMITERS:
        return False

    def is_record(line: bytes) -> bool:
        fields = _line_fields(line, source)
        is_prose = width > 1 and all(field.startswith(" ") for field in fields[1:])
        return len(fields) == width and not is_prose

    if not are_many and not is_record(swallowed[-1]):
        return False
    records = sum(map(is_record, swallowed))
    enough = are_many or records * (width - 1) >= MIN_SWALLOWED_DELIMITERS
    return enough and 4 * records >= 3 * len(swallowed)


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
        if close > line and ends[close] - starts[line] <= _MAX_SPAN:
            whole = data[starts[line] : ends[close]].decode("utf-8", "replace")
            lines = slice(line + 1, close + 1)
            swallowed = [data[a:b] for a, b in zip(starts[lines], ends[lines], strict=True)]
            if _fits(whole.rstrip("\r\n"), source, width) and not _swallows_records(
                swallowed, source, width
            ):
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
    """(column names, offset behind the header).

    Raises:
        FileError: If the file is empty, or its header cannot be used.
    """
    buffer = np.frombuffer(data[: 1 << 20], np.uint8)
    starts, ends = line_spans(buffer, BLANK.replace(source.delimiter.encode(), b""))
    if starts.size == 0:
        raise FileError("file_empty", "the file holds no header and no record")
    if not source.header:
        width = _likely_width(data, source, int(starts[0]))
        require_columns(width, count_lines(data))
        return [f"column{index}" for index in range(width)], int(starts[0])
    if b"\x00" in data[: ends[0]]:
        raise FileError("file_magic", "the file is not text", _behind_header(data))
    rows = parse_record(data[starts[0] : ends[0]].decode("utf-8", "replace").rstrip("\r\n"), source)
    if not rows:
        raise FileError(
            "file_header", "the header has a quote that stays open", _behind_header(data)
        )
    require_columns(len(rows[0]), _behind_header(data))
    names = [" ".join(name.split()) for name in rows[0]]
    given = Counter(name.lower() for name in names if name)
    for name in names:
        if given[name.lower()] > 1:
            reason = f"the header names a column twice: {name}"
            raise FileError("file_duplicate_header", reason, _behind_header(data))
    taken = set(given)
    for index, name in enumerate(names):
        if not name:
            names[index] = _free_name(index, taken)
            taken.add(names[index])
    return names, int(ends[0])


def _free_name(index: int, taken: Collection[str]) -> str:
    """A name for a column without one: its position, or the next that no column is named by."""
    return next(name for number in count(index) if (name := f"column{number}") not in taken)


def _likely_width(data: bytes, source: Source, first: int) -> int:
    """Fields in a record of a file without a header: the width that most of its first lines fit.

    No single record decides, as any may be the odd one. Lines are counted and not records: else
    the lines of a long quoted text would outvote the record that they are in.
    """
    end = first
    for _ in range(WIDTH_LINES):
        end = data.find(b"\n", end) + 1
        if end == 0:
            end = len(data)
            break
    sample = data[first:end]
    widths = Counter(len(_line_fields(line, source)) for line in sample.split(b"\n"))
    whole = parse_record(sample.decode("utf-8", "replace").rstrip("\r\n"), source) or []
    widths.update(map(len, whole))
    del widths[0]

    def fitting_lines(width: int) -> int:
        starts, ends, bad, _many = record_spans(sample, source, width, 0)
        records = [sample[a:b] for a, b in zip(starts, ends, strict=True)]
        return sum(
            max(record.count(b"\n"), 1)
            for index, record in enumerate(records)
            if index not in bad
            and _fits(record.decode("utf-8", "replace").rstrip("\r\n"), source, width)
        )

    candidates = [width for width, _number in widths.most_common(MAX_WIDTHS)]
    return max(candidates, key=lambda width: (fitting_lines(width), width), default=1)


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
    columns, unreadable = _parse(data, split, fed, source)
    bad = {**split.bad, **unreadable}
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
    """Parsed columns, as a source's own, on the places of the good records; null elsewhere."""
    if good.all():
        return {own(name): columns.column(name) for name in header}
    places = np.cumsum(good) - 1
    indices = pa.array(places, mask=~good)
    return {own(name): columns.column(name).take(indices) for name in header}


def _parse(
    data: bytes, split: _Split, fed: np.ndarray, source: Source
) -> tuple[pa.Table, dict[int, str]]:
    """(columns of the readable records, positions of the others and what is wrong there)."""
    places = np.flatnonzero(fed)
    if places.size == 0:
        empty = {name: pa.array([], pa.string()) for name in split.header}
        return pa.table(empty), {}
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
    # Arrow takes a quote that is open at the very end for closed.
    start, end = spans[-1]
    open_at_end = _parse_leniently(data[start:end], source) is None
    if open_at_end or table.num_rows + len(wrong) != places.size:
        return _parse_each(data, spans, places, split.header, source)
    return table, {int(places[index]): "field_count" for index in wrong}


def _parse_leniently(record: bytes, source: Source) -> list[list[str]] | None:
    """As Arrow does, so that a record means the same whichever of the two parses it."""
    return parse_record(record.decode("utf-8", "replace").rstrip("\r\n"), source, strict=False)


def _parse_each(
    data: bytes,
    spans: list[tuple[int, int]],
    places: np.ndarray,
    header: Sequence[str],
    source: Source,
) -> tuple[pa.Table, dict[int, str]]:
    """Record by record: slower, but one record's quotes cannot reach into the next."""
    rows: list[list[str]] = []
    wrong: dict[int, str] = {}
    for place, (start, end) in zip(places, spans, strict=True):
        found = _parse_leniently(data[start:end], source)
        if found is None:
            wrong[int(place)] = "unclosed_quote"
        elif len(found) == 1 and len(found[0]) == len(header):
            rows.append(found[0])
        else:
            wrong[int(place)] = "field_count"
    columns = {
        name: pa.array([row[index] for row in rows], pa.string())
        for index, name in enumerate(header)
    }
    return pa.table(columns), wrong


def join_tables(tables: Sequence[pa.Table], counts: dict[int, int]) -> Records:
    """Tables of several files as one; a column that a file lacks is null there."""
    joined = pa.concat_tables(tables, promote_options="default")
    return Records(joined, counts, own_columns(joined))
