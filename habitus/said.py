"""What a command says of an error before it ends, and texts that others wrote, on a terminal.

What does not belong here: which errors a command foresees, and what their texts may hold.
"""

from typing import NoReturn

import typer
from rich.console import Console
from rich.text import Text


def plain(text: str) -> str:
    """Text that cannot steer a terminal: a record or a contract may hold escape sequences."""
    return "".join(char if char.isprintable() or char == "\n" else "\ufffd" for char in text)


def fail(error: Exception) -> NoReturn:
    """Say an error's text as it is, brackets of somebody's contract and all, and end with 2."""
    Console(stderr=True).print(Text.assemble(("error: ", "red"), plain(str(error))), soft_wrap=True)
    raise typer.Exit(2)
