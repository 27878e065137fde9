"""Runs a command and measures it: wall seconds and peak memory of its whole process tree.

What does not belong here: what is measured.
"""

import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PAGE = 4096
POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Measured:
    """Wall seconds, and peak resident memory of the process and all its descendants, in GiB."""

    seconds: float
    peak_gib: float


def _tree(root: int) -> list[int]:
    """A process and its descendants, by /proc."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended between listing and reading
        children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found, todo = [], [root]
    while todo:
        found.append(pid := todo.pop())
        todo += children.get(pid, [])
    return found


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
    except (FileNotFoundError, ProcessLookupError):
        return 0


def measure(command: Sequence[str], env: Mapping[str, str], log: Path) -> Measured:
    """Run a command to its end, its output to `log`.

    Raises:
        RuntimeError: the command failed; its log says why.
    """
    started, peak = time.monotonic(), 0
    with log.open("w") as out:
        process = subprocess.Popen(command, env=dict(env), stdout=out, stderr=subprocess.STDOUT)
        while process.poll() is None:
            peak = max(peak, sum(_resident(pid) for pid in _tree(process.pid)))
            time.sleep(POLL_SECONDS)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} failed, see {log}")
    return Measured(time.monotonic() - started, peak / 2**30)
