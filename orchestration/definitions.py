"""Loads everything under `defs/`; nothing else belongs here."""

from pathlib import Path

from dagster import Definitions, definitions, load_from_defs_folder


@definitions
def defs() -> Definitions:
    """All assets, checks, jobs, schedules, sensors and resources of the chosen deployment."""
    return load_from_defs_folder(path_within_project=Path(__file__).parent)
