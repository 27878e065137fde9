"""The fault matrix: ten steps, eleven faults, and kills at random; each with its oracle.

    python tests/faults [--home DIR] [--seeds 3] [--kills 500] [--only STEP/FAULT] [--sample N]

A cell passes if, after one more run without hands, the published tables hash as those of a run
without a fault, the counts of every source are the same and add up, and no run is left open.

What does not belong here: how a run is hurt (harness.py).
"""

import resource
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import dagster as dg
import pyarrow.compute as pc
import pyarrow.parquet as pq
from harness import Outcome, Stage, Victim, begin, clock_off, durations, outcome, seeded, strike_at

from orchestration.config import Settings

# The ten steps, as the run's own steps: the first five are stages of ingestion, each met in a
# source of another format.
STEPS = {
    "detect": "raw__campaigns",
    "land": "raw__customers",
    "parse and quarantine": "raw__events",
    "tokenise": "raw__orders",
    "load": "raw__tickets",
    "dbt": "behaviour",
    "expectations": "behaviour_gate",
    "train": "churn_evaluation",
    "score": "churn_scores",
    "publish": "publication__snapshot",
}
# So small that no batch, table or model fits; and so little memory that nothing can be imported.
DISK_BYTES = 16 << 10
SPARE_MEMORY = 1 << 20


@dataclass(frozen=True)
class Cell:
    """One cell of the matrix, and what came of it."""

    step: str
    fault: str
    seed: int
    problems: tuple[str, ...]
    seconds: float


class Matrix:
    """Runs cells on one stage.

    Args:
        stage: the home and its template.
        loaded: the definitions.
        log: where the victims' output goes.
    """

    def __init__(self, stage: Stage, loaded: dg.Definitions, log: Path) -> None:
        self.stage = stage
        self.loaded = loaded
        self.log = log
        self.expected, self.took = self._reference()

    @property
    def habitus(self) -> Settings:
        """Settings of the home."""
        return self.stage.habitus

    def _begin(self, change: Callable[[], None] = lambda: None, *, own_dbt: bool = False) -> Victim:
        return begin(self.habitus, self.loaded, self.log, change, own_dbt=own_dbt)

    def _reference(self) -> tuple[Outcome, dict[str, float]]:
        self.stage.reset()
        victim = self._begin()
        if code := victim.wait():
            raise RuntimeError(f"the run without a fault ended with {code}; see {self.log}")
        return outcome(self.habitus), durations(victim)

    def cell(self, step: str, fault: str, seed: int) -> Cell:
        """Hurt a run, run again, compare."""
        started = time.monotonic()
        self.stage.reset()
        problems = FAULTS[fault](self, STEPS[step], seed)
        problems += self.recovered()
        return self._judged(Cell(step, fault, seed, tuple(problems), time.monotonic() - started))

    def random_kill(self, seed: int) -> Cell:
        """Kill a run at a moment of its whole length, run again, compare."""
        started = time.monotonic()
        self.stage.reset()
        victim = self._begin()
        time.sleep(seeded("kill", seed).uniform(0, sum(self.took.values())))
        victim.kill()
        victim.wait()
        problems = tuple(self.recovered())
        seconds = time.monotonic() - started
        return self._judged(Cell("any", "killed at random", seed, problems, seconds))

    def _judged(self, cell: Cell) -> Cell:
        """The cell; what a failed one left is kept, for whoever asks why."""
        if cell.problems:
            self.stage.keep(f"{cell.step}-{cell.fault}-{cell.seed}".replace(" ", "-"))
        return cell

    def recovered(self) -> list[str]:
        """Run once more, without hands, and say what differs from a run without a fault."""
        victim = self._begin()
        if code := victim.wait():
            return [f"the next run ended with {code}"]
        return outcome(self.habitus).differences(self.expected)

    def _unpublished(self, victim: Victim) -> list[str]:
        """A run that did not come to publish must have published nothing."""
        published = any(
            moment == "ASSET_MATERIALIZATION" and step == STEPS["publish"]
            for moment, step, _ in victim.seen
        )
        # Between the swap and the report of it lies a kill that published all the same.
        begun = any(step == STEPS["publish"] for _, step, _ in victim.seen)
        if begun or published or not self.habitus.published.exists():
            return []
        return ["a version was published by a run that never came so far"]

    def blind_to(self, harm: str) -> bool:
        """Whether a loss or a double, done behind the ledger's back, goes unseen."""
        folder = self.habitus.lake / "raw" / "feedback"
        kept = {file: file.read_bytes() for file in folder.glob("*.parquet")}
        SABOTAGE[harm](folder)
        problems = self.recovered()
        # Undone: else the next harm would be seen by what this one left.
        for file in folder.glob("*.parquet"):
            file.unlink()
        for file, content in kept.items():
            file.write_bytes(content)
        return not problems

    def killed(self, step: str, moment: str, delay: float) -> list[str]:
        """Kill at a moment of a step."""
        victim = self._begin()
        met = strike_at(victim, step, moment, delay, victim.kill)
        victim.wait()
        return self._unpublished(victim) if met else [f"{moment} of {step} never came"]

    def killed_inside(self, step: str, seed: int) -> list[str]:
        """Kill somewhere within a step."""
        return self.killed(
            step, "STEP_START", seeded(step, seed).uniform(0.02, 0.98) * self.took[step]
        )

    def interrupted(self, step: str, seed: int) -> list[str]:
        """Ctrl-C somewhere within a step."""
        victim = self._begin()
        delay = seeded(step, "interrupt", seed).uniform(0, 0.9) * self.took[step]
        met = strike_at(victim, step, "STEP_START", delay, victim.interrupt)
        code = victim.wait()
        if not met:
            return [f"{step} never began"]
        # One that meets a library which drops it does nothing, as if it had not come.
        return self._unpublished(victim) if code else []

    def starved(self, step: str, limit: Callable[[Victim], None]) -> list[str]:
        """Take away a resource when a step begins."""
        victim = self._begin(own_dbt=True)
        met = strike_at(victim, step, "STEP_START", 0, lambda: limit(victim))
        code = victim.wait()
        if not met:
            return [f"{step} never began"]
        return self._unpublished(victim) if code else []

    def twice(self) -> list[str]:
        """Run to the end, as a doubled trigger does before the next run."""
        victim = self._begin()
        code = victim.wait()
        return [f"the first of two ended with {code}"] if code else []

    def at_once(self, step: str, seed: int) -> list[str]:
        """Begin a second run while the first is in a step."""
        first = self._begin()
        second: list[Victim] = []
        strike_at(first, step, "STEP_START", 0, lambda: second.append(self._begin()))
        codes = [first.wait(), *(victim.wait() for victim in second)]
        return [] if 0 in codes else [f"neither of two runs succeeded: {codes}"]

    def orphaned(self, step: str, seed: int) -> list[str]:
        """Kill the process alone, while what it has begun lives on."""
        victim = self._begin(own_dbt=True)
        delay = seeded(step, "orphan", seed).uniform(0, 0.9) * self.took[step]
        strike_at(victim, step, "STEP_START", delay, lambda: victim.kill(group=False))
        victim.wait()
        return self._unpublished(victim)

    def with_clock(self, days: int) -> list[str]:
        """Run with a clock that is off."""
        victim = self._begin(clock_off(days))
        code = victim.wait()
        return [f"a run with the clock {days} days off ended with {code}"] if code else []


