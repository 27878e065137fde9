"""The keyring: one secret for each purpose, from owner-only files or from the environment.

What does NOT belong here: what is done with a key (`tokens`, `vault`), reading the environment
(settings pass its values on), choosing where the files lie.

A key is 32 random bytes, in hex in `<purpose>.v<version>.key`. The environment gives one as
`HABITUS_KEY_<PURPOSE>=<hex>`, or `v<version>:<hex>` from the second version on, and then wins over
files. No key shows in a repr, in a log or in an error's text.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

KEY_BYTES = 32
TOKEN, RECORD, VAULT, MODEL, AUDIT = "token", "record", "vault", "model", "audit"
PURPOSES: Mapping[str, str] = {
    TOKEN: "makes tokens of identity values",
    RECORD: "salts the hashes by which exact duplicates are recognised; all versions count",
    VAULT: "opens the vault",
    MODEL: "seals trained models",
    AUDIT: "chains the audit trail",
}
ENVIRONMENT_PREFIX = "HABITUS_KEY_"
_FILE = re.compile(r"([a-z]+)\.v([1-9]\d*)\.key\Z")
_GIVEN = re.compile(r"(?:v([1-9]\d*):)?([0-9a-fA-F]{64,})\Z")


class KeyringError(ValueError):
    """A key is missing, malformed or open to others; the message says which and the way out."""


@dataclass(frozen=True)
class Key:
    """One version of one key; the secret never shows in a repr.

    Attributes:
        purpose: One of `PURPOSES`.
        version: From 1.
        secret: At least 32 bytes.
        origin: The file, or the environment variable, that holds it.
    """

    purpose: str
    version: int
    secret: bytes = field(repr=False)
    origin: str


class Keyring:
    """The keys of a data home.

    Args:
        folder: Of the key files; made, for its owner alone, with the first key.
        given: Keys from the environment, by purpose (`token`) in the form that the module states.

    Raises:
        KeyringError: A given key has an unknown purpose or is malformed.
    """

    def __init__(self, folder: Path, given: Mapping[str, str] | None = None) -> None:
        self._folder = folder
        self._given = {purpose: _parse(purpose, text) for purpose, text in (given or {}).items()}

    def __repr__(self) -> str:
        """The place of the keys, and nothing of them."""
        return f"Keyring({str(self._folder)!r})"

    def current(self, purpose: str) -> Key:
        """The newest version of a key; the first one is made here if there is none.

        Raises:
            KeyringError: A file is open to others, or holds no key.
        """
        _known(purpose)
        if purpose in self._given:
            return self._given[purpose]
        versions = self._file_versions(purpose)
        if not versions:
            self._write(purpose, 1, self._first(purpose))
            versions = [1]
        return self._read(purpose, versions[-1])

    def version(self, purpose: str, version: int) -> Key:
        """A given version of a key.

        Raises:
            KeyringError: It is not there, its file is open to others, or holds no key.
        """
        given = self._given.get(purpose)
        if given is not None and given.version == version:
            return given
        if version not in self._file_versions(purpose):
            raise KeyringError(
                f"the {purpose} key v{version} is not in {self._folder}. Restore "
                f"{purpose}.v{version}.key from its copy"
            )
        return self._read(purpose, version)

    def chain(self, purpose: str) -> list[Key]:
        """All versions of a key up to the newest, from the first on.

        Raises:
            KeyringError: One is not there, its file is open to others, or holds no key.
        """
        newest = self.current(purpose)
        return [*(self.version(purpose, number) for number in range(1, newest.version)), newest]

    def listed(self) -> list[tuple[str, int, str]]:
        """(purpose, version, where from) of every key; never a value."""
        found = [
            (purpose, version, self._path(purpose, version).name)
            for purpose in PURPOSES
            for version in self._file_versions(purpose)
        ]
        found += [(key.purpose, key.version, key.origin) for key in self._given.values()]
        return sorted(found)

    def add(self, purpose: str) -> Key:
        """Make the next version of a key; one that the environment gives is next to a file's.

        Raises:
            KeyringError: The key comes from the environment, where only its owner can change it.
        """
        key = self.current(purpose)
        if purpose in self._given:
            if any(version < key.version for version in self._file_versions(purpose)):
                return key
            raise KeyringError(
                f"the {purpose} key comes from {key.origin}: keep it as "
                f"{self._path(purpose, key.version)} for so long, set {key.origin} to "
                f"v{key.version + 1}: and a new key of {KEY_BYTES} bytes in hex, then rotate again"
            )
        self._write(purpose, key.version + 1, secrets.token_bytes(KEY_BYTES))
        return self._read(purpose, key.version + 1)

    def before(self, purpose: str, version: int) -> list[Key]:
        """The keys that files hold of versions before one, the newest first."""
        older = [found for found in self._file_versions(purpose) if found < version]
        return [self._read(purpose, found) for found in reversed(older)]

    def destroy_before(self, purpose: str, version: int) -> list[int]:
        """Remove the files of all versions before one; gives those versions."""
        old = [found for found in self._file_versions(purpose) if found < version]
        for found in old:
            self._path(purpose, found).unlink()
        return old

    def _path(self, purpose: str, version: int) -> Path:
        return self._folder / f"{purpose}.v{version}.key"

    def _file_versions(self, purpose: str) -> list[int]:
        _known(purpose)
        if not self._folder.is_dir():
            return []
        matches = (_FILE.match(path.name) for path in self._folder.iterdir())
        return sorted(int(match[2]) for match in matches if match and match[1] == purpose)

    def _first(self, purpose: str) -> bytes:
        """The first version's bytes.

        A home that is older than the record key derived its salt from the token key: the same
        derivation keeps what it has read recognisable.
        """
        if purpose == RECORD and (tokens := self._file_versions(TOKEN)):
            return record_secret(self._read(TOKEN, tokens[0]).secret)
        return secrets.token_bytes(KEY_BYTES)

    def _write(self, purpose: str, version: int, secret: bytes) -> None:
        """Bring a key file to its name whole; one that another process made first is kept."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._path(purpose, version)
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.write(secret.hex() + "\n")
                file.flush()
                os.fsync(file.fileno())
            with suppress(FileExistsError):  # made by another process just now: that one holds
                path.hardlink_to(temporary)
        finally:
            temporary.unlink()

    def _read(self, purpose: str, version: int) -> Key:
        path = self._path(purpose, version)
        for place, mode in ((self._folder, "700"), (path, "600")):
            if place.stat().st_mode & 0o077:
                raise KeyringError(f"{place} is open to others: chmod {mode} {place}")
        try:
            secret = bytes.fromhex(path.read_text(encoding="ascii").strip())
        except ValueError:
            secret = b""
        if len(secret) < KEY_BYTES:
            raise KeyringError(
                f"{path} holds no key of {KEY_BYTES} bytes in hex; restore it from its copy"
            )
        return Key(purpose, version, secret, path.name)


def record_secret(token_secret: bytes) -> bytes:
    """The record key of a home whose salt was derived from its token key."""
    return hmac.new(token_secret, b"habitus|record", hashlib.sha256).digest()


def _known(purpose: str) -> None:
    if purpose not in PURPOSES:
        raise KeyringError(f"no key is for {purpose!r}; there are: {', '.join(PURPOSES)}")


def _parse(purpose: str, text: str) -> Key:
    name = ENVIRONMENT_PREFIX + purpose.upper()
    if purpose not in PURPOSES:
        raise KeyringError(f"{name}: no key is for that; there are: {', '.join(PURPOSES)}")
    match = _GIVEN.match(text.strip())
    if match is None or len(match[2]) % 2:
        raise KeyringError(
            f"{name} holds no key: write {KEY_BYTES} bytes or more in hex, with v2: before them "
            "for a second version"
        )
    return Key(purpose, int(match[1] or 1), bytes.fromhex(match[2]), name)
