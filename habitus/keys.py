"""`habitus keys`: which keys there are, and new ones in their place.

What does not belong here: keeping keys, changing tokens (privacy/).
"""

from contextlib import ExitStack
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from habitus.said import fail
from ml.models import sign_anew
from orchestration.config import Settings, SettingsError, activate, settings
from orchestration.lib.audit import record
from orchestration.lib.publication import WarehouseBusyError, writer
from orchestration.lib.secrets import keyring
from privacy.audit import AuditError
from privacy.keys import AUDIT, MODEL, PURPOSES, Keyring, KeyringError
from privacy.records import rotate_records
from privacy.rotate import RotationError, rotate_tokens, rotate_vault
from privacy.sealing import SealError

app = typer.Typer(help="The keys of tokens, vault, models and audit.", no_args_is_help=True)
console = Console()


class Rotatable(StrEnum):
    """Keys that can be replaced."""

    token = "token"  # noqa: S105  a name
    vault = "vault"
    model = "model"
    audit = "audit"
    record = "record"


def _chosen() -> Settings:
    try:
        return activate(settings())
    except SettingsError as error:
        fail(error)


def _homes(habitus: Settings) -> list[Path]:
    """All deployments of the data home that have read anything: they share its keys.

    A ledger may have been removed, so that all files are read again; raw still has its hashes.
    """
    ledgers = {path.parent for path in habitus.home.glob("*/ledger.sqlite")}
    marked = {path.parent.parent for path in habitus.home.glob("*/vault/*_version")}
    return sorted(ledgers | marked)


@app.command("list")
def list_keys() -> None:
    """Purpose, version and place of each key; never its value."""
    table = Table("purpose", "version", "from", "what it does", box=None)
    try:
        for purpose, version, origin in keyring(_chosen()).listed():
            table.add_row(purpose, f"v{version}", origin, PURPOSES[purpose])
    except KeyringError as error:
        fail(error)
    console.print(table)


def _note(habitus: Settings, homes: list[Path], purpose: Rotatable) -> None:
    """A line in every deployment's audit trail, sealed by the audit key that stands."""
    for home in homes:
        of_home = replace(habitus, contracts=habitus.contracts.with_name(home.name))
        record(of_home, "rotate", key=purpose.value)


def _models(homes: list[Path], keys: Keyring) -> None:
    """A new key for models: signed with it, while the old one still says which are genuine."""
    new = keys.add(MODEL)
    old = [key.secret for key in keys.before(MODEL, new.version)]
    for home in homes:
        folders = [home / "models", *home.glob("as_of/*/models")]
        outputs = [output for folder in folders if folder.is_dir() for output in folder.iterdir()]
        signed = sum(sign_anew(output, new.secret, old) for output in outputs if output.is_dir())
        console.print(f"{home.name}: {signed:,} models signed anew")
    keys.destroy_before(MODEL, new.version)


def _tokens(homes: list[Path], keys: Keyring) -> None:
    for done in rotate_tokens(homes, keys):
        console.print(f"{done.deployment}: {done.tokens:,} tokens have a successor")
        for what, changed in done.changed.items():
            console.print(f"  {what}: {changed:,} values changed")
    console.print("`habitus run` brings the new tokens into the published tables")


def _vault(homes: list[Path], keys: Keyring) -> None:
    for name, files in rotate_vault(homes, keys).items():
        console.print(f"{name}: {files:,} files of the vault sealed anew")


def _audit(homes: list[Path], keys: Keyring) -> None:
    new = keys.add(AUDIT)
    console.print(f"key v{new.version} seals from now on; older ones stay, to verify what they did")


def _records(homes: list[Path], keys: Keyring) -> None:
    for name, number in rotate_records(homes, keys).items():
        console.print(f"{name}: {number:,} hashes of records wrapped anew")
    console.print("older record keys stay in keys/: what comes is hashed under all of them")


ROTATIONS = {
    Rotatable.token: _tokens,
    Rotatable.vault: _vault,
    Rotatable.model: _models,
    Rotatable.audit: _audit,
    Rotatable.record: _records,
}


@app.command()
def rotate(
    purpose: Annotated[
        Rotatable,
        typer.Option(
            help="token: every stored token changes; vault: it is sealed anew; model: models are "
            "signed anew; audit: new lines of the audit trail are sealed with the new key; record: "
            "hashes of records, and the list of who was erased, are wrapped in another."
        ),
    ] = Rotatable.token,
) -> None:
    """Put a new key in an old one's place, in every deployment of this data home.

    Interrupted, call it again: it finishes.
    """
    habitus = _chosen()
    homes = _homes(habitus)
    try:
        with ExitStack() as locks:
            for home in homes:
                locks.enter_context(writer(home / habitus.run_lock.name))
            _note(habitus, homes, purpose)
            ROTATIONS[purpose](homes, keyring(habitus))
    except (AuditError, KeyringError, RotationError, SealError, WarehouseBusyError) as error:
        fail(error)
