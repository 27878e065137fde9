"""Keep a model as text and JSON behind a keyed digest, and read it only if nobody touched it.

Layout below an output's folder: `<version>/{files…, manifest.json, signature}` and `current.json`,
which names the version in use. The version is the digest of the content, so that an equal training
gives an equal version. Never pickle: a pickle runs code, and even text can be hostile.
What does not belong here: what is in the files.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import shutil
import stat
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

_MANIFEST = "manifest.json"
_SIGNATURE = "signature"
_CURRENT = "current.json"
_MAX_POINTER = 4096
_VERSION = re.compile(r"[0-9a-f]{16}\Z")
#: Far above any model of this platform; more is refused before a byte of it is read.
MAX_BYTES, MAX_FILES = 512 << 20, 64


class ModelMissingError(LookupError):
    """No model has been stored in the folder."""


class ModelTamperedError(ValueError):
    """A stored model's files do not match their keyed digest."""


@dataclass(frozen=True)
class StoredModel:
    """A verified model: its version, its manifest, its text files by name."""

    version: str
    manifest: dict[str, Any]
    files: dict[str, str]


def canonical_json(value: object) -> str:
    """JSON with sorted keys and no NaN: equal values give equal text."""
    return json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)


def _framed(contents: Mapping[str, bytes]) -> bytes:
    """Names and contents with their lengths, so that no two sets give the same bytes."""
    parts = []
    for name in sorted(contents):
        for part in (name.encode(), contents[name]):
            parts.append(len(part).to_bytes(8, "big"))
            parts.append(part)
    return b"".join(parts)


def _sign(output: str, contents: Mapping[str, bytes], key: bytes) -> str:
    """Keyed digest of files of an output: a model of another output is none of this one's."""
    if not key:
        raise ValueError("the model key is empty")
    body = _framed({"output": output.encode()}) + _framed(contents)
    return hmac.new(key, b"habitus model\0" + body, hashlib.sha256).hexdigest()


def _version(contents: Mapping[str, bytes]) -> str:
    return hashlib.sha256(_framed(contents)).hexdigest()[:16]


def save_model(
    folder: Path, files: Mapping[str, str], manifest: Mapping[str, Any], key: bytes
) -> str:
    """Store a model below `folder`, make it the current one, give its version.

    The version's folder appears whole or not at all, and the pointer moves last. The manifest must
    hold nothing that differs between equal trainings (no clock, no run id).
    """
    contents = {name: text.encode() for name, text in files.items()}
    if {_MANIFEST, _SIGNATURE} & set(contents) or any(Path(n).name != n for n in contents):
        raise ValueError(f"file names are plain and not {_MANIFEST} or {_SIGNATURE}")
    contents[_MANIFEST] = canonical_json(manifest).encode()
    version = _version(contents)
    signature = _sign(folder.name, contents, key)
    folder.mkdir(parents=True, exist_ok=True)
    target, unfinished = folder / version, folder / f".{version}.partial"
    if unfinished.exists():
        shutil.rmtree(unfinished)
    unfinished.mkdir()
    for name, content in contents.items():
        (unfinished / name).write_bytes(content)
    (unfinished / _SIGNATURE).write_text(signature)
    if target.exists():
        # Same content, but perhaps damaged since, or signed with an older key.
        shutil.rmtree(target)
    unfinished.rename(target)
    _point(folder, version, key)
    return version


def _point(folder: Path, version: str, key: bytes) -> None:
    """Make a version the current one."""
    pointer = canonical_json({"version": version, "signature": _sign_pointer(folder, version, key)})
    _swap(folder, _CURRENT, pointer)


def _swap(folder: Path, name: str, text: str) -> None:
    """Write a file whole in another's place; never beside a version's own files, which are all."""
    moving = folder / ".moving.partial"
    moving.write_text(text)
    moving.replace(folder / name)


def _sign_pointer(folder: Path, version: str, key: bytes) -> str:
    return _sign(folder.name, {_CURRENT: version.encode()}, key)


