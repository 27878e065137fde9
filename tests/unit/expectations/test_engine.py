"""The engine: its patch, errors told from failures, and no value in what comes back."""

import logging

import duckdb
import pytest
from duckdb_engine import ConnectionWrapper

from expectations import engine
from expectations.results import CheckResult
from expectations.suite import (
    SAMPLE,
    Suite,
    between,
    filled,
    in_set,
    no_rows,
    rows,
    rows_when,
    share_of,
)

SECRET = "li@example.org"
CAST = "select 1 from {table} where mail::integer > 0"


@pytest.fixture
def con() -> duckdb.DuckDBPyConnection:
    con = duckdb.connect()
    con.execute("create schema raw")
    con.execute(f"create table raw.things as select 1 as n, '{SECRET}' as mail")
    con.execute("create table raw.nothing (n integer)")
    return con


def _run(con: duckdb.DuckDBPyConnection, *expectations: object, table: str = "raw.things") -> dict:
    suite = Suite(table=table, gate="raw", expectations=[rows(), *expectations])  # type: ignore[list-item]
    return {r.expectation: r for r in engine.validate(con, suite)}


def test_patch_is_needed(con: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch) -> None:
    """When this fails, duckdb-engine gives cursors of their own: take the patch out."""
    monkeypatch.setattr(engine, "own_cursors", ConnectionWrapper)

    assert _run(con)["rows"].status == "errored"


def test_with_the_patch_it_works(con: duckdb.DuckDBPyConnection) -> None:
    assert _run(con)["rows"].status == "passed"


def test_empty_table_does_not_pass(con: duckdb.DuckDBPyConnection) -> None:
    results = _run(con, between("n", 0, 1), table="raw.nothing")

    assert results["rows"].status == "failed"
    assert results["rows"].closes_gate


def test_missing_table_is_errored(con: duckdb.DuckDBPyConnection) -> None:
    results = _run(con, between("n", 0, 1), table="raw.gone")

    assert {r.status for r in results.values()} == {"errored"}
    assert "Catalog Error" in results["rows"].detail


def test_what_raises_is_errored_and_the_rest_still_runs(con: duckdb.DuckDBPyConnection) -> None:
    results = _run(
        con,
        between("gone", 0, 1),
        no_rows("cast", "The mail is no number.", CAST),
        no_rows("typo", "It has a column.", "select 1 from {table} where gone > 1"),
        between("n", 5, 9),
        filled("mail"),
    )

    assert {name: r.status for name, r in results.items()} == {
        "rows": "passed",
        "gone_range": "errored",
        "cast": "errored",
        "typo": "errored",
        "n_range": "failed",
        "mail_filled": "passed",
    }
    assert "a column is missing" in results["gone_range"].detail
    assert "a column is missing" in results["typo"].detail
    assert "Conversion Error" in results["cast"].detail


def test_no_value_in_results_output_or_logs(
    con: duckdb.DuckDBPyConnection,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.DEBUG):
        results = _run(
            con,
            in_set("mail", ["x"]),
            no_rows("mails", "There are none.", "select mail from {table}"),
            no_rows("cast", "The mail is no number.", CAST),
        )

    assert {r.status for r in results.values()} == {"passed", "failed", "errored"}
    captured = capfd.readouterr()
    assert SECRET not in str(results)
    assert SECRET not in captured.out + captured.err
    assert SECRET not in caplog.text
    assert captured.out == ""


def test_braces_and_percent_signs_in_sql_reach_duckdb(con: duckdb.DuckDBPyConnection) -> None:
    sql = (
        "select 1 from {table} where not regexp_full_match(mail, '[a-z]{2}@.{3,}') "
        "or mail like '%:x%'"
    )

    assert _run(con, no_rows("form", "It looks so.", sql))["form"].status == "passed"


def test_the_callers_connection_stays_open(con: duckdb.DuckDBPyConnection) -> None:
    _run(con)

    assert con.execute("select n from raw.things").fetchall() == [(1,)]


def test_result_holds_statuses_only(con: duckdb.DuckDBPyConnection) -> None:
    result = _run(con)["rows"]

    assert result == CheckResult(
        suite="raw.things",
        table="raw.things",
        layer="raw",
        gate="raw",
        expectation="rows",
        column=None,
        status="passed",
        blocking=True,
        detail="The table has at least 1 row.",
    )


@pytest.mark.parametrize(("condition", "status"), [("true", "failed"), ("1 > 2", "passed")])
def test_rows_when_asks_for_rows_only_then(
    con: duckdb.DuckDBPyConnection, condition: str, status: str
) -> None:
    suite = Suite(
        table="raw.nothing", gate="raw", expectations=[rows_when(condition, "It has rows.")]
    )

    assert [r.status for r in engine.validate(con, suite)] == [status]


def test_what_was_counted_is_counted_once(con: duckdb.DuckDBPyConnection) -> None:
    suite = Suite(
        table="raw.things",
        gate="raw",
        shared={"raw.counts": "select count(*) as n from raw.things"},
        counted="select n from raw.counts",
        expectations=[
            rows(),
            no_rows("one", "There is one.", "select 1 from {counted} as c where n <> 1"),
        ],
    )
    for _ in range(2):
        assert {r.status for r in engine.validate(con, suite)} == {"passed"}
        con.execute("insert into raw.things from raw.things")


@pytest.mark.parametrize(("n", "expected"), [(SAMPLE, SAMPLE), (5 * SAMPLE, SAMPLE)])
def test_a_share_is_all_or_about_so_many(
    con: duckdb.DuckDBPyConnection, n: int, expected: int
) -> None:
    con.execute(f"create table raw.many as select 'e' || range as id from range({n})")
    share = share_of("raw.many")
    found = con.execute(f"select count(*) from raw.many where hash(id) <= {share}").fetchone()

    assert found is not None
    assert found[0] == pytest.approx(expected, rel=0.01)
