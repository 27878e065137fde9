"""Whether a file is finished: what is still being written is held, and read by a later run.

What does NOT belong here: what is in the file (`readers`), entering it anywhere (`run`).

Three signs, none of which makes a file that landed a moment ago wait: a name that says so, a writer
that still has it open (Linux says so when asked for a read lease), and a size or a time of change
that moves while we look. A contract may ask for a time of rest on top (`habitus.settleSeconds`).
"""

from __future__ import annotations

import fcntl
import os
import signal
import time
from pathlib import Path

#: Endings under which programs write before they give the file its name.
UNFINISHED_SUFFIXES = (".part", ".partial", ".tmp", ".filepart", ".crdownload")
#: Linux: which signal tells the holder of a lease that somebody wants to write.
_F_SETSIG = 10

Stamp = tuple[int, int]


def stamp(path: Path) -> Stamp:
    """(bytes, time of the last change in nanoseconds)."""
    found = path.stat()
    return found.st_size, found.st_mtime_ns


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
    size, changed = stamp(path)
    if seen is not None and seen != (size, changed):
        return "it changes while it is looked at"
    if has_writer(path):
        return "a writer still has it open"
    if rest_seconds and time.time() - changed / 1e9 < rest_seconds:
        return f"it changed less than {rest_seconds:g} s ago"
    return None
