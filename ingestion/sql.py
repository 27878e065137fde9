"""The one place where names and texts become SQL.

What does NOT belong here: what the SQL computes (`compile`, `casts`).

Every identifier goes through `ident`, every text through `literal`. Values of records never
become SQL text at all: they travel as Arrow columns or as prepared parameters.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


def ident(name: str) -> str:
    """A quoted identifier.

    Raises:
        ValueError: If the name is empty or holds NUL.
    """
    if not name or "\x00" in name:
        raise ValueError("an identifier is empty or holds NUL")
    return '"' + name.replace('"', '""') + '"'


def path_ident(dotted: str) -> str:
    """A quoted struct path: `a.b` becomes `"a"."b"`."""
    return ".".join(ident(part) for part in dotted.split("."))


def literal(text: str) -> str:
    """A quoted text.

    Raises:
        ValueError: If the text holds NUL.
    """
    if "\x00" in text:
        raise ValueError("a text holds NUL")
    return "'" + text.replace("'", "''") + "'"


def literals(texts: Iterable[str]) -> str:
    """Quoted texts, joined by commas."""
    return ", ".join(literal(text) for text in texts)


def file_list(paths: Iterable[Path]) -> str:
    """A DuckDB list of file names."""
    return "[" + literals(str(path) for path in paths) + "]"
