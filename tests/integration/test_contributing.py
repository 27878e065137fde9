"""CONTRIBUTING's worked examples, performed: all of them in a copy of the project, in one run."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
PARTS = ("habitus", "orchestration", "ingestion", "expectations", "ml", "simulator", "dbt_project")
BLOCK = re.compile(r"^```\w+ (file|add)=(\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# Rows of the page's table: thing -> files. The examples must need just as many.
PROMISED = {"contract": 1, "entity": 6, "mart": 2, "suite": 1, "ml": 3}


def blocks() -> list[tuple[str, str, str]]:
    return BLOCK.findall((REPO / "CONTRIBUTING.md").read_text())


def kind_of(path: str) -> str | None:
    """Which row of the table a file belongs to; None for data and the second contract."""
    if path.startswith("data/") or path.endswith("door.odcs.yaml"):
        return None
    if path.endswith("receipts.odcs.yaml"):
        return "contract"
    if "visits" in path:
        return "entity"
    if "spend_rank" in path or path == "ml/registry.py":
        return "ml"
    return "suite" if path.startswith("expectations/suites/") else "mart"


def test_the_numbers_of_files_are_true() -> None:
    kinds = [kind_of(path) for _, path, _ in blocks()]
    found = {kind: kinds.count(kind) for kind in PROMISED}
    found["entity"] += 1  # the line in int_events__records.sql
    assert found == PROMISED


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with every example in it."""
    root = tmp_path_factory.mktemp("contributing")
    for part in PARTS:
        shutil.copytree(REPO / part, root / part, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("dagster.yaml", "workspace.yaml", "pyproject.toml", "requirements.lock"):
        shutil.copy(REPO / name, root / name)
    for how, path, text in blocks():
        target = root / path
        if path.startswith("data/"):  # beside the contract, where it is looked for
            target = root / "expectations/contracts/corner_shop" / Path(path).name
        target.parent.mkdir(parents=True, exist_ok=True)
        if how == "add":
            before, marker, after = target.read_text().partition("\nTABLES: ")
            assert marker
            target.write_text(f"{before}\n{text}{marker}{after}")
        else:
            target.write_text(text)
    unioned = root / "dbt_project/models/intermediate/events/int_events__records.sql"
    text = unioned.read_text()
    assert "'subscriptions'" in text
    unioned.write_text(text.replace("'subscriptions'", "'subscriptions', 'visits'", 1))
    return root


@pytest.fixture(scope="module")
def home(copy: Path) -> Path:
    """The data home after one run of the corner shop."""
    home = copy / "home"
    env = {**os.environ, "HABITUS_HOME": str(home), "PYTHONPATH": str(copy)}
    done = subprocess.run(
        [sys.executable, "-m", "habitus.cli", "run", "--deployment", "corner_shop"],
        cwd=copy,
        env=env,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    return home


def query(copy: Path, home: Path, sql: str) -> list[list[object]]:
    """Rows of a query on what the copy published."""
    script = (
        "import habitus, json, sys; "
        "print(json.dumps(habitus.connect('corner_shop').execute(sys.argv[1]).fetchall(), "
        "default=str))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, sql],
        cwd=copy,
        env={**os.environ, "HABITUS_HOME": str(home), "PYTHONPATH": str(copy)},
        capture_output=True,
        text=True,
        check=True,
    )
    rows: list[list[object]] = json.loads(done.stdout)
    return rows


def summary(home: Path) -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = json.loads(
        (home / "reports/latest/summary.json").read_text()
    )
    return found


def test_a_contract(home: Path) -> None:
    assert summary(home)["sources"]["receipts"] == {
        "records_in": 5,
        "accepted": 4,
        "quarantined": 1,
        "duplicates": 0,
    }


def test_an_entity(copy: Path, home: Path) -> None:
    rows = query(
        copy,
        home,
        "select count(*), count(distinct customer) from behaviour.customer_stream "
        "where activity = 'store_visited'",
    )
    assert rows == [[2, 1]]


def test_the_visitor_is_the_buyer(copy: Path, home: Path) -> None:
    rows = query(
        copy,
        home,
        "select count(distinct activity) from behaviour.customer_stream "
        "where customer in (select customer from behaviour.customer_stream "
        "where activity = 'store_visited')",
    )
    assert rows == [[2]]


def test_a_mart(copy: Path, home: Path) -> None:
    assert query(copy, home, "select count(*) from marts.best_customers") == [[2]]
    assert summary(home)["tables"]["marts.best_customers"] == 2


def test_a_suite(home: Path) -> None:
    assert "best_customers" in (home / "corner_shop/docs/features.html").read_text()


def test_an_ml_output(copy: Path, home: Path) -> None:
    assert list((home / "corner_shop/lake/ml/spend_rank").glob("as_of=*/part.parquet"))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "tests/unit/ml/test_spend_rank.py"],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
