"""The vault: the one place that holds the clear values behind tokens, sealed.

What does NOT belong here: how bytes are sealed (`sealing`), who may ask and why (the callers; each
use is theirs to record), rotating tokens (`rotate`).

    vault/segments/<batch>.seal   tokens and clear values that a batch brought
    vault/segments/all-<n>.seal   the same, of many batches, after `compact`
    vault/renames.seal            old token -> the one that took its place

Ingestion holds the public key alone (`Sealer`): it adds and cannot read. Every file is written
whole under another name and renamed, so a kill leaves the one before. Whoever changes what is
there (`forget`, `compact`, `reseal`, `rename`) holds the deployment's run lock.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from privacy.keys import VAULT, Keyring
from privacy.sealing import PublicKey, open_box, public_half, seal, version_of, write_whole
from privacy.tokens import normalise

ENTRIES = pa.schema(
    [
        ("token", pa.string()),
        ("token_type", pa.string()),
        ("clear", pa.string()),
        ("source", pa.string()),
        ("batch_id", pa.string()),
    ]
)
RENAMES = pa.schema([("old", pa.string()), ("new", pa.string())])
_COMPACTED = "all-"
_ENDING = ".seal"
_COPIES = ["token", "token_type", "clear"]


@dataclass(frozen=True)
class Sealer:
    """What ingestion needs to add to the vault, and nothing that reads it.

    Attributes:
        folder: The vault's.
        public: Of the vault's key.
    """

    folder: Path
    public: PublicKey

    @property
    def segments(self) -> Path:
        """The folder that segments go to."""
        return self.folder / "segments"

    def path(self, batch_id: str) -> Path:
        """Where a batch's segment goes."""
        return self.segments / f"{batch_id}{_ENDING}"

    def seal(self, segment: pa.Table, batch_id: str) -> None:
        """Add a batch's tokens and their clear values; without any, nothing is written.

        Args:
            segment: Columns as `ENTRIES`.
            batch_id: The batch; a repeat replaces its segment.
        """
        path = self.path(batch_id)
        if segment.num_rows:
            write_whole(path, seal(_bytes_of(segment), path.name, self.public))
        else:
            path.unlink(missing_ok=True)

    def discard(self, batch_id: str) -> None:
        """Remove the segment of a batch that came to nothing, and what a kill left of it."""
        path = self.path(batch_id)
        path.unlink(missing_ok=True)
        path.with_name(f".{path.name}.tmp").unlink(missing_ok=True)


