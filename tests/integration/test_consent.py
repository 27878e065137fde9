"""Consent on the whole dbt project: who refused a purpose is in none of its tables, and in others.

The whole line, from files to lists, is in test_consent_line.py.
"""

import json
import shutil
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import dbt_fixture as fixture
import duckdb
import pytest
from test_dbt_build import PROJECT, build, connect, dbt

from ml.registry import OUTPUTS
from orchestration.lib.consent import purposes_of

# Of the fixture's customers: who refuses what, learned a year after the first grant.
REFUSALS = {"c1": "personalisation", "c2": "analytics", "c4": "marketing"}
UNASKED = "c49"
LATE = datetime(2024, 12, 15)
RUN = {"churn": {"last_cutoff": "2024-09-15", "horizon_days": 30}}
PURPOSES = ("analytics", "personalisation", "marketing")


def write_ml(home: Path, customers: Mapping[str, str]) -> None:
    """Scores and clusters of everybody, from before anybody refused."""
    con = duckdb.connect()
    for name, types in fixture.ML.items():
        rows = []
        for rank, customer in enumerate(sorted(customers.values()), start=1):
            row = {"customer": customer, "as_of": "2024-11-30", "rank": rank, "score": 0.5,
                   "model": "recency", "model_version": "1", "horizon_days": 30, "reasons": "[]",
                   "cluster": 0, "label": "all", "distance": 0.0}  # fmt: skip
            rows.append({k: row[k] for k in types})
        fixture._write(con, home / "lake" / "ml" / name / "part.parquet", types, rows)
    con.close()


def customers_of(home: Path) -> dict[str, str]:
    """The fixture's customer id -> key."""
    rows = connect(home).execute(
        "select id_value, customer from lake.behaviour.customer_id_map where id_type = 'customer'"
    )
    return dict(rows.fetchall())


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One dbt target folder for all builds, so that parsing is shared."""
    return tmp_path_factory.mktemp("dbt_target")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, target: Path) -> Path:
    """The small shop after three refusals, with ML outputs from before them."""
    home = tmp_path_factory.mktemp("shop")
    fixture.write_shop(home, RUN)
    refusals = [
        {"customer_id": c, "purpose": p, "status": "withdrawn", "valid_from": LATE,
         "_known_at": LATE}
        for c, p in REFUSALS.items()
    ]  # fmt: skip
    fixture.write_records(home, "consents", refusals, batch="b2")
    build(home, target, "run", "--select", "+customer_id_map")
    write_ml(home, customers_of(home))
    build(home, target, "build", "--exclude-resource-type", "unit_test")
    return home


@pytest.fixture(scope="module")
def manifest(shop: Path, target: Path) -> dict[str, Any]:
    """What dbt knows of the project."""
    assert shop
    found: dict[str, Any] = json.loads((target / "manifest.json").read_text(encoding="utf-8"))
    return found


def marts(manifest: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Every model of the layer of marts."""
    for node in manifest["nodes"].values():
        if node["resource_type"] == "model" and node["schema"] == "marts":
            yield node


def rows_by_purpose(home: Path, manifest: Mapping[str, Any], customer: str) -> dict[str, int]:
    """Rows, and filled cells of columns with a purpose of their own, of one customer."""
    con = connect(home)
    found = dict.fromkeys(PURPOSES, 0)
    for node in marts(manifest):
        if "customer" not in node["columns"]:
            continue
        table = f"lake.marts.{node['name']}"
        cells = {"*": node["config"]["meta"]["purpose"]}
        for column in node["columns"].values():
            if own := column["config"]["meta"].get("purpose"):
                cells[column["name"]] = own
        for cell, purpose in cells.items():
            row = con.execute(
                f"select count({cell}) from {table} where customer = ?", [customer]
            ).fetchone()
            assert row
            found[purpose] += row[0]
    return found


def test_every_mart_states_a_purpose_and_is_checked(manifest: dict[str, Any]) -> None:
    silent = [n["name"] for n in marts(manifest) if not n["config"]["meta"].get("purpose")]
    assert not silent
    tests = {
        node["attached_node"]
        for node in manifest["nodes"].values()
        if node.get("test_metadata", {}).get("name") == "consented"
    }
    unchecked = [
        n["name"]
        for n in marts(manifest)
        if "customer" in n["columns"] and n["unique_id"] not in tests
    ]
    assert not unchecked


def test_models_learn_only_from_marts_with_a_purpose(manifest: dict[str, Any]) -> None:
    for output in OUTPUTS:
        assert all(name.split(".")[0] in {"marts", "ml"} for name in output.inputs), output.name
        assert purposes_of(manifest, output.inputs) == ("personalisation",)
    silent = json.loads(json.dumps(manifest))
    for node in marts(silent):
        node["config"]["meta"] = {}
    with pytest.raises(LookupError, match=r"marts.ml_features.*states no purpose"):
        purposes_of(silent, ["marts.ml_features"])


