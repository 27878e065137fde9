"""Expectations read a DuckLake pinned to a snapshot, as a gate does, and write nothing there."""

from functools import partial
from pathlib import Path

import duckdb
import pytest

from expectations.runner import mount, run_suites
from expectations.suite import Suite, between, no_rows, rows
from orchestration.lib.lake import ALIAS, attach

SUITE = Suite(
    table="behaviour.visits",
    gate="behaviour",
    expectations=[
        rows(),
        between("pages", 1, 10),
        no_rows(
            "as_in_raw",
            "There are as many visits as raw records.",
            "select 1 from (select count(*) as n from {table}) as own, "
            "(select count(*) as n from raw.clicks) as raw where own.n <> raw.n",
        ),
    ],
)


@pytest.fixture
def snapshots(tmp_path: Path) -> list[int]:
    """A lake with two snapshots: good rows, then a bad one beside them."""
    con = duckdb.connect()
    attach(con, tmp_path, read_only=False)
    found = []
    con.execute(f"create schema {ALIAS}.behaviour")
    con.execute(f"create table {ALIAS}.behaviour.visits as select i as pages from range(1, 6) t(i)")
    for statement in (None, f"insert into {ALIAS}.behaviour.visits values (99)"):
        if statement:
            con.execute(statement)
        row = con.execute(f"select max(snapshot_id) from ducklake_snapshots('{ALIAS}')").fetchone()
        assert row is not None
        found.append(int(row[0]))
    con.close()
    return found


def _connect(home: Path, snapshot: int) -> duckdb.DuckDBPyConnection:
    con = duckdb.connect()
    attach(con, home, read_only=True, snapshot=snapshot)
    con.execute("create schema memory.raw")
    con.execute("create view memory.raw.clicks as select * from range(5)")
    mount(con, ALIAS)
    return con


def test_results_are_those_of_the_pinned_snapshot(tmp_path: Path, snapshots: list[int]) -> None:
    statuses = []
    for snapshot in snapshots:
        results = run_suites([SUITE], partial(_connect, tmp_path, snapshot), None)
        statuses.append({r.expectation: r.status for r in results})

    assert statuses == [
        {"rows": "passed", "pages_range": "passed", "as_in_raw": "passed"},
        {"rows": "passed", "pages_range": "failed", "as_in_raw": "failed"},
    ]
