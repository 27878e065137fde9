"""The ledger: which contents have been read, exactly once, in SQLite.

What does NOT belong here: the batches themselves (`batch`). No value of a record is kept here.

A batch is entered as `writing` before its first byte, and as `done` in one transaction with its
files. Whatever a crash leaves in between is known by that entry, and removed at the next start.

As git's index does, it remembers what the file system said of each file that was read: a file of
which that is still said is not opened again. This only spares work. Which contents have been read
is said by `files` alone.
"""

from __future__ import annotations

import fcntl
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ingestion.find import FoundFile
from ingestion.results import IngestError
from ingestion.settled import Stamp

#: The form of what stands beside the ledger in raw; in SQLite's `user_version`. 1: a record's hash
#: is that of its named values. 0: of its values in a row, which two records may have in common.
FORM = 1
_TABLES = """
create table if not exists batches (
    batch_id text primary key, source text not null, status text not null, run_id text not null,
    wrote_raw integer, started_at text not null, finished_at text
);
create table if not exists files (
    source text not null, sha256 text not null, path text not null, bytes integer not null,
    status text not null, batch_id text, run_id text not null, ingested_at text not null,
    records_in integer not null, accepted integer not null, quarantined integer not null,
    duplicates integer not null, known_from text, known_to text, contract text,
    primary key (source, sha256)
);
create table if not exists columns (
    source text not null, name text not null, first_seen_at text not null,
    primary key (source, name)
);
create table if not exists copies (
    source text not null, sha256 text not null, path text not null, run_id text not null,
    found_at text not null, primary key (source, sha256, path)
);
create table if not exists stamps (
    source text not null, sha256 text not null, path text not null, stamp text not null,
    primary key (source, sha256, path)
);
create table if not exists watermarks (
    source text primary key, value text, kind text, updated_at text not null
);
create index if not exists batches_by_source on batches (source, status);
"""


@dataclass(frozen=True)
class FileEntry:
    """One file's line in the ledger.

    Attributes:
        sha256: Content hash.
        path: As shown.
        size: Bytes on disk.
        status: loaded or quarantined.
        records_in: Records, counted apart from the parser.
        accepted: Written to raw.
        quarantined: Written to the quarantine.
        duplicates: Counted only.
        known_from: Earliest moment of knowing among the accepted.
        known_to: Latest.
    """

    sha256: str
    path: str
    size: int
    status: str
    records_in: int
    accepted: int
    quarantined: int
    duplicates: int
    known_from: datetime | None = None
    known_to: datetime | None = None


