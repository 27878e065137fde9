"""Dagster's event log with connections that stay open: as safe, and as live, as Dagster's own."""

import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from queue import Queue

import dagster as dg
import pytest
from small_lake import deployment

from orchestration.config import activate
from orchestration.lib.event_log import MOST_OPEN, OpenSqliteEventLogStorage

EVENTS = 40
# Writes events, says so, and waits to be killed.
WRITER = """
import sys, time
from dagster import EventLogEntry
from orchestration.lib.event_log import OpenSqliteEventLogStorage
storage = OpenSqliteEventLogStorage(sys.argv[1])
for number in range(int(sys.argv[3])):
    storage.store_event(EventLogEntry(None, 20, f"event {number}", sys.argv[2], time.time()))
print("written", flush=True)
time.sleep(600)
"""


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[OpenSqliteEventLogStorage]:
    opened = OpenSqliteEventLogStorage(str(tmp_path))
    yield opened
    opened.dispose()


def write(storage: OpenSqliteEventLogStorage, run_id: str, text: str) -> None:
    storage.store_event(dg.EventLogEntry(None, 20, text, run_id, time.time()))


def texts(storage: OpenSqliteEventLogStorage, run_id: str) -> list[str]:
    return [event.user_message for event in storage.get_logs_for_run(run_id)]


def test_what_a_killed_process_wrote_is_there_and_was_seen_live(
    storage: OpenSqliteEventLogStorage, tmp_path: Path
) -> None:
    write(storage, "run", "before")
    seen: Queue[str] = Queue()
    storage.watch("run", None, lambda event, cursor: seen.put(event.user_message))
    command = [sys.executable, "-c", WRITER, str(tmp_path), "run", str(EVENTS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "written\n"
        expected = ["before", *(f"event {number}" for number in range(EVENTS))]
        # While it lives, and so before SQLite writes its log back into the file.
        assert [seen.get(timeout=20) for _ in expected] == expected
        writer.kill()
    assert texts(storage, "run") == expected
    with OpenSqliteEventLogStorage(str(tmp_path)).run_connection("run") as connection:
        assert connection.exec_driver_sql("pragma integrity_check").scalar() == "ok"


def test_many_runs_are_not_all_held_open(
    storage: OpenSqliteEventLogStorage, tmp_path: Path
) -> None:
    runs = [f"run {number}" for number in range(3 * MOST_OPEN)]
    for run in runs:
        write(storage, run, f"of {run}")
    open_files = {p.resolve() for p in Path("/proc/self/fd").iterdir() if p.exists()}
    # Of this storage: those of other tests go when Python finds them.
    ours = [p for p in open_files if p.suffix == ".db" and p.is_relative_to(tmp_path)]
    assert 1 < len(ours) <= MOST_OPEN
    assert [texts(storage, run) for run in runs] == [[f"of {run}"] for run in runs]


def test_a_history_that_was_deleted_begins_anew(
    storage: OpenSqliteEventLogStorage, tmp_path: Path
) -> None:
    write(storage, "run", "first")
    for path in tmp_path.glob("run.db*"):
        path.unlink()
    write(storage, "run", "second")
    with OpenSqliteEventLogStorage(str(tmp_path)).run_connection("run") as connection:
        assert connection.exec_driver_sql("select count(*) from event_logs").scalar() == 1


def test_an_instance_of_a_home_uses_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    habitus = replace(deployment(tmp_path), home=tmp_path / "a 'home': #1")
    for name, value in habitus.environment().items():
        monkeypatch.setenv(name, value)
    activate(habitus)
    with dg.DagsterInstance.from_config(str(habitus.dagster_home)) as instance:
        assert isinstance(instance.event_log_storage, OpenSqliteEventLogStorage)
    assert (habitus.dagster_home / "history" / "runs" / "index.db").exists()
