"""A new token key: every stored token replaced one to one, by way of the vault's clear values.

What does NOT belong here: holding the run lock (the command does), the warehouse (the next run
builds it from raw), keys and vault themselves (`keys`, `vault`).

The version of the key under which a deployment's tokens stand is a mark beside its vault. It moves
last, so whatever a kill leaves is seen by it: ingestion refuses until the rotation is done again,
and doing it again finds the files that are finished already free of old tokens.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from privacy.keys import RECORD, TOKEN, VAULT, Keyring
from privacy.sealing import write_whole
from privacy.tokens import TOKEN_PATTERN, TokenKey, tokenise
from privacy.vault import Vault

_ANY_TOKEN = re.compile(TOKEN_PATTERN)
#: What stands under a key, whose version is a mark beside the vault, and how a new key comes.
_STANDS = {
    TOKEN: ("tokens", "habitus keys rotate"),
    RECORD: ("record hashes", "habitus keys rotate --purpose record"),
}
#: Rows read and written at once: a row group of DuckDB.
ROWS = 122_880


class RotationError(RuntimeError):
    """Tokens cannot be rotated, or a rotation is half done; the message says the way out."""


@dataclass
class Rename:
    """Old token -> new token, in any text.

    Attributes:
        new_of: The map.
        version: Of the key of the new tokens.
        unknown: Tokens of another version that the map does not have.
    """

    new_of: Mapping[str, str]
    version: int
    unknown: set[str] = field(default_factory=set)

    def text(self, text: str) -> str:
        """A text with its old tokens replaced; those of the new key stay."""
        return _ANY_TOKEN.sub(self._one, text)

    def texts(self, texts: Sequence[str | None]) -> list[str | None]:
        """Texts with their old tokens replaced."""
        return [None if text is None else self.text(text) for text in texts]

    def _one(self, match: re.Match[str]) -> str:
        token = match[0]
        if int(match[1]) == self.version:
            return token
        new = self.new_of.get(token)
        if new is None:
            self.unknown.add(token)
            return token
        return new


@dataclass
class Rotated:
    """What a rotation did in one deployment.

    Attributes:
        deployment: Its folder's name.
        tokens: Tokens that have a successor.
        changed: By what was rotated: values that changed.
    """

    deployment: str
    tokens: int
    changed: dict[str, int] = field(default_factory=dict)


#: A column's values -> (new values, how many differ).
Change = Callable[[pa.Array], tuple[pa.Array, int]]
#: Replaces the tokens under a deployment's home; with `write` false it only looks.
Rotator = Callable[[Path, Rename, bool], int]


def rotate_parquet(folder: Path, rename: Rename, write: bool) -> int:
    """Replace tokens in all texts of all Parquet files below a folder; gives values changed.

    Each file is written anew and renamed into its place; links are not followed.
    """
    return sum(_parquet_file(path, rename, write) for path in sorted(folder.rglob("*.parquet")))


def _parquet_file(path: Path, rename: Rename, write: bool) -> int:
    schema = pq.read_schema(path)
    texts = [name for name in schema.names if _is_text(schema.field(name).type)]
    return rewrite(path, dict.fromkeys(texts, lambda column: _column(column, rename)), write)


def rewrite(path: Path, changes: Mapping[str, Change], write: bool = True) -> int:
    """Change columns of a Parquet file; gives the values that change.

    The file is written anew and renamed into its place, or, where nothing changes, left alone.

    Args:
        path: The file.
        changes: By column: its values -> (new values, how many differ). Absent ones are passed by.
        write: False only looks.
    """
    with pq.ParquetFile(path) as file:
        schema = file.schema_arrow
        names = [name for name in schema.names if name in changes]
        found = sum(
            changes[name](batch.column(name))[1]
            for batch in (file.iter_batches(ROWS, columns=names) if names else ())
            for name in names
        )
        if not found or not write:
            return found
        temporary = path.with_name(f".{path.name}.tmp")
        with pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
            for batch in file.iter_batches(ROWS):
                columns = list(batch.columns)
                for name in names:
                    index = schema.get_field_index(name)
                    columns[index] = changes[name](columns[index])[0]
                writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=batch.schema))
    with temporary.open("rb+") as handle:
        os.fsync(handle.fileno())
    temporary.replace(path)
    return found


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _column(column: pa.Array, rename: Rename) -> tuple[pa.Array, int]:
    """A column with its tokens replaced, and how many distinct values changed."""
    coded = column.dictionary_encode()
    before = coded.dictionary.to_pylist()
    after = [text if "tok_v" not in text else rename.text(text) for text in before]
    changed = sum(old != new for old, new in zip(before, after, strict=True))
    if not changed:
        return column, 0
    return pa.array(after, column.type).take(coded.indices), changed


def rotate_sqlite(path: Path, rename: Rename, write: bool) -> int:
    """Replace tokens in all texts of a SQLite file, in one transaction; gives rows changed."""
    if not path.exists():
        return 0
    changed = 0
    with closing(sqlite3.connect(path, timeout=60, isolation_level=None)) as db:
        db.create_function("renamed", 1, rename.text, deterministic=True)
        db.execute("begin immediate" if write else "begin")
        for table, column in list(_text_columns(db)):
            holds = f"typeof({column}) = 'text' and {column} like '%tok_v%'"
            new = f"renamed({column})"
            if write:
                changed += db.execute(
                    f"update {table} set {column} = {new} where {holds} and {new} <> {column}"
                ).rowcount
            else:
                changed += db.execute(
                    f"select count(*) from {table} where {holds} and {new} <> {column}"
                ).fetchone()[0]
        db.execute("commit")
    return changed


def _text_columns(db: sqlite3.Connection) -> Iterator[tuple[str, str]]:
    tables = db.execute("select name from sqlite_master where type = 'table'").fetchall()
    for (table,) in tables:
        quoted = '"' + table.replace('"', '""') + '"'
        for row in db.execute(f"pragma table_info({quoted})").fetchall():
            yield quoted, '"' + row[1].replace('"', '""') + '"'


def _below(name: str) -> Rotator:
    return lambda home, rename, write: rotate_parquet(home / name, rename, write)


def _database(name: str) -> Rotator:
    return lambda home, rename, write: rotate_sqlite(home / name, rename, write)


def _rebuilds(home: Path, rename: Rename, write: bool) -> int:
    """ML outputs of rebuilds of the past; raw and quarantine are links to the present's."""
    folders = sorted(home.glob("as_of/*/lake/ml"))
    return sum(rotate_parquet(folder, rename, write) for folder in folders)


