"""Importing large libraries without looking for garbage among what they make.

What does not belong here: which libraries those are.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Collect no garbage within; what is there at the end is never looked at again.

    Modules live as long as the process. To look through them again and again while they grew took
    2.7 of the 9.0 s of processor time of all that a run imports.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
