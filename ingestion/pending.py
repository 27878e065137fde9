"""Which files have landed and are not ingested, for the sensor.

What does NOT belong here: ingesting them (`run`), asking for a run (orchestration).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

from expectations.contract import Contract
from ingestion.files import OpenFile, Paths, open_files
from ingestion.find import FoundFile, find_files
from ingestion.ledger import Ledger
from ingestion.results import SourceError


@dataclass(frozen=True)
class PendingFile:
    """A file that has landed and is not in the ledger.

    Attributes:
        source: the contract's name.
        shown: its path as messages show it.
        sha256: of its bytes, in hex.
        generation: how often other bytes of this path were read before.
    """

    source: str
    shown: str
    sha256: str
    generation: int


def pending_files(contracts: Sequence[Contract], paths: Paths) -> list[PendingFile]:
    """Files whose content the ledger does not know, of all local sources.

    What is opened for that and was read before is remembered as a run remembers it.
    """
    local = [contract for contract in contracts if contract.source.type == "local"]
    return [file for contract in local for file in _pending(contract, paths)]


def _pending(contract: Contract, paths: Paths) -> list[PendingFile]:
    name, files = contract.name, _found(contract, paths)
    if not paths.ledger.exists():  # a run makes it: that it is there means that something was read
        return [PendingFile(name, o.found.shown, o.sha256, 0) for o in _hashed(contract, files)]
    with closing(Ledger(paths.ledger)) as ledger:
        moment = ledger.moment(name)
        hashed = _hashed(contract, ledger.to_open(name, files))
        known = ledger.paths(name)
        stamps = [(o.sha256, o.found.shown, o.stamp) for o in hashed if o.stamp is not None]
        ledger.remember(name, stamps, moment)
    read = Counter(names[0] for names in known.values())
    return [
        PendingFile(name, o.found.shown, o.sha256, read[o.found.shown])
        for o in hashed
        if o.sha256 not in known
    ]


def _hashed(contract: Contract, files: Sequence[FoundFile]) -> list[OpenFile]:
    """Files by their content; what must not be read, or is being written, is nothing to run for."""
    rest = contract.source.settle_seconds
    opened = open_files(files, True, lambda _: False, rest_seconds=rest)
    return [file for file in opened if file.error is None and file.held is None]


def _found(contract: Contract, paths: Paths) -> list[FoundFile]:
    """The files of a local source; none yet is not an error for somebody who only looks."""
    try:
        return find_files(contract, paths.landing)
    except SourceError:
        return []
