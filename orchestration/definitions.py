"""Loads everything under `defs/`; nothing else belongs here."""

from pathlib import Path

from dagster import Definitions, definitions, load_from_defs_folder

from orchestration.lib.imports import uncollected


@definitions
def defs() -> Definitions:
    """All assets, checks, jobs, schedules, sensors and resources of the chosen deployment."""
    with uncollected():
        return load_from_defs_folder(path_within_project=Path(__file__).parent)
