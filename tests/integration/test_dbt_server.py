"""The warm dbt is dbt to whoever calls it, and never outlives whom it serves."""

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import dbt_fixture as fixture
import pytest

from orchestration.config import Settings, settings
from orchestration.lib.dbt_server import PROJECT_DIR, DbtServer

FOLDERS = ["--project-dir", str(PROJECT_DIR), "--profiles-dir", str(PROJECT_DIR)]
SLOW = ["build", "--exclude-resource-type", "unit_test", "--target", "lake", *FOLDERS]
PATIENCE_SECONDS = 60


@pytest.fixture(scope="module")
def habitus(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings of an empty deployment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HABITUS_HOME", str(tmp_path_factory.mktemp("home")))
        chosen = settings("cdnow")
    fixture.write_empty_lake(chosen.deployment_home)
    return chosen


@pytest.fixture(scope="module")
def server(habitus: Settings) -> Iterator[DbtServer]:
    """A server, and nothing of it left afterwards."""
    started = DbtServer(habitus)
    started.wait()
    yield started
    started.stop()


def call(server: DbtServer, habitus: Settings, *arguments: str) -> subprocess.Popen[str]:
    """Call dbt as dagster-dbt does."""
    return subprocess.Popen(
        [*server.command(), *arguments],
        env={**os.environ, **habitus.environment()},
        cwd=PROJECT_DIR,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def children(pid: int) -> set[int]:
    """Processes that a process has begun; Python's tracker of semaphores is one of them."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return {int(child) for child in text.split()}


def gone(pid: int) -> bool:
    """Whether a process has ended; waits for it."""
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


def begun(pid: int, before: set[int]) -> int:
    """The dbt that a server has begun since; waits for it."""
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        if found := children(pid) - before:
            return found.pop()
        time.sleep(0.02)
    raise AssertionError("no dbt was begun")


def test_it_answers_as_dbt_does(server: DbtServer, habitus: Settings) -> None:
    for _ in range(2):
        done = call(server, habitus, "build", "-s", "stg_run", "--target", "lake", *FOLDERS)
        said, _ = done.communicate()
        assert done.returncode == 0, said
        assert "PASS=1 " in said


def test_a_failing_invocation_says_so(server: DbtServer, habitus: Settings) -> None:
    done = call(server, habitus, "build", "--no-such-option")
    said, _ = done.communicate()
    assert done.returncode == 2
    assert "--no-such-option" in said
    done = call(server, habitus, "build", "-s", "stg_run", "--target", "nowhere", *FOLDERS)
    said, _ = done.communicate()
    assert done.returncode != 0
    assert "nowhere" in said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_dbt_ends_with_its_caller(
    server: DbtServer, habitus: Settings, number: signal.Signals
) -> None:
    before = children(server.pid)
    caller = call(server, habitus, *SLOW)
    dbt = begun(server.pid, before)
    caller.send_signal(number)
    assert gone(dbt)
    assert caller.wait(timeout=PATIENCE_SECONDS) != 0
    done = call(server, habitus, "ls", "-s", "stg_run", "--target", "lake", *FOLDERS)
    assert "habitus.staging" in done.communicate()[0]


def test_a_client_gone_before_it_is_told_its_dbt_ends_nothing_else(
    server: DbtServer, habitus: Settings, tmp_path: Path
) -> None:
    request = {"arguments": SLOW, "environment": dict(os.environ), "folder": str(PROJECT_DIR)}
    text = json.dumps(request).encode()
    before = children(server.pid)
    with socket.socket(socket.AF_UNIX) as client, (tmp_path / "said").open("w") as said:
        client.connect(server.command()[-1])
        socket.send_fds(client, [struct.pack("!I", len(text))], [said.fileno()] * 2)
        client.sendall(text)
    # One invocation after another: an answer to this one says that the first has ended. It may
    # have lived for too short a time to be seen.
    done = call(server, habitus, "ls", "-s", "stg_run", "--target", "lake", *FOLDERS)
    assert "habitus.staging" in done.communicate()[0]
    assert children(server.pid) <= before
    assert "Done." not in (tmp_path / "said").read_text()


def test_everything_ends_with_a_killed_parent(habitus: Settings) -> None:
    code = (
        "import sys, time; from orchestration.config import settings; "
        "from orchestration.lib.dbt_server import DbtServer; "
        "server = DbtServer(settings('cdnow')); server.wait(); "
        "print(server.pid, *server.command(), flush=True); time.sleep(600)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, **habitus.environment()},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    pid, *command = parent.stdout.readline().split()
    before = children(int(pid))
    caller = subprocess.Popen(
        [*command, *SLOW],
        env={**os.environ, **habitus.environment()},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    dbt = begun(int(pid), before)
    parent.kill()
    parent.wait()
    assert gone(dbt)
    assert gone(int(pid))
    assert caller.wait(timeout=PATIENCE_SECONDS) != 0