class Vault:
    """The vault of one deployment, as those see it who may open it.

    Args:
        folder: `<deployment home>/vault`.
        keyring: With the vault's key.
    """

    def __init__(self, folder: Path, keyring: Keyring) -> None:
        self._folder = folder
        self._keyring = keyring

    @property
    def sealer(self) -> Sealer:
        """What adds to this vault; its folders are made here, for their owner alone."""
        sealer = Sealer(self._folder, public_half(self._keyring.current(VAULT)))
        for folder in (self._folder, sealer.segments):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return sealer

    @property
    def segments(self) -> int:
        """How many segments there are."""
        return len(self._segments())

    def entries(self) -> pa.Table:
        """Everything: columns as `ENTRIES`, each (token, type, clear value) once.

        Raises:
            SealError: A segment is damaged, or its key is gone.
        """
        return _once([self._open(path, ENTRIES) for path in self._segments()])

    def clear_of(self, tokens: Collection[str]) -> dict[str, str]:
        """The clear value behind each token that the vault knows, also behind replaced tokens.

        Of several spellings of one value, the first in order.
        """
        newest = self.current_of(tokens)
        wanted = pa.array(sorted(set(newest.values())), pa.string())
        found: dict[str, str] = {}
        for part in self._matching("token", wanted):
            for token, clear in zip(
                part["token"].to_pylist(), part["clear"].to_pylist(), strict=True
            ):
                found[token] = min(clear, found.get(token, clear))
        return {token: found[new] for token, new in newest.items() if new in found}

    def tokens_of(self, value: str, token_type: str) -> list[str]:
        """Tokens under which a clear value is kept, in any spelling that means the same."""
        meant = normalise(value, token_type)
        found = set()
        for part in self._matching("token_type", pa.array([token_type])):
            for token, clear in zip(
                part["token"].to_pylist(), part["clear"].to_pylist(), strict=True
            ):
                if normalise(clear, token_type) == meant:
                    found.add(token)
        return sorted(found)

    def current_of(self, tokens: Collection[str]) -> dict[str, str]:
        """The token that stands today for each of these: itself, or what rotations made of it."""
        renames = self.renames()
        return {token: _follow(token, renames) for token in tokens}

    def renames(self) -> dict[str, str]:
        """Old token -> the next one, of all rotations."""
        if not self._renames.exists():
            return {}
        table = self._open(self._renames, RENAMES)
        return dict(zip(table["old"].to_pylist(), table["new"].to_pylist(), strict=True))

    def forget(self, tokens: Collection[str]) -> int:
        """Remove tokens and their clear values for good, also under tokens that they replaced.

        Each segment that holds one is replaced whole by one without it. Killed in between, some
        segments still hold some: call it again, it does what is left.

        Returns:
            Entries removed by this call.
        """
        renames = self.renames()
        gone = set(tokens) | {_follow(token, renames) for token in tokens}
        gone |= {old for old in renames if _follow(old, renames) in gone}
        listing = pa.array(sorted(gone), pa.string())
        removed = 0
        for path in self._segments():
            removed += self._rewrite(
                path, ENTRIES, partial(_without, names=["token"], gone=listing)
            )
        if renames:
            self._rewrite(
                self._renames, RENAMES, partial(_without, names=["old", "new"], gone=listing)
            )
        return removed

    def compact(self, unfinished: Collection[str] = ()) -> int:
        """Bring all segments into one that has each value once; gives the bytes saved.

        Killed in between, old segments lie beside the new one: no value is lost or shown twice.

        Args:
            unfinished: Batches that a crash left: their segments stay for ingestion to discard.
        """
        paths = [
            path for path in self._segments() if path.name.removesuffix(_ENDING) not in unfinished
        ]
        if len(paths) < 2:
            return 0
        before = sum(path.stat().st_size for path in paths)
        numbers = [
            int(path.name.removeprefix(_COMPACTED).removesuffix(_ENDING))
            for path in paths
            if path.name.startswith(_COMPACTED)
        ]
        target = paths[0].with_name(f"{_COMPACTED}{max(numbers, default=0) + 1:06d}{_ENDING}")
        self._store(target, _once([self._open(path, ENTRIES) for path in paths]))
        for path in paths:
            path.unlink()
        return before - target.stat().st_size

    def rename(self, new_of: Mapping[str, str]) -> None:
        """Give entries their new tokens, and keep old -> new, so that old exports can be joined.

        The map is on the disk before the first entry changes.
        """
        known = {**self.renames(), **new_of}
        columns = {"old": list(known), "new": list(known.values())}
        self._store(self._renames, pa.table(columns, schema=RENAMES))
        for path in self._segments():
            self._rewrite(path, ENTRIES, partial(_renamed, new_of=new_of), always=True)

    def reseal(self) -> int:
        """Seal everything that an older vault key sealed under the newest; gives the files."""
        newest = self._keyring.current(VAULT).version
        count = 0
        for path, schema in self._files():
            if version_of(path.read_bytes(), path.name) != newest:
                self._store(path, self._open(path, schema))
                count += 1
        return count

    @property
    def _renames(self) -> Path:
        return self._folder / f"renames{_ENDING}"

    def _segments(self) -> list[Path]:
        return sorted((self._folder / "segments").glob(f"[!.]*{_ENDING}"))

    def _files(self) -> list[tuple[Path, pa.Schema]]:
        files = [(path, ENTRIES) for path in self._segments()]
        return [*files, (self._renames, RENAMES)] if self._renames.exists() else files

    def _open(self, path: Path, schema: pa.Schema) -> pa.Table:
        box = path.read_bytes()
        key = self._keyring.version(VAULT, version_of(box, path.name))
        return pq.read_table(io.BytesIO(open_box(box, path.name, key))).cast(schema)

    def _store(self, path: Path, table: pa.Table) -> None:
        write_whole(path, seal(_bytes_of(table), path.name, self.sealer.public))

    def _rewrite(
        self,
        path: Path,
        schema: pa.Schema,
        change: Callable[[pa.Table], pa.Table],
        *,
        always: bool = False,
    ) -> int:
        """Put a changed table in a file's place; gives the rows that it lost."""
        before = self._open(path, schema)
        after = change(before)
        lost = int(before.num_rows - after.num_rows)
        if after.num_rows == 0:
            path.unlink()
        elif lost or (always and not after.equals(before)):
            self._store(path, after)
        return lost

    def _matching(self, column: str, values: pa.Array) -> Iterator[pa.Table]:
        for path in self._segments():
            table = self._open(path, ENTRIES)
            yield table.filter(pc.is_in(table[column], value_set=values))


def _bytes_of(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()


def _once(parts: Sequence[pa.Table]) -> pa.Table:
    """Entries without repeats, the first batch of each kept, in order of token."""
    if not parts:
        return ENTRIES.empty_table()
    table = pa.concat_tables(parts)
    grouped = (
        table.sort_by([(name, "ascending") for name in ("batch_id", "source")])
        .group_by(_COPIES, use_threads=False)
        .aggregate([("source", "first"), ("batch_id", "first")])
    )
    named = grouped.rename_columns([*_COPIES, "source", "batch_id"])
    return named.sort_by([(name, "ascending") for name in _COPIES]).cast(ENTRIES)


def _without(table: pa.Table, names: Sequence[str], gone: pa.Array) -> pa.Table:
    for name in names:
        table = table.filter(pc.invert(pc.is_in(table[name], value_set=gone)))
    return table


def _renamed(table: pa.Table, new_of: Mapping[str, str]) -> pa.Table:
    tokens = [new_of.get(token, token) for token in table["token"].to_pylist()]
    return table.set_column(0, "token", pa.array(tokens, pa.string()))


def _follow(token: str, renames: Mapping[str, str]) -> str:
    while token in renames:
        token = renames[token]
    return token
