"""The public function: what is new in the sources of an entity goes to raw.

What does NOT belong here: the way of one source (`run`), formats (`readers`), SQL (`compile`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import datetime

from expectations.contract import Contract, Entity
from ingestion.apart import ingest_local
from ingestion.casts import utc
from ingestion.enclosure import lock_down
from ingestion.files import Paths
from ingestion.ledger import Ledger
from ingestion.results import SourceResult
from ingestion.run import SourceRun
from ingestion.schema import ensure_raw_schemas
from ingestion.session import IngestKeys
from ingestion.source import Task, connect, files_of, session_of
from ingestion.worker import Limits


def ingest_entity(
    entity: Entity,
    contracts: Sequence[Contract],
    paths: Paths,
    keys: IngestKeys,
    *,
    run_id: str,
    now: datetime,
    con_settings: Mapping[str, str | int] | None = None,
    limits: Limits | None = Limits(),  # noqa: B008  frozen
) -> list[SourceResult]:
    """Ingest what is new in every source of an entity.

    Args:
        entity: The entity.
        contracts: Its contracts; those that feed another entity are left out.
        paths: Where to read and write.
        keys: Of tokens, record hashes and the vault.
        run_id: Goes into ledger and quarantine.
        now: The moment of ingestion, with a time zone; `_known_at` of sources known by landing.
        con_settings: DuckDB settings; `postgres_dsn` is the connection string for PostgreSQL.
        limits: Of the worker that reads a local source; None reads it in this process.

    Returns:
        One result for each source, with this run's counts (zeros when nothing was new).

    Raises:
        SourceError: If a source has no file, or its server cannot be reached.
        IngestError: If the counts of a file do not add up, or a contract's expressions do not fit.
    """
    ensure_raw_schemas([entity], paths.lake)
    settings = dict(con_settings or {})
    dsn = str(settings.pop("postgres_dsn", ""))
    moment = utc(now)
    results = []
    for contract in contracts:
        if contract.entity.name != entity.name:
            continue
        task = Task(contract, paths, keys, run_id, moment, settings)
        if contract.source.type == "local":
            results.append(ingest_local(task, files_of(task), limits))
        else:
            results.append(_postgres(task, dsn))
    return results


def _postgres(task: Task, dsn: str) -> SourceResult:
    """Ingest a table here: no hostile file is parsed, and the credentials stay in this process."""
    with (
        closing(Ledger(task.paths.ledger)) as ledger,
        ledger.writing(task.contract.name),
        connect(task.settings) as server,
        connect(task.settings) as con,
    ):
        # The connection that runs the contract's expressions never reaches the server.
        lock_down(con, task, ())
        return SourceRun(session_of(task, con), ledger).postgres(server, dsn)
