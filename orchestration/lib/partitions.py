"""Daily partitions of the raw layer: days on which records became known.

What does not belong here: what a partition's run does (raw_assets.py).
"""

from datetime import date

import dagster as dg

from expectations.contract import Deployment

DEFAULT_START = date(2024, 1, 1)


def daily_partitions(deployment: Deployment) -> dg.DailyPartitionsDefinition:
    """Days from the deployment's first day of history to yesterday, UTC.

    The first day is the earliest `habitus.startsOn` of the deployment's contracts.
    """
    start = deployment.starts_on or DEFAULT_START
    return dg.DailyPartitionsDefinition(start_date=start.isoformat(), timezone="UTC")