class Ledger:
    """The ledger of one deployment.

    Args:
        path: The SQLite file; made if missing.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._db = sqlite3.connect(path, timeout=60, isolation_level=None)
        self._db.execute("pragma journal_mode = wal")
        self._db.execute("pragma synchronous = full")
        self._db.executescript(_TABLES)
        if self._db.execute("select 1 from batches limit 1").fetchone() is None:
            self._db.execute(f"pragma user_version = {FORM}")

    def require_form(self) -> None:
        """Require that what has been read can be compared with what is read now.

        Raises:
            IngestError: It was read under another form of record hashes.
        """
        form = self._db.execute("pragma user_version").fetchone()[0]
        if form != FORM:
            home = self._path.parent
            raise IngestError(
                f"{self._path}: its records were read by another version of habitus (form {form}, "
                f"not {FORM}), and cannot be compared with new ones. Read all files again: remove "
                f"{self._path.name}*, lake/raw, lake/quarantine and lake/held in {home}, then "
                "`habitus run`. Corrections of persons must be made again: note before what the "
                "files correction-* in lake/raw/customers say"
            )

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def writing(self, source: str) -> Iterator[None]:
        """Hold the source: a second ingestion of it, in any process, waits here."""
        with self._lock(source).open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("begin immediate")
        try:
            yield
        except BaseException:
            self._db.execute("rollback")
            raise
        self._db.execute("commit")

    def _insert(self, what: str, rows: Sequence[tuple[str, ...]]) -> None:
        if rows:  # else nobody has to wait for who writes
            with self._transaction():
                self._db.executemany(f"insert {what}", rows)

    def _lock(self, source: str) -> Path:
        return self._path.with_name(f"{self._path.name}.{source}.lock")

    def known(self, source: str) -> set[str]:
        """Content hashes that have been read for a source."""
        rows = self._db.execute("select sha256 from files where source = ?", (source,))
        return {row[0] for row in rows}

    def paths(self, source: str) -> dict[str, list[str]]:
        """By content hash: where it was read first, then the names under which it was seen since.

        The contents that have been read are its keys.
        """
        query = "select sha256, path from {} where source = ? order by rowid"
        read = self._db.execute(query.format("files"), (source,))
        found = {sha256: [path] for sha256, path in read}
        for sha256, path in self._db.execute(query.format("copies"), (source,)):
            if sha256 in found:  # else it was let be read again
                found[sha256].append(path)
        return found

    def copies(
        self, source: str, found: Sequence[tuple[str, str]], run_id: str, now: datetime
    ) -> None:
        """Enter further names, (hash, path), of contents that have been read."""
        self._insert(
            "or ignore into copies values (?, ?, ?, ?, ?)",
            [(source, sha256, path, run_id, now.isoformat()) for sha256, path in found],
        )

    def to_open(self, source: str, found: Sequence[FoundFile]) -> list[FoundFile]:
        """Files of a source but those known unopened: by their stamp, as one of their names."""
        paths = self.paths(source)
        rows = self._db.execute(
            "select sha256, path, stamp from stamps where source = ?", (source,)
        )
        known = {(path, stamp) for sha256, path, stamp in rows if path in paths.get(sha256, ())}
        return [
            file
            for file in found
            if file.seen is None or (file.shown, file.seen.digest) not in known
        ]

    def moment(self, source: str) -> int:
        """Nanoseconds now, by the ledger's file system or by our clock, whichever is behind.

        The landing zone is most often on that file system, whose clock may be a server's.
        """
        lock = self._lock(source)
        lock.touch()
        return min(lock.stat().st_mtime_ns, time.time_ns())

    def remember(self, source: str, read: Iterable[tuple[str, str, Stamp]], moment: int) -> None:
        """Remember stamps, (hash, path, stamp), of files that were read after a moment.

        One that is not clearly older than the moment could be that of other bytes too, written just
        after: such a file is opened again. So is one whose times lie ahead of the clock.
        """
        self._insert(
            "or replace into stamps values (?, ?, ?, ?)",
            [
                (source, sha256, path, stamp.digest)
                for sha256, path, stamp in read
                if stamp.is_before(moment)
            ],
        )

    def raw_batches(self, source: str) -> list[str]:
        """A source's finished batches that have a raw file."""
        rows = self._db.execute(
            "select batch_id from batches where source = ? and status = 'done' and wrote_raw "
            "order by batch_id",
            (source,),
        )
        return [row[0] for row in rows]

    def unfinished(self, source: str) -> list[str]:
        """Batches that a crash left behind."""
        rows = self._db.execute(
            "select batch_id from batches where source = ? and status = 'writing'", (source,)
        )
        return [row[0] for row in rows]

    def forget(self, batch_id: str) -> None:
        """Take an unfinished batch out."""
        self._db.execute(
            "delete from batches where batch_id = ? and status = 'writing'", (batch_id,)
        )

    def reopen(self, source: str, sha256: str) -> None:
        """Let a content be read again that was quarantined whole.

        Its batch is unfinished again, so that the next start removes what it has left.
        """
        which = "from files where source = ? and sha256 = ? and status = 'quarantined'"
        with self._transaction():
            self._db.execute(
                "update batches set status = 'writing' "
                f"where batch_id in (select batch_id {which})",
                (source, sha256),
            )
            self._db.execute(f"delete {which}", (source, sha256))

    def begin(self, batch_id: str, source: str, run_id: str, now: datetime) -> None:
        """Enter a batch before it is written."""
        self._db.execute(
            "insert or replace into batches values (?, ?, 'writing', ?, null, ?, null)",
            (batch_id, source, run_id, now.isoformat()),
        )

    def finish(
        self,
        batch_ids: Sequence[str],
        source: str,
        run_id: str,
        files: Sequence[FileEntry],
        *,
        now: datetime,
        contract: str,
        wrote_raw: Sequence[bool],
        watermark: tuple[str, str] | None = None,
    ) -> None:
        """Enter batches as done, with their files and the watermark, in one transaction."""
        with self._transaction():
            for batch_id, wrote in zip(batch_ids, wrote_raw, strict=True):
                self._db.execute(
                    "update batches set status = 'done', finished_at = ?, "
                    "wrote_raw = ? where batch_id = ?",
                    (now.isoformat(), int(wrote), batch_id),
                )
            for entry in files:
                self._db.execute(
                    "insert into files values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        source,
                        entry.sha256,
                        entry.path,
                        entry.size,
                        entry.status,
                        batch_ids[0] if batch_ids else None,
                        run_id,
                        now.isoformat(),
                        entry.records_in,
                        entry.accepted,
                        entry.quarantined,
                        entry.duplicates,
                        entry.known_from.isoformat() if entry.known_from else None,
                        entry.known_to.isoformat() if entry.known_to else None,
                        contract,
                    ),
                )
            if watermark is not None:
                self._db.execute(
                    "insert or replace into watermarks values (?, ?, ?, ?)",
                    (source, *watermark, now.isoformat()),
                )

    def watermark(self, source: str) -> tuple[str, str] | None:
        """(value as text, its type) up to which a source has been read."""
        return self._db.execute(
            "select value, kind from watermarks where source = ?", (source,)
        ).fetchone()

    def columns(self, source: str) -> set[str]:
        """Columns that files of a source have had."""
        rows = self._db.execute("select name from columns where source = ?", (source,))
        return {row[0] for row in rows}

    def enter_columns(self, source: str, columns: Sequence[str], now: datetime) -> None:
        """Enter the columns of a file that is read."""
        fresh = set(columns) - self.columns(source)
        self._db.executemany(
            "insert or ignore into columns values (?, ?, ?)",
            [(source, name, now.isoformat()) for name in sorted(fresh)],
        )

    def other_contracts(self, source: str, digest: str) -> int:
        """How many files were loaded under another version of the contract's text."""
        row = self._db.execute(
            "select count(*) from files where source = ? and contract <> ? and status = 'loaded'",
            (source, digest),
        ).fetchone()
        return int(row[0])
