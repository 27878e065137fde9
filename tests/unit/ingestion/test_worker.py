"""A crash or a bomb is a quarantined file, not a dead run."""

from __future__ import annotations

import datetime as dt
import gzip
import multiprocessing
import os
import resource
import signal
import threading
import time
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from shops import KEY, NOW, Shop

from ingestion import IngestError, SourceError, ingest_entity, replay_file, worker
from ingestion.readers.parquet import read_parquet
from ingestion.worker import Limits

HEAD = "id,who,when,sum,note\n"
SMALL = Limits(address_space=3 << 30, cpu_seconds=60, wall_seconds=60)


def rows(*numbers):
    return HEAD + "".join(f"A{n},c{n},2025-01-02,{n},x\n" for n in numbers)


@pytest.fixture(scope="module", autouse=True)
def _hostile():
    """Workers that `hostile` was loaded into; the next test module gets plain ones."""
    worker.stop()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker, "BOOT", worker.BOOT.replace("from ing", "import hostile; from ing"))
        yield
        worker.stop()


@pytest.fixture
def shop(tmp_path):
    return Shop(tmp_path, limits=SMALL)


def test_the_same_as_in_this_process(tmp_path):
    found = []
    for name, limits in (("here", None), ("worker", SMALL)):
        shop = Shop(tmp_path / name, limits=limits)
        shop.land("a.csv", rows(1, 2, 2) + "A3,c3,bad,1,x\n")
        shop.land("b.csv", b"PK\x03\x04")
        result = replace(shop.ingest(), seconds=0.0)
        found.append((result, shop.raw(), shop.bad("row_number, failure_type, record")))
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("word", "limits", "reason"),
    [
        ("KILL", SMALL, "its reader was killed by SIGKILL"),
        ("SEGV", SMALL, "its reader was killed by SIGSEGV"),
        ("EXIT", SMALL, "its reader ended with code 3"),
        ("ALLOCATE", SMALL, "its reader ran out of memory (limit 3 GiB)"),
        ("SPIN", replace(SMALL, cpu_seconds=2), "its reader used more than 2 s of CPU"),
        ("SLEEP", replace(SMALL, wall_seconds=2), "its reader took longer than 2 s"),
    ],
)
def test_the_file_that_kills_its_reader_is_quarantined(shop, word, limits, reason):
    shop.limits = limits
    shop.land("a.csv", rows(1))
    shop.land("b.csv", HEAD + f"B1,c1,2025-01-02,1,{word}\n")
    shop.land("c.csv", rows(2, 3) + "C1,c1,bad,1,x\n")
    result = shop.ingest()
    assert (result.files, result.accepted, result.quarantined, result.records_in) == (3, 3, 1, 4)
    assert shop.bad("file, failure_type, reason")[0] == ("sales/b.csv", "file_crash", reason)
    assert any(f"sales/b.csv: quarantined whole: {reason}" in text for text in result.warnings)
    assert sorted(order for (order,) in shop.raw("order_id")) == ["A1", "A2", "A3"]
    assert shop.ingest().files == 0
    assert len(shop.bad()) == 2
    assert not list(shop.home.rglob("*.tmp"))


def test_a_gzip_bomb_that_fits_no_limit(shop):
    shop.limits = replace(SMALL, address_space=2 << 30)
    random = os.urandom(7 << 20)  # keeps the ratio below that of a plain bomb
    shop.land("a.csv.gz", gzip.compress(random + bytes(2_400 << 20), 1))
    shop.land("b.csv", rows(1))
    assert shop.ingest().accepted == 1
    assert shop.bad("file, failure_type") == [("sales/a.csv.gz", "file_crash")]


def test_a_record_that_bursts_in_the_statement(shop):
    # Five thousand letters of one: more, and the contract would be refused.
    burst = f"replace(replace(note, '3', '{'4' * 1000}'), '4', '55555')"
    shop.properties = shop.properties.replace(
        "{name: note, logicalType: string}", f'{{name: note, transformLogic: "length({burst})"}}'
    )
    shop.limits = replace(SMALL, cpu_seconds=5)
    shop.land("a.csv", rows(1).replace(",x", ",3"))
    shop.land("b.csv", rows(2).replace(",x", "," + "3" * 1_000_000))
    result = shop.ingest()
    assert (result.accepted, len(shop.bad())) == (1, 1)
    assert shop.bad("file, failure_type") == [("sales/b.csv", "file_crash")]