#: Everything that keeps tokens and is not built anew by the next run. A part that keeps tokens
#: elsewhere adds its line: (home of the deployment, renames, whether to write) -> values changed.
ROTATORS: Mapping[str, Rotator] = MappingProxyType(
    {
        "raw": _below("lake/raw"),
        "quarantine": _below("lake/quarantine"),
        "held records": _below("lake/held"),
        "ml outputs": _below("lake/ml"),
        "shared identifiers": _below("lake/erased"),
        "rebuilds of the past": _rebuilds,
        "ledger": _database("ledger.sqlite"),
    }
)


def standing_version(folder: Path, purpose: str = TOKEN) -> int | None:
    """The version of the key under which a deployment's data stand; None before the first.

    Args:
        folder: The vault's.
        purpose: The key's.
    """
    mark = folder / f"{purpose}_version"
    return int(mark.read_text(encoding="ascii")) if mark.exists() else None


def enter_mark(folder: Path, version: int, purpose: str = TOKEN) -> None:
    """Enter under which version of a key a deployment's data stand."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_whole(folder / f"{purpose}_version", f"{version}\n".encode())


def enter_version(folder: Path, version: int, *, is_new: bool, purpose: str = TOKEN) -> None:
    """Require that a deployment's data are of a key's version; enter it if there are none yet.

    Args:
        folder: The vault's.
        version: Of the key that stands.
        is_new: Whether the deployment has read nothing yet. One from before marks is at 1.
        purpose: The key's.

    Raises:
        RotationError: They are of another version.
    """
    standing = standing_version(folder, purpose)
    if standing is None:
        standing = version if is_new else 1
        enter_mark(folder, standing, purpose)
    if standing != version:
        what, command = _STANDS[purpose]
        raise RotationError(
            f"the {what} of {folder.parent.name} are of key v{standing}, and v{version} stands: "
            f"run `{command}`, which changes them, or finishes what was interrupted"
        )


def rotate_tokens(
    homes: Sequence[Path], keyring: Keyring, rotators: Mapping[str, Rotator] = ROTATORS
) -> list[Rotated]:
    """Make a new token key and bring every deployment to it; or finish what was interrupted.

    Looked at first: where a token has no clear value in the vault, nothing is changed at all.

    Args:
        homes: All deployments under the keyring's home; the caller holds their run locks.
        keyring: The old token key's files are destroyed at the end.
        rotators: What keeps tokens.

    Raises:
        RotationError: The vault lacks the clear values of some tokens.
        KeyringError: The key comes from the environment, and no newer one is given.
    """
    version = keyring.current(TOKEN).version
    standing = {home: standing_version(home / "vault") or 1 for home in homes}
    for home in homes:
        _require_values(home, Vault(home / "vault", keyring), rotators)
    if all(found == version for found in standing.values()):
        version = keyring.add(TOKEN).version
    behind = [home for home, found in standing.items() if found != version]
    done = [_rotate_deployment(home, keyring, rotators) for home in behind]
    keyring.destroy_before(TOKEN, version)
    return done


def _require_values(home: Path, vault: Vault, rotators: Mapping[str, Rotator]) -> None:
    """Require that the vault knows every token that a deployment keeps."""
    renames = vault.renames()
    tokens = [*vault.entries()["token"].to_pylist(), *renames, *renames.values()]
    look = Rename({token: token for token in tokens}, version=0)
    for rotator in rotators.values():
        rotator(home, look, False)
    if look.unknown:
        raise RotationError(
            f"{home.name}: {len(look.unknown)} tokens have no clear value in the vault, for "
            "instance because they are older than it. Nothing was changed. Bring their files into "
            "a new home, then rotate"
        )


def _rotate_deployment(home: Path, keyring: Keyring, rotators: Mapping[str, Rotator]) -> Rotated:
    """Old token -> new token is in the vault before the first file changes; the mark moves last."""
    key = TokenKey.of(keyring.current(TOKEN))
    vault = Vault(home / "vault", keyring)
    rename = Rename(successors(vault, key), key.version)
    vault.rename(rename.new_of)
    done = Rotated(home.name, len(rename.new_of))
    for name, rotator in rotators.items():
        done.changed[name] = rotator(home, rename, True)
    if rename.unknown:
        raise RotationError(f"{home.name}: tokens came while they were rotated; rotate again")
    enter_mark(home / "vault", key.version)
    return done


def rotate_vault(homes: Sequence[Path], keyring: Keyring) -> dict[str, int]:
    """Make a new vault key, seal every vault under it, destroy the old; files sealed by deployment.

    What was removed from a vault before, and still lies on the disk's free blocks, cannot be opened
    by anybody afterwards. Killed in between, do it again.

    Args:
        homes: All deployments under the keyring's home; the caller holds their run locks.
        keyring: The old vault key's files are destroyed at the end.
    """
    version = keyring.add(VAULT).version
    sealed = {home.name: Vault(home / "vault", keyring).reseal() for home in homes}
    keyring.destroy_before(VAULT, version)
    return sealed


def successors(vault: Vault, key: TokenKey) -> dict[str, str]:
    """Old token -> its successor under a key, of all tokens that the vault has or had.

    Raises:
        RotationError: Two tokens would become one, or one two.
    """
    prefix = f"tok_v{key.version}_"
    new_of: dict[str, str] = {}
    table = vault.entries()
    for kind in table["token_type"].unique().to_pylist():
        rows = table.filter(pc.equal(table["token_type"], kind))
        made = tokenise(rows["clear"].to_pylist(), kind, key)
        for old, new in zip(rows["token"].to_pylist(), made, strict=True):
            if old.startswith(prefix):
                continue  # renamed before a kill; its line is in the map
            if new is None or new_of.setdefault(old, new) != new:
                raise RotationError(
                    "the vault has two meanings for one token: it was tampered with"
                )
    new_of |= {old: new for old, new in vault.renames().items() if new.startswith(prefix)}
    if len(set(new_of.values())) != len(new_of):
        raise RotationError("two tokens have one clear value: the vault was tampered with")
    return new_of
