"""The `habitus` command.

What does not belong here: work. Each command reads its arguments, calls one thing, prints.
"""

import atexit
import gc
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.text import Text

from orchestration.lib.imports import uncollected

with uncollected():
    from expectations.contract import ContractError, load_deployment
    from habitus import activation, audit, keys, quarantine, rights, show
    from habitus import doctor as health
    from habitus.said import fail, plain
    from orchestration.config import REPO, Settings, SettingsError, activate, settings
    from orchestration.lib.dbt_server import warm_dbt
    from orchestration.lib.publication import (
        LANGUAGES,
        NothingPublishedError,
        WarehouseBusyError,
    )
    from orchestration.lib.run_parameters import AsOfError, as_of_day

if TYPE_CHECKING:
    from dagster import Definitions

TRACEBACK = "--traceback"
app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_show_locals=False,
)
contracts_app = typer.Typer(help="Draft and check data contracts.", no_args_is_help=True)
app.add_typer(contracts_app, name="contracts")
app.add_typer(keys.app, name="keys")
app.add_typer(quarantine.app, name="quarantine")
app.command("replay")(quarantine.replay)
app.command("activate")(activation.activate_segment)
app.command("verify-audit")(audit.verify_audit)
app.command("release")(audit.release)
app.command("audit-packages")(audit.audit_packages)
app.command("access")(rights.access)
app.command("correct")(rights.correct)
app.command("erase")(rights.erase)

# At the end Python would look once more through all that was imported for something to free: a
# second and a half of waiting for nothing.
atexit.register(gc.freeze)

console = Console()
errors = Console(stderr=True)

AsOf = Annotated[
    str | None,
    typer.Option(help="A rebuild of the past, see `habitus run --as-of`. Default: the present."),
]
Deployment = Annotated[
    str | None,
    typer.Option(
        "--deployment",
        "-d",
        help="shop, complete_journey, cdnow, online_retail, or a folder of contracts. "
        "Default: HABITUS_CONTRACTS, else shop.",
    ),
]


def _activate(deployment: str | None) -> Settings:
    try:
        return activate(settings(deployment))
    except SettingsError as error:
        fail(error)


@app.callback()
def whole(
    traceback: Annotated[
        bool,
        typer.Option(TRACEBACK, help="Show unforeseen errors whole; they may hold personal data."),
    ] = False,
) -> None:
    """Customer-behaviour data platform: sources in, behaviour tables, scores, reports out."""


