"""Runs the whole line in a process that is then hurt, and again without hands; compares the end.

A victim is a fork of a process that has loaded the definitions, so that a cell of the matrix does
not pay for Dagster's imports. It runs the job as `habitus run` does and reports each step's begin
and end; the harness decides from that when to strike.

What does not belong here: which faults and steps there are (matrix.py), assertions of pytest.
"""

import contextlib
import json
import os
import random
import resource
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg

from habitus.runs import run_job
from ingestion import ledger_totals
from orchestration.config import Settings
from orchestration.lib import dbt_server, raw_assets
from orchestration.lib.warehouse import published_hashes

RUN_SECONDS = 300


@dataclass
class Victim:
    """A run in a process of its own, leader of its own group.

    Attributes:
        pid: of the process.
        reports: what it says: lines `moment step`.
        seen: the lines read so far, with their moments in seconds of the monotonic clock.
    """

    pid: int
    reports: int
    seen: list[tuple[str, str, float]] = field(default_factory=list)
    rest: bytes = b""

    def lines(self) -> Iterator[tuple[str, str, float]]:
        """(moment, step, when) as they come, until the victim ends."""
        while block := os.read(self.reports, 4096):
            *whole, self.rest = (self.rest + block).split(b"\n")
            for line in whole:
                moment, _, step = line.decode().partition(" ")
                self.seen.append((moment, step, time.monotonic()))
                yield self.seen[-1]

    def wait(self) -> int:
        """The exit code; negative for the signal that ended it."""
        for _ in self.lines():
            pass
        _, status = os.waitpid(self.pid, 0)
        os.close(self.reports)
        return os.waitstatus_to_exitcode(status)

    def kill(self, *, group: bool = True) -> None:
        """SIGKILL to the process alone or to all that it has begun."""
        with contextlib.suppress(ProcessLookupError):
            (os.killpg if group else os.kill)(self.pid, signal.SIGKILL)

    def interrupt(self) -> None:
        """What Ctrl-C sends, to all that it has begun."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGINT)

    def limit(self, kind: int, value: int) -> None:
        """Lower a resource limit of the victim and of all its descendants."""
        for pid in [self.pid, *descendants(self.pid)]:
            with contextlib.suppress(ProcessLookupError):
                resource.prlimit(pid, kind, (value, value))


def descendants(root: int) -> list[int]:
    """Processes below one, by /proc."""
    found, todo = [], [root]
    while todo:
        pid = todo.pop()
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
            todo += (below := [int(child) for child in text.split()])
            found += below
    return found


class _Reporter:
    """Tells the harness of every step's begin and end."""

    def __init__(self, pipe: int) -> None:
        self.pipe = pipe

    def __call__(self, entry: dg.EventLogEntry) -> None:
        event = entry.dagster_event
        if event is not None and event.event_type_value in (
            "STEP_START",
            "ASSET_MATERIALIZATION",
            "STEP_SUCCESS",
            "STEP_FAILURE",
        ):
            os.write(self.pipe, f"{event.event_type_value} {event.step_key}\n".encode())


def _be_victim(
    habitus: Settings,
    loaded: dg.Definitions,
    pipe: int,
    log: Path,
    change: Callable[[], None],
    *,
    own_dbt: bool,
) -> None:
    os.setpgid(0, 0)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    # Kept: let go, the harness' server would lose its socket's folder.
    of_harness = list(dbt_server._servers)
    if own_dbt:
        dbt_server._servers.clear()
    change()
    listen = dg.DagsterInstance.add_event_listener

    def with_reporter(self: Any, run_id: str, listener: Any) -> None:
        listen(self, run_id, listener)
        listen(self, run_id, _Reporter(pipe))

    setattr(dg.DagsterInstance, "add_event_listener", with_reporter)  # noqa: B010  for mypy
    summary = run_job(habitus, loaded, job="everything")
    if dbt_server._servers != of_harness:
        dbt_server._stop()
    sys.stdout.flush()
    os._exit(0 if summary["status"] == "success" else 1)


