"""The audit trail: lines that show when somebody changed them.

What does NOT belong here: where a deployment keeps its trail and what is worth a line
(orchestration/lib/audit), the keys (`keys`), and anybody's personal data.

Each line is JSON and ends in a keyed hash (HMAC-SHA256) of all its bytes before. It holds its
number and the hash of the line before it. The *anchor*, a file elsewhere that is swapped whole and
sealed with the same key, holds how many lines there are and the last one's hash.

To append is three steps under a lock, each on disk before the next: (1) the anchor names the new
line as pending, in full; (2) the line is appended; (3) the anchor counts it. Whoever called gets
no answer before (3), and acts after. So a kill leaves one of three states: nothing; a pending line
that the file has not, or has a beginning of; a pending line that the file has whole. The next
append puts exactly that line there and counts it. That can hide no truncation: what is put back is
the line itself, and lines below the anchor's count are never written again. Everything else that
differs from the anchor is tampering, and stays visible: appending goes on behind the damage and
repairs nothing.

It cannot see that the trail and its anchor were both set back to one earlier moment; a head noted
elsewhere can (`verify(..., head=...)`). Who holds the key can write any trail.
"""

from __future__ import annotations

import getpass
import hashlib
import hmac
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from privacy.masking import mask

LOCK_SECONDS = 30.0
GENESIS = ""
ANCHOR_LOST = "anchor_lost"
_MAC = re.compile(rb',"mac":"([0-9a-f]{64})"}\Z')
_TOKEN = re.compile(r"tok_v\d+_[a-z2-7]+|c_[0-9a-f]{32}|sub_[0-9a-f]{32}")
# Names of things, not of people: no blank, no at sign, nothing that free text needs.
_NAME = re.compile(r"[A-Za-z0-9_.:/\-]{0,120}")
_PURPOSE = re.compile(r"[^\W\d_][\w ,.:/()\-]{0,199}")
_LONG_NUMBER = re.compile(r"\d(?:[ ()./\-]?\d){6,}")


class AuditError(RuntimeError):
    """The trail cannot be written or read; the message says why and the way out."""


@dataclass(frozen=True)
class Event:
    """What somebody did.

    Attributes:
        action: a name, for instance `export`.
        tables: what it was done to, as `schema.name`.
        purpose: what for; None where the action says it.
        run_id: the run that did it, if one did.
        subjects: whom it was about. Whatever is no token becomes a keyed digest.
        detail: counts, and names of things. Text that could be personal is refused.
    """

    action: str
    tables: Sequence[str] = ()
    purpose: str | None = None
    run_id: str | None = None
    subjects: Sequence[str] = ()
    detail: Mapping[str, str | int | float | bool | None] | None = None


@dataclass(frozen=True)
class AuditKeys:
    """The key that seals, and those that sealed before.

    Attributes:
        version: of the key that seals now.
        secret: gives the key of a version; raises LookupError or ValueError where there is none.
    """

    version: int
    secret: Callable[[int], bytes]


@dataclass(frozen=True)
class Anchor:
    """What the trail has to end in.

    Attributes:
        count: lines.
        head: the last line's hash.
        size: bytes of the file.
        pending: a line that is being appended, without its line end.
    """

    count: int = 0
    head: str = GENESIS
    size: int = 0
    pending: str | None = None


def canonical(value: Mapping[str, Any]) -> bytes:
    """One spelling of JSON, so that equal content is equal bytes."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()


def _mac(secret: bytes, kind: bytes, body: bytes) -> str:
    return hmac.new(secret, kind + b"\0" + body, hashlib.sha256).hexdigest()


def _seal(secret: bytes, kind: bytes, body: bytes) -> bytes:
    """A JSON object with its keyed hash as last field."""
    return body[:-1] + b',"mac":"' + _mac(secret, kind, body).encode() + b'"}'


def unseal(keys: AuditKeys, kind: bytes, sealed: bytes) -> tuple[dict[str, Any], str] | None:
    """The object and its hash, if every byte is as it was sealed; else None."""
    found = _MAC.search(sealed)
    if found is None:
        return None
    body = sealed[: found.start()] + b"}"
    try:
        said = json.loads(body)
        secret = keys.secret(int(said["key"]))
    except (ValueError, LookupError, TypeError):
        return None
    mac = _mac(secret, kind, body)
    return (said, mac) if hmac.compare_digest(mac.encode(), found[1]) else None


def subject(value: str, keys: AuditKeys) -> str:
    """A token as it is; anything else as a keyed digest, so that no line names a person."""
    if _TOKEN.fullmatch(value):
        return value
    digest = _mac(keys.secret(keys.version), b"subject", value.encode())
    return f"sub_{digest[:32]}"


def _checked(event: Event) -> None:
    """Refuse what could be personal data.

    Raises:
        ValueError: a text that is no name of a thing, or a purpose with a number or an address.
    """
    texts = {"action": event.action, "run_id": event.run_id or ""}
    texts |= {f"table {i}": name for i, name in enumerate(event.tables, 1)}
    texts |= {k: v for k, v in (event.detail or {}).items() if isinstance(v, str)}
    for name, text in texts.items():
        if not _NAME.fullmatch(text):
            raise ValueError(
                f"audit: {name} is no plain name (letters, digits, . _ - : /, at most 120): what "
                "is written here must not hold personal data; name people in `subjects`"
            )
    purpose = event.purpose
    if purpose and (
        not _PURPOSE.fullmatch(purpose) or _LONG_NUMBER.search(purpose) or mask(purpose) != purpose
    ):
        raise ValueError(
            "audit: a purpose is a few words without addresses or long numbers, at most 200 "
            "characters, for instance `churn report` or `request for access`"
        )


def _operator() -> str:
    """The operating system's user; a process without a name has its number."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid:{os.getuid()}"


