"""The 14 canonical entities: the input layer, read from `expectations/entities/*.yaml`.

What does NOT belong here: a source's own columns (its contract), SQL (ingestion, dbt).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

from expectations.contract.errors import did_you_mean, one_of
from expectations.contract.marks import MarkedYaml

ENTITIES_DIR = Path(__file__).resolve().parents[1] / "entities"

#: Canonical type -> DuckDB type. Timestamps are UTC and naive; money is DECIMAL.
DUCKDB_TYPES = MappingProxyType(
    {
        "string": "VARCHAR",
        "text": "VARCHAR",
        "json": "VARCHAR",
        "integer": "BIGINT",
        "decimal": "DECIMAL(18,4)",
        "double": "DOUBLE",
        "boolean": "BOOLEAN",
        "date": "DATE",
        "timestamp": "TIMESTAMP",
    }
)
TOKEN_TYPES = ("customer", "email", "phone", "login", "name", "device")


@dataclass(frozen=True)
class Field:
    """One canonical field.

    Attributes:
        name: Column name in raw.
        type: A key of DUCKDB_TYPES; `text` is free text, masked at ingestion.
        description: What it holds.
        required: Must be mapped and never empty.
        token: Identity type; such a field is always turned into a token.
        generalise: `year` when a date is kept only as its year.
    """

    name: str
    type: str
    description: str
    required: bool = False
    token: str | None = None
    generalise: str | None = None

    @property
    def duckdb_type(self) -> str:
        """The type of the field's column in raw."""
        return DUCKDB_TYPES[self.type]


@dataclass(frozen=True)
class Entity:
    """One canonical entity.

    Attributes:
        name: Entity name, which is also raw's table name.
        description: What it is.
        grain: What one row is.
        key: Names of the key's fields.
        ts: The field that says when it happened.
        fields: Fields in raw's column order.
    """

    name: str
    description: str
    grain: str
    key: tuple[str, ...]
    ts: str
    fields: tuple[Field, ...]

    def field(self, name: str) -> Field | None:
        """The field of that name, or None."""
        return next((field for field in self.fields if field.name == name), None)

    @property
    def field_names(self) -> tuple[str, ...]:
        """Names of the fields, in raw's order."""
        return tuple(field.name for field in self.fields)


def load_entity(path: Path) -> Entity:
    """Read one entity file.

    Raises:
        ContractError: If a key is unknown or missing, or a type is not one of DUCKDB_TYPES.
    """
    doc = MarkedYaml(path)
    for key in ("entity", "description", "grain", "key", "ts", "fields"):
        if key not in doc.data:
            raise doc.error((), f"`{key}` is missing", f"Add `{key}: ...`")
    fields = []
    allowed = tuple(Field.__dataclass_fields__)
    for index, item in enumerate(doc.data["fields"]):
        at = ("fields", index)
        for key in item:
            if key not in allowed:
                near = did_you_mean(key, allowed)
                raise doc.error(
                    at, f"unknown key `{key}`", f"Write {f'`{near}`' if near else one_of(allowed)}"
                )
        if item.get("type") not in DUCKDB_TYPES:
            raise doc.error(
                at, f"unknown type `{item.get('type')}`", f"Write {one_of(DUCKDB_TYPES)}"
            )
        if item.get("token") not in (None, *TOKEN_TYPES):
            raise doc.error(at, f"unknown token type `{item['token']}`", one_of(TOKEN_TYPES))
        fields.append(Field(**item))
    entity = Entity(
        name=doc.data["entity"],
        description=doc.data["description"],
        grain=doc.data["grain"],
        key=tuple(doc.data["key"]),
        ts=doc.data["ts"],
        fields=tuple(fields),
    )
    for name in (*entity.key, entity.ts):
        if entity.field(name) is None:
            raise doc.error(("key",), f"`{name}` is no field of {entity.name}", "Name a field")
    return entity


@lru_cache(maxsize=8)
def _load_entities(folder: Path) -> MappingProxyType[str, Entity]:
    entities = (load_entity(path) for path in sorted(folder.glob("*.yaml")))
    return MappingProxyType({entity.name: entity for entity in entities})


def load_entities(folder: Path = ENTITIES_DIR) -> dict[str, Entity]:
    """All entities by name, sorted by name.

    Args:
        folder: Where the entity files are.

    Raises:
        ContractError: If one of them cannot be read.
    """
    return dict(_load_entities(folder))
