"""Rotation: every stored token gets its successor, killed or not, or nothing changes at all."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from habitus import keys as keys_command
from ml.models import load_model, save_model
from orchestration.config import settings
from orchestration.lib.audit import trail
from orchestration.lib.secrets import ingest_keys
from privacy.audit_check import verify
from privacy.keys import MODEL, RECORD, TOKEN, VAULT, Keyring, KeyringError
from privacy.records import rotate_records
from privacy.rotate import (
    ROTATORS,
    Rename,
    RotationError,
    enter_version,
    rotate_tokens,
    rotate_vault,
    standing_version,
)
from privacy.tokens import TokenKey, tokenise
from privacy.vault import ENTRIES, Vault

VALUES = [f"Person{n}@example.com" for n in range(30)]


def tokens(keys: Keyring, version: int) -> list[str]:
    made = tokenise(VALUES, "email", TokenKey.of(keys.version(TOKEN, version)))
    return [str(token) for token in made]


@pytest.fixture
def keys(tmp_path: Path) -> Keyring:
    return Keyring(tmp_path / "keys")


@pytest.fixture
def home(tmp_path: Path, keys: Keyring) -> Path:
    """A deployment with tokens wherever tokens are kept."""
    home = tmp_path / "shop"
    keys.current(TOKEN)
    enter_version(home / "vault", 1, is_new=True)
    old = tokens(keys, 1)
    rows = {"token": old, "clear": VALUES}
    same = {"token_type": "email", "source": "crm", "batch_id": "b1"}
    columns = {name: rows.get(name) or [same[name]] * 30 for name in ENTRIES.names}
    Vault(home / "vault", keys).sealer.seal(pa.table(columns, schema=ENTRIES), "b1")
    _write(home / "lake/raw/orders/b1.parquet", old)
    _write(home / "lake/raw/orders/plain.parquet", ["no token"] * 30)
    _write(
        home / "lake/quarantine/orders/b1.parquet", [json.dumps({"who": t, "n": 1}) for t in old]
    )
    _write(home / "lake/ml/scores/as_of=2025-01-01/part.parquet", [f"{a}+{a}" for a in old])
    with closing(sqlite3.connect(home / "ledger.sqlite")) as db:
        db.execute("create table lists (who text, n integer)")
        db.executemany("insert into lists values (?, 1)", [(token,) for token in old])
        db.commit()
    return home


def _write(path: Path, texts: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table(
        {
            "who": texts,
            "_record_hash": pa.array([b"\x00\xff" * 8] * len(texts), pa.binary()),
            "_known_at": [datetime(2025, 1, 2, 3, 4, 5, 6)] * len(texts),
            "day": [date(2025, 1, 1)] * len(texts),
            "total": pa.array([Decimal("1.50")] * len(texts), pa.decimal128(18, 4)),
            "none": pa.array([None] * len(texts), pa.string()),
        }
    )
    pq.write_table(table, path)


def everything(home: Path) -> dict[str, object]:
    """All that is kept, but the vault."""
    found: dict[str, object] = {
        str(path.relative_to(home)): pq.read_table(path, partitioning=None)
        for path in sorted((home / "lake").rglob("*.parquet"))
    }
    with closing(sqlite3.connect(home / "ledger.sqlite")) as db:
        found["ledger"] = db.execute("select * from lists order by rowid").fetchall()
    return found


def test_every_token_gets_its_successor_and_nothing_else_changes(home: Path, keys: Keyring) -> None:
    old, before = tokens(keys, 1), everything(home)
    (done,) = rotate_tokens([home], keys)
    new = tokens(keys, 2)
    assert done.tokens == 30
    assert done.changed["raw"] == done.changed["ledger"] == 30
    new_of = dict(zip(old, new, strict=True))
    rename = Rename(new_of, 2)
    for name, table in everything(home).items():
        was = before[name]
        if isinstance(table, list):
            assert isinstance(was, list)
            assert table == [(new_of[who], n) for who, n in was]
            continue
        assert isinstance(table, pa.Table)
        assert isinstance(was, pa.Table)
        assert table.schema == was.schema
        assert table.drop_columns("who").equals(was.drop_columns("who"))
        assert table["who"].to_pylist() == rename.texts(was["who"].to_pylist())
        assert "tok_v1" not in "".join(table["who"].to_pylist())
    vault = Vault(home / "vault", keys)
    assert vault.renames() == new_of
    assert vault.clear_of(old) == dict(zip(old, VALUES, strict=True))
    assert vault.clear_of(new) == dict(zip(new, VALUES, strict=True))
    assert standing_version(home / "vault") == 2
    assert [version for purpose, version, _ in keys.listed() if purpose == TOKEN] == [2]


def test_again_and_again(home: Path, keys: Keyring) -> None:
    first = tokens(keys, 1)
    rotate_tokens([home], keys)
    rotate_tokens([home], keys)
    third = tokens(keys, 3)
    assert Vault(home / "vault", keys).current_of(first) == dict(zip(first, third, strict=True))
    raw = pq.read_table(home / "lake/raw/orders/b1.parquet")
    assert raw["who"].to_pylist() == third


@pytest.mark.parametrize("kill_at", range(1, 7))
def test_killed_anywhere_it_is_finished_by_another_call(
    home: Path, keys: Keyring, kill_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before the n-th time that a file gets its name; another call must finish."""
    done = 0
    replace: Callable[[Path, Path], Path] = Path.replace

    def until_killed(self: Path, target: Path) -> Path:
        nonlocal done
        done += 1
        if done == kill_at:
            raise KeyboardInterrupt
        return replace(self, target)

    old = tokens(keys, 1)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", until_killed)
        with pytest.raises(KeyboardInterrupt):
            rotate_tokens([home], keys)
    with pytest.raises(RotationError, match="habitus keys rotate"):
        enter_version(home / "vault", 2, is_new=False)
    rotate_tokens([home], keys)
    new = tokens(keys, 2)
    assert keys.current(TOKEN).version == 2
    assert pq.read_table(home / "lake/raw/orders/b1.parquet")["who"].to_pylist() == new
    assert Vault(home / "vault", keys).renames() == dict(zip(old, new, strict=True))
    assert "tok_v1" not in str(everything(home))
    assert sorted(Vault(home / "vault", keys).entries()["token"].to_pylist()) == sorted(new)
    assert not [path for path in home.rglob("*") if path.name.endswith(".tmp")]


