"""What the chunks of one source share, and the few things done with it everywhere.

What does NOT belong here: judging records (`batch`), keeping those that failed (`quarantine`).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from expectations.contract import Contract
from ingestion.files import Paths
from ingestion.sql import literal
from privacy.suppression import Suppression
from privacy.tokens import TokenKey, tokenise
from privacy.vault import ENTRIES, Sealer

#: So many tokens are remembered for each type between chunks.
TOKEN_CACHE = 1_000_000
#: How the names of batches begin that correct a person's record, and have no file of a source.
CORRECTIONS = "correction-"


@dataclass(frozen=True)
class IngestKeys:
    """The secrets that ingestion works with; nothing here opens the vault.

    Attributes:
        token: Makes tokens.
        records: Salt record hashes, each in turn. They stay when the token key is rotated: what
            was read before must still be recognised.
        sealer: Adds clear values to the vault; None keeps them nowhere.
        suppressed: Who was erased and is kept out; None is nobody.
    """

    token: TokenKey
    records: Sequence[bytes] = field(repr=False)
    sealer: Sealer | None = None
    suppressed: Suppression | None = None


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
        keys: Of tokens, record hashes and the vault.
        run_id: Of this run.
        now: Naive UTC.
        starved: Whether the machine gives this process less memory than its limit.
        landed_at: For a repair, when the file that it stands for was ingested; else None.
        seen: Raw files of this source: earlier batches, and this run's.
        corrections: Raw files of corrections (`habitus correct`).
        cache: Tokens by type and clear value; what is in it has been given to the vault.
        fresh: (token type, clear values, their tokens) that the chunk at hand adds to the cache.
    """

    con: duckdb.DuckDBPyConnection
    contract: Contract
    paths: Paths
    keys: IngestKeys
    run_id: str
    now: datetime
    starved: bool = False
    landed_at: datetime | None = None
    seen: list[Path] = field(default_factory=list)
    corrections: list[Path] = field(default_factory=list)
    cache: dict[str, dict[str, str | None]] = field(default_factory=dict)
    fresh: list[tuple[str, list[str], list[str | None]]] = field(default_factory=list)

    def raw_path(self, batch_id: str) -> Path:
        """Where a batch's raw file goes."""
        return self.paths.lake / "raw" / self.contract.entity.name / f"{batch_id}.parquet"

    def quarantine_path(self, batch_id: str) -> Path:
        """Where a batch's quarantine goes."""
        return self.paths.quarantine / self.contract.name / f"{batch_id}.parquet"

    def discard(self, batch_id: str) -> None:
        """Remove what a batch that came to nothing has written."""
        for path in (self.raw_path(batch_id), self.quarantine_path(batch_id)):
            path.unlink(missing_ok=True)
            path.with_name(f".{path.name}.tmp").unlink(missing_ok=True)
        if self.keys.sealer is not None:
            self.keys.sealer.discard(batch_id)
        # Values that went with its segment must go into the next one.
        self.cache.clear()


def seal_fresh(session: Session, batch_id: str) -> None:
    """Put into the vault what the chunk at hand has tokenised first, under the batch's name."""
    fresh, session.fresh = session.fresh, []
    if session.keys.sealer is None:
        return
    parts = [
        pa.table(
            {
                "token": pa.array(tokens, pa.string()),
                "token_type": pa.array([kind] * len(clear), pa.string()),
                "clear": pa.array(clear, pa.string()),
                "source": pa.array([session.contract.name] * len(clear), pa.string()),
                "batch_id": pa.array([batch_id] * len(clear), pa.string()),
            }
        )
        for kind, clear, tokens in fresh
    ]
    segment = pa.concat_tables(parts) if parts else ENTRIES.empty_table()
    session.keys.sealer.seal(segment.filter(segment["token"].is_valid()), batch_id)


def token_join(
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
    made = tokenise(fresh, token_type, session.keys.token)
    cache.update(zip(fresh, made, strict=True))
    if fresh:
        session.fresh.append((token_type, fresh, made))
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


def copy_whole(con: duckdb.DuckDBPyConnection, query: str, path: Path) -> int:
    """Write a query's result to Parquet: whole or not at all. Gives the rows in the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    con.execute(f"copy ({query}) to {literal(str(temporary))} (format parquet, compression zstd)")
    return settle(temporary, path)


def settle(temporary: Path, path: Path) -> int:
    """Bring a finished file to its name; gives the rows in it."""
    rows = int(pq.read_metadata(temporary).num_rows)
    with temporary.open("rb") as handle:
        os.fsync(handle.fileno())
    temporary.replace(path)
    return rows
