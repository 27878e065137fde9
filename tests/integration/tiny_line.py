"""A line of one step, to run with the real resources, locks and records of a deployment.

    python tiny_line.py SECONDS LOG

What does not belong here: assertions.
"""

import json
import sys
import time
from pathlib import Path

import dagster as dg

from habitus.runs import run_job
from orchestration.config import activate, settings
from orchestration.defs.resources import resources


def definitions(seconds: float, log: Path) -> dg.Definitions:
    """A job `everything` of one step in the pool of writers, which takes its time."""

    @dg.asset(pool="warehouse", required_resource_keys={"habitus"})
    def work(context: dg.AssetExecutionContext) -> None:
        with log.open("a") as file:
            file.write(f"begin {context.run.run_id}\n")
            file.flush()
            time.sleep(seconds)
            file.write(f"end {context.run.run_id}\n")

    return dg.Definitions.merge(
        dg.Definitions(assets=[work], jobs=[dg.define_asset_job("everything")]), resources()
    )


def main() -> None:
    """Run it and print the summary's status and run id."""
    habitus = activate(settings())
    loaded = definitions(float(sys.argv[1]), Path(sys.argv[2]))
    summary = run_job(habitus, loaded, job="everything")
    print(json.dumps([summary["status"], summary["run_id"]]))


if __name__ == "__main__":
    main()
