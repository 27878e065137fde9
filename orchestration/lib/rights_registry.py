"""The registry of who holds people, against what there is: the warehouse, raw, the ML outputs.

What does not belong here: the registry itself (privacy/erasure.py).
"""

from collections.abc import Mapping
from typing import Any

import duckdb

from expectations.contract import load_entities
from ml.registry import OUTPUTS
from orchestration.config import Settings
from orchestration.lib.lake import ALIAS
from orchestration.lib.rights import record_fields, token_columns
from orchestration.lib.warehouse import reader
from privacy.erasure import key_columns, unregistered


class UnregisteredTableError(RuntimeError):
    """A table of which nobody says how a person is erased from it; nothing was published."""


def token_fields() -> frozenset[str]:
    """Identity fields of all entities. `name` is left out: goods and campaigns have names too."""
    return frozenset(
        name
        for entity in load_entities().values()
        for name, kind in token_columns(entity)
        if kind != "name"
    )


def key_columns_of(table: str, columns: tuple[str, ...]) -> tuple[str, ...]:
    """Columns by which a table, `schema.name`, names people."""
    return key_columns(table, columns, token_fields())


def lake_tables(con: duckdb.DuckDBPyConnection) -> dict[str, tuple[str, ...]]:
    """Columns of every table of the attached lake by `schema.name`; views hold nothing."""
    rows = con.execute(
        "select schema_name || '.' || table_name, list(column_name order by column_index) "
        f"from duckdb_columns() where database_name = '{ALIAS}' and (schema_name, table_name) in "
        f"(select (schema_name, table_name) from duckdb_tables() where database_name = '{ALIAS}') "
        "group by all order by all"
    ).fetchall()
    return {str(name): tuple(columns) for name, columns in rows}


def declared(manifest: Mapping[str, Any]) -> dict[str, str]:
    """Reason by table, of dbt models whose yml says that they hold nobody."""
    found = {}
    for node in manifest["nodes"].values():
        meta = node["config"].get("meta", {}) if node["resource_type"] == "model" else {}
        if meta.get("erasure") == "none":
            found[f"{node['schema']}.{node['name']}"] = str(meta.get("erasure_reason") or "")
    return found


def inputs() -> dict[str, tuple[str, ...]]:
    """Columns of raw entities and of ML outputs."""
    tables = {f"raw.{name}": entity.field_names for name, entity in load_entities().items()}
    for output in OUTPUTS:
        for table in output.tables:
            tables[f"ml.{table.name}"] = tuple(column.name for column in table.columns)
    return tables


def require_registered(habitus: Settings, manifest: Mapping[str, Any]) -> int:
    """Fail unless it is known of every table how a person is erased from it; gives their number.

    Raises:
        UnregisteredTableError: it is not; the message says of which, and what to write.
    """
    with reader(habitus) as con:
        tables = {**inputs(), **lake_tables(con)}
    missing = unregistered(tables, token_fields(), record_fields(), declared(manifest))
    if missing:
        raise UnregisteredTableError(
            "a person could not be erased from these tables:\n  " + "\n  ".join(missing)
        )
    return len(tables)