class Trail:
    """One deployment's audit trail.

    Args:
        file: of the lines; made with its folder.
        anchor: of the head; in another folder, so that one slip does not take both.
        keys: that seal it.
    """

    def __init__(self, file: Path, anchor: Path, keys: AuditKeys) -> None:
        self.file = file
        self.anchor = anchor
        self.keys = keys

    def append(self, event: Event, *, timeout: float = LOCK_SECONDS) -> str:
        """Write one line; it is on disk when this returns. Gives the new head.

        Raises:
            AuditError: another process holds the trail.
            ValueError: the event holds what could be personal data.
            OSError: the trail cannot be written, for instance on a read-only disk.
        """
        _checked(event)
        try:
            with self.locked(timeout):
                before = self._start()
                line, head = self._line(event, before)
                pending = Anchor(before.count, before.head, before.size, line.decode())
                self._write_anchor(pending)
                return self._finish(pending, head)
        except Timeout as error:
            raise AuditError(
                f"another process has held {self._lock} for {timeout:g} s: the audit trail cannot "
                "be written. Wait for it, or end it"
            ) from error

    def locked(self, timeout: float = LOCK_SECONDS) -> FileLock:
        """The right to append; a killed process gives it back."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        return FileLock(self._lock, timeout=timeout)

    @property
    def _lock(self) -> Path:
        return self.file.with_suffix(".lock")

    def read_anchor(self) -> Anchor | None:
        """The anchor; None where it is missing or not as it was sealed."""
        try:
            found = unseal(self.keys, b"anchor", self.anchor.read_bytes())
        except FileNotFoundError:
            return None
        if found is None:
            return None
        said = found[0]
        return Anchor(said["count"], said["head"], said["size"], said["pending"])

    def lines(self) -> Iterator[bytes]:
        """Raw lines, without their ends; a last one without an end keeps a NUL as its mark."""
        if not self.file.exists():
            return
        with self.file.open("rb") as file:
            for line in file:
                yield line[:-1] if line.endswith(b"\n") else line + b"\0"

    def _start(self) -> Anchor:
        """What the next line follows: the anchor, with what a kill left finished."""
        anchor = self.read_anchor()
        if anchor is None:
            return self._without_anchor()
        if anchor.pending is not None:
            said = unseal(self.keys, b"line", anchor.pending.encode())
            if said is None:
                raise AuditError(
                    f"the pending line in {self.anchor} was sealed with another key: restore the "
                    "audit key from its copy"
                )
            self._finish(anchor, said[1])
            anchor = self.read_anchor() or anchor
        return anchor

    def _without_anchor(self) -> Anchor:
        """A new trail; or one whose anchor is gone, which is said in the trail for good."""
        known = Anchor()
        if not self.file.exists() and not self.anchor.exists():
            return known
        for raw in self.lines():
            found = unseal(self.keys, b"line", raw)
            if found is not None:
                known = Anchor(found[0]["seq"], found[1])
        known = Anchor(known.count, known.head, self._size())
        line, head = self._line(Event(ANCHOR_LOST), known)
        pending = Anchor(known.count, known.head, known.size, line.decode())
        self._write_anchor(pending)
        self._finish(pending, head)
        return Anchor(known.count + 1, head, self._size())

    def _line(self, event: Event, before: Anchor) -> tuple[bytes, str]:
        """The sealed line that follows, and its hash."""
        body = canonical(
            {
                "seq": before.count + 1,
                "at": datetime.now(UTC).isoformat(timespec="microseconds"),
                "action": event.action,
                "operator": _operator(),
                "run_id": event.run_id,
                "tables": sorted(event.tables),
                "purpose": event.purpose,
                "subjects": [subject(s, self.keys) for s in event.subjects],
                "detail": dict(event.detail or {}),
                "key": self.keys.version,
                "prev": before.head,
            }
        )
        secret = self.keys.secret(self.keys.version)
        return _seal(secret, b"line", body), _mac(secret, b"line", body)

    def _finish(self, pending: Anchor, head: str) -> str:
        """Bring the pending line into the file, as far as it is not there yet, and count it."""
        assert pending.pending is not None
        whole = pending.pending.encode() + b"\n"
        with self.file.open("ab+") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(pending.size - 1, 0))
            tail = file.read()
            if pending.size:
                tail, whole_before = tail[1:], tail[:1] == b"\n"
            else:
                whole_before = True
            if whole_before and whole.startswith(tail):
                file.write(whole[len(tail) :])
            else:
                # Somebody changed the file: behind the damage, on a line of its own.
                file.seek(max(size - 1, 0))
                file.write((b"" if size == 0 or file.read(1) == b"\n" else b"\n") + whole)
            file.flush()
            os.fsync(file.fileno())
        self._write_anchor(Anchor(pending.count + 1, head, self._size()))
        return head

    def _size(self) -> int:
        return self.file.stat().st_size if self.file.exists() else 0

    def _write_anchor(self, anchor: Anchor) -> None:
        """Swap the anchor whole, for its owner alone, and onto the disk."""
        said = {
            "count": anchor.count,
            "head": anchor.head,
            "size": anchor.size,
            "pending": anchor.pending,
            "key": self.keys.version,
        }
        sealed = _seal(self.keys.secret(self.keys.version), b"anchor", canonical(said))
        self.anchor.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.anchor.with_name(f".{self.anchor.name}.{os.getpid()}")
        try:
            handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(sealed)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self.anchor)
        finally:
            temporary.unlink(missing_ok=True)
        folder = os.open(self.anchor.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
