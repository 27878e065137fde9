"""Drafted contracts load and run without change, whatever the file looks like."""

from __future__ import annotations

import duckdb
import pytest
from made_up_layouts import CUSTOMERS, LAYOUTS, ORDERS, orders
from shops import KEY, NOW

from expectations.contract import load_deployment, load_entities
from ingestion import Paths, ingest_entity
from ingestion.draft import DraftError, draft_contracts
from ingestion.draft.names import ideas, slug


def run_all(folder, deployment):
    home = folder / "home" / "made_up"
    paths = Paths(home / "landing", home / "lake", home / "ledger", home / "quarantine")
    results = {}
    for entity in load_entities().values():
        for result in ingest_entity(
            entity, deployment.feeding(entity.name), paths, KEY, run_id="r", now=NOW
        ):
            results[result.entity] = result
    return results


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
def test_a_draft_runs(tmp_path, layout):
    files = LAYOUTS[layout](tmp_path / "files")
    written = draft_contracts(files, tmp_path / "contracts", layout, now=NOW)
    assert len(written) == len(files)
    results = run_all(tmp_path, load_deployment(tmp_path / "contracts" / layout))
    assert sum(result.quarantined for result in results.values()) == 0
    if "customers" in results:
        assert results["customers"].accepted == CUSTOMERS
    sold = results.get("orders") or results["order_items"]
    glob = tmp_path / "home" / "made_up" / "lake" / "raw" / sold.entity / "*.parquet"
    with duckdb.connect() as con:
        days, buyers, first, last = con.execute(
            f"select count(*), count(distinct customer_id), min(ordered_at), max(ordered_at) "
            f"from read_parquet('{glob}')"
        ).fetchone()
        amount = "unit_price" if sold.entity == "order_items" else "total"
        (worth,) = con.execute(f"select sum({amount}) from read_parquet('{glob}')").fetchone()
    if layout == "ambiguous":
        assert any("check which comes first" in note for note in written.notes)
        return
    factor = {"german": 20, "spaced": 100, "lines_of_orders": 2}.get(layout, 1)
    assert days == ORDERS * (2 if sold.entity == "order_items" else 1)
    assert buyers == CUSTOMERS
    assert first.date() == orders()[0].at.date()
    assert last.date() == orders()[-1].at.date()
    assert float(worth) == pytest.approx(sum(r.amount for r in orders()) * factor, rel=1e-4)


def test_a_draft_says_what_it_cannot_do(tmp_path):
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DraftError, match=r"x\.csv: neither customers"):
        draft_contracts([tmp_path / "x.csv"], tmp_path, "d")
    with pytest.raises(DraftError, match="no such file"):
        draft_contracts([tmp_path / "y.csv"], tmp_path, "d")
    files = LAYOUTS["english"](tmp_path / "files")
    draft_contracts(files, tmp_path, "d", now=NOW)
    with pytest.raises(DraftError, match="there already"):
        draft_contracts(files, tmp_path, "d", now=NOW)


def test_files_of_one_shape_are_one_source(tmp_path):
    for month in (1, 2):
        (tmp_path / f"orders_{month}.csv").write_text(
            "order_no;customer_no;date;total\n"
            + "".join(f"{month}{i};{i};2025-0{month}-1{i};{i}.5\n" for i in range(5))
        )
    written = draft_contracts(sorted(tmp_path.glob("*.csv")), tmp_path / "c", "d", now=NOW)
    assert len(written) == 1
    result = run_all(tmp_path, load_deployment(tmp_path / "c" / "d"))["orders"]
    assert (result.files, result.accepted) == (2, 10)


def test_exact_duplicates_do_not_make_lines_of_orders(tmp_path):
    rows = "".join(f"{i};{i % 3};2025-01-{i + 1:02d};{i}.5\n" for i in range(9))
    (tmp_path / "sales.csv").write_text("order_no;customer_no;date;total\n" + rows + rows)
    draft_contracts([tmp_path / "sales.csv"], tmp_path / "c", "d", now=NOW)
    result = run_all(tmp_path, load_deployment(tmp_path / "c" / "d"))["orders"]
    assert (result.accepted, result.duplicates) == (9, 9)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("CustomerNo", {"person", "ident"}),
        ("kundennr", {"person", "ident"}),
        ("total_paid", {"amount"}),
        ("signup_date", {"register", "time"}),
        ("客户编号", {"person", "ident"}),
        ("Bestelldatum", {"order", "time"}),
    ],
)
def test_what_names_say(name, expected):
    assert expected <= ideas(name)
    assert "update" not in ideas(name)


def test_slugs():
    assert slug("Customer No.") == "customer_no"
    assert slug("客户") == ""
    assert slug("2nd Name") == "c_2nd_name"
