"""`habitus quarantine` and `habitus replay`: what failed, and bringing what was mended.

What does not belong here: work. Each command reads its arguments, calls one thing, prints.
"""

import sys
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from expectations.contract import Contract, ContractError, load_deployment
from habitus import audit
from habitus.said import fail, plain
from ingestion import IngestError, Replayed, read_again, replay_file
from ingestion.review import (
    Failure,
    Group,
    ReviewError,
    export_quarantine,
    quarantine_groups,
    quarantine_records,
)
from orchestration.config import Settings, SettingsError, activate, settings
from orchestration.lib.raw_assets import ingestion_paths, reader_limits
from orchestration.lib.secrets import ingest_keys

app = typer.Typer(help="See what was quarantined, and why.", no_args_is_help=True)
# Into a file or a pipe, nothing is cut to a terminal's width.
console = Console(width=None if sys.stdout.isatty() else 200)

Deployment = Annotated[
    str | None,
    typer.Option(
        "--deployment",
        "-d",
        help="A deployment, or a folder of contracts. Default: HABITUS_CONTRACTS, else shop.",
    ),
]
Source = Annotated[str, typer.Argument(help="The contract's name.")]


def _chosen(deployment: str | None) -> Settings:
    try:
        return activate(settings(deployment))
    except SettingsError as error:
        fail(error)


def _quarantine(deployment: str | None) -> Path:
    return _chosen(deployment).lake / "quarantine"


def _row(table: Table, *cells: object) -> None:
    """A row of plain texts: what stands in a record is no markup."""
    table.add_row(*(Text(plain("" if cell is None else str(cell))) for cell in cells))


def _show_groups(groups: Sequence[Group]) -> None:
    table = Table(title="Quarantine", title_justify="left", header_style="bold")
    for column in ("source", "file", "hash", "failure", "reason"):
        table.add_column(column, overflow="fold")
    for column in ("records", "recovered", "first seen"):
        table.add_column(column, justify="right")
    for g in groups:
        seen = f"{g.first_seen_at:%Y-%m-%d %H:%M}"
        names = (g.source, g.file, g.file_sha256[:12], g.failure_type, g.reason)
        _row(table, *names, f"{g.records:,}", f"{g.recovered:,}", seen)
    console.print(table)


def _show_records(source: str, failures: Sequence[Failure]) -> None:
    table = Table(title=f"Quarantine of {source}", title_justify="left", header_style="bold")
    for column in ("row", "byte offset"):
        table.add_column(column, justify="right")
    for column in ("file", "reason", "record as kept", "recovered"):
        table.add_column(column, overflow="fold")
    for f in failures:
        recovered = f"{f.recovered_at:%Y-%m-%d %H:%M}" if f.recovered_at else ""
        row = "whole file" if f.row_number is None else f.row_number
        file = f"{f.file} ({f.file_sha256[:12]})"
        _row(table, row, f.byte_offset, file, f.reason, f.record, recovered)
    console.print(table)


@app.command("list")
def list_groups(
    source: Annotated[str | None, typer.Option(help="Only this source.")] = None,
    deployment: Deployment = None,
) -> None:
    """What is in quarantine: by source, file, failure and reason."""
    try:
        groups = quarantine_groups(_quarantine(deployment), source)
    except ReviewError as error:
        fail(error)
    if groups:
        _show_groups(groups)
    else:
        console.print("nothing is in quarantine")


@app.command()
def show(
    source: Source,
    file: Annotated[str, typer.Option(help="Beginning of the file's hash.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="At most so many records.")] = 20,
    deployment: Deployment = None,
) -> None:
    """Quarantined records of a source, with row, byte offset, reason and record as kept."""
    audit.say(_chosen(deployment), "quarantine_show", tables=[f"quarantine.{source}"])
    try:
        failures = quarantine_records(_quarantine(deployment), source, file=file, limit=limit)
    except ReviewError as error:
        fail(error)
    _show_records(source, failures)


@app.command()
def export(
    source: Source,
    target: Annotated[Path, typer.Argument(help="FILE.csv, FILE.parquet or FILE.jsonl.")],
    deployment: Deployment = None,
) -> None:
    """Write the quarantined records of a source to a file; formulas in CSV are escaped."""
    audit.say(_chosen(deployment), "quarantine_export", tables=[f"quarantine.{source}"])
    try:
        written = export_quarantine(_quarantine(deployment), source, target)
    except ReviewError as error:
        fail(error)
    console.print(f"{target}  {written:,} records", highlight=False, soft_wrap=True)


@app.command()
def retry(
    source: Source,
    file: Annotated[str, typer.Option(help="Beginning of the file's hash; default: all.")] = "",
    deployment: Deployment = None,
) -> None:
    """Let the next run read files again that were quarantined whole, though they were right.

    When the contract is mended, or the reader has been given more memory or time.
    """
    habitus = _chosen(deployment)
    audit.say(habitus, "quarantine_retry", tables=[f"quarantine.{source}"])
    try:
        paths = read_again(_contract(habitus, source), ingestion_paths(habitus), file)
    except IngestError as error:
        fail(error)
    for path in paths:
        console.print(Text(plain(path)), soft_wrap=True)
    console.print("`habitus run` reads them again")


def _contract(habitus: Settings, source: str) -> Contract:
    try:
        found = {c.name: c for c in load_deployment(habitus.contracts).contracts}
    except ContractError as error:
        fail(error)
    if source not in found:
        fail(ValueError(f"no contract is named {source!r}; there are: {', '.join(sorted(found))}"))
    return found[source]


def _show_replayed(done: Replayed) -> None:
    counts = done.result
    lines = (
        f"replayed for {done.repairs}: {counts.records_in:,} records = "
        f"{counts.accepted:,} accepted + {counts.quarantined:,} quarantined "
        f"+ {counts.duplicates:,} exact duplicates",
        f"recovered from quarantine: {done.recovered:,}",
        *counts.warnings,
        "`habitus run` brings them into the tables",
    )
    for line in lines:
        console.print(Text(plain(line)), soft_wrap=True)


def replay(
    source: Source,
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="As mended.")],
    repairs: Annotated[
        str,
        typer.Option(
            help="Beginning of the hash of the file that it stands for. "
            "Default: the one failed file of that name."
        ),
    ] = "",
    deployment: Deployment = None,
) -> None:
    """Ingest a mended file, or its mended records alone, as if it had been right at first."""
    habitus = _chosen(deployment)
    run_id = str(uuid.uuid4())
    audit.say(habitus, "replay", tables=[f"raw.{source}"], run_id=run_id)
    try:
        done = replay_file(
            _contract(habitus, source),
            ingestion_paths(habitus),
            ingest_keys(habitus),
            file,
            run_id=run_id,
            now=datetime.now(UTC),
            repairs=repairs,
            con_settings={"memory_limit": habitus.memory_limit, "threads": habitus.threads},
            limits=reader_limits(habitus),
        )
    except (IngestError, ValueError) as error:
        fail(error)
    _show_replayed(done)
