"""Resources. The only module of `defs/` with an `@definitions` function.

Dagster loads either a module's assets or its `@definitions` function, never both, and drops the
others without a word: assets do not belong here.
"""

from collections.abc import Iterator

import dagster as dg

from orchestration.config import Settings, activate, settings
from orchestration.lib.publication import is_held
from orchestration.lib.run_guard import the_only_run
from orchestration.lib.run_parameters import at_day


def settings_of_run(context: dg.InitResourceContext) -> Iterator[Settings]:
    """Settings of the chosen deployment, which a run holds for as long as it lasts.

    A resource, because it is what every run begins and ends with, however it was launched.
    """
    habitus = settings()
    if context.run is None or context.instance is None:
        yield habitus
        return
    of_run = at_day(habitus, context.run.tags)
    if context.log and is_held(habitus.run_lock):
        context.log.warning("another run is under way on this deployment; waiting for it")
    with the_only_run(habitus, context.instance, context.run.run_id):
        yield of_run


@dg.definitions
def resources() -> dg.Definitions:
    """Settings of the chosen deployment, and how steps are run."""
    activate(settings())
    return dg.Definitions(
        resources={"habitus": dg.ResourceDefinition(settings_of_run)},
        # One process a run: four steps took 26-30 s so, and 65 s with a process for each step,
        # because every process imports everything again.
        executor=dg.in_process_executor,
    )
