"""`habitus verify-audit`, `habitus release` and `habitus audit-packages`.

What does not belong here: work. Each command reads its arguments, calls one thing, prints.
"""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from habitus.packages import LOCKS, advisories
from habitus.said import fail
from orchestration.config import REPO, Settings, SettingsError, settings
from orchestration.lib.audit import record, trail
from orchestration.lib.publication import NothingPublishedError
from privacy.audit import AuditError
from privacy.audit_check import verify
from privacy.keys import KeyringError

console = Console(highlight=False)

Deployment = Annotated[
    str | None,
    typer.Option(
        "--deployment",
        "-d",
        help="A deployment, or a folder of contracts. Default: HABITUS_CONTRACTS, else shop.",
    ),
]


Purpose = Annotated[
    str | None,
    typer.Option(help="What for, in a few words; goes into the audit trail."),
]


def say(habitus: Settings, action: str, **what: Any) -> None:
    """Write a line of the audit trail before an act; without the line the act is not done."""
    try:
        record(habitus, action, **what)
    except (AuditError, KeyringError, OSError, ValueError) as error:
        fail(error)


def _chosen(deployment: str | None) -> Settings:
    try:
        return settings(deployment)
    except SettingsError as error:
        fail(error)


def verify_audit(
    head: Annotated[
        str | None,
        typer.Option(help="A head noted earlier, which the trail must still hold."),
    ] = None,
    deployment: Deployment = None,
) -> None:
    """Verify the audit trail: says which line was edited, deleted, inserted, moved or cut off.

    Prints the head; noted where others cannot write, it shows later that nothing was set back.
    """
    habitus = _chosen(deployment)
    try:
        kept = trail(habitus)
        found = verify(kept, head)
    except (AuditError, KeyringError, OSError) as error:
        fail(error)
    for finding in found.findings:
        place = "the trail" if finding.line is None else f"line {finding.line}"
        console.print(Text(f"{place}: {finding.kind}: {finding.detail}"), soft_wrap=True)
    if found.unfinished:
        console.print("a killed process left the last line unfinished; the next line finishes it")
    console.print(f"{kept.file}: {found.lines} lines, head {found.head or 'none'}", soft_wrap=True)
    if found.findings:
        console.print("[red]the trail was tampered with[/red]")
        raise typer.Exit(1)
    console.print("[green]whole[/green]")


def release(
    out: Annotated[Path, typer.Argument(help="Folder for the files.")],
    epsilon: Annotated[float, typer.Option(help="Privacy loss of this release, for instance 0.5.")],
    budget: Annotated[
        float, typer.Option(help="Of all releases together; the smallest ever given holds.")
    ] = 1.0,
    deployment: Deployment = None,
) -> None:
    """Write counts of customers with noise, for outside the company (differential privacy)."""
    from orchestration.lib.release import release as write  # noqa: PLC0415  opendp is slow to import

    habitus = _chosen(deployment)
    try:
        spent, paths = write(habitus, out, epsilon, budget)
    except (NothingPublishedError, AuditError, KeyringError, OSError, ValueError) as error:
        fail(error)
    for path in paths:
        console.print(str(path), soft_wrap=True)
    console.print(f"spent {spent:g} of {budget:g}")


def audit_packages(
    locks: Annotated[
        list[Path] | None,
        typer.Argument(
            exists=True, dir_okay=False, help="Default: the lock files of this checkout."
        ),
    ] = None,
) -> None:
    """Ask for known vulnerabilities of every locked package; no answer is a failure too."""
    code = 0
    for lock in locks or [REPO / name for name in LOCKS]:
        found = advisories(lock)
        console.print(Text(f"{lock.name}: {found.message}"), soft_wrap=True)
        for line in found.vulnerable:
            console.print(Text(f"  {line}"), soft_wrap=True)
        code = max(code, found.code)
    raise typer.Exit(code)
