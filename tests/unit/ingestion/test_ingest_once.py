"""Exactly once: duplicates, versions, conflicts, crashes, splits; and the law."""

from __future__ import annotations

import datetime as dt
import random

import numpy as np
import pytest
from shops import NOW, Shop

from expectations.contract import Source, load_entities
from ingestion import ensure_raw_schemas, run, session
from ingestion.ledger import Ledger
from ingestion.readers.delimited import record_spans
from ingestion.readers.lines import count_lines, line_spans
from ingestion.results import ConservationError

HEAD = "id,who,when,sum,note\n"


@pytest.fixture
def shop(tmp_path):
    return Shop(tmp_path)


def test_the_same_bytes_are_read_once(shop):
    shop.land("a.csv", HEAD + "A1,c,2025-01-02,1,x\n")
    shop.ingest()
    shop.land("again.csv", HEAD + "A1,c,2025-01-02,1,x\n")
    result = shop.ingest()
    assert (result.files, result.records_in, result.known_from) == (0, 0, None)
    assert len(shop.raw()) == 1


def test_exact_duplicates_within_a_file_and_across_runs(shop):
    shop.land("a.csv", HEAD + "A1,c,2025-01-02,1,x\n" * 3 + "A2,c,2025-01-02,1,x\n")
    result = shop.ingest()
    assert (result.accepted, result.duplicates) == (2, 2)
    shop.land("b.csv", HEAD + "A2,c,2025-01-02,1,x\nA3,c,2025-01-02,1,x\n")
    result = shop.ingest()
    assert (result.accepted, result.duplicates) == (1, 1)


def test_one_key_with_two_contents(shop):
    shop.land("a.csv", HEAD + "A1,c,2025-01-02,1,x\nA1,c,2025-01-02,2,x\nA2,c,2025-01-02,1,x\n")
    assert shop.ingest().quarantined == 2
    assert {reason for (reason,) in shop.bad("failure_type")} == {"conflict"}
    shop.land("b.csv", HEAD + "A2,c,2025-01-02,5,x\n")
    assert shop.ingest(NOW + dt.timedelta(days=1)).accepted == 1
    assert len(shop.raw()) == 2


@pytest.mark.parametrize("first", ["x.csv", "xy.csv"])
@pytest.mark.parametrize("how", ["together", "in chunks", "in runs"])
def test_a_conflict_is_the_same_whatever_else_is_read_and_when(shop, monkeypatch, first, how):
    files = {
        "x.csv": "A1,c,2025-01-02,1,x\n",
        "xy.csv": "A1,c,2025-01-02,1,x\nA1,c,2025-01-02,2,y\n",
    }
    monkeypatch.setattr(run, "CHUNK_RECORDS", 1 if how == "in chunks" else 10**6)
    for place, name in enumerate(sorted(files, key=lambda name: name != first)):
        shop.land(f"{place}-{name}", HEAD + files[name])
        if how == "in runs":
            shop.ingest()
    shop.ingest()
    assert shop.raw("order_id, total::integer, attributes") == [("A1", 1, '{"note":"x"}')]
    assert shop.bad("failure_type") == [("conflict",)] * 2


def test_the_first_known_of_equal_records_stays(shop):
    shop.path = "sales/*/*.csv"
    shop.custom = "  - {property: habitus.knownAt, value: {path: 'd=(\\d{4}-\\d{2}-\\d{2})'}}\n"
    for folder in ("a/d=2025-02-02", "b/d=2025-02-01"):
        shop.land(f"{folder}.csv", HEAD + "A1,c,2025-01-02,1,x\n")
    (shop.paths.landing / "sales/b/d=2025-02-01.csv").write_text(HEAD + "A1,c,2025-01-02,1,x\n\n")
    assert shop.ingest().duplicates == 1
    assert [str(known)[:10] for (known,) in shop.raw("_known_at")] == ["2025-02-01"]


def test_versions_by_their_own_clock_are_kept(shop):
    shop.custom = "  - {property: habitus.knownAt, value: {column: note}}\n"
    shop.land("a.csv", HEAD + "A1,c,2025-01-02,1,2025-01-02\nA1,c,2025-01-02,2,2025-01-03\n")
    assert shop.ingest().accepted == 2