def _no_memory(victim: Victim) -> None:
    pages = int(Path(f"/proc/{victim.pid}/statm").read_text().split()[0])
    victim.limit(resource.RLIMIT_AS, pages * resource.getpagesize() + SPARE_MEMORY)


def _batch(folder: Path) -> Path:
    return next(f for f in sorted(folder.glob("*.parquet")) if f.name != "_schema.parquet")


def _double(folder: Path) -> None:
    # Under other ids: the same ones would be versions of one record, and the latest wins.
    rows = pq.ParquetFile(_batch(folder)).read()
    at = rows.schema.get_field_index("feedback_id")
    ids = pc.binary_join_element_wise(rows.column(at), "twin", "-")
    pq.write_table(rows.set_column(at, "feedback_id", ids), folder / "twin.parquet")


SABOTAGE: dict[str, Callable[[Path], None]] = {
    "double": _double,
    "loss": lambda folder: _batch(folder).unlink(),
}

# (matrix, step, seed) -> what was already wrong before the recovery.
FAULTS: dict[str, Callable[[Matrix, str, int], list[str]]] = {
    "killed before": lambda m, step, _: m.killed(step, "STEP_START", 0),
    "killed in the middle": Matrix.killed_inside,
    "killed after the write": lambda m, step, _: m.killed(step, "STEP_SUCCESS", 0),
    "killed after it": lambda m, step, _: m.killed(step, "STEP_SUCCESS", 0.3),
    "interrupted": Matrix.interrupted,
    "disk full": lambda m, step, _: m.starved(
        step, lambda victim: victim.limit(resource.RLIMIT_FSIZE, DISK_BYTES)
    ),
    "out of memory": lambda m, step, _: m.starved(step, _no_memory),
    "same trigger twice": lambda m, _step, _seed: m.twice(),
    "two runs at once": Matrix.at_once,
    "process killed, children left": Matrix.orphaned,
    "clock a day off": lambda m, _step, seed: m.with_clock(1 if seed % 2 else -1),
}


def cells(seeds: int) -> Iterator[tuple[str, str, int]]:
    """Every cell of the matrix: (step, fault, seed)."""
    yield from product(STEPS, FAULTS, range(seeds))
