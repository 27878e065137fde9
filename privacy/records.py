"""Hashes of records, and a new record key: every stored hash wrapped in another, by every new key.

What does NOT belong here: what of a record is hashed (`ingestion`), holding the run lock (the
command does), marks and Parquet (`rotate`).

Nobody can hash a record again that came long ago, but its hash can be hashed: under the keys k1, k2
a record's hash is md5(k2 || md5(k1 || content)). So no key of the chain may be lost, and whoever
has not all of them can test no guess. From the second key on, two bytes before the hash say under
how many it stands: a rotation that is done again wraps nothing twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from privacy.keys import RECORD, Keyring
from privacy.rotate import RotationError, enter_mark, rewrite, standing_version
from privacy.suppression import bring_forward, suppression_secret

COLUMN = "_record_hash"
_PLAIN, _HEAD = 16, 2


def salt(secret: bytes) -> str:
    """The part of a record key that stands before what is hashed."""
    return secret.hex()[:32]


def salts(secrets: Sequence[bytes]) -> dict[str, str]:
    """The parameters of `hash_sql` for a chain of keys."""
    return {f"salt{number}": salt(secret) for number, secret in enumerate(secrets, 1)}


def hash_sql(content: str, keys: int) -> str:
    """SQL of a record's hash under a chain of keys; parameters as `salts` gives them."""
    hashed = content
    for number in range(1, keys + 1):
        hashed = f"md5($salt{number} || {hashed})"
    return f"unhex({_head(keys).hex()!r} || {hashed})" if keys > 1 else f"unhex({hashed})"


def wrapped(stored: bytes, secrets: Sequence[bytes]) -> bytes:
    """A stored hash under all keys of a chain.

    Args:
        stored: Under the chain's first keys, or under all.
        secrets: The chain.

    Raises:
        RotationError: It is no hash of a record.
    """
    if len(stored) not in (_PLAIN, _HEAD + _PLAIN):
        raise RotationError(f"a record's hash has {len(stored)} bytes: restore raw from a copy")
    version = 1 if len(stored) == _PLAIN else int.from_bytes(stored[:_HEAD])
    hashed = stored[-_PLAIN:]
    for secret in secrets[version:]:
        inner = salt(secret) + hashed.hex()
        hashed = hashlib.md5(inner.encode(), usedforsecurity=False).digest()
    return _head(max(version, len(secrets))) + hashed


def _head(keys: int) -> bytes:
    return keys.to_bytes(_HEAD) if keys > 1 else b""


def rotate_records(homes: Sequence[Path], keyring: Keyring) -> dict[str, int]:
    """Make a new record key and wrap every stored hash in it; or finish what was interrupted.

    Args:
        homes: All deployments under the keyring's home; the caller holds their run locks.
        keyring: Keeps the old keys: new records are hashed under all of them.

    Returns:
        Hashes that changed, by deployment.

    Raises:
        RotationError: The key comes from the environment, and no newer one is given.
        KeyringError: A key of the chain is missing.
    """
    version = len(keyring.chain(RECORD))
    standing = {home: standing_version(home / "vault", RECORD) or 1 for home in homes}
    if all(found == version for found in standing.values()):
        if keyring.add(RECORD).version == version:
            raise RotationError(
                f"the record key v{version} comes from the environment: keep it as its file, and "
                f"give a new one as v{version + 1}:, then rotate again"
            )
        version += 1
    secrets = [key.secret for key in keyring.chain(RECORD)]
    changed = {}
    for home in (home for home, found in standing.items() if found != version):
        files = sorted((home / "lake" / "raw").rglob("*.parquet"))
        changed[home.name] = sum(_rotate_file(path, secrets) for path in files)
        suppressed = [suppression_secret(secret) for secret in secrets]
        bring_forward(home / "erasures" / "suppressed.txt", suppressed)
        enter_mark(home / "vault", version, RECORD)
    return changed


def _rotate_file(path: Path, secrets: Sequence[bytes]) -> int:
    """Wrap the hashes of a raw file; gives how many changed."""

    def change(column: pa.Array) -> tuple[pa.Array, int]:
        old = column.to_pylist()
        new = [None if value is None else wrapped(value, secrets) for value in old]
        number = sum(one != other for one, other in zip(old, new, strict=True))
        return pa.array(new, column.type), number

    return rewrite(path, {COLUMN: change})