@app.command()
def simulate(
    customers: Annotated[int, typer.Option(help="People who ever buy or register.")] = 4000,
    days: Annotated[int, typer.Option(help="Days of history.")] = 540,
    events_per_day: Annotated[
        int | None, typer.Option(help="Web and app events on a mean day; default: .4 a person.")
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 7,
) -> None:
    """Generate the simulated shop's source files, and its truth."""
    from simulator.shop import simulate as generate  # noqa: PLC0415  numpy and pyarrow take a second

    habitus = _activate("shop")
    try:
        made = generate(
            habitus.landing,
            habitus.truth,
            customers=customers,
            days=days,
            events_per_day=events_per_day,
            seed=seed,
        )
    except ValueError as error:
        fail(error)
    show.simulation(console, made, habitus.landing)


@app.command()
def demo() -> None:
    """Generate a shop of 1,800 people and run the main job on it."""
    warm_dbt(_activate("shop"))
    # Simulating, dbt's first parse and loading the definitions take about as long: two cores.
    command = [sys.executable, "-m", "habitus.cli", "simulate", "--customers", "1800"]
    with subprocess.Popen(command) as simulation:
        # It is waited for last: the other two make the definitions.
        os.setpriority(os.PRIO_PROCESS, simulation.pid, 10)
        from orchestration.definitions import defs  # noqa: PLC0415

        loaded = defs()
    if simulation.returncode:
        raise typer.Exit(simulation.returncode)
    _run(_activate("shop"), loaded, job="everything")


@app.command()
def land(
    source: Annotated[str, typer.Argument(help="The contract's name.")],
    files: Annotated[list[Path], typer.Argument(exists=True, dir_okay=False)],
    deployment: Deployment = None,
) -> None:
    """Copy files into the landing folder of a source, where its contract finds them."""
    habitus = _activate(deployment)
    try:
        known = {c.name for c in load_deployment(habitus.contracts).contracts}
    except ContractError as error:
        fail(error)
    if source not in known:
        fail(ValueError(f"no contract is named {source!r}; there are: {', '.join(sorted(known))}"))
    folder = habitus.landing / source
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        # Under a name that ingestion leaves alone, until it is whole.
        landing = folder / f"{file.name}.part"
        shutil.copy2(file, landing)
        landing.replace(folder / file.name)
        console.print(Text(plain(f"landed {folder / file.name}")), soft_wrap=True)


@app.command()
def run(
    deployment: Deployment = None,
    source: Annotated[
        list[str] | None,
        typer.Option(help="NAME=FILE: land a file for a source first. Repeatable."),
    ] = None,
    from_: Annotated[
        str | None, typer.Option("--from", help="First daily partition, YYYY-MM-DD.")
    ] = None,
    to: Annotated[str | None, typer.Option(help="Last daily partition, YYYY-MM-DD.")] = None,
    *,
    job: Annotated[
        str, typer.Option(help="everything, daily (no training), or retrain.")
    ] = "everything",
    as_of: Annotated[
        str | None,
        typer.Option(
            help="Rebuild what was known at the end of this day, YYYY-MM-DD, with tables, models "
            "and a pointer of its own: what others read stays as it is. Read it with "
            "habitus.connect(as_of=...), `habitus export --as-of` or `habitus hashes --as-of`. "
            "The folder <deployment>/as_of/<day> can be removed at any time."
        ),
    ] = None,
) -> None:
    """Run the main job: ingest, model, check, learn, publish, report."""
    for value in (from_, to):
        if value:
            _day(value)
    _at(as_of)
    if as_of and job != "everything":
        fail(ValueError(f"--as-of rebuilds everything; leave out --job {job}"))
    for pair in source or []:
        name, _, file = pair.partition("=")
        if not file or not Path(file).is_file():
            fail(ValueError(f"--source wants NAME=FILE with a file that exists, not {pair!r}"))
        land(name, [Path(file)], deployment)
    habitus = _activate(deployment)
    warm_dbt(habitus)
    from orchestration.definitions import defs  # noqa: PLC0415  Dagster takes seconds to import

    try:
        loaded = defs()
    except (ContractError, SettingsError) as error:
        fail(error)
    _run(habitus, loaded, job=job, first_day=from_, last_day=to, as_of=as_of)


def _run(
    habitus: Settings,
    loaded: "Definitions",
    *,
    job: str,
    first_day: str | None = None,
    last_day: str | None = None,
    as_of: str | None = None,
) -> None:
    from habitus.runs import PartitionError, run_job  # noqa: PLC0415

    days = {"first_day": first_day, "last_day": last_day, "as_of": as_of}
    try:
        summary = run_job(habitus, loaded, job=job, **days)
    except (WarehouseBusyError, PartitionError) as error:
        fail(error)
    show.summary(console, summary, habitus)
    if summary["status"] != "success":
        raise typer.Exit(1)


def _at(as_of: str | None) -> date | None:
    """The day of a rebuild, if one was asked for."""
    try:
        return as_of_day(as_of) if as_of else None
    except AsOfError as error:
        fail(error)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        fail(ValueError(f"{text!r} is not a day; write YYYY-MM-DD"))


@app.command()
def status(deployment: Deployment = None) -> None:
    """What is published, the last run, and what the sources have brought so far."""
    habitus = _activate(deployment)
    try:
        show.status(console, habitus)
    except NothingPublishedError as error:
        console.print(str(error), soft_wrap=True)


@app.command()
def report(
    lang: Annotated[str, typer.Option(help="en or zh.")] = "en",
    run_id: Annotated[str, typer.Option(help="Default: the last run.")] = "latest",
) -> None:
    """Print the path of a run's evaluation report in a language."""
    habitus = _activate(None)
    name = LANGUAGES.get(lang)
    if name is None:
        fail(ValueError(f"no report in {lang!r}; there are: {', '.join(LANGUAGES)}"))
    path = (habitus.reports / run_id / name).resolve()
    if not path.exists():
        fail(ValueError(f"{path} does not exist: that run did not get as far as its report"))
    typer.echo(path)


@app.command()
def doctor(deployment: Deployment = None) -> None:
    """Check the environment, keys, disk and versions; say what is missing and how to get it."""
    habitus = _activate(deployment)
    findings = health.examine(habitus)
    show.findings(console, findings)
    if any(not f.ok and f.required for f in findings):
        raise typer.Exit(1)


@app.command()
def ui(
    deployment: Deployment = None,
    port: Annotated[int, typer.Option(help="On loopback.")] = 3000,
    *,
    read_only: Annotated[
        bool,
        typer.Option("--read-only", help="Only to look: no runs, no schedules, no sensors."),
    ] = False,
) -> None:
    """Open Dagster's web UI on loopback, with schedules and sensors."""
    habitus = _activate(deployment)
    from habitus.runs import end_lost_runs, open_instance  # noqa: PLC0415  takes seconds to import

    with open_instance(habitus) as instance:
        end_lost_runs(habitus, instance, console)
    os.chdir(REPO)
    command = ["dagster-webserver", "--read-only"] if read_only else ["dg", "dev"]
    command += ["-w", "workspace.yaml", "--host", "127.0.0.1", "--port", str(port)]
    os.execv(str(Path(sys.executable).with_name(command[0])), command)  # noqa: S606


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    help="Run dbt with this deployment's settings, for instance "
    "[bold]habitus dbt -- build --select rfm[/bold].",
)
def dbt(context: typer.Context, deployment: Deployment = None) -> None:
    """Run dbt with this deployment's settings."""
    from orchestration.lib.dbt_steps import run_dbt  # noqa: PLC0415

    habitus = _activate(deployment)
    raise typer.Exit(run_dbt(habitus, context.args))


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(help="Where to write, a Parquet file a table.")],
    deployment: Deployment = None,
    as_of: AsOf = None,
    purpose: audit.Purpose = None,
) -> None:
    """Write the published tables as plain Parquet."""
    from orchestration.lib.warehouse import PUBLISHED_LAYERS, export_published  # noqa: PLC0415

    habitus = replace(_activate(deployment), as_of=_at(as_of))
    audit.say(habitus, "export", tables=PUBLISHED_LAYERS, purpose=purpose)
    try:
        for path, rows in export_published(habitus, folder):
            console.print(f"{path}  {rows:,} rows", highlight=False, soft_wrap=True)
    except NothingPublishedError as error:
        fail(error)


