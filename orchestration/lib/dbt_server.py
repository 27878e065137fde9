"""A warm dbt for a run of several dbt steps: imported and parsed once, forked for each step.

A dbt process spends seconds on imports and on its parse before its first model, and a run has
three of them: `dbt build -s stg_run` takes 9.2 s, and 1.3 s of a warm server. The server does both
while files are still being read, then forks once for each invocation: every step is a process of
its own as before, with its own connection, and nothing of one is left for the next.

The parse itself is kept by `make install`: a new data home begins from it, and dbt reads anew only
the files that changed since.

Nobody is orphaned: the server ends when its parent does, and dbt when the server or the client
does, so a killed run never leaves a dbt behind that holds the warehouse.

What does not belong here: which steps there are, or what they run (dbt_steps.py).
"""

import atexit
import contextlib
import ctypes
import json
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import traceback
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from orchestration.config import REPO, Settings, activate, settings
from orchestration.lib.imports import uncollected

PROJECT_DIR = REPO / "dbt_project"
SOURCE_SUFFIXES = {".sql", ".yml", ".csv"}
CLIENT = Path(__file__).with_name("dbt_client.py")
PR_SET_PDEATHSIG = 1
PARSE_STATE = "partial_parse.msgpack"
# The parse of this environment, made by `make install`.
KEPT_PARSE = Path(sys.prefix) / "share" / "habitus" / PARSE_STATE
# A parse knows of no data home, else it would serve only one: the profile's path is part of what
# dbt holds a kept parse against. Each invocation brings its own.
ANY_HOME = {"HABITUS_DEPLOYMENT_HOME": "any"}


class DbtError(RuntimeError):
    """dbt could not read the project."""


def newest_source() -> float:
    """When the dbt project last changed, in seconds since the epoch."""
    return max(
        p.stat().st_mtime
        for p in PROJECT_DIR.rglob("*")
        if p.suffix in SOURCE_SUFFIXES and "target" not in p.parts
    )


def manifest_path(habitus: Settings) -> Path:
    """Where dbt's manifest of a deployment stands."""
    return habitus.dbt_home / "target" / "manifest.json"


def is_parsed(manifest: Path) -> bool:
    """Whether a manifest says what the project's files say."""
    return manifest.exists() and manifest.stat().st_mtime >= newest_source()


def parse_arguments(habitus: Settings) -> list[str]:
    """`dbt parse` with the flags of the steps: other ones would make each of them parse again."""
    folders = ["--project-dir", str(PROJECT_DIR), "--profiles-dir", str(PROJECT_DIR)]
    return ["--no-write-json", "parse", "--target", habitus.target, *folders]


def _begin_from_kept_parse(state: Path) -> None:
    """Give a new home the parse of the environment; dbt itself sees what of it still holds."""
    if KEPT_PARSE.exists() and not state.exists():
        state.parent.mkdir(parents=True, exist_ok=True)
        temporary = state.with_name(f"{state.name}.{os.getpid()}")
        shutil.copyfile(KEPT_PARSE, temporary)
        temporary.replace(state)


def keep_parse(habitus: Settings) -> None:
    """Parse the project and keep the result for new homes.

    Raises:
        DbtError: dbt does not understand the project; the message is dbt's.
    """
    server = DbtServer(habitus)
    server.wait()
    server.stop()
    KEPT_PARSE.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(manifest_path(habitus).with_name(PARSE_STATE), KEPT_PARSE)


