"""A process that reads one source's files under limits, and the server that forks such processes.

What does NOT belong here: what becomes of a file that kills its reader (`apart`), reading (`run`),
what a worker may touch (`enclosure`).

The server imports ingestion once, has no threads and never touches a file; each task is a fork of
it, so a worker costs milliseconds and the caller, who may have threads, never forks. It is not
`multiprocessing`'s fork server: that one gives every worker the caller's environment and imports
the caller's main module into it. Here the environment is empty, and what a worker says is JSON:
the caller unpickles nothing that a hostile file may have written.
"""

from __future__ import annotations

import errno
import gc
import json
import os
import pickle  # noqa: TID251  only from a caller to its own worker, never from a file
import re
import resource
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import duckdb

from ingestion.enclosure import enclose
from ingestion.find import FoundFile
from ingestion.results import ConservationError, IngestError, SourceError, SourceResult
from ingestion.source import Task, ingest_files

BOOT = (
    # Of what is imported nothing is garbage: to look takes longer than the import.
    "import gc, json, sys; gc.disable(); sys.path[:] = json.loads(sys.argv[1]); "
    "from ingestion.worker import serve; serve(int(sys.argv[2]))"
)
#: All that a worker gets of an environment. OpenBLAS would start threads in the server.
_ENVIRONMENT = {"PYTHONUTF8": "1", "OPENBLAS_NUM_THREADS": "1"}
#: Imported by DuckDB and Arrow when first needed: 0.4 s in each worker, or once in the server.
_LATER_IMPORTS = ("_strptime", "pandas", "pyarrow.compute", "pyarrow.dataset")
_HEAD = struct.Struct("!Q")
_STATUS = struct.Struct("!i")
_ERRORS = {kind.__name__: kind for kind in (IngestError, SourceError, ConservationError)}
#: Said with every source that is read so; `habitus doctor` says it too.
_UNCONFINED = "this machine's kernel cannot keep the process that parses files from: "
_ADDRESS_SPACE = "address space (ulimit -v)"
#: Somebody wants the work to stop; that is no fault of a file.
STOPPED = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}


@dataclass(frozen=True)
class Limits:
    """What a worker may use for one source; None means no limit.

    Attributes:
        address_space: Bytes of virtual memory. DuckDB and Arrow reserve more than they use.
        file_size: Bytes of one written file.
        cpu_seconds: Of all its threads.
        wall_seconds: From its start.
    """

    address_space: int | None = 16 << 30
    file_size: int | None = 64 << 30
    cpu_seconds: int | None = 4 * 3600
    wall_seconds: int | None = 3 * 3600


@dataclass
class Outcome:
    """What a worker left.

    Attributes:
        result: Its counts, if it came to its end.
        died: Why it did not, or None.
        stopped: Whether somebody stopped it.
        scarce: Limits of the machine that are below those of the worker; its death proves nothing
            against a file then.
        opened: Files that it opened, by their shown path.
    """

    result: SourceResult | None = None
    died: str | None = None
    stopped: bool = False
    scarce: list[str] = field(default_factory=list)
    opened: set[str] = field(default_factory=set)


# ---- in the worker


