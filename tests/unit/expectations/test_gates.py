"""Every gate lets good tables through, and every blocking expectation stops bad ones, alone."""

import re

import duckdb
import pytest
from good_shop import restore
from spoilers import SPOILERS

from expectations.engine import validate
from expectations.suite import GATES, Suite

CASES = [(suite, name) for suite, spoilers in SPOILERS.items() for name in spoilers]


def test_good_tables_pass_every_gate(
    shop: duckdb.DuckDBPyConnection, suites: dict[str, Suite]
) -> None:
    results = [r for suite in suites.values() for r in validate(shop, suite)]

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
        results = validate(shop, suites[suite])
    finally:
        restore(shop, set(re.findall(r"\b(?:raw|behaviour|marts|ml)\.\w+", sql)))

    assert [r.expectation for r in results if r.closes_gate] == [expectation]
    assert {r.status for r in results if r.closes_gate} == {"failed"}