def test_several_among_many(shop):
    bad = {3, 4, 17}
    for n in range(24):
        data = HEAD + f"B{n},c,2025-01-02,1,KILL\n" if n in bad else rows(n)
        shop.land(f"{n:02d}.csv", data)
    result = shop.ingest()
    assert (result.files, result.accepted, result.quarantined) == (24, 21, 0)
    assert [file for (file,) in shop.bad("file")] == [f"sales/{n:02d}.csv" for n in sorted(bad)]
    assert shop.ingest().files == 0


def test_what_was_stopped_is_not_the_files_fault(shop):
    shop.land("a.csv", HEAD + "A1,c,2025-01-02,1,STOP\n")
    with pytest.raises(IngestError, match="SIGTERM, and no file is to blame"):
        shop.ingest()
    assert (shop.raw(), shop.bad()) == ([], [])
    shop.land("a.csv", rows(1))
    assert shop.ingest().accepted == 1


def test_limits_too_small_for_anything_blame_no_file(shop):
    shop.limits = Limits(address_space=64 << 20)
    shop.land("a.csv", rows(1))
    with pytest.raises(IngestError, match="no file is to blame"):
        shop.ingest()
    assert shop.bad() == []


def test_a_machine_that_gives_less_than_the_limits_blames_no_file(shop):
    shop.land("a.csv", rows(1))
    shop.ingest()
    pid = worker._Current.server._process.pid
    resource.prlimit(pid, resource.RLIMIT_AS, (2 << 30, 2 << 30))
    shop.land("b.csv", HEAD + "A2,c,2025-01-02,1,ALLOCATE\n")
    said = r"no file is to blame.*less than its limits: address space \(ulimit -v\)"
    with pytest.raises(IngestError, match=said):
        shop.ingest()
    # Nor what a library calls damage: with too little memory it finds damage that is none.
    shop.land("b.csv", rows(2))
    shop.land("c.csv.gz", gzip.compress(rows(3).encode())[:-9])
    with pytest.raises(IngestError, match=said):
        shop.ingest()
    assert shop.bad() == []
    worker.stop()
    assert (shop.ingest().accepted, shop.bad("file")) == (1, [("sales/c.csv.gz",)])


def test_errors_come_back_without_values(shop):
    with pytest.raises(SourceError, match="has no file"):
        shop.ingest()
    shop.land("a.csv", HEAD + "A1,canary,2025-01-02,1,RAISE\n")
    with pytest.raises(IngestError, match=r"LookupError, hostile.py:\d+\)") as caught:
        shop.ingest()
    assert "canary" not in str(caught.value)
    shop.properties += '      - {name: status, transformLogic: "upper(id, id)"}\n'
    shop.land("a.csv", rows(1))
    with pytest.raises(IngestError, match="upper"):
        shop.ingest()


def test_a_worker_has_no_secrets(shop, monkeypatch):
    monkeypatch.setenv("HABITUS_POSTGRES_DSN", "password=canary")
    worker.stop()
    shop.land("a.csv", HEAD + "A1,c,2025-01-02,1,SECRETS\n")
    with pytest.raises(IngestError, match="OSError") as caught:
        shop.ingest()
    assert "DSN" not in str(caught.value)
    assert "PYTHONUTF8" in str(caught.value)


def _server_pid():
    return worker._Current.server._process.pid


def test_a_lost_server_is_replaced(shop):
    shop.land("a.csv", rows(1))
    shop.ingest()
    lost = _server_pid()
    os.kill(lost, signal.SIGKILL)
    time.sleep(0.2)
    shop.land("b.csv", rows(2))
    assert shop.ingest().accepted == 1
    assert _server_pid() != lost


def _killed_caller(shop):
    worker.stop()
    os.setpgid(0, 0)
    shop.ingest()


