"""The way of one source: its new files in chunks, each chunk a batch, each batch in the ledger.

What does NOT belong here: formats (`readers`), SQL (`compile`), writing (`batch`).
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import pyarrow as pa

from ingestion.batch import batch_id_of, write_chunk
from ingestion.compile import declared_columns
from ingestion.files import FoundFile, OpenFile, find_files, open_files
from ingestion.ledger import FileEntry, Ledger
from ingestion.postgres import read_table
from ingestion.quarantine import quarantine_file
from ingestion.readers.base import META, Records
from ingestion.readers.delimited import join_tables, read_delimited
from ingestion.readers.lines import prepare, read_lines
from ingestion.readers.parquet import footer, read_parquet
from ingestion.results import ConservationError, FileError, SourceResult
from ingestion.session import ChunkFile, Counts, Session

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
        for batch_id in ledger.unfinished(self.contract.name):
            for path in (session.raw_path(batch_id), session.quarantine_path(batch_id)):
                path.unlink(missing_ok=True)
                path.with_name(f".{path.name}.tmp").unlink(missing_ok=True)
            ledger.forget(batch_id)
        batches = ledger.raw_batches(self.contract.name)
        session.seen = [path for path in map(session.raw_path, batches) if path.exists()]
        stale = ledger.other_contracts(self.contract.name, self.contract.digest)
        if stale:
            self._warn(
                f"{stale} files were loaded under an earlier text of {self.contract.path.name}; "
                "they keep what it said"
            )

    def local(self) -> SourceResult:
        """Ingest the files that are new by content."""
        found = find_files(self.contract, self.session.paths.landing)
        known = self.ledger.known(self.contract.name)
        form = self.contract.source.format
        waiting: list[OpenFile] = []
        size = 0
        for opened in open_files(found, form == "parquet", known.__contains__):
            if opened.sha256 in known:
                continue
            known.add(opened.sha256)
            self.result.files += 1
            try:
                if opened.error is not None:
                    raise opened.error
                if form == "parquet":
                    self._parquet(opened)
                elif form == "csv":
                    self._csv(opened)
                else:
                    source = self.contract.source
                    opened.data = prepare(opened.data or b"", source.encoding, source.skip_lines)
                    size += len(opened.data)
                    waiting.append(opened)
            except FileError as error:
                self._reject(opened, error)
            if size >= CHUNK_BYTES:
                self._write(read_lines(waiting, "line"), waiting)
                waiting, size = [], 0
        if waiting:
            self._write(read_lines(waiting, "line"), waiting)
        self._flush()
        return self._done()

    def postgres(self, dsn: str) -> SourceResult:
        """Ingest the rows of a PostgreSQL table that are new by watermark, or by content."""
        contract = self.contract
        rows, counted, mark, digest = read_table(
            self.session.con, contract, dsn, self.ledger.watermark(contract.name)
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
        except FileError as error:
            self._reject(opened, error)
            return self._done()
        self.result.files += 1
        self._parts(
            opened, lambda low, high: (rows.slice(low, high - low), frozenset()), counted, mark
        )
        return self._done()

    def _warn(self, sentence: str) -> None:
        if sentence not in self.result.warnings:
            self.result.warnings.append(sentence)

    def _done(self) -> SourceResult:
        self.result.seconds = round(time.monotonic() - self._started, 3)
        return self.result

    def _reject(self, opened: OpenFile, error: FileError) -> None:
        """Quarantine a whole file; its records, where they can be counted, count as such."""
        file = ChunkFile(opened.found.shown, opened.sha256)
        batch_id = batch_id_of(self.contract.name, [opened.sha256])
        records = error.records
        if error.failure_type == "file_truncated" and self.contract.source.format == "csv":
            records = max(records - int(self.contract.source.header), 0)
        self._begin(batch_id)
        quarantine_file(self.session, file, error.failure_type, error.reason, batch_id)
        count = Counts(records_in=records, quarantined=records)
        self._finish([batch_id], [False], [_entry(opened, count, "quarantined")])
        self._warn(f"{file.shown}: quarantined whole: {error.reason}")

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
        moment = path_moment(known.value or "", opened.found) if known.kind == "path" else None
        return ChunkFile(opened.found.shown, opened.sha256, moment)

    def _write(self, records: Records, files: Sequence[OpenFile]) -> None:
        """One chunk of whole files -> one batch."""
        batch_id = batch_id_of(self.contract.name, [opened.sha256 for opened in files])
        self._begin(batch_id)
        counts, wrote = write_chunk(
            self.session, records, [self._chunk_file(opened) for opened in files], batch_id
        )
        entries = [_entry(opened, counts[index]) for index, opened in enumerate(files)]
        self._finish([batch_id], [wrote], entries)

    def _csv(self, opened: OpenFile) -> None:
        table, number = read_delimited(opened, self.contract.source)
        self._wait(_Piece(opened, self._fit(table, opened.found.shown), number, frozenset()))

    def _parquet(self, opened: OpenFile) -> None:
        """A small file waits for others; a large one is read in parts."""
        con, path = self.session.con, opened.found.path
        _names, number = footer(path)
        if number <= CHUNK_RECORDS:
            table, clean = read_parquet(con, path, (0, number))
            self._wait(_Piece(opened, self._fit(table, opened.found.shown), number, clean))
            return

        def part(low: int, high: int) -> tuple[pa.Table, frozenset[str]]:
            table, clean = read_parquet(con, path, (low, high))
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
        try:
            for part, low in enumerate(range(0, number, CHUNK_RECORDS)):
                high = min(low + CHUNK_RECORDS, number)
                table, clean = read(low, high)
                batch_id = batch_id_of(self.contract.name, [opened.sha256], part)
                self._begin(batch_id)
                batch_ids.append(batch_id)
                columns = [name for name in table.column_names if name not in META.names]
                records = Records(table, {0: high - low}, columns, clean=clean)
                counts, written = write_chunk(
                    self.session, records, [self._chunk_file(opened)], batch_id
                )
                wrote.append(written)
                total.add(counts[0])
        except FileError:
            for batch_id in batch_ids:
                self.session.raw_path(batch_id).unlink(missing_ok=True)
                self.session.quarantine_path(batch_id).unlink(missing_ok=True)
                self.ledger.forget(batch_id)
            self.session.seen = [path for path in self.session.seen if path.exists()]
            raise
        self._finish(batch_ids, wrote, [_entry(opened, total)], watermark)

    def _fit(self, table: pa.Table, shown: str) -> pa.Table:
        """The table under the contract's spelling of its columns.

        Raises:
            FileError: If a required column is missing, or a column seems renamed.
        """
        contract = self.contract
        wanted = {" ".join(name.split()): name for name in declared_columns(contract)}
        names = [wanted.get(" ".join(name.split()), name) for name in table.column_names]
        table = table.rename_columns(names)
        columns = [name for name in names if name not in META.names]
        missing = [name for name in wanted.values() if name not in columns]
        required = {
            column for prop in contract.properties if prop.required for column in prop.columns
        }
        if contract.known_at.kind == "column":
            required.add(contract.known_at.value or "")
        lacking = [name for name in missing if name in required]
        if lacking:
            raise FileError(
                "file_missing_column",
                f"required column {', '.join(lacking)} is not in the file",
                table.num_rows,
            )
        added = self.ledger.new_columns(contract.name, columns, self.session.now)
        if added and missing:
            raise FileError(
                "file_renamed_column",
                f"column {', '.join(missing)} is missing and {', '.join(added)} is new: renamed?",
                table.num_rows,
            )
        if added:
            self._warn(f"{shown}: column {', '.join(added)} is new and in no contract")
        if missing:
            self._warn(f"{shown}: column {', '.join(missing)} is missing; taken as empty")
        return table


def path_moment(pattern: str, found: FoundFile) -> datetime | None:
    """The end of the period that a file's path names, as naive UTC, or None.

    One group is a day, two are day and hour, three day, hour and minute. What stands under a day is
    known by the end of that day: its last microsecond.
    """
    match = re.search(pattern, found.path.as_posix())
    if match is None:
        return None
    digits = [re.sub(r"\D", "", group) for group in match.groups() if group is not None]
    form = "%Y%m%d%H%M"[: 2 * (len(digits) + 2)]
    try:
        start = datetime.strptime("".join(digits), form)
    except ValueError:
        return None
    width = (timedelta(days=1), timedelta(hours=1), timedelta(minutes=1))[len(digits) - 1]
    return start + width - timedelta(microseconds=1)


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
