"""`make bench-increment`: one more day on a year of history, beside all of it and beside a script.

What does not belong here: assertions about time.
"""

import argparse
import json
import os
import shutil
import sys
from pathlib import Path

from benchmarks import by_hand
from benchmarks.process import Measured, measure
from habitus import connect as habitus_connect

EVENT_SOURCES = ("web_events", "app_events")


def _steps(home: Path) -> dict[str, float]:
    summary = json.loads((home / "reports" / "latest" / "summary.json").read_text())
    if summary["status"] != "success":
        raise RuntimeError(f"the run ended in {summary['status']}")
    steps: dict[str, float] = summary["seconds"]
    return steps


def _hold_back(landing: Path, aside: Path) -> list[tuple[Path, Path]]:
    """Take the last day's files of events out of the landing zone; (where from, where to)."""
    moved = []
    for source in EVENT_SOURCES:
        last = max((landing / source).glob("dt=*"))
        target = aside / source / last.name
        target.parent.mkdir(parents=True)
        shutil.move(last, target)
        moved.append((last, target))
    return moved


def _give(shop: Path) -> None:
    published = habitus_connect("shop")
    by_hand.give(published, shop)
    published.close()


def one_size(home: Path, customers: int, events_per_day: int, days: int) -> Measured:
    """Build all but the last day, then the last day; prints both and the script's; gives the day.

    Args:
        home: an empty data home.
        customers: people in the shop.
        events_per_day: on a mean day.
        days: of history.
    """
    home.mkdir(parents=True)
    os.environ["HABITUS_HOME"] = str(home.resolve())
    env, habitus = dict(os.environ), [sys.executable, "-m", "habitus.cli"]
    size = ["--customers", str(customers), "--days", str(days)]
    size += ["--events-per-day", str(events_per_day)]
    measure([*habitus, "simulate", *size], env, home / "simulate.log")
    shop = home / "shop"
    held = _hold_back(shop / "landing", home / "held")
    full = measure([*habitus, "run"], env, home / "full.log")
    all_steps = _steps(home)
    _give(shop)
    script = [sys.executable, "-m", "benchmarks.by_hand", str(shop), "keep"]
    by_script = measure(script, env, home / "by_hand.log")
    for origin, target in held:
        shutil.move(target, origin)
    day = measure([*habitus, "run", "--job", "daily"], env, home / "day.log")
    day_steps = _steps(home)
    _give(shop)
    script = [sys.executable, "-m", "benchmarks.forward_by_hand", str(shop)]
    forward = measure(script, env, home / "forward.log")

    published = habitus_connect("shop")
    events = published.table("lake.behaviour.customer_stream").shape[0]
    print(f"\n{events:,} activities, {days} days")
    print(f"  {'':<28}{'all':>10}{'a day':>10}   seconds")
    for name in sorted(all_steps, key=lambda step: -all_steps[step])[:14]:
        print(f"  {name:<28}{all_steps[name]:>10.1f}{day_steps.get(name, 0):>10.1f}")
    print(f"  {'the run':<28}{full.seconds:>10.1f}{day.seconds:>10.1f}")
    print(f"  {'peak memory, GiB':<28}{full.peak_gib:>10.1f}{day.peak_gib:>10.1f}")
    print(f"  {'by hand':<28}{by_script.seconds:>10.1f}{forward.seconds:>10.1f}")
    print(f"  a day / all: {day.seconds / full.seconds:.3f}")
    for name, ours, theirs, different in by_hand.compare(published, shop):
        print(f"  {name:<20}{ours:>14,}{theirs:>14,}  {different:,} rows in one of them only")
    published.close()
    return day


def main() -> None:
    """Two sizes, and what doubling costs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="a folder for two data homes")
    parser.add_argument("--customers", type=int, default=20_000)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--events-per-day", type=int, default=27_500)
    options = parser.parse_args()
    sizes = [options.events_per_day, 2 * options.events_per_day]
    days = [
        one_size(options.home / str(size), options.customers, size, options.days) for size in sizes
    ]
    print(f"\na day at twice the events / at once: {days[1].seconds / days[0].seconds:.2f}")


if __name__ == "__main__":
    main()
