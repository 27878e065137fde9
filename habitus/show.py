"""Tables and lines for the terminal.

What does not belong here: computing what is shown.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from expectations.contract import Deployment
from habitus.doctor import Finding
from habitus.said import plain
from ingestion import ledger_totals
from orchestration.config import Settings
from orchestration.lib.publication import read_pointer
from simulator.shop import Summary


def _table(title: str, *columns: str) -> Table:
    """A table whose first column is text and whose others are numbers."""
    table = Table(title=title, title_justify="left", header_style="bold")
    for i, column in enumerate(columns):
        table.add_column(column, justify="left" if i == 0 else "right")
    return table


def _sources(sources: Mapping[str, Mapping[str, int]]) -> Table:
    columns = ("records_in", "accepted", "quarantined", "duplicates")
    table = _table("Sources", "source", *(c.replace("_", " ") for c in columns))
    for name, counts in sources.items():
        table.add_row(name, *(f"{counts[c]:,}" for c in columns))
    return table


def _churn(console: Console, churn: Mapping[str, Any]) -> None:
    if not churn:
        return
    table = _table(
        f"Churn: no purchase in {churn['horizon_days']} days",
        *("cutoff", "model", "AUC", "PR AUC", "Brier", "lift at 10 %", "mean predicted"),
        "base rate",
    )
    for cutoff in churn["cutoffs"]:
        for name, m in cutoff["models"].items():
            shipped = " ←" if name == churn["shipped"] else ""
            values = (m[k] for k in ("auc", "pr_auc", "brier", "lift_10", "mean_predicted"))
            table.add_row(
                cutoff["cutoff"],
                name + shipped,
                *("–" if v is None else f"{v:.3f}" for v in values),
                f"{cutoff['base_rate']:.3f}",
            )
    if table.rows:
        console.print(table)
    gate = churn["gate"]
    verdict = "[green]passed[/green]" if gate["passed"] else "[yellow]not passed[/yellow]"
    console.print(f"Ship gate: {verdict}; what ships: [bold]{churn['shipped'] or 'nothing'}[/bold]")
    for reason in gate["reasons"]:
        console.print(f"  · {reason}", highlight=False, soft_wrap=True)


def summary(console: Console, found: Mapping[str, Any], habitus: Settings) -> None:
    """The table that ends a run, and where the reports are."""
    console.print()
    if found["sources"]:
        console.print(_sources(found["sources"]))
    if found["tables"]:
        table = _table("Published tables", "table", "rows")
        for name, rows in found["tables"].items():
            table.add_row(name, f"{rows:,}")
        console.print(table)
    counts = found["expectations"]
    console.print("Expectations: " + ", ".join(f"{counts[k]:,} {k}" for k in counts))
    for name, labels in found["segments"].items():
        table = _table(f"Segments: {name}", "label", "customers")
        for label, customers in labels.items():
            table.add_row(label, f"{customers:,}")
        console.print(table)
    _churn(console, found["churn"])
    reports = habitus.reports / str(found["run_id"])
    colour = "green" if found["status"] == "success" else "red"
    console.print(f"\n[{colour}]{found['status']}[/{colour}] run {found['run_id']}")
    for path in sorted(reports.iterdir()):
        console.print(f"  {path}", highlight=False, soft_wrap=True)


def status(console: Console, habitus: Settings) -> None:
    """What is published and what the sources brought so far."""
    totals = ledger_totals(habitus.ledger)
    if totals:
        console.print(_sources(totals))
    publication = read_pointer(habitus.published)
    console.print(
        f"{habitus.deployment}: snapshot {publication.snapshot}, as of {publication.as_of}, "
        f"published {publication.published_at} by run {publication.run_id}",
        highlight=False,
        soft_wrap=True,
    )
    latest = habitus.reports / "latest"
    if latest.exists():
        console.print(f"last report: {latest.resolve()}", highlight=False, soft_wrap=True)


def findings(console: Console, found: Sequence[Finding]) -> None:
    """What the doctor found."""
    table = Table(header_style="bold")
    for column in ("what", "", "found", "what to do"):
        table.add_column(column)
    for f in found:
        mark = "[green]ok[/green]" if f.ok else "[red]no[/red]" if f.required else "–"
        table.add_row(f.what, mark, f.detail, f.remedy)
    console.print(table)


def simulation(console: Console, made: Summary, landing: Path) -> None:
    """How hard the generated shop is, beside the bounds it must keep."""
    table = _table("The exam", "figure", "value", "bounds")
    for figure, value, bounds in made.rows():
        table.add_row(figure, value, bounds)
    console.print(table)
    console.print(f"sources: {landing}", highlight=False, soft_wrap=True)


def drafts(console: Console, made: Sequence[Path], notes: Sequence[str], out: Path) -> None:
    """What was drafted, what is uncertain, and what to do next."""
    for path in made:
        console.print(Text(str(path), "bold"), soft_wrap=True)
    for note in notes:  # with names that the files gave
        console.print(Text(plain(f"  · {note}")), soft_wrap=True)
    console.print(
        f"\nRead them, mend what is wrong, then: habitus run --deployment {out}",
        highlight=False,
        soft_wrap=True,
    )


def contracts(console: Console, deployment: Deployment) -> None:
    """The contracts of a deployment."""
    table = _table(deployment.name, "contract", "entity", "columns")
    for c in deployment.contracts:
        table.add_row(c.name, c.entity.name, str(len(c.properties)))
    console.print(table)
