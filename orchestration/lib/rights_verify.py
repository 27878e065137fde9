"""Whether anything of an erased person can still be found: a search with a positive control.

What does not belong here: how files are decoded (privacy/search.py), what was removed.
"""

import gzip
import re
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from orchestration.config import Settings
from privacy.erasure import PLACES, Plan
from privacy.search import Search

#: A shorter clear value, or a number, is found by chance in other texts.
MIN_CLEAR = 8
_PREFIX = re.compile(r"tok_v[0-9]+_|c_")
_KINDS = ("Parquet column", "SQLite table", "gzip")


class ControlError(RuntimeError):
    """The search does not find what was put there for it to find: it proves nothing."""


def search_traces(habitus: Settings, plan: Plan, clear: Mapping[str, str]) -> dict[str, Any]:
    """Search every place that erasing covers, decoded, in every encoding.

    Args:
        habitus: whose data.
        plan: what must not be found.
        clear: the clear values behind its tokens, by token.

    Returns:
        `traces`: places with what was found there, without values; `searched_for`: how many values
        by kind; `looked into`: how many things of each kind were decoded; `control`: True.

    Raises:
        ControlError: the positive control was not found.
    """
    gone = set(plan.gone)
    values = {f"{_kind(text)} {n}": _told_apart(text) for n, text in enumerate(plan.gone)}
    searched = {"tokens_and_keys": len(values)}
    spoken = sorted({text for token, text in clear.items() if token in gone and _is_telling(text)})
    values |= {f"clear value {n}": text for n, text in enumerate(spoken)}
    searched["clear_values"] = len(spoken)
    searched["clear_values_too_short"] = len(
        {text for token, text in clear.items() if token in gone} - set(spoken)
    )
    _require_control(habitus, next(iter(plan.gone)))
    search, traces = Search(values), set()
    for path in _searched(habitus):
        search.leaks.clear()
        if path.is_dir():
            search.folder(path)
        else:
            search.file(path)
        for leak in search.leaks:
            traces.add(f"{path.name}: {leak.where} ({leak.label.rsplit(' ', 1)[0]})")
    return {
        "traces": sorted(traces),
        "searched_for": searched,
        "looked into": dict(sorted(search.seen.items())),
        "not searched": _not_searched(habitus),
        "control": True,
    }


def _kind(text: str) -> str:
    return "key" if text.startswith("c_") else "token"


def _told_apart(text: str) -> str:
    """A token or key without what all of them begin with, by which a search could tell none."""
    return _PREFIX.sub("", text, count=1)


def _is_telling(text: str) -> bool:
    digits = sum(char.isdigit() for char in text)
    return len(text) >= MIN_CLEAR and (digits < len(text) or digits > MIN_CLEAR)


def _searched(habitus: Settings) -> Iterator[Path]:
    for place in PLACES:
        if place.searched:
            yield from sorted(habitus.deployment_home.glob(place.path))
    yield habitus.reports


def _not_searched(habitus: Settings) -> list[str]:
    known = {
        path
        for place in PLACES
        if place.searched
        for path in habitus.deployment_home.glob(place.path)
    }
    return sorted(p.name for p in habitus.deployment_home.iterdir() if p not in known)


def _require_control(habitus: Settings, value: str) -> None:
    """Put a value that is searched for into files of three kinds, and find it in all."""
    folder = habitus.deployment_home / "erasures" / "control"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    try:
        pq.write_table(pa.table({"a": [value]}), folder / "a.parquet", compression="zstd")
        (folder / "a.gz").write_bytes(gzip.compress(value.encode()))
        with closing(sqlite3.connect(folder / "a.sqlite")) as db:
            db.execute("create table a (a text)")
            db.execute("insert into a values (?)", (value,))
            db.commit()
        search = Search({"control": value})
        found = {leak.where for leak in search.folder(folder)}
        missed = [kind for kind in _KINDS if not any(kind in where for where in found)]
    finally:
        shutil.rmtree(folder)
    if missed:
        raise ControlError(f"the search does not see into: {', '.join(missed)}")
