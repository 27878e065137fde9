"""One chunk of records -> one raw batch and its quarantine, with the law checked.

What does NOT belong here: finding and reading files (`ingest`, `readers`), the SQL of a contract
(`compile`).
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from expectations.contract import Contract
from ingestion import mask
from ingestion.compile import (
    Statement,
    compile_contract,
    has_identities,
    output_columns,
    record_text,
    source_stage,
)
from ingestion.files import Paths
from ingestion.readers.base import Records
from ingestion.results import ConservationError, IngestError
from ingestion.sql import file_list, ident, literal
from ingestion.tokens import TokenKey, tokenise

#: So many tokens are remembered for each type between chunks.
TOKEN_CACHE = 1_000_000
QUARANTINE_SCHEMA = pa.schema(
    [
        ("source", pa.string()),
        ("entity", pa.string()),
        ("batch_id", pa.string()),
        ("file", pa.string()),
        ("file_sha256", pa.string()),
        ("row_number", pa.int64()),
        ("byte_offset", pa.int64()),
        ("failure_type", pa.string()),
        ("reason", pa.string()),
        ("record", pa.string()),
        ("run_id", pa.string()),
        ("first_seen_at", pa.timestamp("us")),
        ("attempts", pa.int32()),
        ("recovered_at", pa.timestamp("us")),
    ]
)


@dataclass(frozen=True)
class ChunkFile:
    """A file (or a part of it) in a chunk.

    Attributes:
        shown: Path as shown.
        sha256: Content hash.
        known_at: What its path says of the moment of knowing, if the contract asks the path.
    """

    shown: str
    sha256: str
    known_at: datetime | None = None


@dataclass
class Counts:
    """Counts of one file in one chunk."""

    records_in: int = 0
    accepted: int = 0
    quarantined: int = 0
    duplicates: int = 0
    known_from: datetime | None = None
    known_to: datetime | None = None

    def add(self, other: Counts) -> None:
        """Add the counts of another part of the same file."""
        self.records_in += other.records_in
        self.accepted += other.accepted
        self.quarantined += other.quarantined
        self.duplicates += other.duplicates
        froms = [moment for moment in (self.known_from, other.known_from) if moment]
        tos = [moment for moment in (self.known_to, other.known_to) if moment]
        self.known_from, self.known_to = min(froms, default=None), max(tos, default=None)


@dataclass
class Session:
    """What the chunks of one source share.

    Attributes:
        con: A connection with its time zone at UTC.
        contract: The source's contract.
        paths: Where to write.
        key: Of the tokens.
        run_id: Of this run.
        now: Naive UTC.
        seen: Raw files of this source: earlier batches, and this run's.
        cache: Tokens by type and clear value.
    """

    con: duckdb.DuckDBPyConnection
    contract: Contract
    paths: Paths
    key: TokenKey
    run_id: str
    now: datetime
    seen: list[Path] = field(default_factory=list)
    cache: dict[str, dict[str, str | None]] = field(default_factory=dict)

    @property
    def salt(self) -> str:
        """Keyed, so that a record hash is no check on a guessed record."""
        return hmac.new(self.key.secret, b"habitus|record", hashlib.sha256).hexdigest()[:32]

    def raw_path(self, batch_id: str) -> Path:
        """Where a batch's raw file goes."""
        return self.paths.lake / "raw" / self.contract.entity.name / f"{batch_id}.parquet"

    def quarantine_path(self, batch_id: str) -> Path:
        """Where a batch's quarantine goes."""
        return self.paths.quarantine / self.contract.name / f"{batch_id}.parquet"


def batch_id_of(source: str, contents: Sequence[str], part: int = 0) -> str:
    """A batch's id: the same contents give the same id, so that a repeat overwrites."""
    digest = hashlib.sha256("\n".join([source, *contents]).encode()).hexdigest()[:16]
    return f"{source}-{digest}" + (f"-p{part}" if part else "")


