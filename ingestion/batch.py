"""One chunk of records -> one raw batch and its quarantine, with the law checked.

What does NOT belong here: finding and reading files (`ingest`, `readers`), the SQL of a contract
(`compile`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import duckdb
import pyarrow as pa

from expectations.contract import Contract
from ingestion import dst, suppressed, whole
from ingestion.compile import (
    Statement,
    compile_contract,
    output_columns,
)
from ingestion.quarantine import write_quarantine
from ingestion.readers.base import Records
from ingestion.results import ConservationError, FileError, IngestError
from ingestion.session import ChunkFile, Counts, Session, copy_whole, seal_fresh, token_join
from ingestion.sql import file_list, ident, literal
from privacy.records import salts

# DuckDB's threads share out an Arrow table by its batches, and one of 290,000 lines is slow even to
# a single thread: 3.6 s of CPU against 1.6 s in batches of this size.
ARROW_ROWS = 32_768


def batch_id_of(source: str, contents: Sequence[str], part: int = 0) -> str:
    """A batch's id: the same contents give the same id, so that a repeat overwrites."""
    digest = hashlib.sha256("\n".join([source, *contents]).encode()).hexdigest()[:16]
    return f"{source}-{digest}" + (f"-p{part}" if part else "")


@dataclass
class Written:
    """What became of a chunk.

    Attributes:
        counts: By file index, without the files that are refused.
        wrote: Whether there is a raw file.
        refused: Files that are to be quarantined whole; nothing of them was written.
        tallies: How often a reason that may speak against a whole file occurs in it.
        flagged: Accepted records with a time that the clocks skipped or showed twice, by field.
    """

    counts: dict[int, Counts]
    wrote: bool
    refused: dict[int, FileError] = field(default_factory=dict)
    tallies: whole.Tallies = field(default_factory=dict)
    flagged: dict[str, int] = field(default_factory=dict)


def write_chunk(
    session: Session,
    records: Records,
    files: Sequence[ChunkFile],
    batch_id: str,
    whole_files: bool = True,
) -> Written:
    """Map, check, pseudonymise and write one chunk.

    Args:
        session: The source's.
        records: Of the files.
        files: By file index.
        batch_id: Where it goes.
        whole_files: Whether the chunk holds all of its files, so that they can be judged here.

    Raises:
        ConservationError: If the counts do not add up for any file.
        IngestError: If the statement fails; the message holds no value.
    """
    con = session.con
    listing = _files_table(files)
    table = _with_known_at(session.contract, records.table, listing)
    con.register("chunk", pa.Table.from_batches(table.to_batches(ARROW_ROWS), table.schema))
    con.register("chunk_files", listing)
    secrets = session.keys.records
    statement = compile_contract(
        session.contract, records.columns, records.ascii_only, records.clean, len(secrets)
    )
    given: dict[str, object] = {**salts(secrets)}
    if "$now" in statement.typed:
        given["now"] = session.landed_at or session.now
    try:
        con.execute(f"create or replace temp table typed as {statement.typed}", given)
        suppressed.mark(session, statement.tokens)
        tallies = _fail(session)
        refused = _refuse(session, records.counts, tallies) if whole_files else {}
        _judge(session)
        kept = {index: n for index, n in records.counts.items() if index not in refused}
        counts = _count(session, kept)
        flagged = dst.mark(con, session.contract, records.columns)
        wrote = _write_raw(session, statement, batch_id, counts, bool(flagged))
        if any(count.quarantined for count in counts.values()):
            write_quarantine(session, records.columns, batch_id)
        seal_fresh(session, batch_id)
    except duckdb.Error as error:
        raise _redacted(session.contract, error) from None
    finally:
        for name in ("typed", "verdict", "part", "failed", "flagged"):
            con.execute(f"drop table if exists temp.{name}")
        con.unregister("chunk")
        con.unregister("chunk_files")
    if wrote:
        session.seen.append(session.raw_path(batch_id))
    return Written(counts, wrote, refused, tallies, flagged)


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


def _fail(session: Session) -> whole.Tallies:
    """Begin `verdict` with the records that failed a check."""
    con = session.con
    con.execute(
        "create or replace temp table verdict as select _file_idx, _row_number, "
        "'quarantined' as kind, _reason as reason from typed where _reason is not null"
    )
    return whole.tally(con)


