"""The error that a person who writes contracts meets.

What does NOT belong here: errors in data (they are quarantined, see `ingestion`).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path


class ContractError(ValueError):
    """A contract, an entity or a deployment cannot be used as it is written.

    Attributes:
        file: The file concerned.
        line: Line in it, counted from 1, or None where no single line is at fault.
        reason: What is wrong.
        remedy: What to write instead.
    """

    def __init__(self, file: Path | str, line: int | None, reason: str, remedy: str) -> None:
        self.file = Path(file)
        self.line = line
        self.reason = reason
        self.remedy = remedy
        where = f"{self.file}" if line is None else f"{self.file}:{line}"
        super().__init__(f"{where}: {reason}. {remedy}")


def did_you_mean(word: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The known word nearest to `word`, or None when none is near.

    Case, and the difference between `_`, `-`, spaces and camelCase, do not count.
    """

    def plain(text: str) -> str:
        return "".join(char for char in text.lower() if char.isalnum())

    by_plain = {plain(candidate): candidate for candidate in known}
    near = difflib.get_close_matches(plain(word), list(by_plain), n=1, cutoff=cutoff)
    return by_plain[near[0]] if near else None


def one_of(known: Iterable[str]) -> str:
    """`a, b or c`, for messages."""
    words = list(known)
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} or {words[-1]}"