def write_chunk(
    session: Session, records: Records, files: Sequence[ChunkFile], batch_id: str
) -> tuple[dict[int, Counts], bool]:
    """Map, check, pseudonymise and write one chunk.

    Returns:
        Counts by file index, and whether a raw file was written.

    Raises:
        ConservationError: If the counts do not add up for any file.
        IngestError: If the statement fails; the message holds no value.
    """
    con = session.con
    listing = _files_table(files)
    con.register("chunk", _with_known_at(session.contract, records.table, listing))
    con.register("chunk_files", listing)
    statement = compile_contract(
        session.contract, records.columns, records.ascii_only, records.clean
    )
    try:
        con.execute(
            f"create or replace temp table typed as {statement.typed}",
            {"now": session.now, "salt": session.salt}
            if "$now" in statement.typed
            else {"salt": session.salt},
        )
        _judge(session)
        counts = _count(session, records.counts)
        wrote = _write_raw(session, statement, batch_id, counts)
        if any(count.quarantined for count in counts.values()):
            _write_quarantine(session, records.columns, batch_id)
    except duckdb.Error as error:
        raise _redacted(session.contract, error) from None
    finally:
        for name in ("typed", "verdict", "part", "failed"):
            con.execute(f"drop table if exists temp.{name}")
        con.unregister("chunk")
        con.unregister("chunk_files")
    if wrote:
        session.seen.append(session.raw_path(batch_id))
    return counts, wrote


def _redacted(contract: Contract, error: duckdb.Error) -> IngestError:
    """An error whose text cannot carry a value; only what names columns is kept whole."""
    kind = type(error).__name__
    if isinstance(error, duckdb.BinderException | duckdb.CatalogException | duckdb.ParserException):
        first = str(error).split("\n", 1)[0]
        return IngestError(
            f"{contract.path.name}: the contract's expressions do not fit the data ({first}). "
            "Check the transformLogic of its properties against the source's columns"
        )
    return IngestError(f"{contract.path.name}: reading source `{contract.name}` failed ({kind})")


def _files_table(files: Sequence[ChunkFile]) -> pa.Table:
    return pa.table(
        {
            "_file_idx": pa.array(range(len(files)), pa.int32()),
            "_shown": pa.array([file.shown for file in files], pa.string()),
            "_sha256": pa.array([file.sha256 for file in files], pa.string()),
            "_known_at": pa.array([file.known_at for file in files], pa.timestamp("us")),
        }
    )


def _with_known_at(contract: Contract, table: pa.Table, files: pa.Table) -> pa.Table:
    """The records beside what their file's path says, where the contract asks the path.

    A join in SQL would do, but DuckDB does not know how many rows an Arrow table has, and may build
    its hash table on the records.
    """
    if contract.known_at.kind != "path":
        return table
    known = files.column("_known_at").combine_chunks()
    return table.append_column("_path_known_at", known.take(table.column("_file_idx")))


