"""What an ingestion says of itself: results, and the errors that end it.

What does NOT belong here: how anything is done. No value of a record may stand in a message.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


class IngestError(RuntimeError):
    """Ingestion of a source had to stop. The message holds no value of any record."""


class SourceError(IngestError):
    """A source cannot be reached: which contract, where it was looked for, and the remedy."""


class ConservationError(IngestError):
    """Records in are not accepted + quarantined + duplicates: our fault, never the data's."""


class FileError(Exception):
    """One file cannot be read as a whole; it is quarantined and the others load.

    Attributes:
        failure_type: Short name of the failure, as in the quarantine.
        reason: What is wrong, without values.
        records: Records in the file, where they could be counted, else 0.
    """

    def __init__(self, failure_type: str, reason: str, records: int = 0) -> None:
        super().__init__(reason)
        self.failure_type = failure_type
        self.reason = reason
        self.records = records


class FileHeld(Exception):  # noqa: N818 - not an error: the file waits
    """One file is not finished: it is entered nowhere, and the next run looks at it again.

    Attributes:
        reason: Why it waits, without values.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass
class SourceResult:
    """What one ingestion did for one source; counts are this run's.

    Attributes:
        source: The contract's name.
        entity: The entity that it feeds.
        files: New files read (by content), those that were quarantined whole included.
        records_in: Records in them, counted apart from the parser.
        accepted: Records written to raw.
        quarantined: Records written to the quarantine.
        duplicates: Exact duplicates, counted and not written.
        known_from: Earliest `_known_at` among the accepted.
        known_to: Latest `_known_at` among the accepted.
        seconds: Wall time.
        warnings: Sentences for people, without values.
        held: Files that were not finished and wait for the next run; their records count nowhere.
    """

    source: str
    entity: str
    files: int = 0
    records_in: int = 0
    accepted: int = 0
    quarantined: int = 0
    duplicates: int = 0
    known_from: datetime | None = None
    known_to: datetime | None = None
    seconds: float = 0.0
    warnings: list[str] = field(default_factory=list)
    held: int = 0

    def widen(self, known_from: datetime | None, known_to: datetime | None) -> None:
        """Stretch the known range so that it covers the given one."""
        if known_from is not None:
            self.known_from = min(self.known_from or known_from, known_from)
        if known_to is not None:
            self.known_to = max(self.known_to or known_to, known_to)

    def merge(self, other: SourceResult) -> None:
        """Add what another ingestion of the same source did."""
        self.files += other.files
        self.records_in += other.records_in
        self.accepted += other.accepted
        self.quarantined += other.quarantined
        self.duplicates += other.duplicates
        self.held += other.held
        self.seconds = round(self.seconds + other.seconds, 3)
        self.warnings.extend(text for text in other.warnings if text not in self.warnings)
        self.widen(other.known_from, other.known_to)
