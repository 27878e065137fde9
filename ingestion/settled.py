"""What a file system says of a file: whether it is finished, and whether it is the one we know.

What does NOT belong here: what is in the file (`readers`), entering it anywhere (`run`).

Three signs, none of which makes a file that landed a moment ago wait: a name that says so, a writer
that still has it open (Linux says so when asked for a read lease), and a size or a time of change
that moves while we look. A contract may ask for a time of rest on top (`habitus.settleSeconds`).
What is still being written is held, and read by a later run.

A file whose whole stamp is the one that it had when it was read holds what it held then. Nobody can
set the time of change of its inode, so bytes that are written anew are seen under an old time, too.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import signal
import time
from pathlib import Path
from typing import NamedTuple

#: Endings under which programs write before they give the file its name.
UNFINISHED_SUFFIXES = (".part", ".partial", ".tmp", ".filepart", ".crdownload")
#: Linux: which signal tells the holder of a lease that somebody wants to write.
_F_SETSIG = 10

#: Two changes so close to each other may get one time: FAT counts in two seconds.
RACY_NS = 2_000_000_000


class Stamp(NamedTuple):
    """What a file system says of a file; times in nanoseconds.

    Attributes:
        size: Bytes.
        mtime: When its bytes were changed, or what somebody has set.
        ctime: When its inode was changed; nobody can set it.
        inode: Its number.
        device: The file system's number.
    """

    size: int
    mtime: int
    ctime: int
    inode: int
    device: int

    @property
    def digest(self) -> str:
        """As the ledger keeps it: among plain numbers a search would find somebody's own."""
        return hashlib.blake2b(str(tuple(self)).encode(), digest_size=16).hexdigest()

    def grew_from(self, before: Stamp) -> bool:
        """Whether it is being written.

        A new link, or a new owner, changes the inode alone: a delivery by `link` and `unlink` is
        whole, and so is a file that somebody takes a snapshot of.
        """
        return (self.size, self.mtime) != (before.size, before.mtime)

    def is_before(self, moment: int) -> bool:
        """Whether any change after a moment gives another stamp."""
        return max(self.mtime, self.ctime) + RACY_NS < moment


def stamp(path: Path) -> Stamp:
    """A file's stamp as it is now; that of its target for a link."""
    found = path.stat()
    return Stamp(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_dev)


def has_writer(path: Path) -> bool:
    """Whether any process has the file open for writing; False where the system cannot tell."""
    if not hasattr(fcntl, "F_SETLEASE"):
        return False
    handle = os.open(path, os.O_RDONLY)
    try:
        # A writer that comes in this instant must not end us: SIGURG is ignored by default.
        fcntl.fcntl(handle, _F_SETSIG, signal.SIGURG)
        fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        return True
    except OSError:  # another owner's file, or a file system without leases
        return False
    finally:
        os.close(handle)
    return False


def unfinished(path: Path, rest_seconds: float = 0.0, seen: Stamp | None = None) -> str | None:
    """Why a file must wait, or None.

    Args:
        path: The file.
        rest_seconds: It must not have changed for so long.
        seen: Its stamp when it was found, if it was looked at before.

    Raises:
        OSError: If it is not there, or cannot be opened.
    """
    if path.suffix.lower() in UNFINISHED_SUFFIXES:
        return f"its name ends in {path.suffix}"
    now = stamp(path)
    if seen is not None and now.grew_from(seen):
        return "it changes while it is looked at"
    if has_writer(path):
        return "a writer still has it open"
    if rest_seconds and time.time() - now.mtime / 1e9 < rest_seconds:
        return f"it changed less than {rest_seconds:g} s ago"
    return None
