"""The pointer and the writer's lock."""

import json
import multiprocessing
from pathlib import Path

import pytest

from orchestration.lib import publication
from orchestration.lib.publication import (
    NothingPublishedError,
    WarehouseBusyError,
    read_pointer,
    swap_pointer,
    write_atomically,
    writer,
)


def test_nothing_published_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NothingPublishedError, match="habitus run"):
        read_pointer(tmp_path / "published.json")


def test_swap_and_read(tmp_path: Path) -> None:
    pointer = tmp_path / "published.json"
    swap_pointer(pointer, snapshot=3, run_id="a", as_of=None)
    written = swap_pointer(pointer, snapshot=4, run_id="b", as_of="2025-12-31")
    assert read_pointer(pointer) == written
    assert read_pointer(pointer).snapshot == 4


def test_a_write_that_dies_leaves_the_old_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "published.json"
    write_atomically(path, json.dumps({"old": True}))

    def die(_: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(publication.os, "fsync", die)
    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, json.dumps({"old": False}))
    assert json.loads(path.read_text()) == {"old": True}


def _hold(lock: Path, held: object, done: object) -> None:
    with writer(lock):
        held.set()
        done.wait(30)


def test_a_second_process_may_not_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publication, "WRITER_TIMEOUT_SECONDS", 0.2)
    context = multiprocessing.get_context("spawn")
    held, done = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(tmp_path / "lock", held, done))
    other.start()
    assert held.wait(30)
    try:
        with pytest.raises(WarehouseBusyError), writer(tmp_path / "lock"):
            pytest.fail("two writers")
    finally:
        done.set()
        other.join()
    with writer(tmp_path / "lock"):
        pass