def _judge(session: Session) -> None:
    """Fill `verdict`: (record, kind, reason) of every record that is not accepted."""
    con = session.con
    con.execute(
        "create or replace temp table verdict as select _file_idx, _row_number, "
        "'quarantined' as kind, _reason as reason from typed where _reason is not null"
    )
    con.execute(
        "insert into verdict select _file_idx, _row_number, 'duplicate', null from ("
        "  select _file_idx, _row_number, row_number() over ("
        "    partition by _hash order by _file_idx, _row_number) as place"
        "  from typed where _reason is null and _hash in ("
        "    select _hash from typed where _reason is null group by _hash having count(*) > 1)"
        ") where place > 1"
    )
    if session.seen:
        con.execute(
            "insert into verdict select _file_idx, _row_number, 'duplicate', null "
            "from (select * from typed where _reason is null) as t semi join "
            f"(select _record_hash from read_parquet({file_list(session.seen)})) as seen "
            "on t._hash = seen._record_hash anti join verdict using (_file_idx, _row_number)"
        )
    contract = session.contract
    keys = [(contract.primary_key, "conflict: one key, several contents at one moment")]
    keys.extend(
        ((prop.name,), f"unique: {prop.name} occurs more than once")
        for prop in contract.properties
        if prop.unique and contract.primary_key != (prop.name,)
    )
    for names, reason in keys:
        if not names:
            continue
        columns = ", ".join(ident("v_" + name) for name in names)
        present = " and ".join(f"{ident('v_' + name)} is not null" for name in names)
        con.execute(
            f"""
insert into verdict
with live as (
    select _file_idx, _row_number, _known_at, {columns}
    from typed anti join verdict using (_file_idx, _row_number) where {present}
),
clash as (
    select _file_idx, _known_at, {columns} from live
    group by all having count(*) > 1
)
select _file_idx, _row_number, 'quarantined', {literal(reason)}
from live semi join clash using (_file_idx, _known_at, {columns})
"""
        )


def _count(session: Session, counted: Mapping[int, int]) -> dict[int, Counts]:
    """Counts by file; raises unless records in = accepted + quarantined + duplicates."""
    con = session.con
    counts = {index: Counts(records_in=number) for index, number in counted.items()}
    for index, kind, number in con.execute(
        "select _file_idx, kind, count(*) from verdict group by all"
    ).fetchall():
        if kind == "duplicate":
            counts[index].duplicates = number
        else:
            counts[index].quarantined = number
    for index, number, known_from, known_to in con.execute(
        "select _file_idx, count(*), min(_known_at), max(_known_at) "
        "from typed anti join verdict using (_file_idx, _row_number) group by all"
    ).fetchall():
        counts[index].accepted = number
        counts[index].known_from, counts[index].known_to = known_from, known_to
    for index, count in counts.items():
        found = count.accepted + count.quarantined + count.duplicates
        if found != count.records_in:
            raise ConservationError(
                f"source `{session.contract.name}`, file {index} of the chunk: "
                f"{count.records_in} records in, but {count.accepted} accepted + "
                f"{count.quarantined} quarantined + {count.duplicates} duplicates = {found}"
            )
    return counts


def _token_join(
    session: Session, table: str, column: str, token_type: str, position: int
) -> tuple[str, str]:
    """Registers clear -> token of one column; gives (registered name, join clause)."""
    con = session.con
    found = con.execute(
        f"select distinct {column} as clear from {table} where {column} is not null"
    ).to_arrow_table()
    clear: list[str] = found.column("clear").to_pylist()
    cache = session.cache.setdefault(token_type, {})
    fresh = [value for value in clear if value not in cache]
    cache.update(zip(fresh, tokenise(fresh, token_type, session.key), strict=True))
    name = f"tokens_{position}"
    tokens = pa.table(
        {
            "clear": pa.array(clear, pa.string()),
            "token": pa.array([cache[value] for value in clear], pa.string()),
        }
    )
    if len(cache) > TOKEN_CACHE:
        cache.clear()
    con.register(name, tokens)
    return name, f" left join {name} on {name}.clear = {table}.{column}"


def _write_raw(
    session: Session, statement: Statement, batch_id: str, counts: Mapping[int, Counts]
) -> bool:
    accepted = sum(count.accepted for count in counts.values())
    if accepted == 0:
        return False
    con = session.con
    joins, picked, names = "", "", []
    for position, (prop, token_type) in enumerate(statement.tokens):
        name, join = _token_join(session, "typed", ident("v_" + prop), token_type, position)
        joins += join
        picked += f", {name}.token as {ident('k_' + prop)}"
        names.append(name)
    query = f"""
select {output_columns(session.contract)}, {literal(batch_id)} as _batch_id,
    {literal(session.contract.name)} as _source, _sha256 as _file_sha256, _row_number,
    _known_at, _hash as _record_hash
from (
    select typed.*, chunk_files._sha256{picked}
    from typed left join chunk_files using (_file_idx){joins}
) anti join verdict using (_file_idx, _row_number)
"""
    path = session.raw_path(batch_id)
    written = _copy(con, query, path)
    for name in names:
        con.unregister(name)
    if written != accepted:
        raise ConservationError(f"{accepted} records accepted, {written} written to {path.name}")
    return True


