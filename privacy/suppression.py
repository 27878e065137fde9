"""Who was erased stays out: keyed digests of identifiers that ingestion refuses.

What does NOT belong here: judging records (`ingestion`), what erasing removes (`erasure`).

The list holds HMAC-SHA256(key, kind | normalised clear value), never a token and never a value. Its
key is derived from the record key: a new token key needs no new list, which nobody could make,
because the vault has forgotten the values. A new record key needs none either: as hashes of
records (`records`), a digest stands under the first key and then under each that came after; `v2.`
before it says under how many. Like tokens, the digests are personal data to whoever has all keys
and a guess.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from privacy.sealing import write_whole
from privacy.tokens import normalise

#: Kinds of keys of records, such as `key:order_id`: lines of an order name nobody themselves.
KEY_KIND = "key:"
#: Types that name one person. A person's name does not: another may bear it.
NAMING = ("customer", "login", "email", "phone", "device")
_DIGEST_BYTES = 16
_DIGEST = re.compile(rf"(?:v([1-9]\d*)\.)?([0-9a-f]{{{2 * _DIGEST_BYTES}}})")


@dataclass(frozen=True)
class Suppression:
    """The list, as ingestion asks it.

    Attributes:
        secrets: From `suppression_secret`, of each record key.
        digests: Of what is kept out, under all of them.
        key_fields: Names of fields whose values are kept out as keys of records.
    """

    secrets: Sequence[bytes] = field(repr=False)
    digests: frozenset[str] = field(repr=False)
    key_fields: frozenset[str] = frozenset()

    def matches(self, values: Sequence[str], kind: str) -> list[str]:
        """Those of some clear values that are kept out.

        Args:
            values: Clear values.
            kind: A token type, or `key:` and a field's name.
        """
        return [value for value in values if digest_of(value, kind, *self.secrets) in self.digests]


def suppression_secret(record_secret: bytes) -> bytes:
    """The list's key, of the record key: what one gives away says nothing of the other."""
    return hmac.digest(record_secret, b"habitus|suppression", hashlib.sha256)


def digest_of(value: str, kind: str, *secrets: bytes) -> str:
    """A value's digest under a chain of keys; of spellings that mean the same, the same."""
    meant = value.strip() if kind.startswith(KEY_KIND) else normalise(value, kind)
    text = f"habitus|suppressed|{kind}|{meant}".encode()
    return _under_all(hmac.digest(secrets[0], text, hashlib.sha256)[:_DIGEST_BYTES].hex(), secrets)


def _under_all(digest: str, secrets: Sequence[bytes]) -> str:
    """A digest under the first keys of a chain, or under all, as it is under all."""
    match = _DIGEST.fullmatch(digest)
    if match is None or int(match[1] or 1) > len(secrets):
        raise ValueError("no digest under these keys")
    found = match[2]
    for secret in secrets[int(match[1] or 1) :]:
        text = f"habitus|suppressed|{found}".encode()
        found = hmac.digest(secret, text, hashlib.sha256)[:_DIGEST_BYTES].hex()
    return f"v{len(secrets)}.{found}" if len(secrets) > 1 else found


def read_list(path: Path, *secrets: bytes) -> Suppression | None:
    """The list of a deployment; None without one, so that nobody pays for an empty list.

    Lines under fewer keys than there are, as a copy from before has them, count as well.

    Raises:
        ValueError: A line is none of the list's.
    """
    lines = [line.rpartition(" ") for line in _lines(path, secrets)]
    digests = frozenset(digest for _, _, digest in lines)
    kinds = {kind for kind, _, _ in lines if kind.startswith(KEY_KIND)}
    fields = frozenset(kind.removeprefix(KEY_KIND) for kind in kinds)
    return Suppression(secrets, digests, fields) if digests else None


def _lines(path: Path, secrets: Sequence[bytes]) -> list[str]:
    """The list's lines, each under all keys."""
    found = []
    written = path.read_text(encoding="ascii").splitlines() if path.exists() else []
    for number, line in enumerate(written, 1):
        kind, _, digest = line.rpartition(" ")
        try:
            found.append(f"{kind} {_under_all(digest, secrets)}")
        except ValueError:
            kind = ""
        if not kind:
            raise ValueError(
                f"{path}, line {number}: no `kind digest`. Restore the list from its copy: without "
                "it a replay brings back people who were erased"
            )
    return found


def bring_forward(path: Path, secrets: Sequence[bytes]) -> None:
    """Bring a list under all keys of a chain, if there is one."""
    if lines := _lines(path, secrets):
        write_whole(path, "".join(f"{line}\n" for line in sorted(set(lines))).encode())


def add_to_list(path: Path, lines: Iterable[str]) -> int:
    """Add lines `kind digest`, the whole list on the disk when this returns; gives the new ones."""
    known: Collection[str] = ()
    if path.exists():
        known = path.read_text(encoding="ascii").splitlines()
    together = sorted({*known, *lines})
    write_whole(path, "".join(f"{line}\n" for line in together).encode())
    return len(together) - len(known)
