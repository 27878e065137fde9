"""The quarantine: failed records in their shape as text, and whole files by one row.

What does NOT belong here: what fails, and why (`casts`, `batch`, `readers`).
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from ingestion import mask
from ingestion.compile import has_identities, kept_token, meta_name, record_text, source_stage
from ingestion.session import ChunkFile, Session, copy_whole, settle, token_join
from ingestion.sql import ident, literal
from ingestion.suppressed import REASON

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


def write_quarantine(session: Session, available: Sequence[str], batch_id: str) -> None:
    """Write the failed records of the chunk at hand; see `batch.write_chunk` for its tables."""
    con, contract = session.con, session.contract
    text, tokens = record_text(contract, available)
    line = {"jsonl": "part.line", "text": "part.line"}.get(contract.source.format or "", "null")
    con.execute(
        "create or replace temp table part as select chunk.* from chunk semi join "
        f"(select * from verdict where kind = 'quarantined' and reason <> {literal(REASON)}) "
        "using (_file_idx, _row_number)"
    )
    index, bad, raw, why = map(meta_name, ("_file_idx", "_bad", "_raw", "_reason"))
    con.execute(
        f"""
create or replace temp table failed as
with src as ({source_stage(contract, available, chunk="part")})
select src.*, verdict.reason as {why},
    rtrim(coalesce(part._raw, {line}), chr(10) || chr(13)) as {raw}
from src
join verdict on verdict._file_idx = src.{index} and verdict._row_number = src._row_number
join part on part._file_idx = src.{index} and part._row_number = src._row_number
"""
    )
    joins, names, picked = "", [], ""
    for position, (column, token_type) in enumerate(tokens.items()):
        path = ".".join(ident(part) for part in column.split("."))
        name, join = token_join(session, "failed", path, token_type, position)
        joins += join
        picked += f", {name}.token as {kept_token(column)}"
        names.append(name)
    unread = mask.shape(raw) if has_identities(contract) else mask.free_text(raw)
    query = f"""
select {literal(contract.name)} as source, {literal(contract.entity.name)} as entity,
    {literal(batch_id)} as batch_id, chunk_files._shown as file,
    chunk_files._sha256 as file_sha256, _row_number as row_number, _byte_offset as byte_offset,
    case when starts_with(reason, 'unreadable: ') then split_part(reason, ': ', 2)
        else split_part(reason, ':', 1) end as failure_type,
    reason, record, {literal(session.run_id)} as run_id,
    timestamp {literal(session.now.isoformat())} as first_seen_at, 1::integer as attempts,
    null::timestamp as recovered_at
from (
    select {index} as _file_idx, _row_number, {meta_name("_byte_offset")} as _byte_offset,
        {why} as reason, case when {bad} is not null then {unread} else {text} end as record
    from (select failed.*{picked} from failed{joins})
    union all
    -- Of who was erased the quarantine counts the record, and keeps nothing of it.
    select _file_idx, _row_number, null as _byte_offset, reason, null as record
    from verdict where reason = {literal(REASON)}
) join chunk_files using (_file_idx)
order by _file_idx, _row_number
"""
    copy_whole(con, query, session.quarantine_path(batch_id))
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
    settle(temporary, path)
