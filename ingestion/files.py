"""Finding, hashing and opening a source's files.

What does NOT belong here: what is in them (`readers`), what has been read already (`ledger`).

A file is read from disk once for each ingestion: its hash, and its decompressed bytes, come from
the same read. Two threads do this ahead of the parser (hashing and inflating release the GIL).
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from expectations.contract import SYSTEM_FOLDERS, Contract
from ingestion.names import shown_file
from ingestion.results import FileError, SourceError
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
#: Folder in landing of repaired files, which only `repairs` reads: no contract's glob finds them.
REPAIRS = ".repairs"


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


@dataclass(frozen=True)
class FoundFile:
    """A file of a source.

    Attributes:
        path: Where it is.
        shown: Its path as messages and the ledger show it: below landing where it is there.
        fault: Why it must not be read (a link that leaves the landing zone), or None.
        seen: Its size and time of change when it was found.
    """

    path: Path
    shown: str
    fault: str | None = None
    seen: Stamp | None = None


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
    """

    found: FoundFile
    sha256: str
    size: int
    data: bytes | None = None
    error: FileError | None = None
    held: str | None = None
    line_starts: npt.NDArray[np.int64] | None = None


#: By which a folder of the data home is known as a deployment's.
_KEPT = ("landing", "lake", "ledger.sqlite", "vault")
_GLOB = re.compile(r"[*?\[]")
#: What a link must not leave: of a source in the landing zone both, of another its folder.
_BOUNDS = ("the landing zone", "its source's folder")


def _pattern(contract: Contract, landing: Path) -> tuple[str, list[Path], list[str]]:
    """(glob pattern, roots of which files must leave none, all places looked at)."""
    path = contract.source.path or ""
    if path.startswith("package:"):
        package, _, inner = path.removeprefix("package:").partition("/")
        spec = None if package == "__main__" else importlib.util.find_spec(package)
        places = list(spec.submodule_search_locations or []) if spec else []
        if not places:
            raise SourceError(
                f"{contract.path.name}: source `{contract.name}` reads `{path}`, but the package "
                f"`{package}` is not installed. Install it (make real-data), or point servers.path "
                "at your own copy of the file"
            )
        found = str(Path(places[0]) / inner)
        # Its folder, and what an installer may have made of it: a link to the installer's cache.
        return found, [Path(places[0])] if _GLOB.search(inner) else [], [found]
    if Path(path).is_absolute():
        if _is_our_own(Path(path), landing):
            raise SourceError(
                f"{contract.path.name}: source `{contract.name}` reads `{path}`, which is habitus' "
                "own data and no source. Mend servers.path in the contract"
            )
        return path, [_fixed(path)], [path]
    inside = landing / path
    if _glob(str(inside)):
        return str(inside), [landing, _fixed(str(inside))], [str(inside)]
    beside = contract.path.parent / path
    return str(beside), [_fixed(str(beside))], [str(inside), str(beside)]


def _is_our_own(path: Path, landing: Path) -> bool:
    """Whether a path leads into what habitus keeps: keys, reports, and all of every deployment.

    The landing zone is the one place that it does not keep. What else lies in the data home is
    somebody's own.
    """
    home = landing.parent.parent
    if not path.is_relative_to(home) or path.is_relative_to(landing):
        return False
    beside = path.relative_to(home).parts[:1]
    return any(
        name in ("keys", "reports") or any((home / name / kept).exists() for kept in _KEPT)
        for name in beside
    )


def _is_kept_too(target: Path, landing: Path) -> bool:
    """Whether a file of the landing zone is one that habitus keeps, under a second name.

    Hard links to anything else are files: who may put one there could read it, and snapshots of a
    folder are made of them.
    """
    seen = target.stat()
    if seen.st_nlink == 1:
        return False
    kept = (path for path in landing.parent.parent.rglob("*") if _is_our_own(path, landing))
    return any(os.path.samestat(path.lstat(), seen) for path in kept)


def _fixed(pattern: str) -> Path:
    """The folder below which a pattern, or a plain path, can mean a file."""
    return next(p for p in Path(pattern).parents if not _GLOB.search(str(p)))


