"""What a run of suites gives back: one result for each expectation, and sums over them.

What does not belong here: running (engine.py, runner.py), pages (pages.py), and anything of the
orchestrator: who gates with these results maps them itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Status = Literal["passed", "failed", "errored"]


@dataclass(frozen=True)
class CheckResult:
    """The result of one expectation. It holds no value from the data.

    Attributes:
        suite: `layer.table` or `layer.table[part]`.
        table: `layer.table`.
        layer: the table's layer.
        gate: the gate at which it stands.
        expectation: its name in the suite.
        column: column it is about, or None.
        status: failed = the data is not so; errored = it could not be told.
        blocking: whether anything but `passed` closes the gate.
        detail: what was expected and, when errored, the kind of the error.
    """

    suite: str
    table: str
    layer: str
    gate: str
    expectation: str
    column: str | None
    status: Status
    blocking: bool
    detail: str

    @property
    def closes_gate(self) -> bool:
        """Whether what comes after this gate must not run."""
        return self.blocking and self.status != "passed"


@dataclass(frozen=True)
class TableOutcome:
    """All results of one table at one gate.

    Attributes:
        table: `layer.table`.
        gate: the gate.
        passed, failed, errored: numbers of expectations.
        blocking: expectations not met that close the gate, as `suite: expectation`.
        warnings: expectations not met that do not.
    """

    table: str
    gate: str
    passed: int
    failed: int
    errored: int
    blocking: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def is_open(self) -> bool:
        """Whether the gate lets this table through."""
        return not self.blocking


def counts(results: Sequence[CheckResult]) -> dict[str, int]:
    """`{passed, failed, errored}` over all results, as the run's summary shows it."""
    return {
        status: sum(r.status == status for r in results)
        for status in ("passed", "failed", "errored")
    }


def by_table(results: Sequence[CheckResult]) -> dict[str, TableOutcome]:
    """One outcome for each table, in the order of the results."""
    grouped: dict[str, list[CheckResult]] = {}
    for result in results:
        grouped.setdefault(result.table, []).append(result)
    return {table: _outcome(table, group) for table, group in grouped.items()}


def _outcome(table: str, group: Sequence[CheckResult]) -> TableOutcome:
    number = counts(group)
    unmet = [r for r in group if r.status != "passed"]
    return TableOutcome(
        table=table,
        gate=group[0].gate,
        passed=number["passed"],
        failed=number["failed"],
        errored=number["errored"],
        blocking=tuple(f"{r.suite}: {r.expectation}" for r in unmet if r.blocking),
        warnings=tuple(f"{r.suite}: {r.expectation}" for r in unmet if not r.blocking),
    )
