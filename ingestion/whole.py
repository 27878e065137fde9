"""Files that are quarantined whole for what their records show: a column is not what it was.

What does NOT belong here: files that cannot be read at all (`files`, `readers`), single records.

A column that was retyped fails in row after row. Up to RETYPED of a file's rows the rows go to the
quarantine; above, the file does, as what still fits is then likely to fit by accident. One row is
never a column. Only values that do not look like their type count: NaN, 29 February 2023, too many
digits or seconds among milliseconds are bad values of the right type, however many.
"""

from __future__ import annotations

from collections.abc import Mapping

import duckdb

from expectations.contract import Contract
from ingestion.casts import ANOTHER_FORM
from ingestion.results import FileError

#: The share of a file's rows above which a column that fails takes the file with it.
RETYPED = 0.05
_REQUIRED = "required: "
_UNREADABLE = "unreadable"

#: How often each reason occurs, by file.
Tallies = dict[int, dict[str, int]]


def tally(con: duckdb.DuckDBPyConnection) -> Tallies:
    """Reasons that may speak against a whole file, counted over `verdict`."""
    found: Tallies = {}
    for index, reason, number in con.execute(
        "select _file_idx, reason, count(*) from ("
        f"  select _file_idx, case when starts_with(reason, '{_UNREADABLE}') then '{_UNREADABLE}' "
        "    else unnest(string_split(reason, '; ')) end as reason "
        "  from verdict where kind = 'quarantined'"
        f") where ends_with(reason, '{ANOTHER_FORM}') or starts_with(reason, '{_REQUIRED}') "
        f"or reason = '{_UNREADABLE}' group by all order by all"
    ).fetchall():
        found.setdefault(index, {})[reason] = number
    return found


def refusal(contract: Contract, reasons: Mapping[str, int], records: int) -> FileError | None:
    """Why a file is quarantined whole, or None.

    Args:
        contract: Its source's contract.
        reasons: How often each reason occurs in it.
        records: How many records it has.
    """
    readable = records - reasons.get(_UNREADABLE, 0)
    for reason, number in reasons.items():
        name = reason.removeprefix("type: ").removeprefix(_REQUIRED).split(" ", 1)[0]
        if reason.endswith(ANOTHER_FORM) and number > 1 and number > RETYPED * records:
            return FileError(
                "file_retyped_column",
                f"column of {name}: {number} of {records} rows are of another type "
                f"(more than {RETYPED:.0%}). Mend the file, or the property in the contract",
                records,
            )
        # CSV and Parquet name their columns; in JSON a column that was removed is never there.
        is_gone = contract.source.format == "jsonl" and number > 1 and number == readable
        if reason.startswith(_REQUIRED) and is_gone:
            return FileError(
                "file_missing_column",
                f"required {name} is in none of the {records} records: removed or renamed?",
                records,
            )
    return None