class DbtServer:
    """The parent's side: starts the server, waits for its parse, ends it.

    Args:
        habitus: activated settings.
    """

    def __init__(self, habitus: Settings) -> None:
        _begin_from_kept_parse(manifest_path(habitus).with_name(PARSE_STATE))
        self.serves = (habitus, newest_source())
        # Short on purpose: a socket's path ends at 108 characters, a data home's does not.
        self._folder = tempfile.TemporaryDirectory(prefix="habitus-dbt-")
        self._socket = str(Path(self._folder.name) / "socket")
        command = [sys.executable, "-m", "orchestration.lib.dbt_server"]
        command += [self._socket, str(manifest_path(habitus))]
        self._process = subprocess.Popen(
            [*command, *parse_arguments(habitus)],
            env={**habitus.child_environment(), **ANY_HOME},
            cwd=REPO,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._ready = False

    def wait(self) -> None:
        """Return when the project is parsed.

        Raises:
            DbtError: dbt does not understand the project; the message is dbt's.
        """
        if self._ready:
            return
        said = []
        for line in self._process.stdout or ():
            if line == "ready\n":
                self._ready = True
                return
            said.append(line)
        self.stop()
        raise DbtError(f"dbt parse failed:\n{''.join(said)}")

    @property
    def pid(self) -> int:
        """The server's process."""
        return self._process.pid

    def command(self) -> list[str]:
        """What stands for `dbt` on a command line."""
        return [sys.executable, "-IS", str(CLIENT), self._socket]

    def stop(self) -> None:
        """End the server, and dbt if it still runs; it has nothing to save."""
        self._process.kill()
        self._process.communicate()
        self._folder.cleanup()


_servers: list[DbtServer] = []


def _stop() -> None:
    while _servers:
        _servers.pop().stop()


def warm_dbt(habitus: Settings) -> DbtServer:
    """This process's server, started if there is none, and anew when the project has changed."""
    if _servers and _servers[-1].serves != (habitus, newest_source()):
        _stop()
    if not _servers:
        _servers.append(DbtServer(habitus))
    return _servers[-1]


def is_warm(habitus: Settings) -> bool:
    """Whether this process has a server that serves these settings."""
    return bool(_servers) and _servers[-1].serves == (habitus, newest_source())


atexit.register(_stop)


def _receive(client: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """A request and the client's stdout and stderr."""
    header, fds, _, _ = socket.recv_fds(client, 4, 2)
    with client.makefile("rb") as stream:
        request: dict[str, Any] = json.loads(stream.read(struct.unpack("!I", header)[0]))
    return request, fds


def _run(manifest: Any, request: dict[str, Any], fds: list[int]) -> NoReturn:
    """Be dbt, in the forked child."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager  # noqa: PLC0415
    from dbt.cli.main import dbtRunner  # noqa: PLC0415  the parent of the server never needs dbt

    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    for target, fd in enumerate(fds, start=1):
        os.dup2(fd, target)
        os.close(fd)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    # A shell's background jobs begin with interrupts ignored; ours only come on purpose.
    interrupts: list[int] = []

    def interrupt(number: int, frame: FrameType | None) -> None:
        interrupts.append(number)
        signal.default_int_handler(number, frame)

    signal.signal(signal.SIGINT, interrupt)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    done = dbtRunner(manifest=manifest).invoke(request["arguments"])
    if done.exception is not None:
        sys.stderr.write(f"{done.exception}\n")
    DuckDBConnectionManager.close_all_connections()
    sys.stdout.flush()
    sys.stderr.flush()
    # Not sys.exit: threads of C libraries stayed in the server, and their clean-up here aborts.
    if interrupts:
        # Raised where nothing may raise, an interrupt is dropped, and dbt would end as if well.
        os._exit(128 + interrupts[0])
    os._exit(0 if done.success else 2 if done.exception is not None else 1)


def _serve_one(client: socket.socket, listener: socket.socket, manifest: Any) -> bool:
    """Fork for one request and answer with its exit code; False when the parent is gone."""
    request, fds = _receive(client)
    # The child holds the other end of this pipe for as long as it lives.
    alive, held = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(alive)
            listener.close()
            client.close()
            _run(manifest, request, fds)
        except BaseException:  # noqa: BLE001  whatever it was, never on into the server's own loop
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)
    for fd in (held, *fds):
        os.close(fd)
    with contextlib.suppress(BrokenPipeError):  # a client that is gone already ends it below
        client.sendall(f"{child}\n".encode())
    ended, _, _ = select.select([alive, client, sys.stdin], [], [])
    if alive not in ended:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    os.close(alive)
    with contextlib.suppress(BrokenPipeError):
        code = os.waitstatus_to_exitcode(status)
        client.sendall(f"{code if code >= 0 else 128 - code}\n".encode())
    return sys.stdin not in ended


def _write_manifest(parsed: Any, manifest: Path, begun: float) -> None:
    """Write in one piece: dbt would write it under the eyes of who loads definitions.

    It is as old as the beginning of its parse: what was edited since is not in it.
    """
    manifest.parent.mkdir(parents=True, exist_ok=True)
    temporary = manifest.with_name(f"{manifest.name}.{os.getpid()}")
    parsed.writable_manifest().write(str(temporary))
    os.utime(temporary, (begun, begun))
    temporary.replace(manifest)


def main(path: str, manifest: Path, parse: list[str]) -> int:
    """Parse, say `ready`, and serve until the parent closes our standard input."""
    with uncollected():
        from dbt.cli.main import dbtRunner  # noqa: PLC0415

        import orchestration.lib.dbt_plugin  # noqa: F401, PLC0415  takes a second

        # A terminal's Ctrl-C goes to the whole group: the parent decides what it means for us.
        # Blocked, not ignored: one meant for a child that is only being forked must wait.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        begun = time.time()
        parsed = dbtRunner().invoke(parse)
    if not parsed.success:
        if parsed.exception is not None:
            print(parsed.exception)
        return 1
    if not is_parsed(manifest):
        _write_manifest(parsed.result, manifest, begun)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        print("ready", flush=True)
        while True:
            ready, _, _ = select.select([listener, sys.stdin], [], [])
            if sys.stdin in ready:
                return 0
            client, _ = listener.accept()
            with client:
                if not _serve_one(client, listener, parsed.result):
                    return 0


if __name__ == "__main__":
    if sys.argv[1:] == ["keep"]:
        with tempfile.TemporaryDirectory() as home:
            keep_parse(activate(replace(settings(), home=Path(home))))
        sys.exit()
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:]))