def serve(control_fd: int) -> None:
    """Fork a worker for each task that comes, one at a time, until the caller is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the group; the caller decides
    for name in _LATER_IMPORTS:
        import_module(name)
    gc.freeze()
    gc.enable()
    with socket.socket(fileno=control_fd) as control:
        while True:
            head, fds, _flags, _address = socket.recv_fds(control, _HEAD.size, 1)
            if not head:
                return
            payload = _exactly(control, _HEAD.unpack(head)[0])
            living, held = os.pipe()  # closed by the system when the worker ends, however it does
            pid = os.fork()
            if pid == 0:
                control.close()
                _work(fds[0], payload)
            os.close(fds[0])
            os.close(held)
            del payload
            with open(living, "rb") as alive:  # noqa: PTH123  a descriptor
                ready, _, _ = select.select([alive, control], [], [])
            if control in ready and not control.recv(1, socket.MSG_PEEK):
                os.kill(pid, signal.SIGKILL)  # its caller died: nobody waits for the result
            _pid, status = os.waitpid(pid, 0)
            control.sendall(_STATUS.pack(os.waitstatus_to_exitcode(status)))


def _exactly(control: socket.socket, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        part = control.recv(min(size - len(parts), 1 << 20))
        if not part:
            raise EOFError("the other side is gone")
        parts += part
    return bytes(parts)


def _work(report_fd: int, payload: bytes) -> NoReturn:
    """Do one task and end the process; nothing of it goes to the server's own stack."""
    code = 1
    try:
        # A native library's last words may hold a value.
        quiet = os.open(os.devnull, os.O_RDWR)
        for standard in (1, 2):
            os.dup2(quiet, standard)
        with os.fdopen(report_fd, "wb", buffering=0) as report:
            task, files, limits = pickle.loads(payload)  # noqa: S301  the caller's own words
            scarce = _limit(limits)
            _report(report, {"scarce": scarce})
            task = replace(task, starved=_ADDRESS_SPACE in scarce)
            with closing(enclose(task, files)) as enclosure:
                told = _told(report, task, files, limits)
            if enclosure.lacking and "result" in told:
                told["result"]["warnings"].append(_UNCONFINED + ", ".join(enclosure.lacking))
            _report(report, told)
        code = 0
    finally:
        os._exit(code)


def _limit(limits: Limits) -> list[str]:
    """Limit this process; gives what the machine limits further than that."""
    _lower(resource.RLIMIT_CORE, 0)  # a core dump holds clear values
    if limits.wall_seconds is not None:
        signal.setitimer(signal.ITIMER_REAL, limits.wall_seconds)
    kinds = {
        _ADDRESS_SPACE: (resource.RLIMIT_AS, limits.address_space),
        "size of files (ulimit -f)": (resource.RLIMIT_FSIZE, limits.file_size),
        "seconds of CPU (ulimit -t)": (resource.RLIMIT_CPU, limits.cpu_seconds),
    }
    return [name for name, (kind, value) in kinds.items() if not _lower(kind, value)]


def _lower(kind: int, value: int | None) -> bool:
    """Set the soft limit; the hard one stays, and is never exceeded. Whether all of it is given."""
    if value is None:
        return True
    hard = resource.getrlimit(kind)[1]
    soft = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (soft, hard))
    return soft == value


def _report(report: BinaryIO, message: Mapping[str, Any]) -> None:
    report.write(json.dumps(message, default=str).encode() + b"\n")


def _told(
    report: BinaryIO, task: Task, files: Sequence[FoundFile], limits: Limits
) -> dict[str, Any]:
    """The last word on a task: its result, its error, or that memory ran out."""
    try:
        result = ingest_files(task, files, lambda found: _report(report, {"open": found.shown}))
    except Exception as error:  # noqa: BLE001  whatever it is, its text may hold a value
        if _is_memory(error, limits):
            return {"died": "memory"}
        if isinstance(error, IngestError):
            return {"error": type(error).__name__, "text": str(error)}
        return {"error": "IngestError", "text": _without_values(task, error)}
    return {"result": asdict(result)}


def _is_memory(error: Exception, limits: Limits) -> bool:
    """Whether memory ran out. Not every library says so: at the limit, any error may mean it."""
    if isinstance(error, ConservationError | SourceError):
        return False
    ran_out = MemoryError | duckdb.OutOfMemoryException
    if isinstance(error, ran_out) or isinstance(error.__context__, ran_out):
        return True
    if isinstance(error, OSError) and error.errno != errno.ENOMEM:
        return False
    return limits.address_space is not None and _peak() > limits.address_space * 0.9


def _peak() -> int:
    """The most address space that this process ever had, in bytes."""
    status = Path("/proc/self/status")  # there is none beyond Linux
    text = status.read_text(encoding="ascii") if status.exists() else ""
    found = re.search(r"VmPeak:\s+(\d+) kB", text)
    return int(found.group(1)) << 10 if found else 0