def begin(
    habitus: Settings,
    loaded: dg.Definitions,
    log: Path,
    change: Callable[[], None] = lambda: None,
    *,
    own_dbt: bool = False,
) -> Victim:
    """Fork a victim that runs the job on a home.

    Args:
        habitus: activated settings.
        loaded: the definitions, loaded by this process.
        log: where its output goes.
        change: done in the victim before it runs.
        own_dbt: whether it starts a dbt server of its own, as `habitus run` does, or uses that of
            this process, which saves seconds.
    """
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read)
        try:
            _be_victim(habitus, loaded, write, log, change, own_dbt=own_dbt)
        except BaseException:  # noqa: BLE001  a fork of a test must not go on as the test
            with contextlib.suppress(OSError), log.open("a") as out:  # its disk may be full
                traceback.print_exc(file=out)
        finally:
            os._exit(3)
    os.close(write)
    return Victim(pid, read)


def clock_off(days: int) -> Callable[[], None]:
    """Make ingestion believe that it is another day."""

    class Kind(type):
        def __instancecheck__(cls, value: object) -> bool:
            return isinstance(value, datetime)

    class Off(datetime, metaclass=Kind):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.now(tz or UTC) + timedelta(days=days)

    def change() -> None:
        setattr(raw_assets, "datetime", Off)  # noqa: B010  for mypy

    return change


@dataclass(frozen=True)
class Outcome:
    """What stands after a run: hashes of the published tables, counts by source, runs by status."""

    hashes: dict[str, str]
    sources: dict[str, dict[str, int]]
    open_runs: int

    def differences(self, other: "Outcome") -> list[str]:
        """In words, what differs from a run without a fault; empty when nothing does."""
        found = [
            f"{name}: {other.hashes.get(name, 'missing')} became {self.hashes.get(name, 'missing')}"
            for name in sorted(self.hashes.keys() | other.hashes.keys())
            if self.hashes.get(name) != other.hashes.get(name)
        ]
        for source, counts in other.sources.items():
            mine = self.sources.get(source, {})
            if mine != counts:
                found.append(f"{source}: {counts} became {mine}")
        for source, counts in self.sources.items():
            kept = counts["accepted"] + counts["quarantined"] + counts["duplicates"]
            if counts["records_in"] != kept:
                found.append(f"{source}: {counts['records_in']} in, {kept} kept")
        if self.open_runs:
            found.append(f"{self.open_runs} runs without a terminal status")
        return found


def outcome(habitus: Settings) -> Outcome:
    """Look at a home."""
    with dg.DagsterInstance.get() as instance:
        unfinished = [run for run in instance.get_runs() if not run.is_finished]
    return Outcome(published_hashes(habitus), ledger_totals(habitus.ledger), len(unfinished))


class Stage:
    """A home that is set back to its beginning for every cell.

    Args:
        habitus: activated settings of the home.
        template: what the home's deployment folder begins as.
    """

    def __init__(self, habitus: Settings, template: Path) -> None:
        self.habitus = habitus
        self.template = template

    def reset(self) -> None:
        """Make the home as it was."""
        shutil.rmtree(self.habitus.deployment_home, ignore_errors=True)
        shutil.copytree(self.template, self.habitus.deployment_home, symlinks=True)

    def keep(self, name: str) -> None:
        """Copy the home as it is to `failed/<name>` beside the template."""
        kept = self.template.parent / "failed" / name
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(self.habitus.deployment_home, kept, symlinks=True)


def durations(victim: Victim) -> dict[str, float]:
    """Seconds of each step of a run that has ended."""
    begun: dict[str, float] = {}
    took = {}
    for moment, step, when in victim.seen:
        if moment == "STEP_START":
            begun[step] = when
        elif moment == "STEP_SUCCESS":
            took[step] = when - begun[step]
    return took


def strike_at(
    victim: Victim, step: str, moment: str, delay: float, blow: Callable[[], None]
) -> bool:
    """Wait for a moment of a step, then for the delay, and strike; False if it never came."""
    for seen, at, _ in victim.lines():
        if at == step and seen == moment:
            time.sleep(delay)
            blow()
            return True
    return False


def seeded(*parts: object) -> random.Random:
    """A generator of its own for each cell."""
    return random.Random(json.dumps([str(part) for part in parts]))
