"""PostgreSQL by DuckDB's postgres_scanner, against a real server from a wheel."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from expectations.contract import load_contract
from ingestion import IngestKeys, Paths, SourceError, ingest_entity
from privacy.tokens import TokenKey

pgserver = pytest.importorskip("pgserver", reason="the wheel pgserver is not installed")

REPO = Path(__file__).resolve().parents[2]
NORTHWIND = REPO.parent / "shared" / "data" / "northwind" / "northwind.sql"
KEY = IngestKeys(TokenKey(b"k" * 32), (b"r" * 32,))
NOW = datetime(2025, 6, 1, tzinfo=UTC)
CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
id: t.{name}
name: {name}
version: 1.0.0
servers:
  - {{server: db, type: postgresql, database: postgres, schema: public}}
schema:
  - name: orders
    physicalName: {table}
    properties:
{properties}
customProperties:
{custom}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server that lives as long as this module's tests."""
    found = pgserver.get_server(tmp_path_factory.mktemp("pg"), cleanup_mode="stop")
    yield found
    found.cleanup()


def write(folder: Path, name: str, table: str, properties: str, custom: str) -> Path:
    path = folder / f"{name}.odcs.yaml"
    path.write_text(CONTRACT.format(name=name, table=table, properties=properties, custom=custom))
    return path


def ingest(folder: Path, server, path: Path, now: datetime = NOW, dsn: str | None = None):
    contract = load_contract(path)
    paths = Paths(folder / "landing", folder / "lake", folder / "ledger", folder / "quarantine")
    (result,) = ingest_entity(
        contract.entity,
        [contract],
        paths,
        KEY,
        run_id="r",
        now=now,
        con_settings={
            "postgres_dsn": dsn or server.get_uri(),
            "extension_directory": str(folder / "extensions"),
        },
    )
    return result


def test_a_table_with_a_watermark(tmp_path, server):
    server.psql(
        "drop table if exists sales; create table sales (nr text, who double precision, "
        "at timestamptz, sum numeric(12,2), changed timestamp);"
        "insert into sales values ('A1', 1, '2025-01-02 08:00+08', 1.5, '2025-01-02'), "
        "('A2', 2, '2025-01-03', 2.5, '2025-01-03'), (null, 3, '2025-01-03', 1, '2025-01-03');"
    )
    path = write(
        tmp_path,
        "sales",
        "sales",
        "      - {name: order_id, physicalName: nr, primaryKey: true}\n"
        "      - {name: customer_id, physicalName: who}\n"
        "      - {name: ordered_at, physicalName: at, logicalType: timestamp}\n"
        "      - {name: total, physicalName: sum, logicalType: number}\n"
        "      - {name: updated_at, physicalName: changed, logicalType: timestamp}\n",
        "  - {property: habitus.watermark, value: changed}\n"
        "  - {property: habitus.knownAt, value: {column: updated_at}}\n"
        "  - {property: habitus.timezone, value: UTC}\n",
    )
    result = ingest(tmp_path, server, path)
    assert (result.records_in, result.accepted, result.quarantined) == (3, 2, 1)
    assert ingest(tmp_path, server, path).records_in == 0
    server.psql(
        "insert into sales values ('A3', 1, '2025-01-04', 3.5, '2025-01-04');"
        "update sales set sum = 9, changed = '2025-01-05' where nr = 'A1';"
    )
    result = ingest(tmp_path, server, path, NOW + timedelta(days=1))
    assert (result.records_in, result.accepted, result.duplicates) == (2, 2, 0)
    glob = tmp_path / "lake" / "raw" / "orders" / "*.parquet"
    with duckdb.connect() as con:
        rows = con.execute(
            f"select order_id, total::varchar, ordered_at::varchar from read_parquet('{glob}') "
            "order by order_id, _known_at"
        ).fetchall()
    assert rows[0] == ("A1", "1.5000", "2025-01-02 00:00:00")
    assert [row[0] for row in rows] == ["A1", "A1", "A2", "A3"]


def test_a_table_without_a_watermark_is_new_only_when_it_changes(tmp_path, server):
    server.psql(
        "drop table if exists small; create table small (nr text, at date);"
        "insert into small values ('A1', '2025-01-02'), ('A2', '2025-01-02')"
    )
    path = write(
        tmp_path,
        "small",
        "small",
        "      - {name: order_id, physicalName: nr, primaryKey: true}\n"
        "      - {name: ordered_at, physicalName: at, logicalType: timestamp}\n",
        "  - {property: habitus.knownAt, value: ts}\n",
    )
    assert ingest(tmp_path, server, path).accepted == 2
    assert ingest(tmp_path, server, path).files == 0
    server.psql("insert into small values ('A3', '2025-01-03')")
    result = ingest(tmp_path, server, path)
    assert (result.records_in, result.accepted, result.duplicates) == (3, 1, 2)


def test_what_is_not_there_is_said_without_the_password(tmp_path, server):
    server.psql("drop table if exists small2; create table small2 (nr text, at date)")
    properties = (
        "      - {name: order_id, physicalName: nr}\n"
        "      - {name: ordered_at, physicalName: at, logicalType: timestamp}\n"
    )
    gone = write(
        tmp_path, "gone", "gone", properties, "  - {property: habitus.knownAt, value: ts}\n"
    )
    with pytest.raises(SourceError, match=r"gone\.odcs\.yaml.*no such table"):
        ingest(tmp_path, server, gone)
    mark = write(
        tmp_path,
        "mark",
        "small2",
        properties,
        "  - {property: habitus.watermark, value: changed}\n",
    )
    with pytest.raises(SourceError, match=r"`changed` is no column.*nr, at"):
        ingest(tmp_path, server, mark)
    with pytest.raises(SourceError, match="cannot reach") as caught:
        ingest(tmp_path, server, gone, dsn="host=127.0.0.1 port=1 password=hunter2 dbname=x")
    assert "hunter2" not in str(caught.value)


@pytest.mark.skipif(not NORTHWIND.exists(), reason="../shared/data/northwind is not here")
def test_northwind(tmp_path, server):
    server.psql("create schema if not exists public;")
    server.psql(NORTHWIND.read_text(encoding="utf-8"))
    path = write(
        tmp_path,
        "northwind_orders",
        "orders",
        "      - {name: order_id, primaryKey: true}\n"
        "      - {name: customer_id, required: true}\n"
        "      - {name: ordered_at, physicalName: order_date, logicalType: date}\n"
        "      - {name: promised_at, physicalName: required_date, logicalType: date}\n"
        "      - {name: delivered_at, physicalName: shipped_date, logicalType: date}\n"
        "      - {name: shipping, physicalName: freight, logicalType: number}\n"
        "      - {name: country, physicalName: ship_country}\n",
        "  - {property: habitus.watermark, value: order_id}\n"
        "  - {property: habitus.knownAt, value: ts}\n",
    )
    result = ingest(tmp_path, server, path)
    assert (result.records_in, result.accepted) == (830, 830)
    assert ingest(tmp_path, server, path).records_in == 0
