"""The runner: what applies to a deployment, pages without values or network, sums."""

import re
from pathlib import Path

import duckdb
import pytest

from expectations import results as results_module
from expectations.results import by_table, counts
from expectations.runner import applicable, mount, run_suites
from expectations.suite import Suite, between, no_rows, rows

CLICKS = Suite(
    table="behaviour.clicks",
    gate="behaviour",
    expectations=[
        rows(),
        between("n", 2, 9),
        between("n", 1, 1, name="usual", blocking=False),
        no_rows("paid", "Someone <pays>.", "select 1 from {table} where n < 0", needs=["orders"]),
    ],
)
SHOPS = Suite(
    table="behaviour.shops", gate="behaviour", expectations=[rows()], needs=frozenset({"orders"})
)


def _connect() -> duckdb.DuckDBPyConnection:
    con = duckdb.connect()
    con.execute("attach ':memory:' as lake")
    con.execute("create schema lake.behaviour")
    con.execute("create table lake.behaviour.clicks as select 1 as n")
    mount(con, "lake")
    return con


def test_only_what_the_deployment_has_is_run() -> None:
    chosen = applicable([CLICKS, SHOPS], {"events"})

    assert [s.table for s in chosen] == ["behaviour.clicks"]
    assert [e.name for e in chosen[0].expectations] == ["rows", "n_range", "usual"]
    assert len(applicable([CLICKS, SHOPS], None)) == 2
    assert len(applicable([CLICKS, SHOPS], {"orders"})[0].expectations) == 4


def test_run_closes_the_gate_and_counts(tmp_path: Path) -> None:
    results = run_suites([CLICKS, SHOPS], _connect, tmp_path / "docs", run_id="r<1>")
    outcomes = by_table(results)

    assert counts(results) == {"passed": 3, "failed": 1, "errored": 1}
    assert outcomes["behaviour.clicks"].blocking == ("behaviour.clicks: n_range",)
    assert outcomes["behaviour.clicks"].warnings == ()
    assert outcomes["behaviour.shops"].blocking == ("behaviour.shops: rows",)
    assert not outcomes["behaviour.shops"].is_open


def test_a_failed_warning_leaves_the_gate_open() -> None:
    suite = Suite(
        table="behaviour.clicks",
        gate="behaviour",
        expectations=[rows(), between("n", 5, 6, blocking=False)],
    )
    outcome = by_table(run_suites([suite], _connect, None))["behaviour.clicks"]

    assert outcome.is_open
    assert outcome.warnings == ("behaviour.clicks: n_range",)


def test_pages_need_no_network_and_are_escaped(tmp_path: Path) -> None:
    run_suites([CLICKS, SHOPS], _connect, tmp_path, run_id="r<1>")
    index = (tmp_path / "index.html").read_text()
    page = (tmp_path / "behaviour.html").read_text()

    assert 'href="behaviour.html"' in index
    assert "closed" in page
    assert "r&lt;1&gt;" in page
    assert "Someone &lt;pays&gt;." in page
    for text in (index, page):
        assert not re.search(r"(src|href)=\"(?!#|[a-z]+\.html)|https?:|@import|<script", text)


def test_a_gates_page_leaves_the_others_alone(tmp_path: Path) -> None:
    (tmp_path / "raw.html").write_text("kept")
    run_suites([CLICKS], _connect, tmp_path)

    assert (tmp_path / "raw.html").read_text() == "kept"
    assert 'href="raw.html"' in (tmp_path / "index.html").read_text()


def test_the_connection_is_closed() -> None:
    con = _connect()
    run_suites([CLICKS], lambda: con, None)

    with pytest.raises(duckdb.ConnectionException):
        con.execute("select 1")


def test_no_results_are_no_outcomes() -> None:
    assert by_table([]) == {}
    assert results_module.counts([]) == {"passed": 0, "failed": 0, "errored": 0}
