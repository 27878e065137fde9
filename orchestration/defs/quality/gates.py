"""The gates: blocking checks on raw, behaviour, features and ML outputs.

What does not belong here: what is expected, or which tables stand where; the suites say it.
"""

from expectations.suite import GATES
from orchestration.config import settings
from orchestration.lib.gates import gate_checks

gates = [step for name in GATES for step in gate_checks(name, settings())]