def test_a_crash_after_the_write_changes_nothing(shop, monkeypatch):
    shop.land("a.csv", HEAD + "A1,c,2025-01-02,1,x\nA2,c,bad,1,x\n")

    def crash(*_args, **_kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "finish", crash)
        with pytest.raises(KeyboardInterrupt):
            shop.ingest()
    assert len(shop.raw()) == 1  # written, but not in the ledger
    shop.land("b.csv", HEAD + "A3,c,2025-01-02,1,x\n")  # another chunk now
    result = shop.ingest()
    assert (result.accepted, result.quarantined, result.duplicates) == (2, 1, 0)
    assert sorted(order for (order,) in shop.raw("order_id")) == ["A1", "A3"]
    assert len(shop.bad()) == 1


def test_a_crash_before_the_rename_leaves_nothing(shop, monkeypatch):
    shop.land("a.csv", HEAD + "A1,c,2025-01-02,1,x\n")

    def crash(*_args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(session, "settle", crash)
        with pytest.raises(KeyboardInterrupt):
            shop.ingest()
    assert shop.raw() == []
    assert shop.ingest().accepted == 1
    assert not list(shop.home.rglob("*.tmp"))


def test_the_law_is_checked(shop, monkeypatch):
    shop.land("a.csv", HEAD + "A1,c,2025-01-02,1,x\n")
    original = run.read_delimited
    monkeypatch.setattr(
        run, "read_delimited", lambda *args: (original(*args)[0], original_count + 1)
    )
    original_count = 1
    with pytest.raises(ConservationError, match="2 records in, but 1 accepted"):
        shop.ingest()


def test_split_and_order_change_nothing(tmp_path, monkeypatch):
    rows = [f"A{i},c{i % 7},2025-01-{i % 28 + 1:02d},{i},x\n" for i in range(200)]
    rows += rows[:20] + ["bad,row\n"] * 3

    def hashes(home, files, chunk):
        monkeypatch.setattr(run, "CHUNK_RECORDS", chunk)
        shop = Shop(home)
        for name, part in files.items():
            shop.land(name, HEAD + "".join(part))
        shop.ingest()
        columns = "order_id, customer_id, ordered_at, total, attributes, _record_hash"
        return sorted(map(str, shop.raw(columns)))

    one = hashes(tmp_path / "1", {"a.csv": rows}, 10**6)
    shuffled = rows[:]
    random.Random(1).shuffle(shuffled)
    two = hashes(tmp_path / "2", {f"{i}.csv": shuffled[i::5] for i in range(5)}, 30)
    assert len(one) == 200
    assert one == two


def test_a_changed_contract_is_said(shop):
    shop.land("a.csv", HEAD + "A1,c,2025-01-02,1,x\n")
    shop.ingest()
    shop.properties += "      - {name: status, transformLogic: \"'completed'\"}\n"
    assert "earlier text" in shop.ingest().warnings[0]


def test_raw_has_its_schema_before_any_data(tmp_path):
    ensure_raw_schemas(load_entities(), tmp_path)
    ensure_raw_schemas(load_entities(), tmp_path)
    assert len(list(tmp_path.rglob("_schema.parquet"))) == 14


@pytest.mark.parametrize("seed", range(5))
def test_the_splitter_and_the_counter_agree(seed):
    rng = random.Random(seed)
    lines = ["".join(rng.choice("ab ,\t") for _ in range(rng.randint(0, 4))) for _ in range(300)]
    data = "\n".join(lines).encode()
    starts, ends = line_spans(np.frombuffer(data, np.uint8))
    assert starts.size == count_lines(data) == sum(1 for line in lines if line.strip(" \t"))
    assert [data[a:b].decode().rstrip("\n") for a, b in zip(starts, ends, strict=True)] == [
        line for line in lines if line.strip(" \t")
    ]


@pytest.mark.parametrize("seed", range(5))
def test_the_splitter_finds_quoted_records(seed):
    rng = random.Random(seed)
    records = []
    for _ in range(200):
        fields = ["".join(rng.choice('ab,\n"') for _ in range(rng.randint(0, 5))) for _ in range(3)]
        records.append(",".join('"' + field.replace('"', '""') + '"' for field in fields) + "\n")
    data = "".join(records).encode()
    starts, ends, bad, _many = record_spans(data, Source("local", format="csv"), 3, 0)
    assert not bad
    assert [data[a:b].decode() for a, b in zip(starts, ends, strict=True)] == records
