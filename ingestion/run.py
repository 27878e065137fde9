"""The way of one source: its new files in chunks, each chunk a batch, each batch in the ledger.

What does NOT belong here: formats (`readers`), SQL (`compile`), writing (`batch`).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import duckdb
import pyarrow as pa

from ingestion.batch import batch_id_of, write_chunk
from ingestion.columns import fit, new_names, told_of
from ingestion.compile import declared_columns
from ingestion.files import OpenFile, changed, open_files
from ingestion.find import FoundFile
from ingestion.held import refresh_held
from ingestion.ledger import FileEntry, Ledger
from ingestion.paths import path_moment
from ingestion.postgres import read_table
from ingestion.quarantine import quarantine_file
from ingestion.readers.base import Records, own_columns
from ingestion.readers.delimited import join_tables, read_delimited
from ingestion.readers.lines import prepare, read_lines, sampled_keys
from ingestion.readers.parquet import footer, read_parquet
from ingestion.results import ConservationError, FileError, FileHeld, SourceResult
from ingestion.session import CORRECTIONS, ChunkFile, Counts, Session
from ingestion.settled import Stamp
from ingestion.whole import refusal

#: A chunk is closed when it holds so many bytes of text, or records.
CHUNK_BYTES = 192 << 20
CHUNK_RECORDS = 1_000_000


@dataclass
class _Piece:
    """A file's records, waiting for others to share a batch with."""

    opened: OpenFile
    table: pa.Table
    records: int
    clean: frozenset[str]


