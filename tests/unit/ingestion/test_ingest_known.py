"""A file that the file system says is the one we know is not opened again; any other is."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from shops import Shop

from ingestion import files, pending_files, read_again
from ingestion.find import FoundFile, find_files
from ingestion.ledger import Ledger
from ingestion.worker import Limits

HEAD = "id,who,when,sum,note\n"
A, B = HEAD + "A1,c,2025-01-02,1,x\n", HEAD + "B1,c,2025-01-02,2,y\n"
SECOND = 1_000_000_000


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that are opened, as they are."""
    names: list[str] = []
    read = files._read

    def counted(found: FoundFile, *args: object) -> files.OpenFile:
        names.append(found.path.name)
        return read(found, *args)

    monkeypatch.setattr(files, "_read", counted)
    return names


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are read an hour after they were written, and no test waits."""
    monkeypatch.setattr(Ledger, "moment", lambda *_: time.time_ns() + 3600 * SECOND)


def pending(shop: Shop) -> list[str]:
    return [file.shown for file in pending_files([shop.contract()], shop.paths)]


def rewrite(path: Path, data: str) -> None:
    """Other bytes in a file, under its old time."""
    before = path.stat()
    path.write_text(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)


@pytest.mark.usefixtures("later")
@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_known_file_is_not_opened_again(shop: Shop, opened: list[str], form: str) -> None:
    shop.land("a.csv", A)
    shop.land("empty.csv", "")
    shop.form = form  # as Parquet, both are quarantined whole
    assert shop.ingest().files == 2
    assert sorted(opened) == ["a.csv", "empty.csv"]  # two threads open them
    result = shop.ingest()
    assert (result.files, result.held, result.warnings) == (0, 0, [])
    assert pending(shop) == []
    assert len(opened) == 2


@pytest.mark.usefixtures("later")
def test_other_bytes_under_the_old_size_and_time_are_read(shop: Shop) -> None:
    path = shop.land("a.csv", A)
    shop.ingest()
    rewrite(path, B)
    assert pending(shop) == ["sales/a.csv"]
    assert shop.ingest().accepted == 1
    before = path.stat()
    other = shop.land("b.csv", HEAD + "C1,c,2025-01-02,3,z\n")
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(path)
    assert shop.ingest().accepted == 1
    assert len(shop.raw()) == 3


@pytest.mark.usefixtures("later")
def test_known_bytes_under_a_new_name_are_told_of_once(shop: Shop, opened: list[str]) -> None:
    path = shop.land("a.csv", A)
    shop.ingest()
    shop.land("copy.csv", A)
    (path.parent / "link.csv").hardlink_to(path)
    assert pending(shop) == []  # who only looks enters no name
    result = shop.ingest()
    assert result.files == 0
    assert [text.split(":")[0] for text in result.warnings] == ["sales/copy.csv", "sales/link.csv"]
    opened.clear()
    assert shop.ingest().warnings == []
    assert opened == []
    path.rename(path.with_name("moved.csv"))
    assert shop.ingest().warnings[0].startswith("sales/moved.csv: not read, its bytes are those")


@pytest.mark.usefixtures("later")
def test_a_touched_file_is_opened_once_more_and_not_ingested(shop: Shop, opened: list[str]) -> None:
    path = shop.land("a.csv", A)
    for change in (path.touch, lambda: path.chmod(0o600), lambda: rewrite(path, A)):
        shop.ingest()
        opened.clear()
        change()
        result = shop.ingest()
        assert (result.files, result.warnings, opened) == (0, [], ["a.csv"])
        shop.ingest()
        assert (pending(shop), opened) == ([], ["a.csv"])
    assert len(shop.raw()) == 1


@pytest.mark.parametrize("ahead", [-3600, -1, 0, 1, 2])
def test_what_is_not_clearly_older_is_opened_again(
    shop: Shop, opened: list[str], monkeypatch: pytest.MonkeyPatch, ahead: int
) -> None:
    path = shop.land("a.csv", A)
    moment = path.stat().st_ctime_ns
    monkeypatch.setattr(Ledger, "moment", lambda *_: moment + ahead * SECOND)
    for number in (1, 2, 3):
        assert len(shop.ingest().warnings) == 0
        assert opened == ["a.csv"] * number
    monkeypatch.setattr(Ledger, "moment", lambda *_: moment + 2 * SECOND + 1)
    shop.ingest()
    shop.ingest()
    assert (len(opened), len(shop.raw())) == (4, 1)


@pytest.mark.usefixtures("later")
def test_a_time_that_lies_ahead_is_not_trusted(shop: Shop, opened: list[str]) -> None:
    path = shop.land("a.csv", A)
    os.utime(path, ns=(0, time.time_ns() + 86400 * SECOND))
    for _ in range(3):
        shop.ingest()
    assert opened == ["a.csv"] * 3
    assert len(shop.raw()) == 1


@pytest.mark.parametrize("days", [-400, -1, 1, 400])
def test_a_clock_that_jumps_changes_nothing(
    shop: Shop, opened: list[str], monkeypatch: pytest.MonkeyPatch, later: None, days: int
) -> None:
    path = shop.land("a.csv", A)
    shop.ingest()
    clock = time.time_ns
    monkeypatch.setattr(Ledger, "moment", lambda *_: clock() + days * 86400 * SECOND)
    shop.ingest()
    assert (pending(shop), opened) == ([], ["a.csv"])
    rewrite(path, B)
    assert shop.ingest().accepted == 1


def test_the_clock_that_is_behind_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(Ledger(tmp_path / "ledger.sqlite")) as ledger:
        for ours in (0, 1 << 62):
            monkeypatch.setattr(time, "time_ns", lambda ours=ours: ours)
            moment = ledger.moment("s")
            (lock,) = tmp_path.glob("*.lock")
            assert moment == min(ours, lock.stat().st_mtime_ns)


@pytest.mark.usefixtures("later")
@pytest.mark.parametrize("who", ["run", "sensor"])
def test_a_ledger_from_before(shop: Shop, opened: list[str], who: str) -> None:
    shop.land("a.csv", A)
    shop.land("b.csv", B)
    shop.ingest()
    with closing(sqlite3.connect(shop.paths.ledger)) as db:
        db.execute("drop table stamps")
    opened.clear()
    for _ in range(2):
        assert (pending(shop) if who == "sensor" else shop.ingest().files) in ([], 0)
    assert sorted(opened) == ["a.csv", "b.csv"]
    assert len(shop.raw()) == 2


@pytest.mark.usefixtures("later")
def test_what_is_let_be_read_again_is_opened(shop: Shop) -> None:
    """All its names are: none of them may keep the content from being read."""
    shop.form = "parquet"
    shop.land("a.csv", A)
    shop.land("copy.csv", A)
    assert shop.ingest().files == 1
    shop.form = "csv"
    assert shop.ingest().files == 0
    read_again(shop.contract(), shop.paths)
    assert pending(shop) == ["sales/a.csv", "sales/copy.csv"]
    assert (shop.ingest().accepted, shop.bad(), pending(shop)) == (1, [], [])


@pytest.mark.usefixtures("later")
def test_a_file_whose_inode_changes_meanwhile_is_read_and_not_remembered(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = shop.land("a.csv", A)
    read = files._read

    def linked(found: FoundFile, *args: object) -> files.OpenFile:
        opened = read(found, *args)
        (shop.home / "snapshot.csv").hardlink_to(path)
        return opened

    monkeypatch.setattr(files, "_read", linked)
    result = shop.ingest()
    assert (result.accepted, result.held) == (1, 0)
    found = find_files(shop.contract(), shop.paths.landing)
    with closing(Ledger(shop.paths.ledger)) as ledger:
        assert ledger.to_open("sales", found) == found


@pytest.mark.usefixtures("later")
def test_a_crash_before_the_ledger_has_it_leaves_it_unread(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.land("a.csv", A)

    def crash(*_args: object, **_kwargs: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "finish", crash)
        with pytest.raises(KeyboardInterrupt):
            shop.ingest()
    assert pending(shop) == ["sales/a.csv"]
    assert (shop.ingest().accepted, len(shop.raw())) == (1, 1)


@pytest.mark.usefixtures("later")
def test_files_of_one_shown_name_are_two(shop: Shop, opened: list[str]) -> None:
    anna, _bob = shop.land("anna@example.org.csv", A), shop.land("bob@example.org.csv", B)
    for _ in range(2):
        shop.ingest()
    assert len(opened) == 2
    rewrite(anna, HEAD + "C1,c,2025-01-02,3,z\n")
    assert shop.ingest().accepted == 1
    assert opened[2:] == [anna.name]


def test_a_worker_remembers(shop: Shop) -> None:
    shop.limits = Limits()
    shop.land("a.csv", A)
    assert shop.ingest().accepted == 1
    found = find_files(shop.contract(), shop.paths.landing)
    for _ in range(600):
        with closing(Ledger(shop.paths.ledger)) as ledger:
            left = ledger.to_open("sales", found)
        if not left:
            break
        time.sleep(0.1)
        assert shop.ingest().files == 0
    assert not left
