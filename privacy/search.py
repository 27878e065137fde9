"""Searches everything under a folder for values, in every encoding, after decoding what is packed.

What does NOT belong here: which values, and which folders may hold them (whoever searches).
"""

import base64
import bz2
import gzip
import hashlib
import io
import json
import lzma
import re
import shutil
import sqlite3
import tempfile
import zipfile
import zlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from ahocorasick_rs import BytesAhoCorasick, Implementation

SEPARATORS = b" ().-/\t"
#: Fewer digits than this are no identity: they would be found by chance.
MIN_DIGITS = 9
_DEPTH = 4
#: How bzip2 goes on behind its first four letters, with which a text may begin too.
_BZIP2 = (b"1AY&SY", b"\x17rE8P\x90")
#: What unpacking something damaged, or something else, ends in.
_DAMAGE = (OSError, EOFError, ValueError, zlib.error, zipfile.BadZipFile, lzma.LZMAError)
#: Fewer bytes than this are found by chance too.
_MIN_BYTES = 6
#: Letters and digits shorter than this must stand alone: among ten million random identifiers, a
#: customer number is part of some. In base64 nothing stands alone.
_ALONE_BELOW = 12
#: Kinds of columns that Arrow writes as text; the others are read cell by cell.
_AS_TEXT = (
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_integer,
    pa.types.is_floating,
    pa.types.is_date,
    pa.types.is_timestamp,
)


@dataclass(frozen=True)
class Leak:
    """A value that was found.

    Attributes:
        where: the file, and the place in it.
        label: the value's name.
        how: the encoding.
    """

    where: str
    label: str
    how: str


def _forms(value: str) -> Iterator[str]:
    """A value as it is, as normalised for comparison, and as its digits."""
    yield value
    yield value.lower()
    yield value.strip().casefold().replace(" ", "")
    digits = re.sub(r"\D", "", value)
    if len(digits) >= MIN_DIGITS:
        yield digits


