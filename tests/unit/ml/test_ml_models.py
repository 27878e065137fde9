"""Stored models: equal content, equal version; any change is refused."""

from pathlib import Path

import pytest

from ml.models import ModelMissingError, ModelTamperedError, load_model, save_model

KEY = b"one key"
FILES = {"trees.txt": "tree\nleaf=1\n"}
MANIFEST = {"shipped": "lightgbm", "features": ["a", "b"]}


def test_round_trip_and_version_of_content(tmp_path: Path) -> None:
    version = save_model(tmp_path, FILES, MANIFEST, KEY)
    stored = load_model(tmp_path, KEY)
    assert (stored.version, stored.files, stored.manifest) == (version, FILES, MANIFEST)
    assert save_model(tmp_path, FILES, MANIFEST, KEY) == version
    other = save_model(tmp_path, FILES, MANIFEST | {"shipped": "recency"}, KEY)
    assert other != version
    assert load_model(tmp_path, KEY).version == other
    assert load_model(tmp_path, KEY, version).manifest == MANIFEST


@pytest.mark.parametrize("name", ["trees.txt", "manifest.json", "signature", "current.json"])
def test_changed_file_is_refused(tmp_path: Path, name: str) -> None:
    version = save_model(tmp_path, FILES, MANIFEST, KEY)
    path = tmp_path / name if name == "current.json" else tmp_path / version / name
    path.write_text(path.read_text().replace("1", "2") + " ")
    if name == "current.json":
        path.write_text(path.read_text().replace(version, "0" * 16))
    with pytest.raises(ModelTamperedError):
        load_model(tmp_path, KEY)


def test_added_removed_or_foreign_files_are_refused(tmp_path: Path) -> None:
    version = save_model(tmp_path, FILES, MANIFEST, KEY)
    with pytest.raises(ModelTamperedError):
        load_model(tmp_path, b"another key")
    extra = tmp_path / version / "extra.txt"
    extra.write_text("x")
    with pytest.raises(ModelTamperedError):
        load_model(tmp_path, KEY)
    extra.unlink()
    load_model(tmp_path, KEY)
    (tmp_path / version / "trees.txt").unlink()
    with pytest.raises(ModelTamperedError):
        load_model(tmp_path, KEY)


def test_missing_model_and_bad_arguments(tmp_path: Path) -> None:
    with pytest.raises(ModelMissingError):
        load_model(tmp_path / "none", KEY)
    save_model(tmp_path, FILES, MANIFEST, KEY)
    with pytest.raises(ModelMissingError):
        load_model(tmp_path, KEY, "../elsewhere")
    with pytest.raises(ValueError, match="key is empty"):
        save_model(tmp_path, FILES, MANIFEST, b"")
    with pytest.raises(ValueError, match="plain"):
        save_model(tmp_path, {"../x": ""}, MANIFEST, KEY)
    with pytest.raises(ValueError, match="JSON compliant"):
        save_model(tmp_path, FILES, {"metric": float("nan")}, KEY)
