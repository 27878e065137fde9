"""Verifying an audit trail: which line, and what was done to it.

What does NOT belong here: writing a trail (`audit`), or repairing one. Nothing here writes.

Without the key nobody can make a line, so every true line was written once, for one place. What is
found is told from the true lines' numbers: which are there, which are missing, in which order.
"""

from __future__ import annotations

import errno
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from filelock import Timeout

from privacy.audit import ANCHOR_LOST, GENESIS, Anchor, AuditError, Trail, unseal

EDITED, DELETED, INSERTED, REORDERED = "edited", "deleted", "inserted", "reordered"
TRUNCATED, ANCHOR, ROLLED_BACK = "truncated", "anchor", "rolled back"


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong. `line` counts from 1 in the file; None is the trail as a whole."""

    line: int | None
    kind: str
    detail: str


@dataclass(frozen=True)
class Verdict:
    """What stands in a trail.

    Attributes:
        lines: in the file.
        head: the last true line's hash, to be noted elsewhere; empty where there is none.
        findings: what is wrong, by line; empty when the trail is whole.
        unfinished: a kill left the last line to be finished, which the next line does.
    """

    lines: int
    head: str
    findings: tuple[Finding, ...]
    unfinished: bool = False


@dataclass(frozen=True)
class _Line:
    """One line of the file. `seq` is None where its hash does not fit; `cut`: it has no end."""

    number: int
    seq: int | None
    mac: str
    prev: str
    action: str
    cut: bool = False


def verify(trail: Trail, head: str | None = None) -> Verdict:
    """Read the whole trail under its lock and say what was done to it.

    Args:
        trail: to be verified.
        head: a head that was noted earlier; the trail must hold it.

    Raises:
        AuditError: another process holds the trail.
        OSError: the trail cannot be read.
    """
    anchor, raw = _snapshot(trail)
    unfinished = anchor is not None and anchor.pending is not None
    if anchor is not None and anchor.pending is not None:
        raw, anchor = _with_pending(raw, anchor, trail)
    lines = [_read(trail, i, text) for i, text in enumerate(raw, 1)]
    true = [line for line in lines if line.seq is not None]
    findings = _in_order(lines, anchor.count if anchor else None)
    findings += _against_anchor(trail, true, anchor)
    if head and all(line.mac != head for line in true):
        findings.append(
            Finding(None, ROLLED_BACK, "the noted head is not in the trail: it was set back")
        )
    findings.sort(key=lambda f: (f.line is None, f.line or 0))
    return Verdict(len(raw), true[-1].mac if true else GENESIS, tuple(findings), unfinished)


def _snapshot(trail: Trail) -> tuple[Anchor | None, list[bytes]]:
    """Anchor and lines of one moment."""
    try:
        with trail.locked():
            return trail.read_anchor(), list(trail.lines())
    except PermissionError:
        pass  # read-only here, as an auditor's copy is: nobody appends to it from here either
    except Timeout as error:
        raise AuditError(f"another process holds the trail {trail.file}: wait for it") from error
    except OSError as error:
        if error.errno != errno.EROFS:
            raise
    return trail.read_anchor(), list(trail.lines())


def _with_pending(raw: list[bytes], anchor: Anchor, trail: Trail) -> tuple[list[bytes], Anchor]:
    """The lines as the next append would leave them, and the anchor that it would write.

    Only what a kill can leave is completed: exactly the counted lines, and behind them nothing, a
    beginning of the pending line, or all of it.
    """
    assert anchor.pending is not None
    line = anchor.pending.encode()
    found = unseal(trail.keys, b"line", line)
    counted = Anchor(anchor.count + 1, found[1] if found else GENESIS)
    if len(raw) == anchor.count and not (raw and raw[-1].endswith(b"\0")):
        return [*raw, line], counted
    if len(raw) == anchor.count + 1 and raw[-1].endswith(b"\0"):
        return ([*raw[:-1], line] if line.startswith(raw[-1][:-1]) else raw), counted
    return raw, counted


def _read(trail: Trail, number: int, raw: bytes) -> _Line:
    found = unseal(trail.keys, b"line", raw)
    if found is None:
        return _Line(number, None, "", "", "", raw.endswith(b"\0"))
    said, mac = found
    return _Line(number, said["seq"], mac, said["prev"], said["action"])


def _in_order(lines: Sequence[_Line], count: int | None) -> list[Finding]:
    """Walk the lines beside the numbers that they should have."""
    there = {line.seq for line in lines if line.seq is not None}
    last = max([*there, count or 0])
    missing = [seq for seq in range(1, last + 1) if seq not in there]
    findings: list[Finding] = []
    copies = _copies(lines)
    following = _following(lines, last + 1)
    highest, mac_of_highest = 0, GENESIS
    for i, line in enumerate(lines):
        if line.seq is None:
            findings.append(_false_line(line, range(highest + 1, following[i]), missing))
        elif line.number in copies:
            findings.append(Finding(line.number, INSERTED, f"a copy of line {line.seq}"))
            continue
        elif line.seq < highest:
            findings.append(Finding(line.number, REORDERED, f"this was line {line.seq}"))
        elif line.action == ANCHOR_LOST:
            said = "the anchor was lost before this line: lines before it may be missing"
            findings.append(Finding(line.number, ANCHOR, said))
        elif line.seq == highest + 1 and line.prev != mac_of_highest:
            findings.append(Finding(line.number, INSERTED, "it does not follow the line before it"))
        if line.seq is not None:
            first, end = bisect_left(missing, highest + 1), bisect_left(missing, line.seq)
            gone = missing[first:end]
            findings += [Finding(line.number, DELETED, f"line {s} is gone") for s in gone]
            del missing[first:end]
            if line.seq > highest:
                highest, mac_of_highest = line.seq, line.mac
    end = len(lines) + 1
    findings += [Finding(end, TRUNCATED, f"line {s} is gone from the end") for s in missing]
    return findings


def _copies(lines: Sequence[_Line]) -> set[int]:
    """Places of lines that stand elsewhere too: all but the one beside its neighbours."""
    places: dict[int, list[int]] = {}
    for i, line in enumerate(lines):
        if line.seq is not None:
            places.setdefault(line.seq, []).append(i)
    copies: set[int] = set()
    for seq, found in places.items():

        def neighbours(i: int, seq: int = seq) -> int:
            before = lines[i - 1].seq if i else 0
            after = lines[i + 1].seq if i + 1 < len(lines) else None
            return (before == seq - 1) + (after == seq + 1)

        original = max(found, key=lambda i: (neighbours(i), -i))
        copies |= {lines[i].number for i in found if i != original}
    return copies


def _following(lines: Sequence[_Line], end: int) -> list[int]:
    """For each line the number of the next true one behind it."""
    following = []
    for line in reversed(lines):
        following.append(end)
        end = end if line.seq is None else line.seq
    return following[::-1]


def _false_line(line: _Line, room: range, missing: list[int]) -> Finding:
    """A line whose hash does not fit: one that was changed, or one that never belonged here."""
    at = bisect_left(missing, room.start)
    if at == len(missing) or missing[at] not in room:
        said = "its hash does not fit, and no line is missing here"
        return Finding(line.number, INSERTED, said)
    was = missing.pop(at)
    if line.cut:
        return Finding(line.number, TRUNCATED, f"line {was} is cut off")
    return Finding(line.number, EDITED, f"its hash does not fit: it was line {was}")


def _against_anchor(trail: Trail, true: Sequence[_Line], anchor: Anchor | None) -> list[Finding]:
    """Hold the end of the trail against what the anchor says."""
    if anchor is None:
        if trail.anchor.exists():
            return [Finding(None, ANCHOR, f"{trail.anchor} is not as it was sealed")]
        said = f"{trail.anchor} is missing"
        return [Finding(None, ANCHOR, said)] if trail.file.exists() else []
    if anchor.count and not trail.file.exists():
        said = f"{trail.file} is missing; it had {anchor.count} lines"
        return [Finding(None, TRUNCATED, said)]
    beyond = [line for line in true if line.seq is not None and line.seq > anchor.count]
    if beyond:
        said = f"it counts {anchor.count} lines and the trail has more: an older one was put back"
        return [Finding(beyond[0].number, ANCHOR, said)]
    at_end = [line for line in true if line.seq == anchor.count]
    other = bool(at_end) and all(line.mac != anchor.head for line in at_end)
    return [Finding(at_end[0].number, ANCHOR, "it names another last line")] if other else []
