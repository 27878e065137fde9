"""Raw's schema: column order and types of a raw relation, and its always-present empty file.

What does NOT belong here: the entities themselves (`expectations/entities`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import duckdb

from expectations.contract import Entity
from ingestion.sql import ident, literal

SCHEMA_FILE = "_schema.parquet"

#: Columns behind the entity's own, in order.
META_COLUMNS: tuple[tuple[str, str], ...] = (
    ("attributes", "VARCHAR"),
    ("_batch_id", "VARCHAR"),
    ("_source", "VARCHAR"),
    ("_file_sha256", "VARCHAR"),
    ("_row_number", "BIGINT"),
    ("_known_at", "TIMESTAMP"),
    ("_record_hash", "BLOB"),
)


def raw_columns(entity: Entity) -> tuple[tuple[str, str], ...]:
    """(name, DuckDB type) of every column of an entity's raw relation, in order."""
    return (*((field.name, field.duckdb_type) for field in entity.fields), *META_COLUMNS)


def ensure_raw_schemas(entities: Mapping[str, Entity] | Iterable[Entity], lake: Path) -> None:
    """Write `raw/<entity>/_schema.parquet`, zero rows with the full typed schema, for each entity.

    A file that already has this schema is left alone.

    Args:
        entities: The entities.
        lake: The deployment's lake folder.
    """
    listed = entities.values() if isinstance(entities, Mapping) else entities
    with duckdb.connect(":memory:") as con:
        for entity in listed:
            folder = lake / "raw" / entity.name
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / SCHEMA_FILE
            columns = raw_columns(entity)
            if path.exists() and _columns_in(con, path) == columns:
                continue
            listing = ", ".join(f"null::{kind} as {ident(name)}" for name, kind in columns)
            temporary = folder / f".{SCHEMA_FILE}.tmp"
            con.execute(
                f"copy (select {listing} limit 0) to {literal(str(temporary))} (format parquet)"
            )
            temporary.replace(path)


def _columns_in(con: duckdb.DuckDBPyConnection, path: Path) -> tuple[tuple[str, str], ...]:
    found = con.execute(f"describe select * from read_parquet({literal(str(path))})").fetchall()
    return tuple((row[0], row[1]) for row in found)