def test_a_token_without_a_clear_value_stops_all_of_it(home: Path, keys: Keyring) -> None:
    stranger = "tok_v1_" + "a" * 32
    _write(home / "lake/raw/orders/b2.parquet", [stranger])
    before = everything(home)
    with pytest.raises(RotationError, match="shop: 1 tokens have no clear value in the vault"):
        rotate_tokens([home], keys)
    after = everything(home)
    assert after.keys() == before.keys()
    assert all(after[name] == before[name] for name in after)
    assert keys.current(TOKEN).version == 1
    assert standing_version(home / "vault") == 1


def test_a_rotator_more_is_a_line_more(home: Path, keys: Keyring) -> None:
    suppressed = home / "suppressed.txt"
    suppressed.write_text("\n".join(tokens(keys, 1)))

    def rotator(folder: Path, rename: Rename, write: bool) -> int:
        file = folder / "suppressed.txt"
        renamed = rename.texts(file.read_text().split("\n"))
        if write:
            file.write_text("\n".join(str(text) for text in renamed))
        return len(renamed)

    (done,) = rotate_tokens([home], keys, {**ROTATORS, "suppressed": rotator})
    assert done.changed["suppressed"] == 30
    assert suppressed.read_text().split("\n") == tokens(keys, 2)


def test_data_of_another_key_are_not_added_to(tmp_path: Path) -> None:
    enter_version(tmp_path / "new" / "vault", 4, is_new=True)
    assert standing_version(tmp_path / "new" / "vault") == 4
    with pytest.raises(RotationError, match=r"the tokens of new are of key v4, and v5 stands"):
        enter_version(tmp_path / "new" / "vault", 5, is_new=False)
    with pytest.raises(RotationError, match="of key v1"):
        enter_version(tmp_path / "older" / "vault", 2, is_new=False)


