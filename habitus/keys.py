"""`habitus keys`: which keys there are, and new ones in their place.

What does not belong here: keeping keys, changing tokens (privacy/).
"""

from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from orchestration.config import Settings, SettingsError, activate, settings
from orchestration.lib.publication import WarehouseBusyError, writer
from orchestration.lib.secrets import keyring
from privacy.keys import PURPOSES, KeyringError
from privacy.rotate import RotationError, rotate_tokens, rotate_vault
from privacy.sealing import SealError

app = typer.Typer(help="The keys of tokens, vault, models and audit.", no_args_is_help=True)
console = Console()


class Rotatable(StrEnum):
    """Keys that can be replaced."""

    token = "token"  # noqa: S105  a name
    vault = "vault"


def _fail(error: Exception) -> NoReturn:
    Console(stderr=True).print(f"[red]error:[/red] {error}", highlight=False, soft_wrap=True)
    raise typer.Exit(2)


def _chosen() -> Settings:
    try:
        return activate(settings())
    except SettingsError as error:
        _fail(error)


def _homes(habitus: Settings) -> list[Path]:
    """All deployments of the data home that have read anything: they share its keys."""
    return sorted(path.parent for path in habitus.home.glob("*/ledger.sqlite"))


@app.command("list")
def list_keys() -> None:
    """Purpose, version and place of each key; never its value."""
    table = Table("purpose", "version", "from", "what it does", box=None)
    try:
        for purpose, version, origin in keyring(_chosen()).listed():
            table.add_row(purpose, f"v{version}", origin, PURPOSES[purpose])
    except KeyringError as error:
        _fail(error)
    console.print(table)


@app.command()
def rotate(
    purpose: Annotated[
        Rotatable,
        typer.Option(help="token: every stored token changes; vault: the vault is sealed anew."),
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
            if purpose is Rotatable.vault:
                for name, files in rotate_vault(homes, keyring(habitus)).items():
                    console.print(f"{name}: {files:,} files of the vault sealed anew")
                return
            for done in rotate_tokens(homes, keyring(habitus)):
                console.print(f"{done.deployment}: {done.tokens:,} tokens have a successor")
                for what, changed in done.changed.items():
                    console.print(f"  {what}: {changed:,} values changed")
    except (KeyringError, RotationError, SealError, WarehouseBusyError) as error:
        _fail(error)
    console.print("`habitus run` brings the new tokens into the published tables")