def _base64(data: bytes) -> Iterator[bytes]:
    """What base64 makes of data at the three places where it may begin, without its edges."""
    for shift in range(3):
        text = base64.b64encode(b"\0" * shift + data)
        first = -(-shift * 8 // 6)
        last = (shift + len(data)) * 8 // 6
        yield text[first:last]
        yield text[first:last].replace(b"+", b"-").replace(b"/", b"_")


def needles(value: str) -> tuple[dict[bytes, str], dict[bytes, str], dict[bytes, str]]:
    """Byte strings to look for: exactly; in lower case; in a text without separators."""
    exact: dict[bytes, str] = {}
    folded: dict[bytes, str] = {}
    bare: dict[bytes, str] = {}
    for form in dict.fromkeys(_forms(value)):
        plain = form.encode()
        folded[plain.lower()] = "text"
        folded[plain.hex().encode()] = "hex"
        folded[quote(form, safe="").lower().encode()] = "URL"
        folded[json.dumps(form)[1:-1].lower().encode()] = "JSON"
        exact[form.encode("utf-16-le")] = "UTF-16"
        exact[form.encode("utf-16-be")] = "UTF-16"
        exact[form.encode("gbk", "ignore")] = "GBK"
        exact |= dict.fromkeys(_base64(plain), "base64")
        for name in ("md5", "sha1", "sha256"):
            digest = hashlib.new(name, plain)
            folded[digest.hexdigest().encode()] = name
            exact[digest.digest()] = f"{name} (bytes)"
            exact |= dict.fromkeys(_base64(digest.digest()), f"{name} (base64)")
        if form.isdigit():
            bare[plain] = "digits"
    short = {b""} | {key for key in (*exact, *folded) if len(key) < _MIN_BYTES}
    return (
        {key: how for key, how in exact.items() if key not in short},
        {key: how for key, how in folded.items() if key not in short},
        bare,
    )


class _Index:
    """Finds many byte strings in one pass.

    Args:
        wanted: (label, encoding) of each by its bytes.
    """

    def __init__(self, wanted: Mapping[bytes, Collection[tuple[str, str]]]) -> None:
        self._wanted = list(wanted.values())
        self._is_common = [len(text) < _ALONE_BELOW and text.isalnum() for text in wanted]
        self._patterns = BytesAhoCorasick(list(wanted), implementation=Implementation.ContiguousNFA)

    def find(self, data: bytes) -> Iterator[tuple[str, str]]:
        """(label, encoding) of what occurs."""
        within: dict[int, bool] = {}
        for number, start, end in self._patterns.find_matches_as_indexes(data, overlapping=True):
            inside = data[start - 1 : start].isalnum() or data[end : end + 1].isalnum()
            within[number] = inside and within.get(number, True)
        for number, is_within in within.items():
            for label, how in self._wanted[number]:
                if not (is_within and self._is_common[number] and "base64" not in how):
                    yield label, how


class Search:
    """A search for named values.

    Args:
        values: By label.
    """

    def __init__(self, values: Mapping[str, str]) -> None:
        found: tuple[dict[bytes, list[tuple[str, str]]], ...] = ({}, {}, {})
        for label, value in values.items():
            for into, wanted in zip(found, needles(value), strict=True):
                for needle, how in wanted.items():
                    into.setdefault(needle, []).append((label, how))
        self._exact, self._folded, self._bare = map(_Index, found)
        self.leaks: set[Leak] = set()
        #: What was looked into, by kind: proof that decoders ran.
        self.seen: dict[str, int] = {}

    def folder(self, root: Path, without: Collection[Path] = ()) -> set[Leak]:
        """Look at every file, its name included, but for the folders left out."""
        for path in sorted(root.rglob("*")):
            if any(path.is_relative_to(left) for left in without) or path.is_symlink():
                continue
            self._bytes(str(path.relative_to(root)).encode(), f"name of {path.name}"[:300])
            if path.is_file():
                self._packed(path.read_bytes(), str(path.relative_to(root)), path=path)
        return self.leaks

    def file(self, path: Path) -> None:
        """Look at one file, its name included."""
        self._bytes(path.name.encode(), f"name of {path.name}"[:300])
        self._packed(path.read_bytes(), path.name, path=path)

    def text(self, text: str, where: str) -> None:
        """Look at a text, such as what a command printed."""
        self._packed(text.encode(), where)

    def _bytes(self, data: bytes, where: str) -> None:
        for index, text in (
            (self._exact, data),
            (self._folded, data.lower()),
            (self._bare, data.translate(None, SEPARATORS)),
        ):
            self.leaks.update(Leak(where, label, how) for label, how in index.find(text))

    def _packed(self, data: bytes, where: str, depth: int = 0, path: Path | None = None) -> None:
        self._bytes(data, where)
        if depth > _DEPTH:
            return
        for kind, inner in self._unpacked(data, path):
            self.seen[kind] = self.seen.get(kind, 0) + 1
            self._packed(inner, f"{where} [{kind}]", depth + 1)

    def _unpacked(self, data: bytes, path: Path | None) -> Iterator[tuple[str, bytes]]:
        """What is inside; a file that only looks like a packed one is only looked at as bytes."""
        try:
            if data[:2] == b"\x1f\x8b":
                yield "gzip", gzip.decompress(data)
            elif data[:4] == b"PK\x03\x04":
                with zipfile.ZipFile(io.BytesIO(data)) as archive:
                    for name in archive.namelist():
                        yield "zip", name.encode()
                        yield "zip", archive.read(name)
            elif data[:4] == b"\x28\xb5\x2f\xfd":
                yield "zstd", pa.CompressedInputStream(pa.BufferReader(data), "zstd").read()
            elif data[:3] == b"BZh" and data[4:10] in _BZIP2:
                yield "bzip2", bz2.decompress(data)
            elif data[:6] == b"\xfd7zXZ\0":
                yield "xz", lzma.decompress(data)
            elif data[:2] in (b"\x78\x9c", b"\x78\xda", b"\x78\x01"):
                yield "zlib", zlib.decompress(data)
            elif data[:4] == b"PAR1":
                yield from _parquet(data)
            elif data[:15] == b"SQLite format 3":
                yield from _sqlite(data, path)
            elif data[8:12] == b"DUCK":
                yield from _duckdb(data, path)
        except _DAMAGE:
            self.seen["damaged"] = self.seen.get("damaged", 0) + 1


def _cells(rows: Iterator[tuple]) -> Iterator[bytes]:
    """All texts of some rows in one piece, and each blob by itself."""
    texts = []
    for row in rows:
        for cell in row:
            if isinstance(cell, bytes):
                yield cell
            elif cell is not None:
                texts.append(str(cell))
    yield "\n".join(texts).encode("utf-8", "surrogateescape")


def _parquet(data: bytes) -> Iterator[tuple[str, bytes]]:
    file = pq.ParquetFile(io.BytesIO(data))
    yield "Parquet footer", repr(file.metadata.to_dict()).encode()
    for column in file.read().itercolumns():
        for cell in _column(column):
            yield "Parquet column", cell


def _column(column: pa.ChunkedArray) -> Iterator[bytes]:
    """All different texts of a column in one piece; of moments their days, as texts name those."""
    if not any(is_kind(column.type) for is_kind in _AS_TEXT):
        yield from _cells((value,) for value in column.to_pylist())
        return
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.date32(), safe=False)
    texts = column.unique().drop_null().cast(pa.large_string())
    nothing, end = (pa.scalar(text, pa.large_string()) for text in ("", "\n"))
    lines = pc.binary_join_element_wise(texts, nothing, end)
    _, offsets, text = lines.buffers()
    if len(lines):
        yield text.to_pybytes()[: np.frombuffer(offsets, np.int64)[len(lines)]]


def _copied(data: bytes, path: Path | None, folder: str) -> Path:
    """A database in a folder of its own, with its log beside it: opening it changes nothing."""
    target = Path(folder) / "copy"
    target.write_bytes(data)
    for ending in ("-wal", ".wal"):
        if path is not None and Path(f"{path}{ending}").exists():
            shutil.copy(f"{path}{ending}", f"{target}{ending}")
    return target


def _sqlite(data: bytes, path: Path | None) -> Iterator[tuple[str, bytes]]:
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(sqlite3.connect(_copied(data, path, folder))) as db,
    ):
        db.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
        names = db.execute("select name, sql from sqlite_master").fetchall()
        yield "SQLite schema", repr(names).encode()
        for (name,) in db.execute("select name from sqlite_master where type = 'table'"):
            for cell in _cells(db.execute(f'select * from "{name}"')):
                yield "SQLite table", cell


def _duckdb(data: bytes, path: Path | None) -> Iterator[tuple[str, bytes]]:
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(duckdb.connect(_copied(data, path, folder))) as con,
    ):
        for schema, name in con.execute(
            "select schema_name, table_name from duckdb_tables()"
        ).fetchall():
            rows = con.execute(f'select * from "{schema}"."{name}"').fetchall()
            for cell in _cells(iter(rows)):
                yield "DuckDB table", cell