def _waits(pid):
    """Command lines of the processes of a group."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[2]) == pid and fields[0] != "Z":
                found.append(stat.parent.name)
    return found


def test_a_killed_caller_leaves_no_worker(shop):
    shop.land("a.csv", HEAD + "A1,c,2025-01-02,1,SLEEP\n")
    caller = multiprocessing.get_context("fork").Process(target=_killed_caller, args=(shop,))
    caller.start()
    wait_for(lambda: len(_waits(caller.pid)) == 3)  # itself, its server, the worker
    os.kill(caller.pid, signal.SIGKILL)
    caller.join()
    wait_for(lambda: not _waits(caller.pid))
    shop.land("a.csv", rows(1))
    assert shop.ingest().accepted == 1


def wait_for(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_an_interrupt_ends_the_worker(shop):
    shop.land("a.csv", HEAD + "A1,c,2025-01-02,1,SLEEP\n")
    main = threading.main_thread().ident
    # A shell's background jobs begin with interrupts ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Timer(1.5, signal.pthread_kill, [main, signal.SIGINT]).start()
    with pytest.raises(KeyboardInterrupt):
        shop.ingest()
    signal.signal(signal.SIGINT, before)
    shop.land("a.csv", rows(1))
    started = time.monotonic()
    assert shop.ingest().accepted == 1  # nobody holds the source
    assert time.monotonic() - started < 20


def test_callers_with_threads(tmp_path):
    shops = [Shop(tmp_path / str(n), limits=SMALL) for n in range(4)]
    for shop in shops:
        shop.land("a.csv", rows(1, 2))
    threads = [threading.Thread(target=shop.ingest) for shop in shops]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [shop.results[0].accepted for shop in shops] == [2] * 4


def _in_a_child(shop):
    shop.ingest()
    os._exit(0 if shop.results[0].accepted == 1 else 1)


def test_a_forked_caller_gets_its_own_server(shop):
    shop.land("a.csv", rows(1))
    shop.ingest()
    shop.land("b.csv", rows(2))
    child = multiprocessing.get_context("fork").Process(target=_in_a_child, args=(shop,))
    child.start()
    child.join(30)
    assert child.exitcode == 0
    shop.land("c.csv", rows(3))
    assert shop.ingest().accepted == 1


def test_a_repair_that_kills_its_reader(shop):
    shop.land("a.csv", rows(1) + "A2,c,bad,1,x\n")
    shop.ingest()
    file = shop.home / "a.csv"
    later = NOW + dt.timedelta(days=1)

    def replay(text):
        file.write_text(text)
        contract = shop.contract()
        return replay_file(
            contract, shop.paths, KEY, file, run_id="r2", now=later, limits=shop.limits
        )

    done = replay(HEAD + "A2,c,2025-01-02,1,KILL\n")
    assert (done.result.accepted, done.recovered) == (0, 0)
    assert ("file_crash",) in shop.bad("failure_type")
    assert shop.ingest().files == 0
    done = replay(rows(1, 2))
    assert (done.result.accepted, done.result.duplicates) == (1, 1)


def test_another_source_is_not_touched(shop):
    shop.land("a.csv", HEAD + "A1,c,2025-01-02,1,KILL\n")
    first = shop.contract()
    path = first.path.with_name("other.odcs.yaml")
    path.write_text(first.path.read_text().replace("sales", "other"))
    (shop.paths.landing / "other").mkdir()
    (shop.paths.landing / "other" / "a.csv").write_text(rows(1))
    from expectations.contract import load_contract

    results = ingest_entity(
        first.entity,
        [first, load_contract(path)],
        shop.paths,
        KEY,
        run_id="r1",
        now=NOW,
        limits=SMALL,
    )
    assert [(r.source, r.files, r.accepted) for r in results] == [("sales", 1, 0), ("other", 1, 1)]


def test_a_parquet_file_that_needs_more_memory_is_not_called_damaged(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"a": [f"{n}" * 1000 for n in range(20_000)]}), path)
    with closing(duckdb.connect(config={"memory_limit": "8MB", "temp_directory": ""})) as con:
        with pytest.raises(duckdb.OutOfMemoryException) as caught:
            read_parquet(con, path, (0, 20_000))
        assert worker._is_memory(caught.value, SMALL)
