"""`make faults`: hurts runs of a small shop, and prints a table; fails if one cell fails.

What does not belong here: how runs are hurt (harness.py), or which hurts there are (matrix.py).
"""

import argparse
import os
import shutil
import sys
from collections import defaultdict
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from rich.console import Console
from rich.table import Table

from orchestration.config import activate, settings
from orchestration.lib.dbt_server import warm_dbt

CUSTOMERS, DAYS, SEED = 150, 200, 11


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="an empty data home")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--kills", type=int, default=500, help="kills at random")
    parser.add_argument("--only", default="", help="STEP/FAULT; either may be empty")
    parser.add_argument("--sample", type=int, help="so many cells, evenly spread")
    return parser.parse_args()


def main() -> int:
    """Run the cells; the exit code."""
    options = _arguments()
    os.environ["HABITUS_HOME"] = str(options.home.resolve())
    options.home.mkdir(parents=True, exist_ok=True)
    habitus = activate(settings("shop"))
    server = warm_dbt(habitus)
    from simulator.shop import simulate

    simulate(habitus.landing, habitus.truth, customers=CUSTOMERS, days=DAYS, seed=SEED)
    template = options.home / "template"
    shutil.rmtree(template, ignore_errors=True)

    from harness import Stage
    from matrix import FAULTS, SABOTAGE, STEPS, Cell, Matrix, cells

    from habitus.runs import LATER_IMPORTS
    from orchestration.definitions import defs

    loaded = defs()
    # Once, and not in each victim.
    for name in (*LATER_IMPORTS, "orchestration.lib.event_log"):
        import_module(name)
    server.wait()
    shutil.copytree(habitus.deployment_home, template, symlinks=True)
    console = Console(width=130)
    matrix = Matrix(Stage(habitus, template), loaded, options.home / "victims.log")
    console.print(f"a run without a fault: {sum(matrix.took.values()):.0f} s of steps")

    for harm in SABOTAGE:
        if matrix.blind_to(harm):
            console.print(f"the harness does not see a {harm}: its verdicts are worth nothing")
            return 2
        console.print(f"a {harm} done on purpose is seen")

    step, _, fault = options.only.partition("/")
    chosen = [
        (s, f, n)
        for s, f, n in cells(options.seeds)
        if (not step or s == step) and (not fault or f == fault)
    ]
    if options.sample:
        chosen = chosen[:: max(1, len(chosen) // options.sample)][: options.sample]

    def runs() -> Iterator[Cell]:
        for cell in chosen:
            yield matrix.cell(*cell)
        for seed in range(options.kills):
            yield matrix.random_kill(seed)

    done: dict[tuple[str, str], list[Cell]] = defaultdict(list)
    for cell in runs():
        done[cell.step, cell.fault].append(cell)
        mark = "ok" if not cell.problems else "FAILED: " + "; ".join(cell.problems)
        console.print(
            f"{cell.step} / {cell.fault} / {cell.seed}: {mark} ({cell.seconds:.0f} s)",
            highlight=False,
        )

    table = Table(title="passed of tried")
    table.add_column("fault")
    for name in STEPS:
        table.add_column(name, justify="right")
    for name in FAULTS:
        table.add_row(name, *(_passed(done[s, name]) for s in STEPS))
    console.print(table)
    random = done["any", "killed at random"]
    console.print(f"killed at random: {_passed(random)}")
    return int(any(cell.problems for cells_ in done.values() for cell in cells_))


def _passed(found: list) -> str:
    return f"{sum(not cell.problems for cell in found)} of {len(found)}" if found else "-"


if __name__ == "__main__":
    sys.exit(main())
