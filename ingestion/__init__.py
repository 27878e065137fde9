"""Contract -> validated, pseudonymised, immutable Parquet; ledger; quarantine.

What does NOT belong here: Dagster, dbt, the environment (settings come as arguments), business
rules (dbt), statistics of what data looks like (expectations).

The way of a record: found (`files`), read as text (`readers`), mapped, cast and checked by one
generated statement (`compile`), made pseudonymous (`privacy.tokens`, `mask`), written as a batch
(`batch`), and entered in the ledger (`ledger`). Nothing is written twice, nothing is lost:
records in = accepted + quarantined + exact duplicates, for each file.
"""

from ingestion.files import Paths
from ingestion.held import refresh_held
from ingestion.ingest import ingest_entity
from ingestion.overview import ledger_totals, quarantine_counts
from ingestion.pending import PendingFile, pending_files
from ingestion.replay import Replayed, ReplayError, read_again, replay_file
from ingestion.results import IngestError, SourceError, SourceResult
from ingestion.schema import ensure_raw_schemas
from ingestion.session import IngestKeys
from ingestion.worker import Limits

__all__ = [
    "IngestError",
    "IngestKeys",
    "Limits",
    "Paths",
    "PendingFile",
    "ReplayError",
    "Replayed",
    "SourceError",
    "SourceResult",
    "ensure_raw_schemas",
    "ingest_entity",
    "ledger_totals",
    "pending_files",
    "quarantine_counts",
    "read_again",
    "refresh_held",
    "replay_file",
]
