"""What a step that fails says: enough to find the fault, and no value of anybody's.

What does not belong here: finding what identifies in a text (privacy/masking), catching errors in
order to go on.

An error's text can hold the value it is about: a failed cast does, a KeyError is nothing else.
Whatever leaves a step is kept by Dagster for as long as the run is, and shown on terminals. So a
step passes on the text of errors that habitus itself has written, masked, and of all others only
the class, the machine's own reason where there is one (no space left on device), and the lines of
code by which they came.
"""

import os
import traceback
from collections.abc import Callable, Iterator
from functools import wraps
from inspect import isgeneratorfunction
from pathlib import Path
from types import TracebackType
from typing import Any, ParamSpec, TypeVar, cast

from privacy.masking import mask

P = ParamSpec("P")
R = TypeVar("R")

ROOT = Path(__file__).resolve().parents[2]
#: Whose errors are written by us, for people to read; of values they give none.
OURS = frozenset({"expectations", "habitus", "ingestion", "ml", "orchestration", "privacy"})
#: dbt reads the lake alone: tokens and masked text are all that it could tell.
DBT = "dagster_dbt"
#: Lines of our code that are named, the innermost last; errors by which one came about.
PLACES, CAUSES = 4, 4


class StepFailedError(Exception):
    """A step failed; the text may be kept and shown."""


def described(error: BaseException) -> str:
    """What may be said of an error: class, reason, where it arose, and the same of its causes."""
    parts: list[str] = []
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen and len(parts) < CAUSES:
        seen.add(id(cause))
        parts.append(_one(cause))
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return "\nafter: ".join(parts)


def _one(error: BaseException) -> str:
    reason = _reason(error)
    told = type(error).__name__ + (f": {reason}" if reason else "")
    places = _places(error.__traceback__)
    return f"{told} (at {', '.join(places)})" if places else told


def _reason(error: BaseException) -> str:
    owner = type(error).__module__.partition(".")[0]
    if owner in OURS or owner == DBT:
        return mask(str(error))
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno)  # not its text, which names a file
    return ""


def _places(where: TracebackType | None) -> list[str]:
    """`file:line function` for what of a traceback is our own code."""
    found = []
    for frame, line in traceback.walk_tb(where):
        path = Path(frame.f_code.co_filename)
        is_ours = path.is_relative_to(ROOT) and path.relative_to(ROOT).parts[0] in OURS
        if is_ours and path != Path(__file__):
            found.append(f"{path.relative_to(ROOT)}:{line} {frame.f_code.co_name}")
    return found[-PLACES:]


def redacted(function: Callable[P, R]) -> Callable[P, R]:
    """A step's function, whose errors leave it as `StepFailedError`; for functions and generators.

    Stands under Dagster's decorator: every step and sensor has it, and a test says which has not.
    """
    # The error is raised anew where the first is no longer handled: Python would keep that one as
    # its context, and Dagster would store it.
    if isgeneratorfunction(function):

        @wraps(function)
        def stream(*args: P.args, **options: P.kwargs) -> Iterator[Any]:
            try:
                return (yield from function(*args, **options))
            except Exception as error:  # noqa: BLE001  of any class: its text is the danger
                told = described(error)
            raise StepFailedError(told)

        guarded: Any = stream
    else:

        @wraps(function)
        def call(*args: P.args, **options: P.kwargs) -> R:
            try:
                return function(*args, **options)
            except Exception as error:  # noqa: BLE001  of any class: its text is the danger
                told = described(error)
            raise StepFailedError(told)

        guarded = call
    guarded.is_redacted = True
    return cast("Callable[P, R]", guarded)
