"""ML outputs, one step each, from the registry.

What does not belong here: a list of them; `ml/registry.py` has it.
"""

from ml.registry import OUTPUTS
from orchestration.lib.ml_assets import ml_asset

ml_outputs = [ml_asset(output) for output in OUTPUTS]
