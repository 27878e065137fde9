"""Hostile models, and who may reach the web interface; see test_attacks.

What does not belong here: contracts, hosts and files (test_attacks.py).
"""

import json
import os
import pickle
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from habitus.cli import app
from ml.models import ModelMissingError, ModelTamperedError, load_model, save_model

MODEL, MODEL_KEY = {"tree.txt": "tree\nversion=v4\n"}, b"k" * 32


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    folder = tmp_path / "models" / "churn"
    save_model(folder, MODEL, {"features": ["a"]}, MODEL_KEY)
    assert load_model(folder, MODEL_KEY).files == MODEL
    return folder


def _version(folder: Path) -> Path:
    return folder / json.loads((folder / "current.json").read_text())["version"]


class _Executes:
    def __reduce__(self) -> tuple:
        return (os.system, ("true",))


def _resigned(folder: Path) -> None:
    """A version with a signature of another key, and a pointer to it."""
    made = save_model(folder.parent / "evil", {"tree.txt": "evil"}, {}, b"another key")
    shutil.copytree(folder.parent / "evil" / made, folder / made)
    shutil.copy(folder.parent / "evil" / "current.json", folder / "current.json")


def _swapped(folder: Path) -> None:
    other = save_model(folder.parent / "other", {"tree.txt": "other"}, {}, MODEL_KEY)
    shutil.copy(folder.parent / "other" / other / "signature", _version(folder) / "signature")


def _symlinked(folder: Path) -> None:
    (_version(folder) / "tree.txt").unlink()
    (_version(folder) / "tree.txt").symlink_to("/etc/passwd")


def _linked_version(folder: Path) -> None:
    home = _version(folder)
    shutil.move(home, folder.parent / "moved")
    home.symlink_to(folder.parent / "moved")


def _huge(folder: Path) -> None:
    with (_version(folder) / "tree.txt").open("wb") as file:
        file.truncate(1 << 40)  # a hole: nothing on disk, a terabyte to whoever reads it


def _put(name: str, content: bytes) -> Callable[[Path], None]:
    return lambda folder: (_version(folder) / name).write_bytes(content)  # type: ignore[return-value]


MODELS = {
    "pickle as model": _put("tree.txt", pickle.dumps(_Executes())),
    "text changed": _put("tree.txt", b"tree\nversion=v4\nnum_leaves=2000000000\n"),
    "file added": _put("more.txt", b"x"),
    "manifest changed": _put("manifest.json", b'{"features": ["../../keys/token"]}'),
    "manifest nested": _put("manifest.json", b"[" * 1_000_000),
    "digest emptied": _put("signature", b""),
    "digest in full width": _put("signature", "\uff10".encode() * 64),
    "digest of another model": _swapped,
    "key of another": _resigned,
    "file linked": _symlinked,
    "version linked": _linked_version,
    "a terabyte": _huge,
    "a thousand files": lambda folder: [(_version(folder) / f"{i}").touch() for i in range(1000)],
    "fifo": lambda folder: os.mkfifo(_version(folder) / "f"),
    "pointer out": lambda folder: (folder / "current.json").write_text(
        json.dumps({"version": "../../keys", "signature": "x"})
    ),
    "pointer linked": lambda folder: (
        shutil.move(folder / "current.json", folder / "c"),
        (folder / "current.json").symlink_to(folder / "c"),
    ),
    "pointer in full width": lambda folder: (folder / "current.json").write_text(
        json.dumps({"version": _version(folder).name, "signature": "\uff10"})
    ),
}


@pytest.mark.parametrize("attack", MODELS)
def test_hostile_models(stored: Path, attack: str) -> None:
    MODELS[attack](stored)
    with pytest.raises(ModelTamperedError, match="churn"):
        load_model(stored, MODEL_KEY)


@pytest.mark.parametrize("version", ["..", ".", "", "../churn", "/etc", "x" * 16, "0" * 16])
def test_hostile_versions(stored: Path, version: str) -> None:
    with pytest.raises(ModelMissingError, match="no model version"):
        load_model(stored, MODEL_KEY, version)


# ---- the web interface


@pytest.mark.parametrize("read_only", [False, True])
def test_the_web_interface_listens_on_loopback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read_only: bool
) -> None:
    called: list[list[str]] = []
    monkeypatch.setenv("HABITUS_HOME", str(tmp_path))
    monkeypatch.setattr(os, "execv", lambda _path, command: called.append(command))
    monkeypatch.setattr(os, "chdir", lambda _path: None)
    environment = dict(os.environ)
    try:
        result = CliRunner().invoke(app, ["ui", *(["--read-only"] if read_only else [])])
    finally:
        os.environ.clear()
        os.environ.update(environment)
    assert result.exit_code == 0, result.output
    (command,) = called
    assert command[command.index("--host") + 1] == "127.0.0.1"
    assert ("--read-only" in command) == read_only
    assert Path(sys.executable).with_name(command[0]).exists()
