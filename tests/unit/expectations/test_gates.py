"""Every gate lets good tables through, and every blocking expectation stops bad ones, alone."""

import re

import duckdb
import pytest
from good_shop import look, restore
from spoilers import SPOILERS

from expectations.suite import GATES, Suite

CASES = [(suite, name) for suite, spoilers in SPOILERS.items() for name in spoilers]


def test_good_tables_pass_every_gate(
    shop: duckdb.DuckDBPyConnection, suites: dict[str, Suite]
) -> None:
    results = [r for suite in suites.values() for r in look(shop, suite)]

    assert [r for r in results if r.status != "passed"] == []
    assert {r.gate for r in results} == set(GATES)


def test_every_blocking_expectation_has_a_spoiler(suites: dict[str, Suite]) -> None:
    blocking = {(s.name, e.name) for s in suites.values() for e in s.expectations if e.blocking}

    assert blocking == set(CASES)


@pytest.mark.parametrize(("suite", "expectation"), CASES)
def test_spoilt_data_is_stopped_by_one_expectation(
    shop: duckdb.DuckDBPyConnection, suites: dict[str, Suite], suite: str, expectation: str
) -> None:
    sql = SPOILERS[suite][expectation]
    try:
        shop.execute(sql)
        results = look(shop, suites[suite])
    finally:
        restore(shop, set(re.findall(r"\b(?:raw|behaviour|marts|ml)\.\w+", sql)))

    assert [r.expectation for r in results if r.closes_gate] == [expectation]
    assert {r.status for r in results if r.closes_gate} == {"failed"}


def not_met(shop: duckdb.DuckDBPyConnection, suite: Suite, *statements: str) -> set[str]:
    """Names of what is not met once the statements have been run."""
    try:
        for sql in statements:
            shop.execute(sql)
        return {r.expectation for r in look(shop, suite) if r.status != "passed"}
    finally:
        restore(shop, set(re.findall(r"\b(?:raw|behaviour|marts|ml)\.\w+", " ".join(statements))))


def test_a_stream_that_ends_early_is_noticed_unless_the_run_asked_for_it(
    shop: duckdb.DuckDBPyConnection, suites: dict[str, Suite]
) -> None:
    stream = suites["behaviour.customer_stream"]
    ends = "delete from behaviour.customer_stream where ts::date > '2024-02-01'"
    asked = "update raw.run set as_of = '2024-02-01'"

    assert not_met(shop, stream, ends) == {"events_arrived"}
    assert not_met(shop, stream, ends, asked) == set()
    assert not_met(shop, stream, asked) == {"events_arrived"}


def test_versions_of_an_event_count_once(
    shop: duckdb.DuckDBPyConnection, suites: dict[str, Suite]
) -> None:
    again = "insert into raw.events select * from raw.events"
    twice = "insert into behaviour.customer_stream select * from behaviour.customer_stream"

    assert not_met(shop, suites["behaviour.customer_stream"], again) == set()
    assert not_met(shop, suites["behaviour.customer_stream"], twice) == {"events_arrived"}


@pytest.mark.parametrize(
    ("expectation", "sql"),
    [
        ("fresh", "update raw.orders set _known_at = _known_at - to_days(2)"),
        ("known_after_it_happened", "update raw.orders set _known_at = ordered_at - to_days(2)"),
        ("customer_id_somewhere", "update raw.orders set customer_id = null"),
        ("customer_id_not_one_value", "update raw.orders set customer_id = "
         "(select min(customer_id) from raw.orders); insert into raw.orders from raw.orders; "
         "insert into raw.orders from raw.orders"),
    ],
)  # fmt: skip
def test_what_is_counted_of_a_source_warns(
    shop: duckdb.DuckDBPyConnection, suites: dict[str, Suite], expectation: str, sql: str
) -> None:
    assert expectation in not_met(shop, suites["raw.orders[pos]"], sql)


def test_counts_are_those_of_the_suites_own_source(
    shop: duckdb.DuckDBPyConnection, suites: dict[str, Suite]
) -> None:
    other = "insert into raw.orders select * replace ('till' as _source, null as customer_id) "

    assert not_met(shop, suites["raw.orders[pos]"], other + "from raw.orders") == set()


def test_money_in_two_currencies_warns(
    shop: duckdb.DuckDBPyConnection, suites: dict[str, Suite]
) -> None:
    sql = "update behaviour.customer_stream set currency = 'EUR' where activity_id = 'o15'"

    assert not_met(shop, suites["behaviour.customer_stream"], sql) == {"one_currency"}
