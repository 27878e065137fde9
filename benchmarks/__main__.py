"""`make bench`: the line at 10 million shop events, and where its time goes.

What does not belong here: assertions about time.
"""

import argparse
import json
import os
import sys
from pathlib import Path

from benchmarks import by_hand
from benchmarks.process import measure
from habitus import connect as habitus_connect


def main() -> None:
    """Simulate, run the line, run the script written by hand on the same raw files, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="an empty data home")
    parser.add_argument("--customers", type=int, default=20_000)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--events-per-day", type=int, default=27_500)
    options = parser.parse_args()
    options.home.mkdir(parents=True, exist_ok=True)
    env = {**os.environ, "HABITUS_HOME": str(options.home.resolve())}
    habitus = [sys.executable, "-m", "habitus.cli"]
    sizes = [
        *("--customers", str(options.customers), "--days", str(options.days)),
        *("--events-per-day", str(options.events_per_day)),
    ]
    made = measure([*habitus, "simulate", *sizes], env, options.home / "simulate.log")
    print(f"simulate: {made.seconds:.0f} s, {made.peak_gib:.1f} GiB", flush=True)
    ran = measure([*habitus, "run"], env, options.home / "run.log")
    summary = json.loads((options.home / "reports" / "latest" / "summary.json").read_text())
    print(f"run: {ran.seconds:.0f} s, {ran.peak_gib:.1f} GiB, {summary['status']}", flush=True)
    for step, seconds in sorted(summary["seconds"].items(), key=lambda item: -item[1])[:12]:
        print(f"  {step:<40}{seconds:>8.1f} s")
    shop = options.home / "shop"
    os.environ["HABITUS_HOME"] = env["HABITUS_HOME"]
    published = habitus_connect("shop")
    by_hand.give(published, shop)
    hand = measure(
        [sys.executable, "-m", "benchmarks.by_hand", str(shop)], env, options.home / "by_hand.log"
    )
    print(f"by hand: {hand.seconds:.1f} s, {hand.peak_gib:.1f} GiB")
    steps = summary["seconds"]["behaviour"] + summary["seconds"]["marts"]
    print(f"behaviour and marts / by hand: {steps / hand.seconds:.1f}")
    for name, ours, theirs, different in by_hand.compare(published, shop):
        print(f"  {name:<20}{ours:>14,}{theirs:>14,}  {different:,} rows in one of them only")


if __name__ == "__main__":
    main()
