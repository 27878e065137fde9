"""Stored models: equal content, equal version; any change is refused."""

import shutil
from pathlib import Path

import pytest

from ml.models import ModelMissingError, ModelTamperedError, load_model, save_model, sign_anew

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


def test_a_new_key_signs_what_the_old_one_had_signed(tmp_path: Path) -> None:
    older = save_model(tmp_path, FILES, MANIFEST | {"shipped": "recency"}, KEY)
    version = save_model(tmp_path, FILES, MANIFEST, KEY)
    forged = save_model(tmp_path, FILES, MANIFEST | {"shipped": "mine"}, b"forged")
    save_model(tmp_path, FILES, MANIFEST, KEY)
    assert sign_anew(tmp_path, b"new", [KEY]) == 2
    assert load_model(tmp_path, b"new").version == version
    assert load_model(tmp_path, b"new", older).files == FILES
    for key, name in ((KEY, version), (b"new", forged)):
        with pytest.raises(ModelTamperedError):
            load_model(tmp_path, key, name)
    # Killed half way, or done twice.
    save_model(tmp_path, FILES, MANIFEST | {"shipped": "recency"}, KEY)
    assert sign_anew(tmp_path, b"new", [KEY]) == 2
    assert load_model(tmp_path, b"new").version == older


def test_a_model_is_none_of_another_outputs_nor_another_version(tmp_path: Path) -> None:
    clusters, churn = tmp_path / "clusters", tmp_path / "churn"
    older = save_model(clusters, FILES, MANIFEST | {"shipped": "recency"}, KEY)
    version = save_model(clusters, FILES, MANIFEST, KEY)
    shutil.copytree(clusters, churn)
    for named in (None, version):
        with pytest.raises(ModelTamperedError):
            load_model(churn, KEY, named)
    shutil.rmtree(clusters / version)
    (clusters / older).rename(clusters / version)
    with pytest.raises(ModelTamperedError):
        load_model(clusters, KEY)


@pytest.mark.parametrize(
    "text", ["[" * 4000, '{"version": "\\ud800", "signature": "\\ud800"}', "1"]
)
def test_a_pointer_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    save_model(tmp_path, FILES, MANIFEST, KEY)
    (tmp_path / "current.json").write_text(text)
    with pytest.raises(ModelTamperedError):
        load_model(tmp_path, KEY)
