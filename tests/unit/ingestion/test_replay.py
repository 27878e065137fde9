"""A repaired file reaches the tables that the right file would have reached at first."""

from __future__ import annotations

import datetime as dt
import shutil
import sqlite3

import pytest
from shops import KEY, NOW, Shop

from ingestion import ReplayError, overview, pending_files, read_again, replay_file

HEAD = "id,who,when,sum,note\n"
GOOD = ["A1,c1,2025-01-02,1,x\n", "A3,c3,2025-01-04,3,x\n"]
BAD = ["A2,c2,nonsense,2,x\n", "A4,c4,2025-01-05,4\n"]
MENDED = ["A2,c2,2025-01-03,2,x\n", "A4,c4,2025-01-05,4,x\n"]
WRONG = HEAD + GOOD[0] + BAD[0] + GOOD[1] + BAD[1]
RIGHT = HEAD + GOOD[0] + MENDED[0] + GOOD[1] + MENDED[1]
CONTENT = "order_id, customer_id, ordered_at, total, attributes, _known_at, _record_hash"
LATER = NOW + dt.timedelta(days=3)


@pytest.fixture
def shop(tmp_path):
    return Shop(tmp_path / "shop")


def replay(shop, name, data, repairs="", now=LATER):
    """Replay a file that lies somewhere; the law is checked."""
    file = shop.home / "desk" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data.encode() if isinstance(data, str) else data)
    done = replay_file(
        shop.contract(), shop.paths, KEY, file, run_id="r2", now=now, repairs=repairs, limits=None
    )
    counts = done.result
    assert counts.records_in == counts.accepted + counts.quarantined + counts.duplicates
    return done


def content(shop):
    """Accepted records without what says how they came."""
    return sorted(map(str, shop.raw(CONTENT)))


def right_at_first(tmp_path, like, name="a.csv", data=RIGHT):
    """What the right file would have given."""
    shop = Shop(tmp_path / "right", like.form, like.path, like.server, like.properties, like.custom)
    shop.land(name, data)
    shop.ingest()
    return content(shop)


@pytest.mark.parametrize(
    "custom",
    [
        "",
        "  - {property: habitus.knownAt, value: ts}\n",
        "  - {property: habitus.knownAt, value: {column: when}}\n",
        "  - {property: habitus.knownAt, value: {path: 'sales_(\\d{4}-\\d{2}-\\d{2})'}}\n",
    ],
    ids=["landing", "ts", "column", "path"],
)
@pytest.mark.parametrize("whole", [True, False], ids=["whole", "records"])
def test_the_same_as_right_at_first(tmp_path, shop, custom, whole):
    shop.custom = custom
    name = "sales_2025-01-06.csv"
    shop.land(name, WRONG)
    assert shop.ingest().quarantined == 2
    done = replay(shop, name, RIGHT if whole else HEAD + "".join(MENDED))
    counts = done.result
    assert (counts.accepted, counts.duplicates, counts.quarantined) == (2, 2 * whole, 0)
    assert content(shop) == right_at_first(tmp_path, shop, name)
    assert done.recovered == 2
    assert shop.bad("recovered_at, attempts") == [(LATER.replace(tzinfo=None), 2)] * 2


@pytest.mark.parametrize("data", [b"PK\x03\x04", b"", b"id,id\n1,2\n"])
def test_a_file_that_failed_whole(tmp_path, shop, data):
    shop.land("a.csv", data)
    before = shop.ingest()
    assert before.accepted == 0
    done = replay(shop, "a.csv", RIGHT)
    assert (done.repairs, done.result.accepted) == ("sales/a.csv", 4)
    assert content(shop) == right_at_first(tmp_path, shop)
    assert done.recovered == 1


