"""Runs suites and writes their pages: what an orchestrator calls at a gate.

What does not belong here: how one suite runs (engine.py), what is expected (suites/), and what
a gate does with the results.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path

import duckdb

from expectations.engine import validate
from expectations.pages import write_pages
from expectations.results import CheckResult
from expectations.suite import Suite


def applicable(suites: Sequence[Suite], present: Collection[str] | None) -> list[Suite]:
    """What of the suites applies to a deployment.

    Args:
        suites: any suites.
        present: names of the entities that the deployment's contracts feed; None means all.

    Returns:
        The suites whose needs are met, each with the expectations whose needs are met.
    """
    if present is None:
        return list(suites)

    def is_met(needs: frozenset[str]) -> bool:
        return not needs or not needs.isdisjoint(present)

    return [
        replace(suite, expectations=[e for e in suite.expectations if is_met(e.needs)])
        for suite in suites
        if is_met(suite.needs)
    ]


def mount(connection: duckdb.DuckDBPyConnection, catalog: str) -> None:
    """Make `layer.table` name the tables of an attached catalogue, by views in memory.

    Great Expectations reads through fresh cursors, and `use` does not reach those.

    Args:
        connection: its own database is in memory; `catalog` is attached.
        catalog: name of the attached database.
    """
    names = connection.execute(
        "select schema_name, table_name from duckdb_tables() where database_name = ? order by all",
        [catalog],
    ).fetchall()
    for schema, table in names:
        connection.execute(f'create schema if not exists memory."{schema}"')
        connection.execute(
            f'create or replace view memory."{schema}"."{table}" as '
            f'from "{catalog}"."{schema}"."{table}"'
        )


def run_suites(
    suites: Sequence[Suite],
    connect: Callable[[], duckdb.DuckDBPyConnection],
    docs_dir: Path | None,
    *,
    present: Collection[str] | None = None,
    run_id: str = "",
) -> list[CheckResult]:
    """Run suites on one connection and write their pages.

    Args:
        suites: from `expectations.registry`.
        connect: opens a connection, pinned if need be, that resolves every `layer.table` of the
            suites by these two names (see `mount`). It is closed here.
        docs_dir: folder of the pages (`index.html`, and one for each gate); None writes none.
        present: names of the entities that the deployment's contracts feed; what needs others
            is left out. None means all.
        run_id: shown on the pages.

    Returns:
        One result for each expectation that applies. A table that is missing or cannot be read
        gives `errored`, an empty one fails its row count: nothing passes for want of rows.
    """
    chosen = applicable(suites, present)
    connection = connect()
    try:
        results = [result for suite in chosen for result in validate(connection, suite)]
    finally:
        connection.close()
    if docs_dir is not None:
        write_pages(results, docs_dir, run_id=run_id)
    return results