def sign_anew(folder: Path, new: bytes, old: Sequence[bytes]) -> int:
    """Sign every stored version, and the pointer, with a new key; gives how many versions.

    What none of the keys had signed stays as it is, refused as before. Killed in between, call it
    again.

    Args:
        folder: of one output's models.
        new: the key that signs from now on.
        old: the keys that signed until now.
    """
    keys = [new, *old]
    versions = [path.name for path in folder.iterdir() if _VERSION.match(path.name)]
    genuine = [v for v in versions if _fitting(partial(load_model, folder, version=v), keys)]
    for version in genuine:
        contents = _contents(folder / version)
        del contents[_SIGNATURE]
        _swap(folder, f"{version}/{_SIGNATURE}", _sign(folder.name, contents, new))
    if current := _fitting(partial(_current_version, folder), keys):
        _point(folder, _current_version(folder, current), new)
    return len(genuine)


def _fitting(read: Callable[[bytes], object], keys: Sequence[bytes]) -> bytes | None:
    """The first key with which something stored can be read; None where none of them signed it."""
    for key in keys:
        with suppress(ModelTamperedError, ModelMissingError):
            read(key)
            return key
    return None


def load_model(folder: Path, key: bytes, version: str | None = None) -> StoredModel:
    """Read the current model (or a named version) after checking every byte of it.

    Raises:
        ModelMissingError: nothing stored there.
        ModelTamperedError: pointer or files differ from what was signed with this key.
    """
    if version is None:
        version = _current_version(folder, key)
    home = folder / version
    if not _VERSION.match(version) or not home.is_dir():
        raise ModelMissingError(f"no model version {version!r} in {folder.name}; train first")
    contents = _contents(home)
    signature = contents.pop(_SIGNATURE, b"")
    signed = hmac.compare_digest(signature, _sign(folder.name, contents, key).encode())
    if _MANIFEST not in contents or not signed or version != _version(contents):
        raise ModelTamperedError(
            f"model {folder.name}/{version} does not match its signature: it was changed, or "
            "signed with another key, or before outputs were signed with it; remove the folder "
            f"models/{folder.name} and train again"
        )
    manifest = json.loads(contents.pop(_MANIFEST))
    return StoredModel(version, manifest, {n: c.decode() for n, c in contents.items()})


def _contents(home: Path) -> dict[str, bytes]:
    """A version's files. Nothing is followed out of its folder, and nothing endless is read."""
    what = f"model {home.parent.name}/{home.name}"
    found = sorted(home.iterdir())
    stats = [path.lstat() for path in found]
    for path, told in zip([home, *found], [home.lstat(), *stats], strict=True):
        if path.is_symlink() or (path != home and not stat.S_ISREG(told.st_mode)):
            raise ModelTamperedError(
                f"{what}: {path.name} is no plain file or folder, and none of ours; train again"
            )
    if len(found) > MAX_FILES or sum(told.st_size for told in stats) > MAX_BYTES:
        raise ModelTamperedError(
            f"{what} is larger than any model that was stored here ({MAX_FILES} files, "
            f"{MAX_BYTES >> 20} MiB); train again"
        )
    return {path.name: path.read_bytes() for path in found}


def _current_version(folder: Path, key: bytes) -> str:
    pointer = folder / _CURRENT
    if not pointer.is_file():
        raise ModelMissingError(f"no model stored in {folder.name}; train first")
    if pointer.is_symlink() or pointer.stat().st_size > _MAX_POINTER:
        raise ModelTamperedError(f"{folder.name}/{_CURRENT} is none of ours; train again")
    try:
        named = json.loads(pointer.read_text())
        version, signature = str(named["version"]), str(named["signature"])
        given = signature.encode("ascii")
        version.encode("ascii")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelTamperedError(f"{folder.name}/{_CURRENT} cannot be read") from error
    if not hmac.compare_digest(given, _sign_pointer(folder, version, key).encode()):
        raise ModelTamperedError(f"{folder.name}/{_CURRENT} does not match its signature")
    return version