def test_the_command_rotates_and_shows_no_key(
    home: Path, keys: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HABITUS_HOME", str(home.parent))
    secrets = [keys.current(purpose).secret.hex() for purpose in (TOKEN, VAULT, RECORD)]
    run = CliRunner().invoke
    shown = [
        run(keys_command.app, ["rotate"]),
        run(keys_command.app, ["rotate", "--purpose=vault"]),
        run(keys_command.app, ["rotate", "--purpose=record"]),
    ]
    shown.append(run(keys_command.app, ["list"]))
    assert [result.exit_code for result in shown] == [0, 0, 0, 0]
    text = "".join(result.output for result in shown)
    assert "shop: 30 tokens have a successor" in text
    assert "shop: 2 files of the vault sealed anew" in text
    assert "shop: 60 hashes of records wrapped anew" in text
    secrets += [keys.current(purpose).secret.hex() for purpose in (TOKEN, VAULT, RECORD)]
    assert len(set(secrets)) == 6
    assert not [secret for secret in secrets if secret in text]


def test_ingestion_hashes_under_every_record_key_or_not_at_all(
    home: Path, keys: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HABITUS_HOME", str(home.parent))
    first = ingest_keys(settings("shop")).records
    second = keys.add(RECORD).secret
    with pytest.raises(RotationError, match="rotate --purpose record"):
        ingest_keys(settings("shop"))
    rotate_records([home], keys)
    assert list(ingest_keys(settings("shop")).records) == [*first, second]


@pytest.mark.parametrize("purpose", ["token", "record"])
def test_a_deployment_whose_ledger_was_removed_gets_the_new_key_too(
    home: Path, monkeypatch: pytest.MonkeyPatch, purpose: str
) -> None:
    monkeypatch.setenv("HABITUS_HOME", str(home.parent))
    (home / "ledger.sqlite").unlink()
    shown = CliRunner().invoke(keys_command.app, ["rotate", f"--purpose={purpose}"])
    assert shown.exit_code == 0, shown.output
    assert standing_version(home / "vault", purpose) == 2


def test_models_and_the_trail_go_on_under_new_keys(
    home: Path, keys: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HABITUS_HOME", str(home.parent))
    version = save_model(home / "models/churn", {"a": "b"}, {}, keys.current(MODEL).secret)
    run = CliRunner().invoke
    for purpose in ("audit", "model", "record", "audit"):
        shown = run(keys_command.app, ["rotate", f"--purpose={purpose}"])
        assert shown.exit_code == 0, shown.output
    assert load_model(home / "models/churn", keys.current(MODEL).secret).version == version
    assert [(purpose, version) for purpose, version, _ in keys.listed()] == [
        *(("audit", 1), ("audit", 2), ("audit", 3), ("model", 2), ("record", 1), ("record", 2)),
        *(("token", 1), ("vault", 1)),
    ]
    kept = trail(settings("shop"))
    lines = [json.loads(line) for line in kept.lines()]
    assert [(line["action"], line["detail"]["key"], line["key"]) for line in lines] == [
        *(("rotate", "audit", 1), ("rotate", "model", 2), ("rotate", "record", 2)),
        ("rotate", "audit", 2),
    ]
    assert not verify(kept).findings


def test_a_key_of_the_environment_rotates_beside_the_old_ones_file(
    tmp_path: Path, keys: Keyring
) -> None:
    old = keys.current(MODEL).secret
    given = Keyring(tmp_path / "keys", {MODEL: "ab" * 32})
    with pytest.raises(KeyringError, match=r"keep it as .*model\.v1\.key .*v2: and a new key"):
        given.add(MODEL)
    given = Keyring(tmp_path / "keys", {MODEL: f"v2:{'cd' * 32}"})
    new = given.add(MODEL)
    assert (new.version, [key.secret for key in given.before(MODEL, 2)]) == (2, [old])


def test_a_new_vault_key_keeps_every_value(home: Path, keys: Keyring) -> None:
    before = Vault(home / "vault", keys).entries()
    assert rotate_vault([home], keys) == {"shop": 1}
    assert Vault(home / "vault", keys).entries().equals(before)
    assert [version for purpose, version, _ in keys.listed() if purpose == VAULT] == [2]
