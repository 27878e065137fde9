"""dbt, split where a gate stands, and publication.

What does not belong here: SQL, or names of models.
"""

from orchestration.config import settings
from orchestration.lib.dbt_steps import dbt_project, dbt_step, ensure_manifest

_habitus = settings()
_manifest = ensure_manifest(_habitus)
_project = dbt_project(_habitus)

# Blocking checks stop what comes after a step, never what is inside it: hence a step for each gate.
behaviour = dbt_step(
    "behaviour",
    "path:models/staging path:models/intermediate path:models/behaviour",
    _manifest,
    _project,
)
marts = dbt_step("marts", "path:models/marts,tag:before_ml", _manifest, _project)
after_ml = dbt_step("after_ml", "path:models/marts,tag:after_ml", _manifest, _project)
