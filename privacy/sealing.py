"""Bytes that anybody who holds the public key can seal, and only the private key opens.

What does NOT belong here: what is sealed (`vault`), where keys come from (`keys`).

A box is a magic word, the version of the key, a fresh X25519 public key and AES-256-GCM text. Its
content key comes from the fresh key and the vault's by HKDF-SHA256, so no two boxes share one. A
box is bound to its name: it cannot be passed off as another. It is not signed: whoever holds the
public key and may write to the folder can add a box.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from privacy.keys import KEY_BYTES, Key

_MAGIC = b"HABITUS-VAULT-1\n"
_HEAD = struct.Struct(f"!{len(_MAGIC)}sI32s")
#: Each content key seals one box alone, so a fixed nonce never repeats under a key.
_NONCE = bytes(12)


class SealError(ValueError):
    """A sealed file cannot be opened; the message names it, the reason and the way out."""


@dataclass(frozen=True)
class PublicKey:
    """The half of the vault's key that seals.

    Attributes:
        version: Of the vault's key.
        raw: 32 bytes.
    """

    version: int
    raw: bytes


def public_half(key: Key) -> PublicKey:
    """The public half of the vault's key."""
    private = X25519PrivateKey.from_private_bytes(key.secret[:KEY_BYTES])
    return PublicKey(key.version, private.public_key().public_bytes_raw())


def _content_key(shared: bytes, ephemeral: bytes, public: bytes) -> bytes:
    derived = HKDF(SHA256(), 32, salt=ephemeral + public, info=b"habitus|vault")
    return derived.derive(shared)


def seal(clear: bytes, name: str, public: PublicKey) -> bytes:
    """A box of bytes.

    Args:
        clear: What to seal.
        name: Under which the box is kept; it opens under no other.
        public: Of the vault's key.
    """
    fresh = X25519PrivateKey.generate()
    ephemeral = fresh.public_key().public_bytes_raw()
    shared = fresh.exchange(X25519PublicKey.from_public_bytes(public.raw))
    head = _HEAD.pack(_MAGIC, public.version, ephemeral)
    content_key = _content_key(shared, ephemeral, public.raw)
    return head + AESGCM(content_key).encrypt(_NONCE, clear, head + name.encode())


def version_of(box: bytes, name: str) -> int:
    """The version of the vault's key that opens a box.

    Raises:
        SealError: It is no box.
    """
    if len(box) < _HEAD.size or not box.startswith(_MAGIC):
        raise SealError(f"{name} is no sealed file, or cut off. Restore it from its copy")
    return int(_HEAD.unpack_from(box)[1])


def open_box(box: bytes, name: str, key: Key) -> bytes:
    """What a box holds.

    Raises:
        SealError: It is no box, was changed or renamed, or is another key's.
    """
    version_of(box, name)
    head = box[: _HEAD.size]
    ephemeral = _HEAD.unpack(head)[2]
    private = X25519PrivateKey.from_private_bytes(key.secret[:KEY_BYTES])
    shared = private.exchange(X25519PublicKey.from_public_bytes(ephemeral))
    content_key = _content_key(shared, ephemeral, private.public_key().public_bytes_raw())
    try:
        return AESGCM(content_key).decrypt(_NONCE, box[_HEAD.size :], head + name.encode())
    except InvalidTag:
        raise SealError(
            f"{name} does not open with the vault key v{key.version}: it was changed or renamed, "
            "or the key is another home's. Restore the file, or its key, from a copy"
        ) from None


def write_whole(path: Path, content: bytes) -> None:
    """Write a file that only its owner can read: whole, and on the disk, before it has its name."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.unlink(missing_ok=True)
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
