"""A repaired file in the place of one that failed: the tables come out as if it had been right.

What does NOT belong here: reading records (`run`), where repairs lie and what they mark
(`repairs`).

The repair's rows get the moment of knowing that the failed file's would have got, its good rows are
exact duplicates, and what it mends is marked in the quarantine. Staging takes the latest version by
`_known_at`, then `_batch_id`, then `_row_number`, so the tables can differ from those of a file
that was right at first in three cases only. (1) The mended record has the key and the moment of one
that was accepted: in one file they are a conflict and both are quarantined; here both are versions
and the batch's hash decides. (2) A later file brought the mended record meanwhile: it stays known
from then, and the repair's is its duplicate. (3) The repair has other columns than the file: no
record is then an exact duplicate, and all are versions of equal content.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from expectations.contract import Contract
from ingestion.apart import ingest_local
from ingestion.casts import utc
from ingestion.files import Paths
from ingestion.ledger import Ledger
from ingestion.repairs import FileLine, Repairs, land_repair
from ingestion.results import IngestError, SourceResult
from ingestion.schema import ensure_raw_schemas
from ingestion.session import IngestKeys
from ingestion.source import Task, sha256_of
from ingestion.worker import Limits


class ReplayError(IngestError):
    """A repaired file cannot be replayed; the message says why, and what can be."""


@dataclass(frozen=True)
class Replayed:
    """What a replay did.

    Attributes:
        result: Counts of the repaired file.
        repairs: Path of the file that it stands for, as the ledger shows it.
        recovered: Quarantined records that it brought back; 1 for a file quarantined whole.
    """

    result: SourceResult
    repairs: str
    recovered: int


def replay_file(
    contract: Contract,
    paths: Paths,
    keys: IngestKeys,
    file: Path,
    *,
    run_id: str,
    now: datetime,
    repairs: str = "",
    con_settings: Mapping[str, str | int] | None = None,
    limits: Limits | None = Limits(),  # noqa: B008  frozen
) -> Replayed:
    """Ingest a repaired file: the whole file mended, or only its mended records.

    Args:
        contract: The source.
        paths: Where to read and write.
        keys: Of tokens, record hashes and the vault.
        file: The repaired file, in the source's own format.
        run_id: Goes into ledger and quarantine.
        now: The moment of the replay, with a time zone.
        repairs: Beginning of the hash of the file that it stands for; empty: the one failed file
            that has its name.
        con_settings: DuckDB settings.
        limits: Of the worker that reads the file; None reads it in this process.

    Raises:
        ReplayError: If the source is no local one, the file's bytes were read before, or it is
            not clear which file it stands for.
        IngestError: As `ingest_entity`.
    """
    if contract.source.type != "local":
        raise ReplayError(f"{contract.path.name}: only files can be replayed; mend the table")
    ensure_raw_schemas([contract.entity], paths.lake)
    settings = {k: v for k, v in (con_settings or {}).items() if k != "postgres_dsn"}
    with closing(Ledger(paths.ledger)) as ledger, closing(Repairs(paths.ledger)) as page:
        with ledger.writing(contract.name):
            root = _stands_for(contract.name, page, file, repairs)
            found = land_repair(contract, paths.landing, file, root)
        task = Task(contract, paths, keys, run_id, utc(now), settings)
        result = ingest_local(task, [found], limits)
        return Replayed(result, root.path, page.recovered(contract.name, found.shown))


def read_again(contract: Contract, paths: Paths, prefix: str = "") -> list[str]:
    """Let files that were quarantined whole be read again by the next run; gives their paths.

    For a file that was right all along: its contract was wrong, or its reader had too little memory
    or time. One that a repair stands for stays as it is.

    Args:
        contract: The source.
        paths: Where the ledger is.
        prefix: Beginning of a file's hash; empty: all of them.

    Raises:
        ReplayError: If there is no such file.
    """
    with (
        closing(Ledger(paths.ledger)) as ledger,
        closing(Repairs(paths.ledger)) as page,
        ledger.writing(contract.name),
    ):
        files, roots = page.files(contract.name), page.roots(contract.name)
        chosen = {
            sha: line.path
            for sha, line in files.items()
            if line.status == "quarantined"
            and sha.startswith(prefix.lower())
            and sha not in {*roots, *roots.values()}
        }
        if not chosen:
            raise ReplayError(
                f"source `{contract.name}` has no file that was quarantined whole"
                + (f" and whose hash begins with {prefix!r}" if prefix else "")
                + ", unless a repair stands for it already"
            )
        for sha in chosen:
            ledger.reopen(contract.name, sha)
    return sorted(chosen.values())


def _stands_for(source: str, page: Repairs, file: Path, prefix: str) -> FileLine:
    """The file of the ledger that a repair stands for; a repair of a repair is one of its root."""
    files, roots = page.files(source), page.roots(source)
    before = files.get(sha256_of(file))
    if before is not None:
        raise ReplayError(
            f"{file.name}: these very bytes were read before as {before.path} "
            f"({before.ingested_at:%Y-%m-%d %H:%M}); a repair must differ from what failed"
        )
    if prefix:
        meant = {roots.get(sha, sha) for sha in files if sha.startswith(prefix.lower())}
    else:
        meant = {sha for sha, line in files.items() if Path(line.path).name == file.name}
    failed = _failed(files, roots)
    found = [line for sha, line in failed.items() if sha in meant]
    if len(found) == 1:
        return found[0]
    raise ReplayError(_candidates(source, file, prefix, list(failed.values())))


def _failed(files: Mapping[str, FileLine], roots: Mapping[str, str]) -> dict[str, FileLine]:
    return {
        sha: line
        for sha, line in files.items()
        if sha not in roots and (line.status == "quarantined" or line.quarantined)
    }


def _candidates(source: str, file: Path, prefix: str, failed: list[FileLine]) -> str:
    asked = f"whose hash begins with {prefix!r}" if prefix else f"named {file.name}"
    if not failed:
        return f"source `{source}` has no file that failed: nothing to repair"
    listing = "\n".join(
        f"  {line.sha256[:12]}  {line.path}  {line.ingested_at:%Y-%m-%d %H:%M}  "
        + ("whole file" if line.status == "quarantined" else f"{line.quarantined} records")
        for line in failed
    )
    return (
        f"source `{source}` has not exactly one failed file {asked}. "
        f"Say which with --repairs HASH; these failed:\n{listing}"
    )
