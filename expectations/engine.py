"""Runs one suite with Great Expectations on DuckDB; the one place that knows that library.

Importing Great Expectations takes about seven seconds, so nothing is imported from it until a
suite runs.

What does not belong here: what is expected (suites/), which suites run and what becomes of the
results (runner.py).
"""

# ruff: noqa: PLC0415  the library is imported where it is used, because that takes seconds

import logging
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

import duckdb

from expectations.results import CheckResult, Status
from expectations.suite import COUNTED, TABLE, WHOLE, Expectation, Suite

if TYPE_CHECKING:
    from duckdb_engine import ConnectionWrapper
    from great_expectations.data_context import EphemeralDataContext

LIBRARY_LOGGER = "great_expectations"

# "Binder Error", "Out of Range Error": DuckDB's name for what went wrong. The text behind it can
# carry a value (a failed cast quotes it), so only the name is kept.
_DUCKDB_ERROR = re.compile(
    r"\b(Binder|Catalog|Parser|Conversion|Invalid Input|Out of Range|Out of Memory|IO|"
    r"Not implemented|Permission|Mismatch Type|Constraint) Error\b"
)

# What SQLAlchemy takes for a bind parameter, even within quotes.
_BIND = re.compile(r"(?<![:\w\x5c]):([\w$]+)(?![:\w$])")


def own_cursors(connection: duckdb.DuckDBPyConnection) -> "ConnectionWrapper":
    """The patch that Great Expectations needs on DuckDB: every cursor is its own.

    duckdb-engine 0.17.0 hands out one shared cursor for each connection. Great Expectations
    opens a second one before it has read the first, which then is empty, and nearly every
    expectation ends in `IndexError: list index out of range`. `test_patch_is_needed` fails when
    duckdb-engine no longer needs this.

    Args:
        connection: attached and pinned by the caller. Its cursors see its attached databases
            and its views, but not its temporary tables, settings or open transaction. SQLAlchemy
            never closes it.
    """
    from duckdb_engine import ConnectionWrapper, CursorWrapper

    class OwnCursors(ConnectionWrapper):
        def cursor(self) -> CursorWrapper:
            return CursorWrapper(connection.cursor(), self)

        def close(self) -> None:
            """The caller closes what the caller opened."""

    return OwnCursors(connection)


@contextmanager
def _quiet() -> Iterator[None]:
    """Great Expectations logs and warns for each metric that raises; the results say it."""
    logger = logging.getLogger(LIBRARY_LOGGER)
    level, propagate = logger.level, logger.propagate
    logger.setLevel(logging.CRITICAL + 1)
    logger.propagate = False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
        logger.propagate = propagate


@cache
def _context() -> "EphemeralDataContext":
    """One context in memory for the process: no folder, no telemetry, no progress bars."""
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.enable_analytics(False)
    context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
    # It has nowhere to be saved to, and wrote out its whole configuration four times a suite: a
    # fifth of the time of the gates (97 calls, 4 of 19 s, of a profiled `habitus demo`).
    context.variables.save = lambda: None  # type: ignore[method-assign]
    return context


@cache
def _no_rows_class() -> type:
    """`UnexpectedRowsExpectation` that counts and never fetches: half the scans, no values."""
    from great_expectations.expectations import UnexpectedRowsExpectation

    class NoRows(UnexpectedRowsExpectation):
        """The query finds nothing."""

        metric_dependencies = ("unexpected_rows_query.row_count",)

        def _validate(
            self,
            metrics: dict,
            runtime_configuration: dict | None = None,
            execution_engine: Any = None,
        ) -> dict:
            return {"success": metrics["unexpected_rows_query.row_count"] == 0}

    return NoRows


def _query(sql: str) -> str:
    """SQL of `no_rows` as Great Expectations wants it: `{batch}`, other braces and colons escaped.

    The outer `select 1 ... limit 1` lets DuckDB stop at the first finding.
    """
    parts = [part.replace("{", "{{").replace("}", "}}") for part in sql.split(TABLE)]
    parts = [_BIND.sub(r"\\:\1", part) for part in parts]
    found = f"select 1 as found from ({'(select * from {batch})'.join(parts)}) as q"
    if TABLE not in sql:
        # The library prints a warning, many times, for a query that does not name its batch.
        found += " left join (select 1 as none from {batch} limit 0) as unread on true"
    return f"{found} limit 1"