class SourceRun:
    """One ingestion of one source.

    Args:
        session: What its chunks share.
        ledger: The ledger; the caller holds the source in it.
    """

    def __init__(self, session: Session, ledger: Ledger) -> None:
        self.session = session
        self.ledger = ledger
        self.contract = session.contract
        self.result = SourceResult(self.contract.name, self.contract.entity.name)
        self._pieces: list[_Piece] = []
        self._started = time.monotonic()
        ledger.require_form()
        for batch_id in ledger.unfinished(self.contract.name):
            session.discard(batch_id)
            ledger.forget(batch_id)
        batches = ledger.raw_batches(self.contract.name)
        session.seen = [path for path in map(session.raw_path, batches) if path.exists()]
        corrections = session.raw_path(CORRECTIONS).parent.glob(f"{CORRECTIONS}*.parquet")
        session.corrections = sorted(corrections)
        stale = ledger.other_contracts(self.contract.name, self.contract.digest)
        if stale:
            self._warn(
                f"{stale} files were loaded under an earlier text of {self.contract.path.name}; "
                "they keep what it said"
            )

    def local(self, found: Sequence[FoundFile]) -> SourceResult:
        """Ingest the files that are new by content, of those given."""
        form = self.contract.source.format
        waiting: list[OpenFile] = []
        size = 0
        for opened in self._new(found):
            try:
                if opened.error is not None:
                    raise opened.error
                if form == "parquet":
                    self._parquet(opened)
                elif form == "csv":
                    self._csv(opened)
                else:
                    source = self.contract.source
                    prepare(opened, source.encoding, source.skip_lines)
                    size += len(opened.data or b"")
                    waiting.append(opened)
                self.result.files += 1
            except FileHeld as held:
                self._hold(opened.found, held.reason)
            except FileError as error:
                self._reject(opened, error)
            if size >= CHUNK_BYTES:
                self._lines(waiting)
                waiting, size = [], 0
        if waiting:
            self._lines(waiting)
        self._flush()
        return self._done()

    def _new(self, found: Sequence[FoundFile]) -> Iterator[OpenFile]:
        """Files whose content has not been read; those that must wait, and copies, are told of."""
        name, source = self.contract.name, self.contract.source
        is_parquet, rest = source.format == "parquet", source.settle_seconds
        moment = self.ledger.moment(name)
        paths = self.ledger.paths(name)
        copies: list[tuple[str, str]] = []
        stamps: list[tuple[str, str, Stamp]] = []
        for opened in open_files(found, is_parquet, paths.__contains__, rest_seconds=rest):
            shown = opened.found.shown
            if opened.held is not None:
                self._hold(opened.found, opened.held)
                continue
            if opened.stamp is not None:
                stamps.append((opened.sha256, shown, opened.stamp))
            if opened.sha256 not in paths:
                paths[opened.sha256] = [shown]
                yield opened
            elif shown not in paths[opened.sha256]:
                paths[opened.sha256].append(shown)
                copies.append((opened.sha256, shown))
                self._warn(
                    f"{shown}: not read, its bytes are those of {paths[opened.sha256][0]} "
                    f"(sha256 {opened.sha256})"
                )
        self.ledger.copies(name, copies, self.session.run_id, self.session.now)
        self.ledger.remember(name, stamps, moment)

    def postgres(self, server: duckdb.DuckDBPyConnection, dsn: str) -> SourceResult:
        """Ingest the rows of a PostgreSQL table that are new by watermark, or by content.

        Args:
            server: A connection that may reach the server; only the table is read on it.
            dsn: Connection string, or '' for the contract's host, port and database.
        """
        contract = self.contract
        rows, counted, mark, digest = read_table(
            server, contract, dsn, self.ledger.watermark(contract.name)
        )
        if counted != rows.num_rows:
            raise ConservationError(
                f"source `{contract.name}`: the server counts {counted}, {rows.num_rows} were read"
            )
        if counted == 0 or digest in self.ledger.known(contract.name):
            return self._done()
        source = contract.source
        shown = f"postgresql:{source.database}/{source.schema}.{source.table}"
        opened = OpenFile(FoundFile(self.session.paths.landing, shown), digest, rows.nbytes)
        try:
            rows = self._fit(rows, shown)
            self._parts(
                opened, lambda low, high: (rows.slice(low, high - low), frozenset()), counted, mark
            )
            self.result.files += 1
        except FileError as error:
            self._reject(opened, error)
        return self._done()

    def _warn(self, sentence: str) -> None:
        if sentence not in self.result.warnings:
            self.result.warnings.append(sentence)

    def _done(self) -> SourceResult:
        if held := refresh_held(self.contract, self.session.paths):
            self._warn(f"{held} records are held: what they refer to has not arrived")
        self.result.seconds = round(time.monotonic() - self._started, 3)
        return self.result

    def _reject(self, opened: OpenFile, error: FileError) -> None:
        """Quarantine a whole file; its records, where they can be counted, count as such.

        Raises:
            MemoryError: Where memory is scarce, libraries find damage that is none.
        """
        cut = error.failure_type in ("file_damaged", "file_truncated")
        if self.session.starved and cut:
            raise MemoryError
        file = ChunkFile(opened.found.shown, opened.sha256)
        batch_id = batch_id_of(self.contract.name, [opened.sha256])
        self.result.files += 1
        records = error.records
        if cut and self.contract.source.format == "csv":  # what gzip gave begins with the header
            records = max(records - int(self.contract.source.header), 0)
        self._begin(batch_id)
        quarantine_file(self.session, file, error.failure_type, error.reason, batch_id)
        count = Counts(records_in=records, quarantined=records)
        self._finish([batch_id], [False], [_entry(opened, count, "quarantined")])
        self._warn(f"{file.shown}: quarantined whole: {error.reason}")

    def _hold(self, found: FoundFile, reason: str) -> None:
        """Leave a file to the next run: it is entered nowhere."""
        self.result.held += 1
        self._warn(f"{found.shown}: held, {reason}; the next run looks at it again")

    def _begin(self, batch_id: str) -> None:
        session = self.session
        self.ledger.begin(batch_id, self.contract.name, session.run_id, session.now)

    def _finish(
        self,
        batch_ids: list[str],
        wrote: list[bool],
        entries: list[FileEntry],
        watermark: tuple[str, str] | None = None,
    ) -> None:
        self.ledger.finish(
            batch_ids,
            self.contract.name,
            self.session.run_id,
            entries,
            now=self.session.now,
            contract=self.contract.digest,
            wrote_raw=wrote,
            watermark=watermark,
        )
        for entry in entries:
            self.result.records_in += entry.records_in
            self.result.accepted += entry.accepted
            self.result.quarantined += entry.quarantined
            self.result.duplicates += entry.duplicates
            self.result.widen(entry.known_from, entry.known_to)

    def _chunk_file(self, opened: OpenFile) -> ChunkFile:
        known = self.contract.known_at
        moment = self._path_moment(opened.found) if known.kind == "path" else None
        return ChunkFile(opened.found.shown, opened.sha256, moment)

    def _path_moment(self, found: FoundFile) -> datetime | None:
        pattern = self.contract.known_at.value or ""
        return path_moment(self.session.con, pattern, found.path)

    def _write(self, records: Records, files: Sequence[OpenFile]) -> None:
        """One chunk of whole files -> one batch."""
        batch_id = batch_id_of(self.contract.name, [opened.sha256 for opened in files])
        self._begin(batch_id)
        written = write_chunk(
            self.session, records, [self._chunk_file(opened) for opened in files], batch_id
        )
        entries = [
            _entry(opened, written.counts[index])
            for index, opened in enumerate(files)
            if index not in written.refused
        ]
        self._finish([batch_id], [written.wrote], entries)
        self._tell_flags(written.flagged)
        for entry in entries:
            if entry.records_in == 0:
                self._warn(f"{entry.path}: holds no record")
        for index, error in written.refused.items():
            self.result.files -= 1
            self._reject(files[index], error)

    def _lines(self, files: Sequence[OpenFile]) -> None:
        """One chunk of JSONL or text files."""
        is_json = self.contract.source.format == "jsonl"
        records = read_lines(files, "line", is_json)
        if is_json:
            self._keys(records, files[0].found.shown)
        self._write(records, files)

    def _keys(self, records: Records, shown: str) -> None:
        """Tell of keys of JSON records that are new and in no contract."""
        name = self.contract.name
        declared = {column.split(".")[0] for column in declared_columns(self.contract)}
        keys = sorted(sampled_keys(records))
        for sentence in told_of(new_names(keys, declared, self.ledger.columns(name))):
            self._warn(f"{shown} or a file read with it: {sentence}")
        self.ledger.enter_columns(name, keys, self.session.now)

    def _tell_flags(self, flagged: Mapping[str, int]) -> None:
        for name, number in flagged.items():
            self._warn(
                f"{name}: {number} records have a local time that the clocks skipped or showed "
                "twice; accepted, and flagged as dst_ambiguous in their attributes"
            )

    def _csv(self, opened: OpenFile) -> None:
        table, number = read_delimited(opened, self.contract.source)
        self._wait(_Piece(opened, self._fit(table, opened.found.shown), number, frozenset()))

    def _parquet(self, opened: OpenFile) -> None:
        """A small file waits for others; a large one is read in parts."""
        con, path = self.session.con, opened.found.path
        needed = declared_columns(self.contract)
        try:
            number = footer(path)[1]
            first = (0, min(number, CHUNK_RECORDS))
            table, clean = read_parquet(con, path, first, number, needed)
        except FileError:
            _require_unchanged(opened)
            raise
        if number <= CHUNK_RECORDS:
            _require_unchanged(opened)
            self._wait(_Piece(opened, self._fit(table, opened.found.shown), number, clean))
            return

        def part(low: int, high: int) -> tuple[pa.Table, frozenset[str]]:
            table, clean = read_parquet(con, path, (low, high), number, needed)
            _require_unchanged(opened)
            return self._fit(table, opened.found.shown), clean

        self._parts(opened, part, number, None)

    def _wait(self, piece: _Piece) -> None:
        """Files share a batch while they have the same columns: a record's hash covers them all."""
        if self._pieces and self._pieces[0].table.column_names != piece.table.column_names:
            self._flush()
        self._pieces.append(piece)
        if sum(waiting.records for waiting in self._pieces) >= CHUNK_RECORDS:
            self._flush()

    def _flush(self) -> None:
        pieces, self._pieces = self._pieces, []
        if not pieces:
            return
        tables = [
            piece.table.set_column(
                0, "_file_idx", pa.array([index] * piece.table.num_rows, pa.int32())
            )
            for index, piece in enumerate(pieces)
        ]
        records = join_tables(tables, {i: piece.records for i, piece in enumerate(pieces)})
        records.clean = frozenset.intersection(*(piece.clean for piece in pieces))
        self._write(records, [piece.opened for piece in pieces])

    def _parts(
        self,
        opened: OpenFile,
        read: Callable[[int, int], tuple[pa.Table, frozenset[str]]],
        number: int,
        watermark: tuple[str, str] | None,
    ) -> None:
        """One file in several batches, which the ledger enters together."""
        batch_ids: list[str] = []
        wrote: list[bool] = []
        total = Counts()
        tallies, flagged = Counter[str](), Counter[str]()
        try:
            for part, low in enumerate(range(0, number, CHUNK_RECORDS)):
                high = min(low + CHUNK_RECORDS, number)
                table, clean = read(low, high)
                batch_id = batch_id_of(self.contract.name, [opened.sha256], part)
                self._begin(batch_id)
                batch_ids.append(batch_id)
                records = Records(table, {0: high - low}, own_columns(table), clean=clean)
                written = write_chunk(
                    self.session, records, [self._chunk_file(opened)], batch_id, False
                )
                wrote.append(written.wrote)
                total.add(written.counts[0])
                tallies.update(written.tallies.get(0, {}))
                flagged.update(written.flagged)
            if error := refusal(self.contract, tallies, number):
                raise error
        except (FileError, FileHeld):
            for batch_id in batch_ids:
                self.session.discard(batch_id)
                self.ledger.forget(batch_id)
            self.session.seen = [path for path in self.session.seen if path.exists()]
            raise
        self._finish(batch_ids, wrote, [_entry(opened, total)], watermark)
        self._tell_flags(flagged)

    def _fit(self, table: pa.Table, shown: str) -> pa.Table:
        fitting, told = fit(self.contract, self.ledger, table, self.session.now)
        for sentence in told:
            self._warn(f"{shown}: {sentence}")
        return fitting


def _require_unchanged(opened: OpenFile) -> None:
    if reason := changed(opened.found):
        raise FileHeld(reason)


def _entry(opened: OpenFile, count: Counts, status: str = "loaded") -> FileEntry:
    return FileEntry(
        opened.sha256,
        opened.found.shown,
        opened.size,
        status,
        count.records_in,
        count.accepted,
        count.quarantined,
        count.duplicates,
        count.known_from,
        count.known_to,
    )
