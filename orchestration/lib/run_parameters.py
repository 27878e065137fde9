"""A run's parameters as data: one small file that dbt reads as a one-row relation.

Data and not dbt vars, because changed vars defeat dbt's partial parsing on every run.

What does not belong here: settings (config.py), or any use of the parameters (dbt_project/).
"""

import json
from datetime import date

from expectations.contract import load_deployment
from orchestration.config import Settings
from orchestration.lib.publication import write_atomically


def write_run_parameters(habitus: Settings, run_id: str, as_of: date | None = None) -> None:
    """Write `lake/run.json`.

    Args:
        habitus: whose lake.
        run_id: Dagster's run id.
        as_of: rebuild what was known at the end of this day; None follows the data's own clock.
    """
    churn = load_deployment(habitus.contracts).churn
    parameters = {
        "run_id": run_id,
        "as_of": as_of.isoformat() if as_of else None,
        "churn": {
            "horizon_days": churn.horizon_days if churn else None,
            "last_cutoff": churn.last_cutoff.isoformat() if churn and churn.last_cutoff else None,
            "cutoffs": churn.cutoffs if churn else None,
        },
    }
    write_atomically(habitus.lake / "run.json", json.dumps(parameters, indent=2) + "\n")
