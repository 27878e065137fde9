"""The public function: what is new in the sources of an entity goes to raw.

What does NOT belong here: the way of one source (`run`), formats (`readers`), SQL (`compile`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType

import duckdb

from expectations.contract import Contract, Entity
from ingestion.casts import utc
from ingestion.files import Paths
from ingestion.ledger import Ledger
from ingestion.results import SourceResult
from ingestion.run import SourceRun
from ingestion.schema import ensure_raw_schemas
from ingestion.session import Session
from ingestion.sql import ident
from ingestion.tokens import TokenKey

_DEFAULTS = MappingProxyType({"threads": 2, "memory_limit": "3GB"})


def connect(settings: Mapping[str, str | int] | None) -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB for ingestion.

    The time zone is UTC, nothing is installed from outside, and nothing spills to disk unless
    `temp_directory` is given: clear values stay in memory.

    Args:
        settings: DuckDB settings that replace the defaults (threads 2, memory_limit 3GB).
    """
    con = duckdb.connect(":memory:")
    con.execute("set timezone = 'UTC'")
    con.execute("set autoinstall_known_extensions = false")
    con.execute("set temp_directory = ''")
    con.execute("set enable_progress_bar = false")
    for name, value in {**_DEFAULTS, **(settings or {})}.items():
        con.execute(f"set {ident(name)} = ?", [str(value)])
    return con


def ingest_entity(
    entity: Entity,
    contracts: Sequence[Contract],
    paths: Paths,
    keys: TokenKey,
    *,
    run_id: str,
    now: datetime,
    con_settings: Mapping[str, str | int] | None = None,
) -> list[SourceResult]:
    """Ingest what is new in every source of an entity.

    Args:
        entity: The entity.
        contracts: Its contracts; those that feed another entity are left out.
        paths: Where to read and write.
        keys: The key of the tokens.
        run_id: Goes into ledger and quarantine.
        now: The moment of ingestion, with a time zone; `_known_at` of sources known by landing.
        con_settings: DuckDB settings; `postgres_dsn` is the connection string for PostgreSQL.

    Returns:
        One result for each source, with this run's counts (zeros when nothing was new).

    Raises:
        SourceError: If a source has no file, or its server cannot be reached.
        IngestError: If the counts of a file do not add up, or a contract's expressions do not fit.
    """
    ensure_raw_schemas([entity], paths.lake)
    moment = utc(now)
    settings = dict(con_settings or {})
    dsn = str(settings.pop("postgres_dsn", ""))
    ledger = Ledger(paths.ledger)
    try:
        results = []
        for contract in contracts:
            if contract.entity.name != entity.name:
                continue
            with ledger.writing(contract.name), connect(settings) as con:
                run = SourceRun(Session(con, contract, paths, keys, run_id, moment), ledger)
                is_local = contract.source.type == "local"
                results.append(run.local() if is_local else run.postgres(dsn))
        return results
    finally:
        ledger.close()
