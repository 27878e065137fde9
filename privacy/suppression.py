"""Who was erased stays out: keyed digests of identifiers that ingestion refuses.

What does NOT belong here: judging records (`ingestion`), what erasing removes (`erasure`).

The list holds HMAC-SHA256(key, kind | normalised clear value), never a token and never a value. Its
key is derived from the record key, which is never rotated: a new token key needs no new list, which
nobody could make, because the vault has forgotten the values. Like tokens, the digests are personal
data to whoever has the key and a guess.
"""

from __future__ import annotations

import hashlib
import hmac
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


@dataclass(frozen=True)
class Suppression:
    """The list, as ingestion asks it.

    Attributes:
        secret: From `suppression_secret`.
        digests: Of what is kept out, in hex.
        key_fields: Names of fields whose values are kept out as keys of records.
    """

    secret: bytes = field(repr=False)
    digests: frozenset[str] = field(repr=False)
    key_fields: frozenset[str] = frozenset()

    def matches(self, values: Sequence[str], kind: str) -> list[str]:
        """Those of some clear values that are kept out.

        Args:
            values: Clear values.
            kind: A token type, or `key:` and a field's name.
        """
        return [value for value in values if digest_of(value, kind, self.secret) in self.digests]


def suppression_secret(record_secret: bytes) -> bytes:
    """The list's key, of the record key: what one gives away says nothing of the other."""
    return hmac.digest(record_secret, b"habitus|suppression", hashlib.sha256)


def digest_of(value: str, kind: str, secret: bytes) -> str:
    """A value's digest in hex; of spellings that mean the same, the same."""
    meant = value.strip() if kind.startswith(KEY_KIND) else normalise(value, kind)
    text = f"habitus|suppressed|{kind}|{meant}".encode()
    return hmac.digest(secret, text, hashlib.sha256)[:_DIGEST_BYTES].hex()


def read_list(path: Path, secret: bytes) -> Suppression | None:
    """The list of a deployment; None without one, so that nobody pays for an empty list.

    Raises:
        ValueError: A line is none of the list's.
    """
    if not path.exists():
        return None
    digests, fields = set(), set()
    for number, line in enumerate(path.read_text(encoding="ascii").splitlines(), 1):
        kind, _, digest = line.rpartition(" ")
        if not kind or len(digest) != 2 * _DIGEST_BYTES:
            raise ValueError(
                f"{path}, line {number}: no `kind digest`. Restore the list from its copy: without "
                "it a replay brings back people who were erased"
            )
        digests.add(digest)
        if kind.startswith(KEY_KIND):
            fields.add(kind.removeprefix(KEY_KIND))
    return Suppression(secret, frozenset(digests), frozenset(fields)) if digests else None


def add_to_list(path: Path, lines: Iterable[str]) -> int:
    """Add lines `kind digest`, the whole list on the disk when this returns; gives the new ones."""
    known: Collection[str] = ()
    if path.exists():
        known = path.read_text(encoding="ascii").splitlines()
    together = sorted({*known, *lines})
    write_whole(path, "".join(f"{line}\n" for line in together).encode())
    return len(together) - len(known)
