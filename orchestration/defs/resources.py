"""Resources. The only module of `defs/` with an `@definitions` function.

Dagster loads either a module's assets or its `@definitions` function, never both, and drops the
others without a word: assets do not belong here.
"""

import dagster as dg

from orchestration.config import activate, settings


@dg.definitions
def resources() -> dg.Definitions:
    """Settings of the chosen deployment."""
    return dg.Definitions(
        resources={"habitus": activate(settings())},
        # One process a run: four steps took 26-30 s so, and 65 s with a process for each step,
        # because every process imports everything again.
        executor=dg.in_process_executor,
    )
