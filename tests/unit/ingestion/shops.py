"""A small deployment in a folder, for the tests of ingestion."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from expectations.contract import Contract, load_contract
from ingestion import IngestKeys, Paths, SourceResult, ingest_entity
from ingestion.worker import Limits
from privacy.tokens import TokenKey

NOW = datetime(2025, 6, 1, 12, 0, tzinfo=UTC)
KEY = IngestKeys(TokenKey(b"k" * 32), (b"r" * 32,))
PROPERTIES = """
      - {name: order_id, physicalName: id, primaryKey: true}
      - {name: customer_id, physicalName: who}
      - {name: ordered_at, physicalName: when, logicalType: timestamp}
      - {name: total, physicalName: sum, logicalType: number}
      - {name: note, logicalType: string}
"""


@dataclass
class Shop:
    """A source `sales` of orders, its files and what ingestion made of them."""

    home: Path
    form: str = "csv"
    path: str = "sales/*"
    server: str = ""
    properties: str = PROPERTIES
    custom: str = ""
    timezone: str | None = "UTC"
    entity: str = "orders"
    limits: Limits | None = None
    results: list[SourceResult] = field(default_factory=list)

    @property
    def paths(self) -> Paths:
        """Its folders."""
        lake = self.home / "lake"
        return Paths(self.home / "landing", lake, self.home / "ledger.sqlite", lake / "quarantine")

    def contract(self) -> Contract:
        """Its contract."""
        folder = self.home / "contracts"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "sales.odcs.yaml"
        custom = self.custom
        if self.timezone:
            custom += f"  - {{property: habitus.timezone, value: {self.timezone}}}\n"
        custom = f"customProperties:\n{custom}" if custom else ""
        path.write_text(
            "apiVersion: v3.1.0\nkind: DataContract\nid: t.sales\nname: sales\nversion: 1.0.0\n"
            "servers:\n  - server: s\n    type: local\n"
            f'    path: "{self.path}"\n    format: {self.form}\n{self.server}'
            f"schema:\n  - name: {self.entity}\n    properties:{self.properties}{custom}",
            encoding="utf-8",
        )
        return load_contract(path)

    def land(self, name: str, data: bytes | str) -> Path:
        """Put a file into landing."""
        path = self.paths.landing / "sales" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        return path

    def ingest(self, now: datetime = NOW) -> SourceResult:
        """Ingest; the law is checked here for every test."""
        contract = self.contract()
        (result,) = ingest_entity(
            contract.entity, [contract], self.paths, KEY, run_id="r1", now=now, limits=self.limits
        )
        assert result.records_in == result.accepted + result.quarantined + result.duplicates
        self.results.append(result)
        return result

    def raw(self, columns: str = "*", entity: str = "") -> list[tuple]:
        """Rows of raw, in the order of file and record."""
        glob = self.paths.lake / "raw" / (entity or self.entity) / "*.parquet"
        with duckdb.connect() as con:
            return con.execute(
                f"select {columns} from read_parquet('{glob}', union_by_name = true) "
                "order by _batch_id, _file_sha256, _row_number"
            ).fetchall()

    def bad(self, columns: str = "row_number, failure_type") -> list[tuple]:
        """Rows of the quarantine."""
        files = sorted((self.paths.quarantine / "sales").glob("*.parquet"))
        if not files:
            return []
        names = ", ".join(f"'{path}'" for path in files)
        with duckdb.connect() as con:
            return con.execute(
                f"select {columns} from read_parquet([{names}]) order by file, row_number"
            ).fetchall()
