"""Finding a source's files, and which of them must not be read.

What does NOT belong here: opening them (`files`), what has been read already (`ledger`).
"""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

from expectations.contract import SYSTEM_FOLDERS, Contract
from ingestion.names import shown_file
from ingestion.results import SourceError
from ingestion.settled import Stamp, stamp

#: Folder in landing of repaired files, which only `repairs` reads: no contract's glob finds them.
REPAIRS = ".repairs"
#: By which a folder of the data home is known as a deployment's.
_KEPT = ("landing", "lake", "ledger.sqlite", "vault")
_GLOB = re.compile(r"[*?\[]")
#: What a link must not leave: of a source in the landing zone both, of another its folder.
_BOUNDS = ("the landing zone", "its source's folder")


@dataclass(frozen=True)
class FoundFile:
    """A file of a source.

    Attributes:
        path: Where it is.
        shown: Its path as messages and the ledger show it: below landing where it is there.
        fault: Why it must not be read (a link that leaves the landing zone), or None.
        seen: What the file system said of it when it was found.
    """

    path: Path
    shown: str
    fault: str | None = None
    seen: Stamp | None = None


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


class _Kept:
    """The files that habitus keeps, looked for once, when a file first has several links.

    Hard links to anything else are files: who may put one there could read it, and snapshots of a
    folder are made of them.

    Args:
        landing: The landing zone; nothing in it is kept.
    """

    def __init__(self, landing: Path) -> None:
        self.landing = landing

    def has(self, target: Path) -> bool:
        """Whether a file of the landing zone is one that habitus keeps, under a second name."""
        seen = target.stat()
        return seen.st_nlink > 1 and (seen.st_dev, seen.st_ino) in self._inodes

    @cached_property
    def _inodes(self) -> frozenset[tuple[int, int]]:
        home = self.landing.parent.parent
        ours = [path for path in home.iterdir() if _is_our_own(path, self.landing)]
        found = set()
        # A link may lead back to the landing zone.
        for part in (path for path in ours if not path.is_symlink()):
            for folder, folders, files in os.walk(part):
                folders[:] = [name for name in folders if Path(folder, name) != self.landing]
                for name in files:
                    with suppress(FileNotFoundError):  # a run's temporary file, gone meanwhile
                        kept = os.lstat(os.path.join(folder, name))  # noqa: PTH118  for each of many
                        found.add((kept.st_dev, kept.st_ino))
        return frozenset(found)


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
    forbidden = partial(
        _forbidden, pattern=pattern, contract=contract, beside=beside, kept=_Kept(zone)
    )
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
    target: Path, pattern: str, contract: Contract, beside: Path, kept: _Kept
) -> str | None:
    """Why a file must not be read to which a pattern or a link leads, though no text said so."""
    zone = kept.landing
    # Contracts in a deployment's own folder, and files beside them, are somebody's own.
    is_beside = target.is_relative_to(beside) and beside.is_relative_to(zone.parent)
    if _is_our_own(target, zone) and (not is_beside or beside == zone.parent):
        return "habitus' own data, and no source"
    if target.is_relative_to(zone) and kept.has(target):
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