@pytest.mark.parametrize(("account", "purpose"), REFUSALS.items())
def test_a_refusal_closes_its_purpose_and_no_other(
    shop: Path, manifest: dict[str, Any], account: str, purpose: str
) -> None:
    customer = customers_of(shop)[account]
    found = rows_by_purpose(shop, manifest, customer)
    open_ = {p for p, rows in found.items() if rows}
    # Columns of customer_360 need the row, which is analytics; no mart is for marketing alone.
    assert open_ == {"analytics", "personalisation"} - {purpose}
    con = connect(shop)
    facts = con.execute(
        "select (select count(*) from lake.behaviour.fct_orders where customer = $1), "
        "(select count(*) from lake.behaviour.customer_stream where customer = $1)",
        [customer],
    ).fetchone()
    assert facts
    assert min(facts) > 0


def test_who_refused_is_not_in_the_past_either(shop: Path) -> None:
    con = connect(shop)
    query = "select count(distinct as_of) from lake.marts.ml_features where customer = ?"
    ids = customers_of(shop)
    refused, used = (con.execute(query, [ids[c]]).fetchone() for c in ("c1", "c4"))
    assert refused == (0,)
    assert used
    assert used[0] > 3


def test_who_was_never_asked_is_in_no_purpose(shop: Path, manifest: dict[str, Any]) -> None:
    found = rows_by_purpose(shop, manifest, customers_of(shop)[UNASKED])
    assert found == dict.fromkeys(PURPOSES, 0)


def test_counts_say_who_is_left_out_of_what(shop: Path) -> None:
    rows = connect(shop).execute(
        "select purpose, basis, customers, permitted, refused, no_answer "
        "from lake.marts.consent_counts order by purpose"
    )
    assert rows.fetchall() == [
        ("analytics", "consent", 50, 48, 1, 1),
        ("marketing", "consent", 50, 24, 1, 25),
        ("personalisation", "consent", 50, 48, 1, 1),
    ]


def test_a_mart_that_forgets_consent_does_not_pass(
    shop: Path, tmp_path: Path, target: Path
) -> None:
    home, project = tmp_path / "home", tmp_path / "project"
    shutil.copytree(shop, home)
    shutil.copytree(PROJECT, project, ignore=shutil.ignore_patterns("target", "logs"))
    mart = project / "models" / "marts" / "segments" / "rfm.sql"
    text = mart.read_text(encoding="utf-8")
    forgetful = text.replace(
        "inner join permitted on customers", "left join permitted on customers"
    )
    assert forgetful != text
    mart.write_text(forgetful, encoding="utf-8")
    arguments = ("build", "--select", "rfm", "--exclude-resource-type", "unit_test")
    done = dbt(home, tmp_path / "target", *arguments, project=project)
    assert done.returncode != 0
    assert "consented_rfm" in done.stdout


def test_nobody_is_used_by_default(shop: Path, tmp_path: Path, target: Path) -> None:
    """No consents at all: nobody; with a stated basis, everybody for what it is stated for."""
    home = tmp_path / "silent"
    shutil.copytree(shop, home)
    for part in (home / "lake" / "raw" / "consents").glob("b*.parquet"):
        part.unlink()
    only = ("run", "--select", "dim_consents", "path:models/marts")
    build(home, target, *only)
    con = connect(home)
    tables = ("rfm", "lifecycle", "retention", "ml_features", "ml_labels", "customer_360")
    counts = {t: con.execute(f"select count(*) from lake.marts.{t}").fetchone() for t in tables}
    assert set(counts.values()) == {(0,)}
    con.close()
    run = RUN | {"run_id": "test", "legal_bases": {"analytics": "legitimate_interest"}}
    (home / "lake" / "run.json").write_text(json.dumps(run), encoding="utf-8")
    build(home, target, *only)
    con = connect(home)
    assert con.execute("select count(*) from lake.marts.rfm").fetchone() == (50,)
    assert con.execute("select count(*) from lake.marts.ml_features").fetchone() == (0,)
    assert con.execute(
        "select basis from lake.marts.consent_counts order by purpose"
    ).fetchall() == [("legitimate_interest",), ("none",), ("none",)]


def test_a_rebuild_of_the_past_needs_consent_of_today(
    shop: Path, tmp_path: Path, target: Path, manifest: dict[str, Any]
) -> None:
    """The refusals became known after the day that is rebuilt."""
    home = tmp_path / "as_of"
    shutil.copytree(shop / "lake", home / "lake")
    run = RUN | {"run_id": "then", "as_of": "2024-11-30"}
    (home / "lake" / "run.json").write_text(json.dumps(run), encoding="utf-8")
    build(home, target, "run")
    ids = customers_of(home)
    for account, purpose in REFUSALS.items():
        assert rows_by_purpose(home, manifest, ids[account])[purpose] == 0
    assert rows_by_purpose(home, manifest, ids["c4"])["analytics"] > 0
