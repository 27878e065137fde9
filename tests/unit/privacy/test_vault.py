"""The vault: added to without the private key, read with it, forgotten for good."""

from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pytest

from privacy import vault as vault_module
from privacy.keys import VAULT, Keyring, KeyringError
from privacy.sealing import SealError, open_box, public_half, seal
from privacy.tokens import TokenKey, tokenise
from privacy.vault import ENTRIES, Vault

KEY = TokenKey(b"k" * 32)
CANARY = "Zhang-Canary@example.com"


def token(value: str, kind: str = "email") -> str:
    (made,) = tokenise([value], kind, KEY)
    assert made
    return made


def entries(values: Iterable[str], batch: str = "b1", kind: str = "email") -> pa.Table:
    rows = [
        {
            "token": token(v, kind),
            "token_type": kind,
            "clear": v,
            "source": "crm",
            "batch_id": batch,
        }
        for v in values
    ]
    return pa.Table.from_pylist(rows, ENTRIES)


@pytest.fixture
def keys(tmp_path: Path) -> Keyring:
    return Keyring(tmp_path / "keys")


@pytest.fixture
def vault(tmp_path: Path, keys: Keyring) -> Vault:
    return Vault(tmp_path / "vault", keys)


def files(tmp_path: Path) -> dict[str, bytes]:
    folder = tmp_path / "vault"
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_what_is_sealed_is_read_again_both_ways(vault: Vault) -> None:
    vault.sealer.seal(entries([CANARY, "b@x.org"]), "b1")
    vault.sealer.seal(entries([CANARY.lower(), "c@x.org"], "b2"), "b2")
    assert vault.clear_of([token("b@x.org"), token("c@x.org"), "tok_v1_none"]) == {
        token("b@x.org"): "b@x.org",
        token("c@x.org"): "c@x.org",
    }
    assert vault.clear_of([token(CANARY)]) == {token(CANARY): CANARY}  # of two spellings, one
    assert vault.tokens_of(f" {CANARY.upper()} ", "email") == [token(CANARY)]
    assert vault.tokens_of(CANARY, "login") == []
    assert vault.tokens_of("nobody@x.org", "email") == []


def test_nothing_lies_there_in_clear_and_nobody_else_reads(tmp_path: Path, vault: Vault) -> None:
    clear = entries([CANARY])
    assert CANARY.encode() in vault_module._bytes_of(clear)  # the search sees what is there
    vault.sealer.seal(clear, "b1")
    for content in files(tmp_path).values():
        assert CANARY.encode() not in content
        assert token(CANARY).encode() not in content
    for path in (tmp_path / "vault").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0
    assert (tmp_path / "vault").stat().st_mode & 0o077 == 0


def test_a_sealer_cannot_read(tmp_path: Path, keys: Keyring) -> None:
    secret = keys.current(VAULT).secret
    sealer = Vault(tmp_path / "vault", keys).sealer
    assert secret != sealer.public.raw
    assert secret.hex() not in repr(sealer)
    assert not hasattr(sealer, "clear_of")
    other = Keyring(tmp_path / "other")
    other.current(VAULT)
    another = Vault(tmp_path / "vault", other)
    sealer.seal(entries([CANARY]), "b1")
    with pytest.raises(SealError, match=r"b1\.seal does not open with the vault key v1"):
        another.entries()


@pytest.mark.parametrize("harm", ["cut", "changed", "renamed", "foreign"])
def test_a_damaged_segment_is_refused_by_name(tmp_path: Path, vault: Vault, harm: str) -> None:
    vault.sealer.seal(entries([CANARY]), "b1")
    path = tmp_path / "vault" / "segments" / "b1.seal"
    content = path.read_bytes()
    match harm:
        case "cut":
            path.write_bytes(content[:-1])
        case "changed":
            path.write_bytes(content[:-20] + bytes([content[-20] ^ 1]) + content[-19:])
        case "renamed":
            path = path.rename(path.with_name("b2.seal"))
        case _:
            path.write_bytes(b"PAR1")
    with pytest.raises(SealError, match=path.name):
        vault.entries()


def test_no_two_boxes_are_alike(keys: Keyring) -> None:
    public = public_half(keys.current(VAULT))
    one, two = seal(b"x", "n", public), seal(b"x", "n", public)
    assert one != two
    assert (
        open_box(one, "n", keys.current(VAULT)) == open_box(two, "n", keys.current(VAULT)) == b"x"
    )


def test_the_same_batch_again_replaces_its_segment(tmp_path: Path, vault: Vault) -> None:
    vault.sealer.seal(entries(["a@x.org", "b@x.org"]), "b1")
    vault.sealer.seal(entries(["a@x.org"]), "b1")
    assert vault.entries()["clear"].to_pylist() == ["a@x.org"]
    vault.sealer.seal(entries([]), "b1")
    assert not files(tmp_path)


def test_discarding_a_batch_leaves_nothing_of_it(tmp_path: Path, vault: Vault) -> None:
    vault.sealer.seal(entries(["a@x.org"]), "b1")
    (tmp_path / "vault" / "segments" / ".b1.seal.tmp").write_bytes(b"cut off")
    vault.sealer.discard("b1")
    vault.sealer.discard("b1")
    assert not files(tmp_path)