def _translate(suite: Suite, expectation: Expectation) -> Any:
    """Our expectation as an object of the library; `meta.name` finds its result again."""
    import great_expectations.expectations as library

    common: dict[str, Any] = {
        "meta": {"name": expectation.name},
        "severity": "critical" if expectation.blocking else "warning",
    }
    if expectation.kind == "NoRows":
        sql = str(expectation.arguments["sql"])
        sql = sql.replace(WHOLE, f"({suite.whole})").replace(COUNTED, f"({suite.counted})")
        return _no_rows_class()(unexpected_rows_query=_query(sql), **common)
    if expectation.column is not None:
        common["column"] = expectation.column
    return getattr(library, expectation.kind)(**expectation.arguments, **common)


def _reason(text: str) -> str:
    """The kind of an error, without its text."""
    if "in BatchData does not exist" in text or "Referenced column" in text:
        return "a column is missing"
    found = _DUCKDB_ERROR.search(text)
    return found.group(0) if found else "it raised"


def _error_text(exception_info: dict[str, Any]) -> str | None:
    """Text of what an expectation raised; None when it raised nothing."""
    infos = [exception_info] if "raised_exception" in exception_info else exception_info.values()
    for info in infos:
        if isinstance(info, dict) and info.get("raised_exception"):
            return f"{info.get('exception_message')} {info.get('exception_traceback')}"
    return None


def _result(suite: Suite, expectation: Expectation, status: Status, reason: str) -> CheckResult:
    detail = expectation.description
    return CheckResult(
        suite=suite.name,
        table=suite.table,
        layer=suite.layer,
        gate=suite.gate,
        expectation=expectation.name,
        column=expectation.column,
        status=status,
        blocking=expectation.blocking,
        detail=f"{detail} Could not be told: {reason}." if reason else detail,
    )


def _share(connection: duckdb.DuckDBPyConnection, name: str, sql: str) -> None:
    """Make a table unless it is there: `create table if not exists` would plan its SQL again."""
    try:
        connection.execute(f"select 1 from {name} limit 0")
    except duckdb.CatalogException:
        connection.execute(f"create table {name} as {sql}")


def _unreadable(connection: duckdb.DuckDBPyConnection, suite: Suite) -> str | None:
    """Why a suite cannot run; None when its rows can be read, and what it shares is there."""
    try:
        for name, sql in suite.shared.items():
            _share(connection, name, sql)
        connection.execute(f"select * from ({suite.sql}) as t limit 0")
    except duckdb.Error as error:
        return _reason(str(error))
    return None


def validate(connection: duckdb.DuckDBPyConnection, suite: Suite) -> list[CheckResult]:
    """Run a suite's expectations, in one batch, at BOOLEAN_ONLY.

    Args:
        connection: resolves every `layer.table` that the suite names.
        suite: what to run; which expectations apply was decided by the caller.

    Returns:
        One result for each expectation, in the suite's order.
    """
    reason = _unreadable(connection, suite)
    if reason is not None:
        return [_result(suite, e, "errored", reason) for e in suite.expectations]
    with _quiet():
        raw = _validate(lambda: own_cursors(connection.cursor()), suite)
    by_name = {r.expectation_config.meta["name"]: r for r in raw.results}
    results = []
    for expectation in suite.expectations:
        outcome = by_name[expectation.name]
        error = _error_text(outcome.exception_info)
        if error is not None:
            results.append(_result(suite, expectation, "errored", _reason(error)))
        else:
            status: Status = "passed" if bool(outcome.success) else "failed"
            results.append(_result(suite, expectation, status, ""))
    return results


def _validate(creator: Callable[[], "ConnectionWrapper"], suite: Suite) -> Any:
    """The library's own result of a suite."""
    import great_expectations as gx

    context = _context()
    # The library builds an engine of its own: only `creator` reaches it, listeners do not.
    # `Any`, because its type stub has no `kwargs`.
    sources: Any = context.data_sources
    source = sources.add_sql(
        suite.name, connection_string="duckdb:///:memory:", kwargs={"creator": creator}
    )
    try:
        asset = source.add_query_asset("rows", query=suite.sql)
        batch = asset.add_batch_definition_whole_table("all").get_batch()
        expectations = [_translate(suite, e) for e in suite.expectations]
        return batch.validate(
            gx.ExpectationSuite(name=suite.name, expectations=expectations),
            result_format="BOOLEAN_ONLY",
        )
    finally:
        context.data_sources.delete(suite.name)