@app.command()
def hashes(deployment: Deployment = None, as_of: AsOf = None) -> None:
    """Print a hash of every published table; equal hashes mean equal content."""
    from orchestration.lib.warehouse import published_hashes  # noqa: PLC0415

    habitus = replace(_activate(deployment), as_of=_at(as_of))
    try:
        typer.echo(json.dumps(published_hashes(habitus), indent=2))
    except NothingPublishedError as error:
        fail(error)


@contracts_app.command("init")
def contracts_init(
    files: Annotated[list[Path], typer.Argument(exists=True, dir_okay=False)],
    out: Annotated[Path, typer.Option(help="Folder for the contracts.")] = Path("contracts"),
) -> None:
    """Draft contracts by looking at files; read them, mend them, run them."""
    from ingestion.draft import DraftError, draft_contracts  # noqa: PLC0415

    out = out.resolve()
    try:
        drafted = draft_contracts([f.resolve() for f in files], out.parent, out.name)
    except (DraftError, ContractError) as error:
        fail(error)
    show.drafts(console, drafted, drafted.notes, out)


@contracts_app.command("check")
def contracts_check(deployment: Deployment = None) -> None:
    """Read all contracts of a deployment and say what is wrong with them."""
    habitus = _activate(deployment)
    try:
        loaded = load_deployment(habitus.contracts)
    except ContractError as error:
        fail(error)
    show.contracts(console, loaded)


@app.command("docs")
def dbt_docs(
    deployment: Deployment = None,
    port: Annotated[int, typer.Option(help="On loopback.")] = 8080,
    serve: Annotated[bool, typer.Option(help="Serve after generating.")] = True,
) -> None:
    """Generate dbt's documentation of every table and column, and serve it on loopback."""
    from orchestration.lib.dbt_steps import run_dbt  # noqa: PLC0415

    habitus = _activate(deployment)
    code = run_dbt(habitus, ["docs", "generate", "--static"])
    if code or not serve:
        raise typer.Exit(code)
    target = habitus.dbt_home / "target"
    console.print(f"http://127.0.0.1:{port}/static_index.html", highlight=False)
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    raise typer.Exit(subprocess.run([*command, "--directory", target], check=False).returncode)


def main() -> None:
    """Run the command; of an error that nobody foresaw, tell what holds no value of anybody's."""
    try:
        app()
    except Exception as error:
        if TRACEBACK in sys.argv:
            raise
        from orchestration.lib.redaction import described  # noqa: PLC0415  slow to import

        errors.print(f"[red]error:[/red] {escape(described(error))}", soft_wrap=True)
        errors.print(f"`habitus {TRACEBACK} ...` shows it whole; it may hold personal data")
        sys.exit(1)


if __name__ == "__main__":
    main()
