"""Repaired files: where they lie, what they stand for, and what of the quarantine they bring back.

What does NOT belong here: choosing what is repaired (`replay`), reading records (`run`).

A repair is a copy under `landing/.repairs/<source>/<number>-<hash of the file it stands for>/
<path of that file>/<own name>`: no contract's glob finds it, and the path says all that a rebuild
with an empty ledger needs. The ledger has it as a file of its own; the table `repairs` says what it
stands for.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from expectations.contract import Contract
from ingestion.batch import batch_id_of
from ingestion.files import OpenFile
from ingestion.find import REPAIRS, FoundFile
from ingestion.ledger import Ledger
from ingestion.quarantine import QUARANTINE_SCHEMA
from ingestion.results import SourceResult
from ingestion.run import SourceRun
from ingestion.session import ChunkFile, Session, settle
from ingestion.sql import ident

_TABLE = """
create table if not exists repairs (
    source text not null, path text not null, sha256 text not null, repairs text not null,
    replayed_at text not null, marked_at text, recovered integer, primary key (source, path)
)
"""


@dataclass(frozen=True)
class FileLine:
    """A file's line in the ledger, as far as repairs need it.

    Attributes:
        sha256: Content hash.
        path: As shown.
        status: loaded or quarantined.
        ingested_at: Naive UTC.
        records_in: Records in it.
        quarantined: How many of them failed.
    """

    sha256: str
    path: str
    status: str
    ingested_at: datetime
    records_in: int
    quarantined: int


class Repairs:
    """The ledger's page of repairs; made if missing, so a ledger from before them is migrated.

    Args:
        ledger: The ledger's SQLite file.
    """

    def __init__(self, ledger: Path) -> None:
        self._db = sqlite3.connect(ledger, timeout=60, isolation_level=None)
        self._db.execute(_TABLE)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def files(self, source: str) -> dict[str, FileLine]:
        """All files of a source by content hash."""
        rows = self._db.execute(
            "select sha256, path, status, ingested_at, records_in, quarantined from files "
            "where source = ? order by ingested_at, path",
            (source,),
        )
        return {
            sha: FileLine(sha, path, status, datetime.fromisoformat(at), records, failed)
            for sha, path, status, at, records, failed in rows
        }

    def roots(self, source: str) -> dict[str, str]:
        """Hash of a repair -> hash of the file that it stands for."""
        rows = self._db.execute("select sha256, repairs from repairs where source = ?", (source,))
        return dict(rows)

    def settled(self, source: str) -> set[str]:
        """Paths of repairs that are ingested and marked in the quarantine."""
        rows = self._db.execute(
            "select path from repairs where source = ? and marked_at is not null", (source,)
        )
        return {row[0] for row in rows}

    def recovered(self, source: str, path: str) -> int:
        """How many quarantined records a repair brought back."""
        row = self._db.execute(
            "select recovered from repairs where source = ? and path = ?", (source, path)
        ).fetchone()
        return int(row[0] or 0) if row else 0

    def enter(self, source: str, path: str, sha256: str, repairs: str, now: datetime) -> None:
        """Enter what a repair stands for, before its first record is read."""
        self._db.execute(
            "insert or ignore into repairs values (?, ?, ?, ?, ?, null, null)",
            (source, path, sha256, repairs, now.isoformat()),
        )

    def settle(self, source: str, path: str, recovered: int, now: datetime) -> None:
        """Enter that the quarantine knows of a repair."""
        self._db.execute(
            "update repairs set marked_at = ?, recovered = ? where source = ? and path = ?",
            (now.isoformat(), recovered, source, path),
        )


def is_repair(found: FoundFile) -> bool:
    """Whether a file was landed by `land_repair`."""
    return found.shown.startswith(f"{REPAIRS}/")


def landed_repairs(contract: Contract, landing: Path) -> list[FoundFile]:
    """Repaired files of a source, in the order in which they came."""
    folder = landing / REPAIRS / contract.name
    return [
        FoundFile(path, path.relative_to(landing).as_posix())
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink() and not path.name.startswith(".")
    ]


def land_repair(contract: Contract, landing: Path, file: Path, root: FileLine) -> FoundFile:
    """Copy a repaired file into landing, whole or not at all."""
    folder = landing / REPAIRS / contract.name
    folder.mkdir(parents=True, exist_ok=True)
    number = 1 + max((int(path.name.split("-")[0]) for path in folder.iterdir()), default=0)
    inside = [part for part in Path(root.path).parts if part not in ("/", "..")]
    target = folder.joinpath(f"{number:04d}-{root.sha256}", *inside, file.name.lstrip("."))
    target.parent.mkdir(parents=True)
    temporary = target.with_name(f".{target.name}.tmp")
    shutil.copyfile(file, temporary)
    with temporary.open("rb") as handle:
        os.fsync(handle.fileno())
    temporary.replace(target)
    return FoundFile(target, target.relative_to(landing).as_posix())


def _stands_for(found: FoundFile) -> tuple[str, str]:
    """(hash, path as shown) of the file that a landed repair stands for."""
    _repairs, _source, folder, *inside, _name = Path(found.shown).parts
    return folder.partition("-")[2], "/".join(inside)


class RepairRun(SourceRun):
    """The ingestion of one repaired file, as if it had come in the place of the other.

    Args:
        session: With `landed_at`, the moment at which the other was ingested.
        ledger: The ledger; the caller holds the source in it.
        path: Path of the other, as shown.
    """

    def __init__(self, session: Session, ledger: Ledger, path: str) -> None:
        super().__init__(session, ledger)
        self._path = path

    def _chunk_file(self, opened: OpenFile) -> ChunkFile:
        moment = None
        if self.contract.known_at.kind == "path":
            stood = FoundFile(self.session.paths.landing / self._path, self._path)
            moment = self._path_moment(stood)
        return ChunkFile(opened.found.shown, opened.sha256, moment)


def ingest_repair(session: Session, ledger: Ledger, found: FoundFile, sha256: str) -> SourceResult:
    """Ingest one landed repair, if it is new, and mark what it brings in the quarantine.

    Entered first, ingested second, marked last: whatever a crash leaves undone, the next ingestion
    of the source does.

    Args:
        session: Of the source; its `landed_at` is set here.
        ledger: The ledger; the caller holds the source in it.
        found: The repair.
        sha256: Of its bytes, in hex.
    """
    contract, now = session.contract, session.now
    # The copy is whole, however young it is.
    source = replace(contract.source, settle_seconds=0.0)
    session.contract = contract = replace(contract, source=source)
    root, path = _stands_for(found)
    with closing(Repairs(session.paths.ledger)) as page:
        files = page.files(contract.name)
        session.landed_at = files[root].ingested_at if root in files else None
        page.enter(contract.name, found.shown, sha256, root, now)
        result = RepairRun(session, ledger, path).local([found])
        files, roots = page.files(contract.name), page.roots(contract.name)
        family = [root, *(sha for sha, of in roots.items() if of == root and sha != sha256)]
        recovered = sum(
            _mark(session, files[failed], files[sha256])
            for failed in family
            if failed in files and sha256 in files
        )
        page.settle(contract.name, found.shown, recovered, now)
    return result


def _mark(session: Session, failed: FileLine, repair: FileLine) -> int:
    """Mark the quarantined records of a file that a repair has brought; gives their number.

    A record is recognised by the source's key; where it has none that can be read, by its row if
    the repair has as many records as the file, or by its place among those that failed if it has
    as many as those.
    """
    folder = session.quarantine_path("x").parent
    tables = {path: pq.read_table(path) for path in sorted(folder.glob("*.parquet"))}
    rows = {path: table.to_pylist() for path, table in tables.items()}
    flat = [row for part in rows.values() for row in part]
    waiting = [r for r in flat if r["file_sha256"] == failed.sha256 and r["recovered_at"] is None]
    waiting.sort(key=lambda row: row["row_number"] or 0)
    still_bad = {row["row_number"] for row in flat if row["file_sha256"] == repair.sha256}
    keys = _keys(session, repair.sha256)
    number = 0
    for place, row in enumerate(waiting, 1):
        row["attempts"] += 1
        at = row["row_number"] if repair.records_in == failed.records_in else None
        if at is None and repair.records_in == len(waiting):
            at = place
        if repair.status == "quarantined":
            continue
        if (
            row["row_number"] is None
            or _key_of(session.contract, row["record"]) in keys
            or (at is not None and at not in still_bad)
        ):
            row["recovered_at"] = session.now
            number += 1
    for path, part in rows.items():
        if any(row["file_sha256"] == failed.sha256 for row in part):
            temporary = path.with_name(f".{path.name}.tmp")
            pq.write_table(pa.Table.from_pylist(part, QUARANTINE_SCHEMA), temporary)
            settle(temporary, path)
    return number


def _keys(session: Session, sha256: str) -> set[tuple[str, ...]]:
    """Keys of the records that a file brought to raw, as text."""
    contract = session.contract
    names = contract.primary_key
    if not names or any(_physical(contract, name) is None for name in names):
        return set()
    listing = ", ".join(f"{ident(name)}::varchar" for name in names)
    batch = batch_id_of(contract.name, [sha256])
    paths = [str(path) for path in session.seen if path.name.startswith(batch)]
    if not paths:
        return set()
    rows = session.con.execute(f"select {listing} from read_parquet(?)", [paths]).fetchall()
    return {tuple(map(str, row)) for row in rows}


def _physical(contract: Contract, name: str) -> str | None:
    """The source's column of a key field, where the quarantine keeps it as it is."""
    prop = contract.property(name)
    if prop is None or not prop.canonical or prop.transform is not None:
        return None
    return prop.physical or prop.name


def _key_of(contract: Contract, record: str | None) -> tuple[str, ...] | None:
    """The key in a record as kept, as far as it reads like the key in raw."""
    columns = [_physical(contract, name) for name in contract.primary_key]
    try:
        kept = json.loads(record or "")
    except json.JSONDecodeError:
        return None
    if not isinstance(kept, dict) or not columns:
        return None
    values = [kept.get(column or "") for column in columns]
    texts = [value.removesuffix(".0") for value in values if isinstance(value, str)]
    return tuple(texts) if len(texts) == len(columns) else None