def test_jsonl_by_its_lines(tmp_path, shop):
    shop.form, shop.path = "jsonl", "sales/*.jsonl"
    line = '{{"id": "{}", "who": "c", "when": "2025-01-02", "sum": {}, "note": "x"}}\n'
    right = line.format("A1", 1) + line.format("A2", 2)
    shop.land("a.jsonl", line.format("A1", 1) + '{"id": "A2", \n')
    shop.ingest()
    assert replay(shop, "a.jsonl", right).recovered == 1
    assert content(shop) == right_at_first(tmp_path, shop, "a.jsonl", right)


def test_a_repair_does_not_wait_until_it_has_settled(shop):
    shop.land("a.csv", WRONG)
    shop.ingest()
    shop.custom = "  - {property: habitus.settleSeconds, value: 3600}\n"
    assert replay(shop, "a.csv", RIGHT).result.accepted == 2


def test_nothing_is_ingested_twice(shop):
    shop.path = "**/*.csv"
    shop.land("a.csv", WRONG)
    shop.ingest()
    replay(shop, "a.csv", RIGHT)
    assert pending_files([shop.contract()], shop.paths) == []
    assert shop.ingest(LATER).files == 0
    shop.land("by_hand.csv", RIGHT)
    assert shop.ingest(LATER).files == 0
    with pytest.raises(ReplayError, match=r"read before as \.repairs/sales/0001-"):
        replay(shop, "a.csv", RIGHT)


def test_a_rebuild_from_landing(shop):
    shop.land("a.csv", WRONG)
    shop.ingest()
    replay(shop, "a.csv", RIGHT)
    before = content(shop), shop.bad("row_number, recovered_at is not null")
    shutil.rmtree(shop.paths.lake)
    for path in shop.home.glob("ledger.sqlite*"):
        path.unlink()
    result = shop.ingest()
    assert (result.files, result.accepted, result.quarantined, result.duplicates) == (2, 4, 2, 2)
    assert (content(shop), shop.bad("row_number, recovered_at is not null")) == before


def test_a_rebuild_without_the_failed_file(tmp_path, shop):
    shop.custom = "  - {property: habitus.knownAt, value: {path: 'd=(\\d{4}-\\d{2}-\\d{2})'}}\n"
    shop.land("d=2025-01-06.csv", WRONG)
    shop.ingest()
    replay(shop, "mended.csv", RIGHT, repairs=shop.bad("file_sha256")[0][0])
    shutil.rmtree(shop.paths.lake)
    for path in [*shop.home.glob("ledger.sqlite*"), shop.paths.landing / "sales/d=2025-01-06.csv"]:
        path.unlink()
    shop.land("d=2025-01-07.csv", HEAD)
    assert shop.ingest().accepted == 4
    assert content(shop) == right_at_first(tmp_path, shop, "d=2025-01-06.csv")


@pytest.mark.parametrize("step", ["enter", "settle"])
def test_a_crash_is_made_good_by_the_next_run(shop, monkeypatch, step):
    from ingestion.repairs import Repairs

    shop.land("a.csv", WRONG)
    shop.ingest()

    def crash(*_args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Repairs, step, crash)
        with pytest.raises(KeyboardInterrupt):
            replay(shop, "a.csv", RIGHT)
    shop.ingest(LATER)
    assert len(shop.raw()) == 4
    assert {at for (at,) in shop.raw("_known_at")} == {NOW.replace(tzinfo=None)}
    assert all(shop.bad("recovered_at is not null"))


def test_a_repair_in_two_steps(tmp_path, shop):
    shop.land("a.csv", WRONG)
    shop.ingest()
    first = replay(shop, "a.csv", RIGHT.replace(MENDED[1], BAD[1]))
    assert (first.result.accepted, first.result.quarantined, first.recovered) == (1, 1, 1)
    second = replay(shop, "a.csv", RIGHT)
    assert (second.result.accepted, second.result.duplicates) == (1, 3)
    assert second.recovered == 2  # of the file, and of its first repair
    assert all(at for (at,) in shop.bad("recovered_at is not null"))
    assert content(shop) == right_at_first(tmp_path, shop)


