"""Factory: the suites of a gate -> blocking asset checks, one for each table.

What does not belong here: what is expected (expectations/suites).
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

import dagster as dg
import duckdb
from dagster import AssetCheckExecutionContext, AssetChecksDefinition, ResourceParam

from expectations.contract import load_deployment, load_entities
from expectations.registry import gate
from expectations.results import TableOutcome, by_table
from expectations.runner import applicable, mount, run_suites
from expectations.suite import Suite
from orchestration.config import Settings
from orchestration.lib.checked import narrowed, note_checked, raw_state, what_came
from orchestration.lib.lake import ALIAS, attach, create_input_views
from orchestration.lib.redaction import redacted
from orchestration.lib.warehouse import new_connection

CHECK = "expectations"


def _connect(
    habitus: Settings, came: Mapping[str, Sequence[str]], *, with_warehouse: bool
) -> duckdb.DuckDBPyConnection:
    """A connection on which `layer.table` names what this run has made so far."""
    con = new_connection(habitus)
    create_input_views(con, habitus.version_home, came)
    if with_warehouse:
        attach(con, habitus.version_home, read_only=True)
        mount(con, ALIAS)
    return con


def _result(outcome: TableOutcome, docs: str) -> dg.AssetCheckResult:
    """Blocking failures are errors; what only warns is a warning, and lets the run go on."""
    return dg.AssetCheckResult(
        asset_key=dg.AssetKey(outcome.table.split(".")),
        check_name=CHECK,
        passed=outcome.is_open and not outcome.warnings,
        severity=dg.AssetCheckSeverity.WARN if outcome.is_open else dg.AssetCheckSeverity.ERROR,
        metadata={
            "passed": outcome.passed,
            "failed": outcome.failed,
            "errored": outcome.errored,
            "not met": list(outcome.blocking),
            "warnings": list(outcome.warnings),
            "data docs": dg.MetadataValue.url(docs),
        },
    )


def gate_checks(name: str, habitus: Settings) -> list[AssetChecksDefinition]:
    """All suites of a gate, in as few steps as can be: their library takes seconds to import.

    The tables of a gate are made by one step and checked by one, but for ML outputs: they stand on
    one another, so each is checked by itself before the next.

    Args:
        name: raw, behaviour, features or ml.
        habitus: whose contracts make the suites of the raw gate, and say which entities exist.
    """
    deployment = load_deployment(habitus.contracts)
    present = {c.entity.name for c in deployment.contracts}
    suites = applicable(gate(name, deployment, load_entities()), present)
    if name != "ml":
        return [_step(f"{name}_gate", name, suites, present)]
    return [
        _step(f"{table.replace('.', '_')}_gate", name, list(group), present)
        for table, group in groupby(suites, key=lambda suite: suite.table)
    ]


def _step(
    step: str, gate_name: str, suites: list[Suite], present: set[str]
) -> AssetChecksDefinition:
    """One step that runs suites and gives a blocking check for each of their tables."""

    @dg.multi_asset_check(
        name=step,
        specs=[
            dg.AssetCheckSpec(
                CHECK,
                asset=dg.AssetKey(table.split(".")),
                blocking=True,
                description=f"What `{table}` looks like; stands at the {gate_name} gate.",
            )
            for table in dict.fromkeys(suite.table for suite in suites)
        ],
    )
    @redacted
    def check(
        context: AssetCheckExecutionContext, habitus: ResourceParam[Settings]
    ) -> Iterator[dg.AssetCheckResult]:
        # One page a gate; the ML tables are checked one by one and have a page each.
        docs = habitus.docs / step if gate_name == "ml" else habitus.docs
        state = raw_state(habitus, suites) if gate_name == "raw" else None
        came = what_came(habitus, state) if state is not None else {}
        results = run_suites(
            narrowed(suites, came),
            lambda: _connect(habitus, came, with_warehouse=gate_name != "raw"),
            docs,
            present=present,
            run_id=context.run.run_id,
        )
        for result in results:
            if result.status != "passed":
                context.log.warning(f"{result.suite}: {result.expectation} {result.status}")
        outcomes = by_table(results).values()
        if state is not None and all(outcome.is_open for outcome in outcomes):
            note_checked(habitus, state)
        for outcome in outcomes:
            yield _result(outcome, (docs / f"{gate_name}.html").as_uri())

    return check
