"""Progress of a run on the terminal: a line for each thing made, with rows and seconds.

What does not belong here: running anything (runs.py).
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

import dagster as dg
from rich.console import Console


class Progress:
    """Listens to a run's events and prints a line for each asset, check failure and step.

    Args:
        console: where to print.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self.failures: list[str] = []
        self._mark = time.monotonic()
        self._handlers: dict[str, Callable[[dg.DagsterEvent], None]] = {
            "STEP_START": self._started,
            "ASSET_MATERIALIZATION": self._materialized,
            "ASSET_CHECK_EVALUATION": self._checked,
            "STEP_SUCCESS": self._succeeded,
            "STEP_FAILURE": self._failed,
        }

    def __call__(self, entry: dg.EventLogEntry) -> None:
        """Handle one entry of the event log."""
        event = entry.dagster_event
        if event is not None and (handle := self._handlers.get(event.event_type_value)):
            handle(event)

    def _lap(self) -> float:
        now = time.monotonic()
        lap, self._mark = now - self._mark, now
        return lap

    def _started(self, event: dg.DagsterEvent) -> None:
        self._mark = time.monotonic()
        self.console.print(f"[bold]{event.step_key}[/bold]", highlight=False)

    def _materialized(self, event: dg.DagsterEvent) -> None:
        made = event.step_materialization_data.materialization
        rows = _rows(made.metadata)
        self.console.print(
            f"  {'.'.join(made.asset_key.path):<44}{rows:>15}{self._lap():>9.1f} s",
            highlight=False,
        )

    def _checked(self, event: dg.DagsterEvent) -> None:
        check = event.asset_check_evaluation_data
        if not check.passed:
            name = f"{'.'.join(check.asset_key.path)}: {check.check_name}"
            self.failures.append(name)
            colour = "red" if check.severity == dg.AssetCheckSeverity.ERROR else "yellow"
            self.console.print(f"  [{colour}]check failed: {name}[/{colour}]", highlight=False)

    def _succeeded(self, event: dg.DagsterEvent) -> None:
        seconds = event.step_success_data.duration_ms / 1000
        self.console.print(f"  [green]done[/green] {event.step_key} in {seconds:.1f} s")

    def _failed(self, event: dg.DagsterEvent) -> None:
        self.console.print(f"  [red]failed[/red] {event.step_key}")
        error: Any = event.step_failure_data.error
        if error is not None:
            cause = error.cause or error
            self.console.print(cause.message.strip(), style="red", markup=False)


def _rows(metadata: Mapping[str, dg.MetadataValue[Any]]) -> str:
    entry = metadata.get("dagster/row_count")
    return f"{entry.value:,} rows" if entry is not None else "–"
