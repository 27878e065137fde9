"""A new record key: what was read is still recognised, and no old key tests a guess any more."""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest
import shops
from shops import NOW, Shop

from privacy import records
from privacy.keys import RECORD, Keyring, KeyringError
from privacy.records import hash_sql, rotate_records, salt, salts, wrapped
from privacy.rotate import RotationError, enter_version, standing_version
from privacy.suppression import add_to_list, bring_forward, digest_of, read_list

HEAD = "id,who,when,sum,note\n"
SECRETS = [bytes([n]) * 32 for n in range(1, 5)]


@pytest.fixture
def keys(tmp_path: Path) -> Keyring:
    return Keyring(tmp_path / "keys")


@pytest.fixture
def shop(tmp_path: Path, keys: Keyring, monkeypatch: pytest.MonkeyPatch) -> Shop:
    shop = Shop(tmp_path / "shop")
    take_keys(keys, monkeypatch)
    for name in ("a", "b"):
        shop.land(f"{name}.csv", HEAD + f"{name},c,2025-01-02,1,x\n")
        shop.ingest()
    return shop


def take_keys(keys: Keyring, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the shop work with the keyring's record keys."""
    secrets = [key.secret for key in keys.chain(RECORD)]
    monkeypatch.setattr(shops, "KEY", replace(shops.KEY, records=secrets))


def hashes(shop: Shop) -> list[bytes]:
    return [value for (value,) in shop.raw("_record_hash")]


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_a_wrapped_hash_is_what_a_new_record_gets(number: int) -> None:
    chain = SECRETS[:number]
    with duckdb.connect() as con:
        row = con.execute(f"select {hash_sql('$text', number)}", {"text": "é", **salts(chain)})
        (made,) = row.fetchone() or ()
    stored = hashlib.md5(f"{salt(SECRETS[0])}é".encode()).digest()
    for keys in range(1, number + 1):
        stored = wrapped(stored, SECRETS[:keys])
    assert stored == made
    assert wrapped(stored, chain) == stored
    assert len(stored) == (16 if number == 1 else 18)


def test_after_a_rotation_the_same_records_are_duplicates(shop, keys, monkeypatch) -> None:
    for rotation in (2, 3):
        before = hashes(shop)
        assert rotate_records([shop.home], keys) == {"shop": len(before)}
        take_keys(keys, monkeypatch)
        assert not set(hashes(shop)) & set(before)
        again = [f"{name},c,2025-01-02,1,x\n" for name in ("a", "b", "n2")[:rotation]]
        shop.land(f"again-{rotation}.csv", HEAD + "".join(again))
        shop.land(f"new-{rotation}.csv", HEAD + f"n{rotation},c,2025-01-02,1,x\n")
        result = shop.ingest(NOW + dt.timedelta(days=rotation))
        assert (result.accepted, result.duplicates) == (1, rotation)
        assert standing_version(shop.home / "vault", RECORD) == rotation


def test_an_old_key_alone_tests_no_guess(shop, keys) -> None:
    old = keys.current(RECORD).secret
    guess = "id\0a\0note\0x\0sum\x001\0when\x002025-01-02\0who\0c"
    made = hashlib.md5((salt(old) + guess).encode()).digest()
    assert made in hashes(shop)  # whoever has all keys can
    rotate_records([shop.home], keys)
    assert not any(made in stored or stored[-16:] == made for stored in hashes(shop))


def test_a_rotation_that_was_killed_is_refused_and_finished(shop, keys, monkeypatch) -> None:
    original = records._rotate_file
    done: list[Path] = []

    def killed(path: Path, secrets: list[bytes]) -> int:
        if len(done) == 2:  # the schema's file and one batch
            raise KeyboardInterrupt
        done.append(path)
        return original(path, secrets)

    with monkeypatch.context() as patched:
        patched.setattr(records, "_rotate_file", killed)
        with pytest.raises(KeyboardInterrupt):
            rotate_records([shop.home], keys)
    assert sorted(map(len, hashes(shop))) == [16, 18]
    with pytest.raises(RotationError, match="rotate --purpose record"):
        enter_version(shop.home / "vault", len(keys.chain(RECORD)), is_new=False, purpose=RECORD)
    assert rotate_records([shop.home], keys) == {"shop": 1}
    enter_version(shop.home / "vault", 2, is_new=False, purpose=RECORD)
    assert len(keys.chain(RECORD)) == 2
    take_keys(keys, monkeypatch)
    shop.land("again.csv", HEAD + "a,c,2025-01-02,1,x\nb,c,2025-01-02,1,x\n")
    assert shop.ingest().duplicates == 2


def test_a_key_of_the_chain_that_is_missing_is_said(shop, keys, tmp_path) -> None:
    rotate_records([shop.home], keys)
    (tmp_path / "keys" / "record.v1.key").unlink()
    with pytest.raises(KeyringError, match=r"Restore record\.v1\.key"):
        keys.chain(RECORD)


def test_a_key_from_the_environment(shop, keys, tmp_path) -> None:
    given = Keyring(tmp_path / "keys", {RECORD: f"v2:{'ab' * 32}"})
    assert rotate_records([shop.home], given) == {"shop": 2}
    with pytest.raises(RotationError, match="v3:"):
        rotate_records([shop.home], given)


def test_who_was_erased_stays_out_under_every_key(tmp_path: Path) -> None:
    path = tmp_path / "suppressed.txt"
    add_to_list(path, [f"email {digest_of('a@b.org', 'email', SECRETS[0])}"])
    before = path.read_text()
    for number in (1, 2, 3):
        chain = SECRETS[:number]
        for _ in range(2):
            bring_forward(path, chain)
            listed = read_list(path, *chain)
            assert listed is not None
            assert listed.matches(["A@b.org", "x@b.org"], "email") == ["A@b.org"]
        path.with_name("copy").write_text(before)  # a copy from before any rotation
        copied = read_list(path.with_name("copy"), *chain)
        assert copied is not None
        assert copied.digests == listed.digests
    digest = before.split()[1]
    assert digest not in path.read_text()
    with pytest.raises(ValueError, match="line 1"):
        read_list(path, *SECRETS[:2])