def _copy(con: duckdb.DuckDBPyConnection, query: str, path: Path) -> int:
    """Write a query's result to Parquet: whole or not at all. Gives the rows in the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    con.execute(f"copy ({query}) to {literal(str(temporary))} (format parquet, compression zstd)")
    return _settle(temporary, path)


def _settle(temporary: Path, path: Path) -> int:
    rows = int(pq.read_metadata(temporary).num_rows)
    with temporary.open("rb") as handle:
        os.fsync(handle.fileno())
    temporary.replace(path)
    return rows


def _write_quarantine(session: Session, available: Sequence[str], batch_id: str) -> None:
    con, contract = session.con, session.contract
    text, tokens = record_text(contract, available)
    line = {"jsonl": "part.line", "text": "part.line"}.get(contract.source.format or "", "null")
    con.execute(
        "create or replace temp table part as select chunk.* from chunk semi join "
        "(select * from verdict where kind = 'quarantined') using (_file_idx, _row_number)"
    )
    con.execute(
        f"""
create or replace temp table failed as
with src as ({source_stage(contract, available, chunk="part")})
select src.*, verdict.reason, rtrim(coalesce(part._raw, {line}), chr(10) || chr(13)) as _raw
from src join verdict using (_file_idx, _row_number) join part using (_file_idx, _row_number)
"""
    )
    joins, names, picked = "", [], ""
    for position, (column, token_type) in enumerate(tokens.items()):
        path = ".".join(ident(part) for part in column.split("."))
        name, join = _token_join(session, "failed", path, token_type, position)
        joins += join
        picked += f", {name}.token as {ident('k_' + column)}"
        names.append(name)
    unread = mask.shape("_raw") if has_identities(contract) else mask.free_text("_raw")
    query = f"""
select {literal(contract.name)} as source, {literal(contract.entity.name)} as entity,
    {literal(batch_id)} as batch_id, chunk_files._shown as file,
    chunk_files._sha256 as file_sha256, _row_number as row_number, _byte_offset as byte_offset,
    case when starts_with(reason, 'unreadable: ') then split_part(reason, ': ', 2)
        else split_part(reason, ':', 1) end as failure_type,
    reason, case when _bad is not null then {unread} else {text} end as record,
    {literal(session.run_id)} as run_id, timestamp {literal(session.now.isoformat())}
        as first_seen_at, 1::integer as attempts, null::timestamp as recovered_at
from (select failed.*{picked} from failed{joins}) join chunk_files using (_file_idx)
order by _file_idx, _row_number
"""
    _copy(con, query, session.quarantine_path(batch_id))
    for name in names:
        con.unregister(name)


def quarantine_file(
    session: Session, file: ChunkFile, failure_type: str, reason: str, batch_id: str
) -> None:
    """Write the quarantine's one row for a file that cannot be read as a whole."""
    row = {
        "source": session.contract.name,
        "entity": session.contract.entity.name,
        "batch_id": batch_id,
        "file": file.shown,
        "file_sha256": file.sha256,
        "row_number": None,
        "byte_offset": None,
        "failure_type": failure_type,
        "reason": reason,
        "record": None,
        "run_id": session.run_id,
        "first_seen_at": session.now,
        "attempts": 1,
        "recovered_at": None,
    }
    path = session.quarantine_path(batch_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    pq.write_table(pa.Table.from_pylist([row], QUARANTINE_SCHEMA), temporary)
    _settle(temporary, path)
