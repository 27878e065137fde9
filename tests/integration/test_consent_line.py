"""The whole line, from files to lists: three customers each take back one consent, and a run later
they are gone from what that consent was for, and from nothing else.
"""

import csv
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from orchestration.config import Settings, settings
from orchestration.lib.dbt_server import manifest_path
from orchestration.lib.dbt_steps import load_manifest
from orchestration.lib.secrets import keyring
from orchestration.lib.warehouse import published_connection
from privacy.keys import TOKEN
from privacy.tokens import TokenKey, tokenise

pytestmark = pytest.mark.hours

ML_TABLES = ("behaviour_clusters", "churn_backtest", "churn_scores")
PURPOSES = ("personalisation", "analytics", "marketing")
# Who is used for everything, has scores, and is on a list.
CANDIDATES = """
select ids.id_value, people.customer, people.rfm_segment
from marts.customer_360 as people
inner join behaviour.customer_id_map as ids
    on ids.id_type = 'customer' and people.customer = ids.customer
where
    people.churn_score is not null and people.marketing_consent and people.customer_ids = 1
    and exists (select 1 from marts.ml_labels as l where l.customer = people.customer)
order by ids.id_value limit 3
"""


@dataclass(frozen=True)
class Line:
    """A shop after one run, and who will refuse what in the second."""

    habitus: Settings
    refusing: dict[str, tuple[str, str]]
    """purpose -> (customer key, RFM segment)"""
    before: dict[str, dict[str, int]]
    lists: dict[str, int]


def habitus_command(*arguments: str) -> str:
    """Run the command; its output."""
    done = subprocess.run(
        [sys.executable, "-m", "habitus.cli", *arguments],
        capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def traces(habitus: Settings, customer: str) -> dict[str, int]:
    """Rows, and filled cells of columns with a purpose of their own, by purpose; and facts."""
    manifest: Any = load_manifest(manifest_path(habitus))
    found = dict.fromkeys(("analytics", "personalisation", "stored", "facts"), 0)
    with closing(published_connection(habitus)) as con:
        for node in manifest["nodes"].values():
            if node["resource_type"] != "model" or node["schema"] not in {"marts", "behaviour"}:
                continue
            if "customer" not in node["columns"] or node["name"] == "dim_consents":
                continue
            cells = {"*": node["config"]["meta"].get("purpose", "facts")}
            for column in node["columns"].values():
                if own := column["config"]["meta"].get("purpose"):
                    cells[column["name"]] = own
            for cell, purpose in cells.items():
                query = f"select count({cell}) from {node['schema']}.{node['name']} "
                found[purpose] += count(con, query + "where customer = ?", customer)
    for name in ML_TABLES:
        for path in (habitus.lake / "ml" / name).glob("as_of=*/part.parquet"):
            column = pq.ParquetFile(path).read(["customer"]).column("customer")
            found["stored"] += column.to_pylist().count(customer)
    return found


def count(con: duckdb.DuckDBPyConnection, query: str, *values: str) -> int:
    """One number."""
    row = con.execute(query, list(values)).fetchone()
    assert row
    return int(row[0])


def listed(habitus: Settings, customer: str, segment: str, out: Path) -> int:
    """Rows of a customer on the list of a segment."""
    habitus_command("activate", f"rfm:{segment}", str(out), "--purpose", "marketing")
    with out.open(encoding="utf-8", newline="") as file:
        return sum(row["customer"] == customer for row in csv.DictReader(file))


def take_back(habitus: Settings, numbers: dict[str, str]) -> None:
    """A file of withdrawals, a day after the history's last: purpose -> customer number."""
    with closing(published_connection(habitus)) as con:
        row = con.execute("select as_of from behaviour.run_clock").fetchone()
    assert row
    moment = f"{row[0] + timedelta(days=1)}T08:00:00Z"
    lines = [
        f"{number},{purpose},withdrawn,consent,message,{moment}"
        for purpose, number in numbers.items()
    ]
    header = "customer_no,purpose,state,legal_basis,given_via,valid_since"
    path = habitus.landing / "consents" / "consents_withdrawn.csv"
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")


def numbers_of(habitus: Settings) -> dict[str, str]:
    """Token -> customer number, of all who ever answered."""
    numbers: set[str] = set()
    for path in (habitus.landing / "consents").glob("*.csv"):
        with path.open(encoding="utf-8", newline="") as file:
            numbers |= {row["customer_no"] for row in csv.DictReader(file)}
    ordered = sorted(numbers)
    tokens = tokenise(ordered, "customer", TokenKey.of(keyring(habitus).current(TOKEN)))
    return {str(token): number for token, number in zip(tokens, ordered, strict=True)}


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    """Run the line, take consents back, run it again without training."""
    home = tmp_path_factory.mktemp("home")
    before_environment = dict(os.environ)
    os.environ["HABITUS_HOME"] = str(home)
    try:
        habitus_command(
            "simulate", "--customers", "150", "--days", "200", "--events-per-day", "100"
        )
        habitus_command("run")
        habitus = settings("shop")
        with closing(published_connection(habitus)) as con:
            people = con.execute(CANDIDATES).fetchall()
        assert len(people) == len(PURPOSES)
        numbers = numbers_of(habitus)
        refusing = {p: (person[1], person[2]) for p, person in zip(PURPOSES, people, strict=True)}
        before = {p: traces(habitus, customer) for p, (customer, _) in refusing.items()}
        out = home / "list.csv"
        lists = {p: listed(habitus, *who, out) for p, who in refusing.items()}
        take_back(
            habitus, {p: numbers[person[0]] for p, person in zip(PURPOSES, people, strict=True)}
        )
        habitus_command("run", "--job", "daily")
        yield Line(habitus, refusing, before, lists)
    finally:
        os.environ.clear()
        os.environ.update(before_environment)


def test_they_were_everywhere_before(line: Line) -> None:
    for purpose, found in line.before.items():
        assert min(found.values()) > 0, (purpose, found)
        assert line.lists[purpose] == 1


def test_personalisation_taken_back_leaves_no_feature_no_score_and_no_cluster(line: Line) -> None:
    after = traces(line.habitus, line.refusing["personalisation"][0])
    assert after["personalisation"] == after["stored"] == 0
    assert after["analytics"] > 0
    assert after["facts"] == line.before["personalisation"]["facts"]


def test_analytics_taken_back_leaves_no_segment_and_no_profile(line: Line) -> None:
    after = traces(line.habitus, line.refusing["analytics"][0])
    assert after["analytics"] == 0
    assert after["stored"] > 0
    assert after["facts"] == line.before["analytics"]["facts"]


def test_marketing_taken_back_leaves_the_list_and_nothing_else(line: Line, tmp_path: Path) -> None:
    customer, segment = line.refusing["marketing"]
    assert traces(line.habitus, customer) == line.before["marketing"]
    with closing(published_connection(line.habitus)) as con:
        now = con.execute(
            "select rfm_segment from marts.customer_360 where customer = ?", [customer]
        ).fetchone()
    assert now
    assert listed(line.habitus, customer, now[0], tmp_path / "list.csv") == 0
    assert segment


def test_report_counts_them(line: Line) -> None:
    report = line.habitus.reports / "latest" / "evaluation.json"
    consent = json.loads(report.read_text(encoding="utf-8"))["consent"]
    assert set(consent) == set(PURPOSES)
    for use in consent.values():
        shown = [use[reason] for reason in ("permitted", "refused", "no_answer")]
        assert all(number is None or number == 0 or number >= 10 for number in shown)
