"""The whole dbt project on small raw lakes: twice the same, from nothing, and as of a day."""

import json
import os
import shutil
import subprocess
import sys
from datetime import date, datetime
from pathlib import Path

import dbt_fixture as fixture
import duckdb
import pytest
import yaml

from orchestration.lib.lake import attach, create_input_views

ROOT = Path(__file__).resolve().parents[2]
PROJECT = ROOT / "dbt_project"
PUBLISHED = {
    "behaviour": (
        "customer_stream", "sessions", "customer_id_map", "customer_days", "customer_days_known",
        "dim_customers", "dim_consents", "dim_products", "fct_orders", "fct_messages",
        "fct_tickets", "fct_feedback",
    ),
    "marts": (
        "rfm", "lifecycle", "retention", "ml_cutoffs", "ml_features", "ml_labels", "customer_360",
        "consent_counts",
    ),
}  # fmt: skip


def dbt(
    home: Path, target: Path, *arguments: str, project: Path = PROJECT
) -> subprocess.CompletedProcess[str]:
    """Run dbt in a process of its own: its connection would block a later read-only one here."""
    environment = os.environ | {
        "HABITUS_DEPLOYMENT_HOME": str(home),
        "HABITUS_MEMORY_LIMIT": "1GB",
        # The fixture's customers are too few for any of their counts to be shown.
        "HABITUS_K": "1",
        "DBT_TARGET_PATH": str(target),
        "DBT_LOG_PATH": str(target / "logs"),
        "DO_NOT_TRACK": "1",
    }
    command = [str(Path(sys.executable).with_name("dbt")), "--no-use-colors", *arguments]
    command += ["--project-dir", str(project), "--profiles-dir", str(project)]
    return subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False
    )


def build(home: Path, target: Path, *arguments: str) -> None:
    """Run dbt and show its output if it fails."""
    done = dbt(home, target, *arguments)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


def connect(home: Path) -> duckdb.DuckDBPyConnection:
    """Open the deployment's lake for reading."""
    con = duckdb.connect()
    attach(con, home)
    return con


def hashes(home: Path) -> dict[str, tuple[int, int]]:
    """Rows and an order-free hash of every published table."""
    con = connect(home)
    found = {}
    for schema, tables in PUBLISHED.items():
        for table in tables:
            row = con.execute(
                f"select count(*), sum(cast(hash(t) as hugeint)) from lake.{schema}.{table} as t"
            ).fetchone()
            assert row is not None
            found[table] = (row[0], row[1])
    con.close()
    return found


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One dbt target folder for all builds, so that parsing is shared."""
    return tmp_path_factory.mktemp("dbt_target")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, target: Path) -> Path:
    """A small shop, built once with every test."""
    home = tmp_path_factory.mktemp("shop")
    fixture.write_shop(home, {"churn": {"last_cutoff": "2024-09-15", "horizon_days": 30}})
    build(home, target, "build")
    return home


def test_second_build_changes_no_published_table(shop: Path, target: Path) -> None:
    before = hashes(shop)
    build(shop, target, "run")
    assert hashes(shop) == before
    empty = [table for table, (rows, _) in before.items() if rows == 0]
    assert empty == []


def test_hash_sees_a_changed_row(shop: Path, tmp_path: Path, target: Path) -> None:
    home = tmp_path / "changed"
    shutil.copytree(shop / "lake", home / "lake")
    fixture.write_records(
        home, "tickets",
        [{"ticket_id": "late", "customer_id": "c1", "opened_at": datetime(2024, 3, 1),
          "_known_at": datetime(2024, 3, 1)}],
        batch="b2",
    )  # fmt: skip
    build(home, target, "run")
    changed, before = hashes(home), hashes(shop)
    different = {table for table in before if changed[table] != before[table]}
    assert {"fct_tickets", "customer_stream", "customer_days", "ml_features"} <= different
    assert "fct_orders" not in different


def test_deployment_without_a_record_builds(tmp_path: Path, target: Path) -> None:
    fixture.write_empty_lake(tmp_path)
    build(tmp_path, target, "build", "--exclude-resource-type", "unit_test")
    found = hashes(tmp_path)
    # Three purposes, of nobody.
    assert found.pop("consent_counts")[0] == 3
    assert {rows for rows, _ in found.values()} == {0}


def test_rebuild_as_of_a_day_sees_what_was_known_then(
    shop: Path, tmp_path: Path, target: Path
) -> None:
    """Features at a cutoff are what a run on that day would have computed."""
    cutoff = date(2024, 9, 15)
    home = tmp_path / "as_of"
    shutil.copytree(shop / "lake", home / "lake")
    run = {"run_id": "then", "as_of": cutoff.isoformat(), "churn": {"horizon_days": 30}}
    (home / "lake" / "run.json").write_text(json.dumps(run), encoding="utf-8")
    build(home, target, "run")
    query = "select * from lake.marts.ml_features where as_of = ? order by customer"
    then = connect(home).execute(query, [cutoff]).df()
    now = connect(shop).execute(query, [cutoff]).df()
    assert len(then) > 30
    assert then.equals(now)
    latest = connect(home).execute("select max(ts) from lake.behaviour.customer_stream").fetchone()
    assert latest is not None
    assert latest[0].date() <= cutoff


def drift(home: Path, models: Path) -> list[str]:
    """Models whose yml and table or view do not have the same columns in the same order."""
    con = connect(home)
    create_input_views(con, home)
    found = []
    for path in sorted(models.rglob("*.sql")):
        (entry,) = yaml.safe_load(path.with_suffix(".yml").read_text(encoding="utf-8"))["models"]
        layer = path.relative_to(models).parts[0]
        rows = con.execute(f"describe lake.{layer}.{path.stem}").fetchall()
        if [column["name"] for column in entry["columns"]] != [row[0] for row in rows]:
            found.append(path.stem)
    con.close()
    return found


def test_yml_and_tables_have_the_same_columns(shop: Path, tmp_path: Path) -> None:
    assert drift(shop, PROJECT / "models") == []
    models = tmp_path / "models"
    shutil.copytree(PROJECT / "models", models)
    yml = models / "intermediate" / "identity" / "int_identity__edges.yml"
    yml.write_text(
        yml.read_text(encoding="utf-8").replace("name: removed_at", "name: removed"),
        encoding="utf-8",
    )
    assert drift(shop, models) == ["int_identity__edges"]


def test_documentation_is_generated_offline(shop: Path, target: Path) -> None:
    build(shop, target, "docs", "generate")
    catalog = json.loads((target / "catalog.json").read_text(encoding="utf-8"))
    assert "model.habitus.customer_stream" in catalog["nodes"]
    assert catalog["errors"] is None


def test_contract_stops_a_model_that_drifts(shop: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    shutil.copytree(PROJECT, project, ignore=shutil.ignore_patterns("target", "logs"))
    model = project / "models" / "behaviour" / "run_clock.sql"
    model.write_text(
        model.read_text(encoding="utf-8").replace("as_of,", "cast(1 as integer) as as_of,"),
        encoding="utf-8",
    )
    environment = os.environ | {
        "HABITUS_DEPLOYMENT_HOME": str(shop),
        "DBT_TARGET_PATH": str(tmp_path / "target"),
        "DBT_LOG_PATH": str(tmp_path / "logs"),
    }
    done = subprocess.run(
        [str(Path(sys.executable).with_name("dbt")), "run", "-s", "run_clock",
         "--project-dir", str(project), "--profiles-dir", str(project)],
        env=environment, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "enforced contract that failed" in done.stdout
    assert "as_of" in done.stdout