def test_compacting_keeps_every_value_once(tmp_path: Path, vault: Vault) -> None:
    for day in range(5):
        vault.sealer.seal(entries(["a@x.org", f"{day}@x.org"], f"b{day}"), f"b{day}")
    before = vault.entries()
    assert vault.compact() > 0
    assert list(files(tmp_path)) == ["segments/all-000001.seal"]
    assert vault.entries().equals(before)
    assert before.num_rows == 6
    vault.sealer.seal(entries(["z@x.org"], "b9"), "b9")
    vault.compact()
    assert vault.entries().num_rows == 7
    assert vault.compact() == 0


def test_a_crashed_batch_is_left_to_ingestion(tmp_path: Path, vault: Vault) -> None:
    for name in ("b1", "b2", "b3"):
        vault.sealer.seal(entries([f"{name}@x.org"], name), name)
    vault.compact(unfinished=["b3"])
    assert set(files(tmp_path)) == {"segments/all-000001.seal", "segments/b3.seal"}


def test_a_kill_while_compacting_loses_and_doubles_nothing(
    tmp_path: Path, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("b1", "b2"):
        vault.sealer.seal(entries(["a@x.org", f"{name}@x.org"], name), name)
    before = vault.entries()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", _killed)
        with pytest.raises(KeyboardInterrupt):
            vault.compact()
    assert vault.entries().equals(before)
    vault.compact()
    assert vault.entries().equals(before)
    assert len(files(tmp_path)) == 1


def _killed(*_args: object, **_kwargs: object) -> None:
    raise KeyboardInterrupt


def test_forgetting_removes_every_copy(tmp_path: Path, vault: Vault) -> None:
    vault.sealer.seal(entries([CANARY, "b@x.org"]), "b1")
    vault.sealer.seal(entries([CANARY.upper()], "b2"), "b2")
    old_inode = (tmp_path / "vault" / "segments" / "b1.seal").stat().st_ino
    assert vault.forget([token(CANARY)]) == 2
    assert vault.clear_of([token(CANARY)]) == {}
    assert vault.entries()["clear"].to_pylist() == ["b@x.org"]
    assert list(files(tmp_path)) == ["segments/b1.seal"]
    assert (tmp_path / "vault" / "segments" / "b1.seal").stat().st_ino != old_inode
    assert vault.forget([token(CANARY)]) == 0


def test_forgetting_goes_on_after_a_kill(
    tmp_path: Path, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("b1", "b2", "b3"):
        vault.sealer.seal(entries([CANARY, f"{name}@x.org"], name), name)
    stored = Vault._store

    def second_is_killed(self: Vault, path: Path, table: pa.Table) -> None:
        if path.name == "b2.seal":
            raise KeyboardInterrupt
        stored(self, path, table)

    with monkeypatch.context() as patch:
        patch.setattr(Vault, "_store", second_is_killed)
        with pytest.raises(KeyboardInterrupt):
            vault.forget([token(CANARY)])
    assert vault.clear_of([token(CANARY)])
    assert vault.forget([token(CANARY)]) == 2
    assert vault.entries().num_rows == 3


def test_replaced_tokens_lead_to_the_value_and_are_forgotten_with_it(vault: Vault) -> None:
    vault.sealer.seal(entries([CANARY, "b@x.org"]), "b1")
    steps = [tokenise([CANARY], "email", TokenKey(bytes([n]) * 32, n))[0] for n in (2, 3)]
    second, third = str(steps[0]), str(steps[1])
    vault.rename({token(CANARY): second})
    vault.rename({second: third})
    assert vault.current_of([token(CANARY), second, "tok_x"]) == {
        token(CANARY): third,
        second: third,
        "tok_x": "tok_x",
    }
    assert vault.clear_of([token(CANARY)]) == {token(CANARY): CANARY}
    assert vault.tokens_of(CANARY, "email") == [third]
    assert vault.forget([token(CANARY)]) == 1
    assert vault.renames() == {}
    assert vault.entries()["clear"].to_pylist() == ["b@x.org"]


def test_a_new_vault_key_opens_everything_and_the_old_one_nothing(
    tmp_path: Path, vault: Vault, keys: Keyring
) -> None:
    vault.sealer.seal(entries([CANARY]), "b1")
    vault.rename({token(CANARY): "tok_v2_" + "a" * 32})
    old = keys.current(VAULT)
    kept = files(tmp_path)
    keys.add(VAULT)
    assert vault.clear_of([token(CANARY)]) == {token(CANARY): CANARY}  # before: by the old key
    assert vault.reseal() == 2
    assert vault.reseal() == 0
    keys.destroy_before(VAULT, 2)
    assert vault.clear_of([token(CANARY)]) == {token(CANARY): CANARY}
    for name, content in files(tmp_path).items():
        with pytest.raises(SealError):
            open_box(content, Path(name).name, old)
    (tmp_path / "vault" / "segments" / "b1.seal").write_bytes(kept["segments/b1.seal"])
    with pytest.raises(KeyringError, match="vault key v1 is not in"):
        vault.entries()
