"""A file's columns against the contract's and those seen before: added, missing, renamed.

What does NOT belong here: what is in the columns (`compile`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

import pyarrow as pa

from expectations.contract import Contract
from ingestion.compile import declared_columns
from ingestion.ledger import Ledger
from ingestion.names import shown_column
from ingestion.readers.base import META, own, own_columns
from ingestion.results import FileError


def fit(
    contract: Contract, ledger: Ledger, table: pa.Table, now: datetime
) -> tuple[pa.Table, list[str]]:
    """The table under the contract's spelling of its columns, and what people should know of it.

    Raises:
        FileError: If a required column is missing, or a column seems renamed.
    """
    wanted = {" ".join(name.split()): name for name in declared_columns(contract)}
    names = [wanted.get(" ".join(name.split()), name) for name in own_columns(table)]
    declared = set(wanted.values())
    columns = [name if name in declared else shown_column(name) for name in names]
    missing = [name for name in wanted.values() if name not in columns]
    _require(contract, missing, columns, table.num_rows)
    seen = ledger.columns(contract.name)
    added = new_names(columns, wanted.values(), seen)
    # At first nothing says whether an unknown column is new; as many as are missing are renamed.
    if missing and added and (seen or len(added) == len(missing)):
        raise FileError(
            "file_renamed_column",
            f"column {', '.join(missing)} is missing and {', '.join(added)} is new: renamed? "
            "Mend the file, or physicalName in the contract",
            table.num_rows,
        )
    ledger.enter_columns(contract.name, columns, now)
    told = told_of(added)
    if missing:
        told.append(f"column {', '.join(missing)} is missing; taken as empty")
    return table.rename_columns([*META.names, *map(own, names)]), told


def new_names(
    columns: Sequence[str], declared: Collection[str], seen: Collection[str]
) -> list[str]:
    """Columns that the contract does not name and that no earlier file had."""
    return [name for name in columns if name not in declared and name not in seen]


def told_of(added: Sequence[str]) -> list[str]:
    """What people should know of new columns."""
    return [f"column {', '.join(added)} is new and in no contract"] if added else []


def _require(
    contract: Contract, missing: Sequence[str], columns: Sequence[str], records: int
) -> None:
    required = {column for prop in contract.properties if prop.required for column in prop.columns}
    if contract.known_at.kind == "column":
        required.add(contract.known_at.value or "")
    lacking = [name for name in missing if name in required]
    nothing_fits = len(columns) == 1 and len(missing) == len(declared_columns(contract)) > 1
    if not lacking and not nothing_fits:
        return
    reason = f"required column {', '.join(lacking or missing)} is not in the file"
    if len(columns) == 1 and contract.source.format == "csv":
        reason += f"; its only column suggests another delimiter than `{contract.source.delimiter}`"
    raise FileError("file_missing_column", reason, records)
