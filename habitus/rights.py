"""`habitus access`, `habitus correct` and `habitus erase`: what people may ask for.

What does not belong here: work. Each command reads its arguments, calls one thing, prints.
"""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from expectations.contract import ContractError
from habitus import audit
from habitus.said import fail
from orchestration.config import Settings, SettingsError, activate, settings
from orchestration.lib.publication import NothingPublishedError, WarehouseBusyError
from orchestration.lib.rights import RightsError, find_person
from orchestration.lib.rights_access import access as write_access
from orchestration.lib.rights_correct import correct as write_correction
from orchestration.lib.rights_correct import parse_fields
from orchestration.lib.rights_erase import TracesLeftError, preview
from orchestration.lib.rights_erase import erase as carry_out
from orchestration.lib.rights_verify import ControlError
from privacy.audit import AuditError
from privacy.keys import KeyringError
from privacy.rotate import RotationError
from privacy.sealing import SealError

console = Console(highlight=False)

_ERRORS = (
    RightsError,
    TracesLeftError,
    ControlError,
    ContractError,
    NothingPublishedError,
    WarehouseBusyError,
    AuditError,
    KeyringError,
    RotationError,
    SealError,
    OSError,
)
Subject = Annotated[str, typer.Argument(help="An identifier in clear, a token, or a customer key.")]
Kind = Annotated[
    str | None,
    typer.Option("--type", help="customer, email, phone, login, device or token; default: any."),
]


def _chosen(deployment: str | None) -> Settings:
    try:
        return activate(settings(deployment))
    except SettingsError as error:
        fail(error)


def access(
    subject: Subject,
    kind: Kind = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder; default: <deployment>/access, which erasing empties."),
    ] = None,
    deployment: audit.Deployment = None,
) -> None:
    """Write everything that is held on a person, as JSON and as a page; in clear."""
    habitus = _chosen(deployment)
    try:
        person = find_person(habitus, subject, kind)
        audit.say(habitus, "access", subjects=[person.digest])
        folder = out or habitus.deployment_home / "access" / person.digest
        for path in write_access(habitus, person, folder):
            console.print(str(path), soft_wrap=True)
    except _ERRORS as error:
        fail(error)


def correct(
    subject: Subject,
    field: Annotated[
        list[str] | None, typer.Option(help="customers.COLUMN=VALUE, in clear. Repeatable.")
    ] = None,
    kind: Kind = None,
    deployment: audit.Deployment = None,
) -> None:
    """Correct what is held on a person: a new version of the record, known from now."""
    habitus = _chosen(deployment)
    try:
        fields = parse_fields(field or [])
        person = find_person(habitus, subject, kind)
        names = " ".join(sorted(fields)).replace(" ", "/")
        audit.say(habitus, "correct", subjects=[person.digest], fields=names)
        records = write_correction(habitus, person, fields)
    except _ERRORS as error:
        fail(error)
    console.print(f"{records} records corrected; `habitus run` brings them into the tables")


def erase(
    subjects: Annotated[
        list[str] | None, typer.Argument(help="Identifiers; none only finishes what was begun.")
    ] = None,
    kind: Kind = None,
    file: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="A list, one a line.")
    ] = None,
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only count what would go; change nothing.")
    ] = False,
    deployment: audit.Deployment = None,
) -> None:
    """Erase people everywhere, verify it, certify it; they are kept out from then on.

    Interrupted, call it again: it finishes.
    """
    habitus = _chosen(deployment)
    wanted = list(subjects or [])
    if file is not None:
        wanted += [line.strip() for line in file.read_text().splitlines() if line.strip()]
    try:
        if dry_run:
            for what, count in preview(habitus, wanted, kind).items():
                console.print(f"{what}: {count:,}")
            return
        paths = carry_out(habitus, wanted, kind, lambda text: console.print(text, soft_wrap=True))
    except _ERRORS as error:
        fail(error)
    for path in paths:
        console.print(f"certificate: {path}", soft_wrap=True)
    if not paths:
        console.print("nothing was begun: name somebody to erase")
