"""`make bench-spikes`: an hour of events at 1, 5 and 10 times the usual rate; how fresh tables are.

A feed brings one file a minute of each source of events, with 1 % of bad records. Runs follow each
other without a pause, and each takes what has come until it begins: its own duration moves the
feed's clock. With `--cgroup`, runs live in a control group whose memory somebody has bounded.

What does not belong here: assertions about time.
"""

import argparse
import gzip
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.process import measure
from ingestion import ledger_totals
from orchestration.config import settings

SOURCES = ("web_events", "app_events")
#: Share of an hour -> times the usual rate: five minutes at 5, two at 10.
SPIKES = ((1 / 3, 5 / 60, 5), (2 / 3, 2 / 60, 10))
BAD_EVERY = 100


@dataclass
class Batch:
    """What the feed brings in a minute.

    Attributes:
        minute: from 0; its files are there when the minute has ended.
        rate: times the usual one.
        files: where they lie until then, with the places that they come to.
        records: in them.
    """

    minute: int
    rate: int
    files: list[tuple[Path, Path]]
    records: int = 0


def _rates(minutes: int) -> list[int]:
    rates = [1] * minutes
    for begin, length, rate in SPIKES:
        first = round(begin * minutes)
        for minute in range(first, first + max(1, round(length * minutes))):
            rates[minute] = rate
    return rates


def _lines(folder: Path) -> Iterator[bytes]:
    for path in sorted(folder.rglob("*.jsonl.gz")):
        with gzip.open(path) as file:
            yield from file


def _split(aside: Path, landing: Path, minutes: int) -> list[Batch]:
    """Cut the simulated history into minutes, in its order; every hundredth record is bad."""
    rates = _rates(minutes)
    batches = [Batch(minute, rate, []) for minute, rate in enumerate(rates)]
    edges = np.cumsum(rates) / sum(rates)
    for source in SOURCES:
        total = sum(1 for _ in _lines(aside / source))
        lines = _lines(aside / source)
        done = 0
        for batch, edge in zip(batches, edges, strict=True):
            name = f"minute={batch.minute:03}.jsonl.gz"
            path = aside / "feed" / source / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with gzip.open(path, "wb", compresslevel=1) as out:
                while done < round(edge * total):
                    line = next(lines)
                    if done % BAD_EVERY == 0:
                        line = line.replace(b'"originalTimestamp":"', b'"originalTimestamp":"no ')
                    out.write(line)
                    done += 1
                    batch.records += 1
            batch.files.append((path, landing / source / "dt=feed" / name))
    return batches


def _land(batches: list[Batch]) -> None:
    for batch in batches:
        for origin, target in batch.files:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(origin, target)


def _within(cgroup: Path | None, command: list[str]) -> list[str]:
    """A command that first enters a control group."""
    if cgroup is None:
        return command
    return ["sh", "-c", 'echo $$ > "$0/cgroup.procs" && exec "$@"', str(cgroup), *command]


def _follow(batches: list[Batch], home: Path, command: list[str]) -> None:
    """Run until all of the feed is published; prints each run, then freshness."""
    clock, ages, weights, peaks = 60.0, [], [], []
    left = list(batches)
    while left:
        come = [batch for batch in left if (batch.minute + 1) * 60 <= clock]
        left = left[len(come) :]
        if not come:
            clock = (left[0].minute + 1) * 60.0
            continue
        _land(come)
        run = measure(command, os.environ, home / "run.log")
        clock += run.seconds
        peaks.append(run.peak_gib)
        for batch in come:
            ages.append(clock - (batch.minute + 1) * 60)
            weights.append(batch.records)
        print(
            f"  minute {come[0].minute:>3} to {come[-1].minute:>3}"
            f"{max(batch.rate for batch in come):>4}x"
            f"{sum(batch.records for batch in come):>12,} records{run.seconds:>8.0f} s"
            f"{run.peak_gib:>6.1f} GiB",
            flush=True,
        )
    order = np.argsort(ages)
    share = np.cumsum(np.array(weights)[order]) / sum(weights)
    p50, p95 = (np.array(ages)[order][np.searchsorted(share, q)] for q in (0.5, 0.95))
    print(f"published after: p50 {p50:.0f} s, p95 {p95:.0f} s; peak {max(peaks):.1f} GiB")


def main() -> None:
    """Simulate, bring all but events, then feed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="an empty data home")
    parser.add_argument("--customers", type=int, default=20_000)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--events-per-day", type=int, default=27_500)
    parser.add_argument("--minutes", type=int, default=60)
    parser.add_argument("--cgroup", type=Path, help="folder of a control group of memory")
    options = parser.parse_args()
    home: Path = options.home
    home.mkdir(parents=True, exist_ok=True)
    os.environ["HABITUS_HOME"] = str(home.resolve())
    os.environ["HABITUS_CONTRACTS"] = "shop"
    habitus = [sys.executable, "-m", "habitus.cli"]
    size = ["--customers", str(options.customers), "--days", str(options.days)]
    size += ["--events-per-day", str(options.events_per_day)]
    measure([*habitus, "simulate", *size], os.environ, home / "simulate.log")
    chosen, aside = settings(), home / "aside"
    aside.mkdir()
    for source in SOURCES:
        shutil.move(chosen.landing / source, aside / source)
        (chosen.landing / source).mkdir()
    batches = _split(aside, chosen.landing, options.minutes)
    records = sum(batch.records for batch in batches)
    print(f"{records:,} records in {options.minutes} minutes", flush=True)
    _land(batches[:1])
    command = _within(options.cgroup, [*habitus, "run"])
    first = measure(command, os.environ, home / "first.log")
    print(f"all other sources, and the first minute: {first.seconds:.0f} s", flush=True)
    _follow(batches[1:], home, [*command, "--job", "daily"])

    found = [ledger_totals(chosen.ledger)[source] for source in SOURCES]
    came, accepted, bad, twice = (
        sum(counts[name] for counts in found)
        for name in ("records_in", "accepted", "quarantined", "duplicates")
    )
    print(f"{came:,} came = {accepted:,} + {bad:,} quarantined + {twice:,} duplicates")
    if came != records or came != accepted + bad + twice:
        raise SystemExit(f"{records:,} records were landed: the law does not hold")


if __name__ == "__main__":
    main()
