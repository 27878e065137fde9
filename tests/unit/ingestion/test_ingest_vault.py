"""What ingestion gives to the vault: every token's value, nothing else, nothing of what fails."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from shops import KEY, Shop

from ingestion import IngestKeys
from ingestion.ledger import Ledger
from ingestion.session import Session
from privacy.keys import Keyring
from privacy.tokens import TokenKey
from privacy.vault import Vault

HEAD = "id,who,when,sum,note\n"


def row(i: int, who: str, total: str = "1.50") -> str:
    return f"A{i},{who},2025-01-02T03:04:05,{total},x\n"


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault(tmp_path / "vault", Keyring(tmp_path / "keys"))


@pytest.fixture
def shop(tmp_path: Path, vault: Vault, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.setattr("shops.KEY", IngestKeys(KEY.token, KEY.records, vault.sealer))
    return Shop(tmp_path)


def test_every_token_has_its_value_also_of_records_that_fail(shop: Shop, vault: Vault) -> None:
    shop.land("a.csv", HEAD + row(1, "ann") + row(2, "bob") + row(3, "ann") + row(4, "eve", "abc"))
    shop.ingest()
    raw = {token for (token,) in shop.raw("customer_id")}
    failed = {json.loads(record)["who"] for (record,) in shop.bad("record")}
    clear = vault.clear_of(raw | failed)
    assert sorted(clear.values()) == ["ann", "bob", "eve"]
    assert clear.keys() == raw | failed
    assert vault.entries().num_rows == 3


def test_a_value_is_kept_once_for_each_run(shop: Shop, vault: Vault, tmp_path: Path) -> None:
    for day in range(3):
        shop.land(f"{day}.csv", HEAD + row(day, "ann") + row(day + 50, f"new{day}"))
        shop.ingest()
    assert len(list((tmp_path / "vault" / "segments").iterdir())) == 3
    assert sorted(vault.entries()["clear"].to_pylist()) == ["ann", "new0", "new1", "new2"]


def test_a_batch_that_a_kill_left_leaves_nothing_in_the_vault(
    shop: Shop, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after the segment, before the ledger says so; then the file is mended."""
    path = shop.land("a.csv", HEAD + row(1, "gone"))

    def killed(*_args: object, **_kwargs: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "finish", killed)
        with pytest.raises(KeyboardInterrupt):
            shop.ingest()
    assert vault.entries()["clear"].to_pylist() == ["gone"]
    Path(path).write_text(HEAD + row(1, "ann"))
    shop.ingest()
    assert vault.entries()["clear"].to_pylist() == ["ann"]


def test_what_went_with_a_discarded_batch_goes_into_the_next(
    shop: Shop, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions: list[Session] = []
    made = Session.__init__

    def kept(self: Session, *args: object, **kwargs: object) -> None:
        made(self, *args, **kwargs)
        sessions.append(self)

    monkeypatch.setattr(Session, "__init__", kept)
    shop.land("a.csv", HEAD + row(1, "ann"))
    shop.ingest()
    (session,) = {id(s): s for s in sessions}.values()
    assert session.cache
    session.discard("sales-x")
    assert not session.cache


def test_records_are_recognised_under_a_new_token_key(
    shop: Shop, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.land("a.csv", HEAD + row(1, "ann") + row(2, "bob"))
    shop.ingest()
    rotated = IngestKeys(TokenKey(b"n" * 32, 2), KEY.records, vault.sealer)
    monkeypatch.setattr("shops.KEY", rotated)
    shop.land("b.csv", HEAD + row(2, "bob") + row(1, "ann"))  # the same records in other bytes
    result = shop.ingest()
    assert (result.accepted, result.duplicates) == (0, 2)
    other = IngestKeys(TokenKey(b"n" * 32, 2), (b"o" * 32,), vault.sealer)
    monkeypatch.setattr("shops.KEY", other)
    shop.land("c.csv", HEAD + row(2, "bob"))
    assert shop.ingest().duplicates == 0  # another record key would have lost them