def _refuse(
    session: Session, counted: Mapping[int, int], tallies: whole.Tallies
) -> dict[int, FileError]:
    """Files that are quarantined whole; their records are taken out of the chunk's tables."""
    judged = {
        index: whole.refusal(session.contract, reasons, counted[index])
        for index, reasons in tallies.items()
    }
    refused = {index: error for index, error in judged.items() if error is not None}
    if refused:
        listing = ", ".join(str(int(index)) for index in refused)
        for table in ("typed", "verdict"):
            session.con.execute(f"delete from {table} where _file_idx in ({listing})")
    return refused


def _judge(session: Session) -> None:
    """Fill `verdict`: (record, kind, reason) of every record that is not accepted.

    What a file says twice or against itself is judged by that file alone, then what others said
    before: so it is the same whichever of them is read first, and with which others.
    """
    con = session.con
    _repeats(con, "_file_idx, _hash")
    _conflicts(session)
    _repeats(con, "_hash")
    if session.seen:
        con.execute(
            "insert into verdict select _file_idx, _row_number, 'duplicate', null "
            "from (select * from typed where _reason is null) as t semi join "
            f"(select _record_hash from read_parquet({file_list(session.seen)})) as seen "
            "on t._hash = seen._record_hash anti join verdict using (_file_idx, _row_number)"
        )
    if session.corrections:
        # Sent again, what a correction replaced must not win over it; read again as what was known
        # before, it is history.
        con.execute(
            "insert into verdict select _file_idx, _row_number, 'duplicate', null "
            "from (select * from typed where _reason is null) as t semi join "
            f"(select _record_hash, _known_at from read_parquet({file_list(session.corrections)})) "
            "as corrected on t._hash = corrected._record_hash "
            "and t._known_at >= corrected._known_at "
            "anti join verdict using (_file_idx, _row_number)"
        )


def _repeats(con: duckdb.DuckDBPyConnection, same: str) -> None:
    """Of the records that stand and are equal in some columns, all but the first are duplicates."""
    con.execute(
        f"""
insert into verdict
with live as (
    select _file_idx, _row_number, _known_at, _hash
    from typed anti join verdict using (_file_idx, _row_number)
),
repeated as (select {same} from live group by all having count(*) > 1)
select _file_idx, _row_number, 'duplicate', null from (
    select _file_idx, _row_number, row_number() over (
        partition by {same} order by _known_at, _file_idx, _row_number
    ) as place
    from live semi join repeated using ({same})
) where place > 1
"""
    )


def _conflicts(session: Session) -> None:
    """Quarantine records of a file that contradict each other on what no two may have."""
    con = session.con
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
        # Two ways of writing the same record (NFC and NFD) do not contradict each other.
        others = ", ".join(ident("v_" + p.name) for p in contract.properties if p.name not in names)
        differ = f" and count(distinct row({others})) > 1" if others else " and false"
        if names != contract.primary_key:
            differ = ""
        con.execute(
            f"""
insert into verdict
with live as (
    select * from typed anti join verdict using (_file_idx, _row_number) where {present}
),
clash as (
    select _file_idx, _known_at, {columns} from live
    group by all having count(*) > 1
),
conflict as (
    select _file_idx, _known_at, {columns} from live
    semi join clash using (_file_idx, _known_at, {columns})
    group by all having count(*) > 1{differ}
)
select _file_idx, _row_number, 'quarantined', {literal(reason)}
from live semi join conflict using (_file_idx, _known_at, {columns})
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


def _write_raw(
    session: Session,
    statement: Statement,
    batch_id: str,
    counts: Mapping[int, Counts],
    has_flags: bool,
) -> bool:
    accepted = sum(count.accepted for count in counts.values())
    if accepted == 0:
        return False
    con = session.con
    joins, picked, names = "", "", []
    for position, (prop, token_type) in enumerate(statement.tokens):
        name, join = token_join(session, "typed", ident("v_" + prop), token_type, position)
        joins += join
        picked += f", {name}.token as {ident('k_' + prop)}"
        names.append(name)
    flags, flags_join = (f", {dst.FLAG}", dst.FLAGS_JOIN) if has_flags else ("", "")
    query = f"""
select {output_columns(session.contract)}, {literal(batch_id)} as _batch_id,
    {literal(session.contract.name)} as _source, _sha256 as _file_sha256, _row_number,
    _known_at, _hash as _record_hash{flags}
from (
    select typed.*, chunk_files._sha256{picked}{flags}
    from typed left join chunk_files using (_file_idx){joins}{flags_join}
) anti join verdict using (_file_idx, _row_number)
"""
    if has_flags:
        query = dst.with_flags(query)
    path = session.raw_path(batch_id)
    written = copy_whole(con, query, path)
    for name in names:
        con.unregister(name)
    if written != accepted:
        raise ConservationError(f"{accepted} records accepted, {written} written to {path.name}")
    return True
