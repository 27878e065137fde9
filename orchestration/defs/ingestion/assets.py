"""The raw layer: one asset for each entity.

What does not belong here: anything about a particular source; its contract says it.
"""

from expectations.contract import load_deployment, load_entities
from orchestration.config import settings
from orchestration.lib.partitions import daily_partitions
from orchestration.lib.raw_assets import raw_asset

_deployment = load_deployment(settings().contracts)

raw_assets = [
    raw_asset(
        entity,
        _deployment.feeding(entity.name),
        daily_partitions(_deployment),
    )
    for entity in load_entities().values()
]
