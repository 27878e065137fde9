"""Every ML output of the platform: its inputs, its function, its tables.

To add one: a module with a `run`, an entry here, its test.
What does not belong here: how outputs are wired into a scheduler, or stored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pkgutil import resolve_name

import pandas as pd

from ml.churn.tables import CHURN_BACKTEST, CHURN_EVALUATION, CHURN_IMPORTANCE, CHURN_SCORES
from ml.contracts import MlContext, MlResult, Table, validate
from ml.segments.tables import BEHAVIOUR_CLUSTERS

Run = Callable[[Mapping[str, pd.DataFrame], MlContext], MlResult]


@dataclass(frozen=True)
class Output:
    """One ML output.

    Attributes:
        name: also the name of its first table.
        inputs: relations, `schema.table`, given to `run` by that name.
        run: its function, `module:name`, pure but for the model it stores below
            `MlContext.models_dir`. By name, because the libraries of learning take seconds to
            import, which whoever only looks at the definitions need not wait for.
        tables: what it gives, each stored by itself.
        description: one sentence for people.
        kinds: engines, for display.
        trains: whether it fits and stores a model for others (weekly), or applies one (daily).
        after: outputs whose stored model it needs, though not their rows.
    """

    name: str
    inputs: tuple[str, ...]
    run: str
    tables: tuple[Table, ...]
    description: str
    kinds: tuple[str, ...] = ("python",)
    trains: bool = False
    after: tuple[str, ...] = ()

    @property
    def table(self) -> Table:
        """The first table."""
        return self.tables[0]


OUTPUTS: tuple[Output, ...] = (
    Output(
        name="behaviour_clusters",
        inputs=("marts.ml_features",),
        run="ml.segments.clusters:run",
        tables=(BEHAVIOUR_CLUSTERS,),
        description="Behavioural segments with readable labels that last from run to run.",
        kinds=("python", "scikitlearn"),
    ),
    Output(
        name="churn_evaluation",
        inputs=("marts.ml_cutoffs", "marts.ml_features", "marts.ml_labels"),
        run="ml.churn.train:run",
        tables=(CHURN_EVALUATION, CHURN_BACKTEST, CHURN_IMPORTANCE),
        description="Churn models beside simple rules at rolling cutoffs, and what may ship.",
        kinds=("python", "lightgbm"),
        trains=True,
    ),
    Output(
        name="churn_scores",
        inputs=("marts.ml_features",),
        run="ml.churn.score:run",
        tables=(CHURN_SCORES,),
        description="Probability of no purchase within the horizon, with reasons at the top.",
        kinds=("python", "lightgbm"),
        after=("churn_evaluation",),
    ),
)

TABLES: tuple[Table, ...] = tuple(table for output in OUTPUTS for table in output.tables)


def run_output(output: Output, inputs: Mapping[str, pd.DataFrame], context: MlContext) -> MlResult:
    """Run an output and check every frame against its table.

    Raises:
        KeyError: an input was not given.
        ContractMismatchError: a frame does not match.
    """
    missing = [name for name in output.inputs if name not in inputs]
    if missing:
        raise KeyError(f"{output.name} needs {missing}")
    run: Run = resolve_name(output.run)
    result = run(inputs, context)
    for table in output.tables:
        validate(result.frames[table.name], table)
    return result
