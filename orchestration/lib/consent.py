"""What consent asks of stored files: rows of who may no longer be used leave ML outputs.

What does not belong here: who may be used for what (dbt's `dim_consents`), sending lists
(habitus/activation).
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from orchestration.config import Settings
from orchestration.lib.lake import ALIAS
from orchestration.lib.warehouse import reader

PERMITTED = (
    "select distinct customer from {}.behaviour.dim_consents "
    "where purpose = ? and may_use order by customer"
)


def purposes_of(manifest: Mapping[str, Any], tables: Iterable[str]) -> tuple[str, ...]:
    """Purposes that relations serve, as their models' `meta` says; sorted.

    Args:
        manifest: dbt's.
        tables: `schema.name`; those that are no mart have no purpose of their own.

    Raises:
        LookupError: a mart states none.
    """
    wanted = {name for name in tables if name.startswith("marts.")}
    found = {}
    for node in manifest["nodes"].values():
        name = f"{node.get('schema')}.{node.get('name')}"
        if node["resource_type"] == "model" and name in wanted:
            found[name] = node["config"].get("meta", {}).get("purpose")
    silent = sorted(name for name in wanted if not found.get(name))
    if silent:
        raise LookupError(
            f"{', '.join(silent)} states no purpose: write `config: {{meta: {{purpose: ...}}}}` "
            "in its yml"
        )
    return tuple(sorted(set(found.values())))


def permitted_customers(habitus: Settings, purposes: Iterable[str]) -> pa.Array:
    """Customers whose data may be used today for every one of the purposes; sorted strings."""
    allowed: set[str] | None = None
    with reader(habitus) as con:
        for purpose in purposes:
            rows = con.execute(PERMITTED.format(ALIAS), [purpose]).fetchall()
            these = {str(customer) for (customer,) in rows}
            allowed = these if allowed is None else allowed & these
    return pa.array(sorted(allowed or set()), pa.string())


def _without_others(path: Path, allowed: pa.Array) -> int:
    """Rewrite one part without the rows of anybody else; gives how many left."""
    table = pq.ParquetFile(path).read()
    kept = table.filter(pc.is_in(table["customer"].cast(pa.string()), value_set=allowed))
    if kept.num_rows == table.num_rows:
        return 0
    # Not named *.parquet: DuckDB's glob would read what a killed run left half-written.
    temporary = path.with_suffix(".permitted.unfinished")
    try:
        pq.write_table(kept, temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return int(table.num_rows - kept.num_rows)


def keep_permitted(habitus: Settings, tables: Iterable[str], purposes: Iterable[str]) -> int:
    """Remove from all stored days of ML tables the rows of who may not be used for the purposes.

    Scores of earlier days are kept, and a later refusal reaches them too. Tables without a
    customer are left alone. Safe to repeat, and to be killed in: a part is whole or as before.

    Args:
        habitus: whose lake.
        tables: names below `lake/ml`.
        purposes: all of them must be permitted.

    Returns:
        Rows removed.
    """
    allowed = permitted_customers(habitus, purposes)
    removed = 0
    for name in tables:
        for path in sorted((habitus.lake / "ml" / name).glob("as_of=*/part.parquet")):
            if "customer" in pq.read_schema(path).names:
                removed += _without_others(path, allowed)
    return removed
