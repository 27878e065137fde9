"""A contract as the rest of the platform sees it: small frozen dataclasses.

What does NOT belong here: YAML (`loader`), reading data (`ingestion`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from expectations.contract.entity import Entity


@dataclass(frozen=True)
class Property:
    """One column of a source and where it goes.

    Attributes:
        name: Canonical field, or the key under which it goes to `attributes`.
        physical: Column in the source (dotted path in JSONL); None when `transform` is given.
        type: Type of the value in raw: a key of `entity.DUCKDB_TYPES`.
        canonical: Whether `name` is a field of the entity.
        description: What it holds.
        required: No empty values.
        primary_key: Part of the source's key.
        unique: No value twice within a file and a moment of knowing.
        classification: public, internal, confidential or restricted.
        privacy: What happens to it: None (kept), token, drop or generalise.
        token_type: Token type where privacy is token.
        enum: Allowed values, as text; empty when any is.
        minimum: Least number or date (as text) allowed.
        maximum: Greatest number or date (as text) allowed.
        exclusive_minimum: As minimum, itself not allowed.
        exclusive_maximum: As maximum, itself not allowed.
        min_length: Least length in characters.
        max_length: Greatest length in characters.
        pattern: RE2 expression that the whole text must match.
        formats: strptime formats, tried in order; also `epoch_s` and `epoch_ms`. Empty: ISO 8601.
        timezone: Of values without an offset; None means the contract's.
        transform: DuckDB expression over the source's columns as text, in place of `physical`.
        references: (entity, field) that must hold the value; until it does, the record is held.
        columns: Source columns that the property reads (dotted paths).
        line: Line in the contract's file.
    """

    name: str
    physical: str | None
    type: str
    canonical: bool
    description: str = ""
    required: bool = False
    primary_key: bool = False
    unique: bool = False
    classification: str | None = None
    privacy: str | None = None
    token_type: str | None = None
    enum: tuple[str, ...] = ()
    minimum: str | None = None
    maximum: str | None = None
    exclusive_minimum: str | None = None
    exclusive_maximum: str | None = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None
    formats: tuple[str, ...] = ()
    timezone: str | None = None
    transform: str | None = None
    references: tuple[str, str] | None = None
    columns: tuple[str, ...] = ()
    line: int = 1


@dataclass(frozen=True)
class Source:
    """Where the records are.

    Attributes:
        type: local or postgresql.
        path: Glob of the files (local).
        format: csv, jsonl, parquet or text (local).
        delimiter: Of CSV.
        encoding: Of csv, jsonl and text.
        header: Whether CSV has a header; without one, columns are named column0, column1, ...
        quote: Quote character of CSV; None when quotes mean nothing.
        skip_lines: Lines at the head of each text file that are no records.
        settle_seconds: A file that changed less than so long ago waits for the next run.
        host: Of PostgreSQL; None means libpq's default.
        port: Of PostgreSQL.
        database: Of PostgreSQL.
        schema: Of PostgreSQL.
        table: Of PostgreSQL.
    """

    type: str
    path: str | None = None
    format: str | None = None
    delimiter: str = ","
    encoding: str = "utf-8"
    header: bool = True
    quote: str | None = '"'
    skip_lines: int = 0
    settle_seconds: float = 0.0
    host: str | None = None
    port: int | None = None
    database: str | None = None
    schema: str = "public"
    table: str | None = None


@dataclass(frozen=True)
class KnownAt:
    """Where the moment of learning of a record comes from.

    Attributes:
        kind: landing (the moment of ingestion), ts (known when it happened), column, or path.
        value: The column's name, or the regular expression over the file's path.
    """

    kind: str = "landing"
    value: str | None = None


@dataclass(frozen=True)
class Churn:
    """A deployment's own churn question; None leaves the choice to the data.

    Attributes:
        horizon_days: No purchase within so many days is churn.
        last_cutoff: The newest test cutoff.
        cutoffs: How many test cutoffs.
    """

    horizon_days: int | None = None
    last_cutoff: date | None = None
    cutoffs: int | None = None


@dataclass(frozen=True)
class Contract:
    """One source as one data contract.

    Attributes:
        name: The source's name, which is the file's stem.
        id: ODCS id.
        version: The contract's version.
        path: Its file.
        entity: The canonical entity that it feeds.
        source: Where the records are.
        properties: Its columns, in order.
        known_at: Where the moment of learning comes from.
        timezone: Of timestamps without an offset; None if the contract declares none, and a time of
            day without an offset is then quarantined.
        watermark: PostgreSQL column that only grows with each change.
        churn: The deployment's churn question, if this contract states it.
        starts_on: First day of history, if stated (or stated by a sibling).
        legal_basis: Purpose -> legal basis for every customer, if this contract states it.
        freshness_hours: slaProperties' freshness in hours, if stated.
        description: ODCS description: purpose, usage, limitations.
        domain: ODCS domain.
        status: ODCS status.
        digest: sha256 of the file's bytes, in hex.
        quality: ODCS quality rules that this loader does not read itself, for expectations.
    """

    name: str
    id: str
    version: str
    path: Path
    entity: Entity
    source: Source
    properties: tuple[Property, ...]
    known_at: KnownAt = KnownAt()
    timezone: str | None = None
    watermark: str | None = None
    churn: Churn | None = None
    starts_on: date | None = None
    legal_basis: Mapping[str, str] = field(default_factory=dict)
    freshness_hours: float | None = None
    description: Mapping[str, str] = field(default_factory=dict)
    domain: str | None = None
    status: str | None = None
    digest: str = ""
    quality: tuple[Mapping[str, Any], ...] = ()

    @property
    def primary_key(self) -> tuple[str, ...]:
        """Names of the properties that form the source's key; empty if it has none."""
        return tuple(prop.name for prop in self.properties if prop.primary_key)

    def property(self, name: str) -> Property | None:
        """The property of that name, or None."""
        return next((prop for prop in self.properties if prop.name == name), None)


@dataclass(frozen=True)
class Deployment:
    """A folder of contracts.

    Attributes:
        name: The folder's name.
        folder: The folder.
        contracts: Its contracts, sorted by name.
    """

    name: str
    folder: Path
    contracts: tuple[Contract, ...]

    @property
    def churn(self) -> Churn | None:
        """The churn question of the deployment, if a contract states one."""
        return next((c.churn for c in self.contracts if c.churn is not None), None)

    @property
    def starts_on(self) -> date | None:
        """First day of history: the earliest that a contract states."""
        return min((c.starts_on for c in self.contracts if c.starts_on), default=None)

    def feeding(self, entity: str) -> tuple[Contract, ...]:
        """The contracts that feed an entity."""
        return tuple(c for c in self.contracts if c.entity.name == entity)
