"""A till that receives bad files: its contract, its landing folder, and what became of records.

What does not belong here: which bad inputs there are and what each must get (test_bad_inputs.py).
"""

import hashlib
import io
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from expectations.contract import Contract, load_contract
from ingestion import IngestKeys, Paths, SourceResult, ingest_entity
from privacy.tokens import TokenKey

NOW = datetime(2025, 9, 1, 9, 30, tzinfo=UTC)
KEY = IngestKeys(TokenKey(b"t" * 32), (b"r" * 32,))
HEAD = "Receipt,Card,At,Paid,Units,Remark\n"
PROPERTIES = """
      - {name: order_id, physicalName: Receipt, primaryKey: true}
      - {name: customer_id, physicalName: Card}
      - {name: ordered_at, physicalName: At, logicalType: timestamp, required: true}
      - {name: total, physicalName: Paid, logicalType: number, required: true}
      - {name: items, physicalName: Units, logicalType: integer}
      - {name: remark, physicalName: Remark, logicalType: string}
"""


def line(
    receipt: str = "R1",
    card: str = "K1",
    *,
    at: str = "2025-03-04T10:20:30Z",
    paid: str = "12.50",
    units: str = "2",
    remark: str = "ok",
) -> str:
    """One record of the till as CSV."""
    return f"{receipt},{card},{at},{paid},{units},{remark}\n"


def lines(first: int, last: int) -> str:
    """Good records of receipts `first` to `last`."""
    return "".join(line(f"R{number}", f"K{number % 7}") for number in range(first, last + 1))


GOOD = HEAD + lines(1, 3)
RECORD = {
    "Receipt": "J1",
    "Card": "K1",
    "At": "2025-03-04T10:20:30Z",
    "Paid": 12.5,
    "Units": 2,
    "Remark": "ok",
}


def parquet(rows: int = 400, **options: object) -> bytes:
    """The till's records as Parquet."""
    table = pa.table(
        {
            "Receipt": [f"P{i}" for i in range(rows)],
            "Card": [f"K{i % 7}" for i in range(rows)],
            "At": ["2025-03-04T10:20:30Z"] * rows,
            "Paid": [i * 0.5 for i in range(rows)],
            "Units": list(range(rows)),
            "Remark": [f"remark {i * 7919}" for i in range(rows)],
        }
    )
    buffer = io.BytesIO()
    pq.write_table(table, buffer, **options)
    return buffer.getvalue()


@dataclass
class Till:
    """A source and what ingestion made of its files.

    Attributes:
        home: A folder of its own.
        form: Format of the files.
        server: Further lines of the server.
        properties: Lines of the contract's properties.
        custom: Items of the contract's customProperties.
        entity: What it feeds.
        source: Its name.
        warnings: Of all ingestions.
    """

    home: Path
    form: str = "csv"
    server: str = ""
    properties: str = PROPERTIES
    custom: str = ""
    entity: str = "orders"
    source: str = "till"
    warnings: list[str] = field(default_factory=list)

    @property
    def paths(self) -> Paths:
        """Its folders."""
        lake = self.home / "lake"
        return Paths(self.home / "landing", lake, self.home / "ledger.sqlite", lake / "quarantine")

    def contract(self) -> Contract:
        """Its contract."""
        folder = self.home / "contracts"
        folder.mkdir(parents=True, exist_ok=True)
        custom = f"customProperties:\n{self.custom}" if self.custom else ""
        path = folder / f"{self.source}.odcs.yaml"
        path.write_text(
            "apiVersion: v3.1.0\nkind: DataContract\nid: t\nversion: 1.0.0\n"
            f"name: {self.source}\nservers:\n  - server: s\n    type: local\n"
            f'    path: "{self.source}/*"\n    format: {self.form}\n{self.server}'
            f"schema:\n  - name: {self.entity}\n    properties:{self.properties}{custom}",
            encoding="utf-8",
        )
        return load_contract(path)

    def land(self, name: str, data: bytes | str) -> Path:
        """Put a file into landing."""
        path = self.paths.landing / self.source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        return path

    def ingest(self, now: datetime = NOW) -> SourceResult:
        """Ingest; the law, and that each failure says of which bytes it is, hold for every case."""
        contract = self.contract()
        (result,) = ingest_entity(contract.entity, [contract], self.paths, KEY, run_id="r", now=now)
        assert result.records_in == result.accepted + result.quarantined + result.duplicates
        self.warnings += result.warnings
        landed = (self.paths.landing / self.source).iterdir()
        hashes = {hashlib.sha256(p.read_bytes()).hexdigest() for p in landed if not p.is_symlink()}
        for sha256, shown, reason, failure in self.bad("file_sha256, file, reason, failure_type"):
            assert reason
            assert sha256 in hashes or failure == "file_link", shown
        return result

    def raw(self, columns: str) -> list[tuple]:
        """Rows of raw, in the order of file and record."""
        glob = self.paths.lake / "raw" / self.entity / "*.parquet"
        with duckdb.connect() as con:
            return con.execute(
                f"select {columns} from read_parquet('{glob}', union_by_name = true) "
                "order by _batch_id, _file_sha256, _row_number"
            ).fetchall()

    def bad(self, columns: str) -> list[tuple]:
        """Rows of the quarantine, in the order of file and record."""
        files = sorted((self.paths.quarantine / self.source).glob("*.parquet"))
        if not files:
            return []
        names = ", ".join(f"'{path}'" for path in files)
        with duckdb.connect() as con:
            return con.execute(
                f"select {columns} from read_parquet([{names}]) order by file, row_number"
            ).fetchall()
