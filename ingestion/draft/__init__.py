"""`habitus contracts init`: drafts contracts by looking at files.

What does NOT belong here: ingestion itself. A draft loads and runs without change; what was
uncertain stands in it as a comment, and in the notes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from expectations.contract import load_contract, load_entities
from ingestion.draft.choices import Drafting
from ingestion.draft.decide import decide
from ingestion.draft.emit import contract_text
from ingestion.draft.names import slug
from ingestion.draft.roles import DraftError
from ingestion.draft.sniff import Sniffed, sniff
from ingestion.draft.values import Values, look
from ingestion.results import FileError

__all__ = ["DraftError", "Drafted", "draft_contracts"]


class Drafted(list[Path]):
    """The contracts written.

    Attributes:
        notes: What was uncertain, each with its source's name.
    """

    notes: tuple[str, ...] = ()


@dataclass
class _Group:
    """Files of one shape: one source."""

    sniffed: Sniffed
    paths: list[Path]


def draft_contracts(
    files: Sequence[Path | str],
    out_dir: Path,
    deployment_name: str,
    *,
    now: datetime | None = None,
) -> Drafted:
    """Draft one contract for each kind of file.

    Args:
        files: CSV (any usual delimiter and encoding), JSONL or Parquet, plain or gzip.
        out_dir: Folder of deployments, or the deployment's own folder.
        deployment_name: Name of the deployment; its folder is made below `out_dir` unless
            `out_dir` has that name already.
        now: The present, with a time zone; only tells history from what is still coming in.

    Returns:
        The paths written; `.notes` says what was uncertain.

    Raises:
        DraftError: If a file cannot be read or understood, or a contract is there already.
    """
    name = slug(deployment_name)
    if not name:
        raise DraftError(f"`{deployment_name}` cannot be a deployment's name: use a-z, 0-9 and _")
    folder = out_dir if out_dir.name == deployment_name else out_dir / name
    moment = (now or datetime.now(UTC)).astimezone(UTC).replace(tzinfo=None)
    groups = _group([Path(file).resolve() for file in files])
    entities = load_entities()
    written = Drafted()
    notes: list[str] = []
    taken: set[str] = set()
    texts: list[tuple[Path, str]] = []
    with duckdb.connect(":memory:") as con:
        con.execute("set timezone = 'UTC'")
        looked = [(group, look(con, group.sniffed.table)) for group in groups]
    _settle_twins([values for _group_, values in looked])
    for group, values in looked:
        try:
            drafting = decide(group.sniffed, values, entities)
        except DraftError as error:
            raise DraftError(f"{group.paths[0].name}: {error}") from None
        source = _name_of(group, drafting, taken)
        path = folder / f"{source}.odcs.yaml"
        if path.exists():
            raise DraftError(f"{path} is there already: take it away, or choose another folder")
        pattern = _pattern(group)
        text = contract_text(
            drafting, group.sniffed, name=source, deployment=name, path=pattern, now=moment
        )
        texts.append((path, text))
        notes.extend(f"{source}: {note}" for note in drafting.notes)
        notes.extend(
            f"{source}.{choice.name}: {choice.doubt}" for choice in drafting.choices if choice.doubt
        )
    folder.mkdir(parents=True, exist_ok=True)
    for path, text in texts:
        path.write_text(text, encoding="utf-8")
        load_contract(path)
        written.append(path)
    written.notes = tuple(notes)
    return written


def _group(paths: Sequence[Path]) -> list[_Group]:
    groups: list[_Group] = []
    for path in paths:
        if not path.is_file():
            raise DraftError(f"{path}: there is no such file")
        try:
            sniffed = sniff(path)
        except FileError as error:
            raise DraftError(f"{path.name}: {error.reason}") from None
        same = next(
            (
                group
                for group in groups
                if group.sniffed.columns == sniffed.columns
                and group.sniffed.format == sniffed.format
                and group.sniffed.encoding == sniffed.encoding
                and group.paths[0].parent == path.parent
                and group.paths[0].suffix == path.suffix
                and sniffed.header
            ),
            None,
        )
        if same is not None and _covers(same, path, paths):
            same.paths.append(path)
        else:
            groups.append(_Group(sniffed, [path]))
    return groups


def _covers(group: _Group, path: Path, given: Sequence[Path]) -> bool:
    """Whether one glob takes the group and the path, and no other file that was given."""
    pattern = _glob([*group.paths, path])
    wanted = {*group.paths, path}
    same_suffix = set(path.parent.glob(pattern)) if pattern else set()
    return bool(pattern) and not (same_suffix & set(given)) - wanted - _alike(group, given)


def _alike(group: _Group, given: Sequence[Path]) -> set[Path]:
    stem = re.sub(r"\d+", "", group.paths[0].name)
    return {path for path in given if re.sub(r"\d+", "", path.name) == stem}


def _glob(paths: Sequence[Path]) -> str:
    names = [path.name for path in paths]
    start = names[0]
    while not all(name.startswith(start) for name in names):
        start = start[:-1]
    suffix = "".join(paths[0].suffixes)
    return f"{start.rstrip('0123456789')}*{suffix}" if start else ""


def _pattern(group: _Group) -> str:
    path = group.paths[0]
    if len(group.paths) == 1:
        return re.sub(r"([*?\[])", r"[\1]", path.as_posix())
    return (path.parent / _glob(group.paths)).as_posix()


def _name_of(group: _Group, drafting: Drafting, taken: set[str]) -> str:
    stem = group.paths[0].name.split(".")[0]
    if len(group.paths) > 1:
        stem = re.sub(r"[\d_\-]+$", "", stem)
    name = slug(stem) or drafting.entity
    base, number = name, 2
    while name in taken:
        name, number = f"{base}_{number}", number + 1
    taken.add(name)
    return name


def _settle_twins(all_values: Sequence[dict[str, Values]]) -> None:
    """Where day and month could change places, other columns tell, else the shorter span.

    A file, or its siblings, rarely write dates in two orders; and dates read the wrong way round
    are scattered over the whole year.
    """
    sure_day = sure_month = 0
    for values in all_values:
        for found in values.values():
            if found.dates > 0.8 and found.twin is None and found.formats:
                sure_day += found.formats[0].startswith(("%d/", "%d-%m"))
                sure_month += found.formats[0].startswith("%m")
    for values in all_values:
        commas = any(found.decimal_comma for found in values.values())
        for found in values.values():
            if found.twin is None or not found.formats:
                continue
            day_first = found.formats[0].startswith("%d")
            want_day = day_first
            if bool(sure_day) != bool(sure_month):
                want_day = bool(sure_day)
            elif commas:
                want_day = True
            if want_day != day_first:
                old = found.formats[0]
                found.formats = (found.twin, *found.formats[1:])
                found.twin = old
