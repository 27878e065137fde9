"""The keyring: each purpose its own secret, its owner's alone, and never shown."""

from pathlib import Path

import pytest

from orchestration.config import settings
from privacy.keys import PURPOSES, RECORD, TOKEN, VAULT, Keyring, KeyringError, record_secret


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "home" / "keys"


def test_each_purpose_has_a_key_of_its_own_that_stays(folder: Path) -> None:
    made = {purpose: Keyring(folder).current(purpose).secret for purpose in PURPOSES}
    assert len(set(made.values())) == len(PURPOSES)
    assert made == {purpose: Keyring(folder).current(purpose).secret for purpose in PURPOSES}


def test_files_are_their_owners_alone_and_whole(folder: Path) -> None:
    Keyring(folder).current(TOKEN)
    assert [path.name for path in folder.iterdir()] == ["token.v1.key"]
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "token.v1.key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(("loose", "mode"), [("token.v1.key", 0o640), (".", 0o755)])
def test_loose_rights_are_refused(folder: Path, loose: str, mode: int) -> None:
    Keyring(folder).current(TOKEN)
    (folder / loose).chmod(mode)
    with pytest.raises(KeyringError, match=r"open to others: chmod [67]00"):
        Keyring(folder).current(TOKEN)


@pytest.mark.parametrize("text", ["", "no hex", "ab" * 31])
def test_a_file_without_a_key_is_refused_and_not_shown(folder: Path, text: str) -> None:
    Keyring(folder).current(TOKEN)
    (folder / "token.v1.key").write_text(text)
    with pytest.raises(KeyringError, match=r"token\.v1\.key holds no key") as error:
        Keyring(folder).current(TOKEN)
    assert not text or text not in str(error.value)


def test_a_new_version_stands_and_the_old_one_can_go(folder: Path) -> None:
    keys = Keyring(folder)
    first = keys.current(VAULT)
    second = keys.add(VAULT)
    assert keys.current(VAULT) == second
    assert (second.version, second.secret != first.secret) == (2, True)
    assert keys.version(VAULT, 1) == first
    assert keys.destroy_before(VAULT, 2) == [1]
    with pytest.raises(KeyringError, match="v1 is not in"):
        keys.version(VAULT, 1)


def test_a_first_key_that_another_process_made_meanwhile_holds(folder: Path) -> None:
    theirs = Keyring(folder).current(TOKEN)
    Keyring(folder)._write(TOKEN, 1, b"m" * 32)
    assert Keyring(folder).current(TOKEN) == theirs


def test_the_environment_wins_and_is_its_owners_to_change(folder: Path) -> None:
    keys = Keyring(folder, {TOKEN: "v3:" + "ab" * 32})
    assert keys.current(TOKEN).secret == b"\xab" * 32
    assert keys.listed() == [("token", 3, "HABITUS_KEY_TOKEN")]
    with pytest.raises(KeyringError, match="set HABITUS_KEY_TOKEN to v4:"):
        keys.add(TOKEN)
    assert not folder.exists()


@pytest.mark.parametrize("text", ["secret", "v0:" + "ab" * 32, "ab" * 31, "ab" * 32 + "a"])
def test_a_malformed_key_is_refused_and_not_shown(folder: Path, text: str) -> None:
    with pytest.raises(KeyringError, match="HABITUS_KEY_TOKEN holds no key") as error:
        Keyring(folder, {TOKEN: text})
    assert text not in str(error.value)


def test_nothing_shows_a_key(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = Keyring(folder, {TOKEN: "ab" * 32})
    shown = f"{keys!r} {keys.current(TOKEN)!r} {keys.current(VAULT)!r} {keys.listed()}"
    monkeypatch.setenv("HABITUS_KEY_TOKEN", "ab" * 32)
    shown += repr(settings("shop")) + str(settings("shop").environment())
    for secret in (keys.current(TOKEN).secret, keys.current(VAULT).secret):
        assert secret.hex() not in shown
        assert repr(secret)[2:10] not in shown
    assert dict(settings("shop").given_keys) == {TOKEN: "ab" * 32}


def test_a_home_older_than_the_record_key_keeps_its_salt(folder: Path) -> None:
    token = Keyring(folder).current(TOKEN)
    assert Keyring(folder).current(RECORD).secret == record_secret(token.secret)


def test_the_record_key_of_a_new_home_says_nothing_of_the_token_key(folder: Path) -> None:
    keys = Keyring(folder)
    record = keys.current(RECORD)
    assert record.secret != record_secret(keys.current(TOKEN).secret)
    keys.add(TOKEN)
    assert keys.current(RECORD) == record