def _without_values(task: Task, error: Exception) -> str:
    """An unforeseen error by its kind and place; only the system's own words are kept."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    said = f": {error.strerror}" if isinstance(error, OSError) else ""
    return (
        f"{task.contract.path.name}: reading source `{task.contract.name}` failed "
        f"({type(error).__name__}{said}, {Path(frame.filename).name}:{frame.lineno})"
    )


# ---- in the caller


class _Server:
    """The server as its caller sees it."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        path = [str(Path(entry).absolute()) for entry in sys.path]
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", BOOT, json.dumps(path), str(theirs.fileno())],
                env=_ENVIRONMENT,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
            )
        self._control = ours
        self._owner = os.getpid()

    def run(self, task: Task, files: Sequence[FoundFile], limits: Limits) -> Outcome:
        """Have a task done.

        Raises:
            IngestError: As `ingest_files`.
        """
        payload = pickle.dumps((task, files, limits))
        reading, writing = os.pipe()
        with os.fdopen(reading, "rb") as report:
            try:
                socket.send_fds(self._control, [_HEAD.pack(len(payload))], [writing])
            finally:
                os.close(writing)
            self._control.sendall(payload)
            outcome, error = _listen(report)
        code = _STATUS.unpack(_exactly(self._control, _STATUS.size))[0]
        if error is not None:
            raise error
        if outcome.result is None and outcome.died is None:
            outcome.stopped = -code in STOPPED
            outcome.died = _cause(code, limits)
        elif outcome.died == "memory":
            outcome.died = f"ran out of memory{_size(limits)}"
        return outcome

    @property
    def alive(self) -> bool:
        """Whether it is this process's, and there."""
        return self._owner == os.getpid() and self._process.poll() is None

    def end(self) -> None:
        """End the server and what it forked: a closed socket tells it that nobody waits."""
        self._control.close()
        if self._owner == os.getpid():
            self._process.wait()


def _listen(report: BinaryIO) -> tuple[Outcome, IngestError | None]:
    outcome = Outcome()
    error = None
    for line in report:
        if not line.endswith(b"\n"):
            break  # cut off by its death
        message = json.loads(line)
        if "open" in message:
            outcome.opened.add(str(message["open"]))
        elif "result" in message:
            outcome.result = _result(message["result"])
        elif "died" in message:
            outcome.died = str(message["died"])
        elif "scarce" in message:
            outcome.scarce = list(message["scarce"])
        else:
            error = _ERRORS.get(message["error"], IngestError)(message["text"])
    return outcome, error


def _result(figures: dict[str, Any]) -> SourceResult:
    for name in ("known_from", "known_to"):
        if figures[name] is not None:
            figures[name] = datetime.fromisoformat(figures[name])
    return SourceResult(**figures)


def _size(limits: Limits) -> str:
    return f" (limit {limits.address_space / (1 << 30):.3g} GiB)" if limits.address_space else ""


def _cause(code: int, limits: Limits) -> str:
    """Why a worker ended without a last word."""
    if code >= 0:
        return f"ended with code {code}"
    if -code == signal.SIGALRM:
        return f"took longer than {limits.wall_seconds} s"
    if -code == signal.SIGXCPU:
        return f"used more than {limits.cpu_seconds} s of CPU"
    return f"was killed by {signal.Signals(-code).name}"


class _Current:
    """The one server of this process, started when first needed."""

    server: _Server | None = None
    lock = threading.Lock()


def attempt(task: Task, files: Sequence[FoundFile], limits: Limits) -> Outcome:
    """Ingest files of a source in a worker.

    Raises:
        IngestError: As `ingest_files`; the message holds no value.
    """
    with _Current.lock:
        server = _ready()
        try:
            return server.run(task, files, limits)
        except IngestError:
            raise
        except (EOFError, BrokenPipeError, ConnectionResetError):
            _drop()
            return Outcome(died="was lost with its server")
        except BaseException:
            _drop()  # an interrupt: the worker must not go on behind the caller's back
            raise


def _ready() -> _Server:
    if _Current.server is None or not _Current.server.alive:
        _drop()
        _Current.server = _Server()
    return _Current.server


def start() -> None:
    """Start this process's server ahead of the first task: its imports take most of a second."""
    with _Current.lock:
        _ready()


def _drop() -> None:
    if _Current.server is not None:
        _Current.server.end()
        _Current.server = None


def stop() -> None:
    """End this process's server; the next task starts another."""
    with _Current.lock:
        _drop()
