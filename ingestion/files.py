"""Hashing and opening a source's files.

What does NOT belong here: finding them (`find`), what is in them (`readers`), what has been read
already (`ledger`).

A file is read from disk once for each ingestion: its hash, and its decompressed bytes, come from
the same read. Two threads do this ahead of the parser (hashing and inflating release the GIL).
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ingestion.find import FoundFile
from ingestion.results import FileError
from ingestion.settled import Stamp, stamp, unfinished

GZIP_MAGIC = b"\x1f\x8b"
#: zip and xlsx, Parquet, PDF, zstd, bzip2, 7z, xz, old Office, rar, Avro, pictures, programs,
#: SQLite. Each so long that no header of a text begins so.
_FOREIGN_MAGIC = re.compile(
    rb"PK(?:\x03\x04|\x05\x06|\x07\x08)|PAR1[\x00-\x08\x0e-\x1f]|%PDF-\d|\x28\xb5\x2f\xfd"
    rb"|BZh[1-9](?:1AY&SY|\x17rE8P\x90)|7z\xbc\xaf|\xfd7zXZ|\xd0\xcf\x11\xe0|Rar!\x1a|Obj\x01"
    rb"|\x89PNG|\xff\xd8\xff|GIF8[79]a|\x7fELF|SQLite format 3\x00|" + re.escape(GZIP_MAGIC)
)
#: A file that inflates beyond this, or beyond RATIO times its size, is taken for a bomb.
MAX_INFLATED = 8 << 30
MAX_RATIO = 400
MIN_BOMB = 8 << 20
#: Compressed bytes given to the second and later members of a gzip file at a time.
MEMBER_STEP = 32 << 10
READ_AHEAD = 8
#: A file of only these bytes holds nothing; so many of them are looked at before the whole.
_BLANK = b" \t\r\n\xef\xbb\xbf"
_LOOK = 256


@dataclass(frozen=True)
class Paths:
    """Where a deployment's ingestion reads and writes.

    Attributes:
        landing: Folder of files as they came; never written.
        lake: The lake; raw batches go to `raw/<entity>/`.
        ledger: The ledger's SQLite file.
        quarantine: Folder of the quarantine, with one folder for each source.
    """

    landing: Path
    lake: Path
    ledger: Path
    quarantine: Path


@dataclass
class OpenFile:
    """A file whose content is at hand.

    Attributes:
        found: The file.
        sha256: Of its bytes as they are on disk, in hex.
        size: Bytes on disk.
        data: Decompressed bytes; None for Parquet, for known contents and for faulty files.
        error: Why it cannot be read as a whole, or None.
        held: Why it must wait for a later run, or None.
        line_starts: Where the file's lines begin, if its text became other bytes.
        stamp: What the file system says of it, if it said the same before and after it was read.
    """

    found: FoundFile
    sha256: str
    size: int
    data: bytes | None = None
    error: FileError | None = None
    held: str | None = None
    line_starts: npt.NDArray[np.int64] | None = None
    stamp: Stamp | None = None


def inflate(data: bytes) -> bytes:
    """Decompress gzip, of one or several members.

    Raises:
        FileError: If it is truncated, damaged, or a bomb.
    """
    limit = min(MAX_INFLATED, max(MIN_BOMB, len(data) * MAX_RATIO))
    parts: list[bytes] = []
    total, at, step = 0, 0, len(data)
    while at < len(data):
        member = zlib.decompressobj(31)
        while not member.eof:
            if at >= len(data):
                raise FileError("file_truncated", "gzip ends before its end", _lines_in(parts))
            piece = data[at : at + step]
            at += len(piece)
            try:
                part = member.decompress(piece, limit - total + 1)
            except zlib.error:
                raise FileError("file_damaged", "gzip data is damaged", _lines_in(parts)) from None
            total += len(part)
            parts.append(part)
            if total > limit:
                raise FileError("file_bomb", f"inflates beyond {limit >> 20} MiB")
        at -= len(member.unused_data)
        # What is left is copied for each member, so a file of a million tiny ones goes in steps.
        step = MEMBER_STEP
        while data[at : at + 1] == b"\x00":
            at += 1
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _lines_in(parts: Sequence[bytes]) -> int:
    return sum(part.count(b"\n") for part in parts)


def _open(
    found: FoundFile, is_parquet: bool, known: Callable[[str], bool], rest_seconds: float
) -> OpenFile:
    try:
        if found.fault is not None:
            error = FileError("file_link", found.fault)
            return OpenFile(found, _unread(found), 0, error=error)
        held = unfinished(found.path, rest_seconds, found.seen)
        if held is not None:
            return OpenFile(found, "", 0, held=held)
        opened = _read(found, is_parquet, known)
        opened.held = changed(found)
        opened.stamp = found.seen if found.seen == stamp(found.path) else None
    except OSError as error:
        return OpenFile(found, "", 0, held=f"it cannot be read now ({type(error).__name__})")
    return opened


def _unread(found: FoundFile) -> str:
    """What stands for the content of a file that is not read: of two of one shown name, two."""
    text = f"{found.shown}\n{found.path.lstat().st_ino}"
    return hashlib.sha256(text.encode()).hexdigest()


def changed(found: FoundFile) -> str | None:
    """Why a file that has been read must be read again later: it is not what it was; or None."""
    try:
        grew = found.seen is not None and stamp(found.path).grew_from(found.seen)
    except OSError:
        grew = True
    return "it changed while it was read" if grew else None


def _read(found: FoundFile, is_parquet: bool, known: Callable[[str], bool]) -> OpenFile:
    if is_parquet:
        with found.path.open("rb") as handle:
            digest = hashlib.file_digest(handle, "sha256").hexdigest()
        return OpenFile(found, digest, found.path.stat().st_size)
    data = found.path.read_bytes()
    opened = OpenFile(found, hashlib.sha256(data).hexdigest(), len(data))
    if known(opened.sha256):
        return opened
    try:
        opened.data = _text(data, found.path.suffix)
    except FileError as error:
        opened.error = error
    return opened


def _text(data: bytes, suffix: str) -> bytes:
    """The bytes of a text file, decompressed.

    Raises:
        FileError: If it is empty, truncated, a bomb, or no text file at all.
    """
    if not data:
        raise FileError("file_empty", "the file is empty")
    if suffix == ".gz" and not data.startswith(GZIP_MAGIC):
        raise FileError("file_magic", "named .gz but it is no gzip file")
    text = inflate(data) if data.startswith(GZIP_MAGIC) else data
    if not text[:_LOOK].strip(_BLANK) and not text.strip(_BLANK):
        raise FileError("file_empty", "the file holds no record")
    if _FOREIGN_MAGIC.match(text):
        raise FileError("file_magic", "not a text file")
    return text


def open_files(
    found: Sequence[FoundFile],
    is_parquet: bool,
    known: Callable[[str], bool],
    *,
    rest_seconds: float = 0.0,
    threads: int = 2,
) -> Iterator[OpenFile]:
    """Open files in order, a few ahead of the caller.

    Args:
        found: The files.
        is_parquet: Whether only hashes are wanted.
        known: Whether a content has been read before: its bytes are then not kept.
        rest_seconds: A file that changed less than so long ago is held.
        threads: How many files are opened at once.
    """
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[OpenFile]] = deque()
        todo = iter(found)
        for item in todo:
            waiting.append(pool.submit(_open, item, is_parquet, known, rest_seconds))
            if len(waiting) >= READ_AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