def _glob(pattern: str) -> list[Path]:
    """Files of a glob, sorted. `**` follows no link out of the folder; a plain path is itself."""
    whole = Path(pattern)
    parts = whole.parts
    first = next((i for i, part in enumerate(parts) if _GLOB.search(part)), None)
    if first is None:
        return [whole] if whole.exists() else []
    base, pattern = Path(*parts[:first]), "/".join(parts[first:])
    found = set(base.glob(pattern))
    if "**" in parts:
        # Beyond a link to a folder nothing is looked for; that there is one is to be told.
        below = "/".join(parts[first : parts.index("**") + 1])
        found |= {path for path in base.glob(f"{below}/*") if path.is_symlink() and path.is_dir()}
    return sorted(found)


def find_files(contract: Contract, landing: Path) -> list[FoundFile]:
    """The files of a local source, sorted by path.

    Raises:
        SourceError: If there is none: it names the contract, the places looked at, the remedy.
    """
    try:
        pattern, roots, places = _pattern(contract, landing)
        matches = _glob(pattern)
    except (ValueError, RecursionError, OSError) as error:
        raise SourceError(
            f"{contract.path.name}: source `{contract.name}` reads `{contract.source.path}`, which "
            f"is no path that can be looked for ({type(error).__name__}). Mend servers.path in the "
            "contract"
        ) from None
    zone, beside = landing.resolve(), contract.path.parent.resolve()
    forbidden = partial(_forbidden, pattern=pattern, contract=contract, zone=zone, beside=beside)
    bounds = list(zip((root.resolve() for root in roots), _BOUNDS, strict=False))
    found = []
    for path in matches:
        if path.name.startswith(".") or REPAIRS in path.parts:
            continue
        target = _target(path)
        leaves = _leaves(target, bounds)
        if path.is_dir() and not (path.is_symlink() and leaves):
            continue  # files of a folder are found where the pattern asks for them
        shown = path.relative_to(landing) if path.is_relative_to(landing) else path
        fault = leaves or _fault(path)
        if fault is None and target is not None:
            fault = forbidden(target)
        seen = stamp(path) if fault is None else None
        found.append(FoundFile(path, shown_file(shown.as_posix()), fault, seen))
    if not found:
        raise SourceError(
            f"{contract.path.name}: source `{contract.name}` has no file. Looked for "
            + " and ".join(places)
            + ". Put the files there, or mend servers.path in the contract"
        )
    return found


def _forbidden(
    target: Path, pattern: str, contract: Contract, zone: Path, beside: Path
) -> str | None:
    """Why a file must not be read to which a pattern or a link leads, though no text said so."""
    # Contracts in a deployment's own folder, and files beside them, are somebody's own.
    is_beside = target.is_relative_to(beside) and beside.is_relative_to(zone.parent)
    if _is_our_own(target, zone) and (not is_beside or beside == zone.parent):
        return "habitus' own data, and no source"
    if target.is_relative_to(zone) and _is_kept_too(target, zone):
        return "a hard link to habitus' own data, and no source"
    if target.parts[1] in SYSTEM_FOLDERS:
        return f"it is in the system's own folder /{target.parts[1]}"
    said = {*_fixed(pattern).parts, *zone.parts, *beside.parts}
    hidden = any(part.startswith(".") and part not in said for part in target.parts)
    # Where an installer keeps its packages is its own affair.
    if hidden and not str(contract.source.path).startswith("package:"):
        return "it is in a hidden folder, or hidden itself"
    return None


def _target(path: Path) -> Path | None:
    """Where a path leads; None for a link that leads to itself."""
    try:
        return path.resolve(strict=False)
    except (OSError, RuntimeError):
        return None


def _leaves(target: Path | None, bounds: Sequence[tuple[Path, str]]) -> str | None:
    """Why a path must not be followed: it is a link that leaves where it lies; or None."""
    if target is None:
        return "a link that leads nowhere but to itself"
    for root, name in bounds:
        if not target.is_relative_to(root):
            return f"a link that leaves {name}"
    return None


def _fault(path: Path) -> str | None:
    if not path.is_file():
        return "a link to nothing" if path.is_symlink() else "not a regular file"
    return None


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
        same = found.seen is None or stamp(found.path) == found.seen
    except OSError:
        same = False
    return None if same else "it changed while it was read"


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