def test_a_conflict_that_is_decided(shop):
    clash = "A1,c1,2025-01-02,9,x\n"
    shop.land("a.csv", HEAD + GOOD[0] + clash + GOOD[1])
    shop.ingest()
    done = replay(shop, "a.csv", HEAD + GOOD[0] + GOOD[1])
    assert (done.result.accepted, done.result.duplicates, done.recovered) == (1, 1, 2)


def test_a_repair_that_is_still_wrong(shop):
    shop.land("a.csv", WRONG)
    shop.ingest()
    done = replay(shop, "a.csv", HEAD + BAD[0].replace("nonsense", "still wrong"))
    assert (done.result.accepted, done.recovered) == (0, 0)
    assert shop.bad("attempts")[-2:] == [(2,), (2,)]
    assert replay(shop, "a.csv", b"PK\x03\x04").recovered == 0


def test_which_file_it_stands_for(shop):
    with pytest.raises(ReplayError, match="no file that failed"):
        replay(shop, "a.csv", RIGHT)
    shop.land("a.csv", WRONG)
    shop.ingest()
    shop.land("a.csv", WRONG.replace("A2", "A9"))
    shop.ingest(LATER)
    with pytest.raises(ReplayError, match=r"not exactly one failed file named a.csv") as caught:
        replay(shop, "a.csv", RIGHT)
    hashes = {sha for (sha,) in shop.bad("file_sha256")}
    assert all(sha[:12] in str(caught.value) for sha in hashes)
    with pytest.raises(ReplayError, match="whose hash begins with 'zz'"):
        replay(shop, "a.csv", RIGHT, repairs="zz")
    assert replay(shop, "a.csv", RIGHT, repairs=sorted(hashes)[0][:12]).result.records_in == 4


def test_the_ledger_knows_both_and_an_old_one_is_migrated(shop):
    shop.land("a.csv", WRONG)
    shop.ingest()
    with sqlite3.connect(shop.paths.ledger) as db:
        db.execute("drop table if exists repairs")
    replay(shop, "a.csv", RIGHT)
    with sqlite3.connect(shop.paths.ledger) as db:
        rows = db.execute(
            "select f.path, o.path, r.recovered from repairs r join files f using (source, sha256) "
            "join files o on o.sha256 = r.repairs"
        ).fetchall()
    assert [(old, number) for _new, old, number in rows] == [("sales/a.csv", 2)]
    totals = overview.ledger_totals(shop.paths.ledger)["sales"]
    assert totals == {"records_in": 8, "accepted": 4, "quarantined": 2, "duplicates": 2}


def test_a_file_that_was_right_all_along(shop, tmp_path):
    """Its contract was wrong: mended, the next run reads it, and nothing of the failure is left."""
    right, shop.form = shop.form, "parquet"
    shop.land("a.csv", RIGHT)
    shop.land("b.csv", RIGHT.replace("A", "B"))
    assert shop.ingest().accepted == 0
    first = [sha for (sha,) in shop.bad("file_sha256")]
    shop.form = right
    assert shop.ingest().files == 0
    assert pending_files([shop.contract()], shop.paths) == []
    assert read_again(shop.contract(), shop.paths, first[0][:9]) == ["sales/a.csv"]
    assert [file.sha256 for file in pending_files([shop.contract()], shop.paths)] == first[:1]
    assert (shop.ingest().accepted, len(shop.bad())) == (4, 1)
    assert content(shop) == right_at_first(tmp_path, shop)
    with pytest.raises(ReplayError, match=r"no file that was quarantined whole and whose hash"):
        read_again(shop.contract(), shop.paths, first[0])
    assert read_again(shop.contract(), shop.paths) == ["sales/b.csv"]
    assert (shop.ingest(LATER).accepted, shop.bad()) == (4, [])


def test_what_a_repair_stands_for_is_not_read_again(shop):
    shop.land("a.csv", b"PK\x03\x04")
    shop.ingest()
    assert replay(shop, "a.csv", RIGHT).result.accepted == 4
    with pytest.raises(ReplayError, match="unless a repair stands for it"):
        read_again(shop.contract(), shop.paths)
