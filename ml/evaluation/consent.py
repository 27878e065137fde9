"""Who was left out of what for want of consent, as cells of the report; small counts hidden.

Counting belongs in the warehouse, wording in ``templates/messages.yaml``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from ml.evaluation.analysis import suppress
from ml.evaluation.curves import FEWEST

REASONS = ("permitted", "refused", "no_answer")
NOT_STATED = "not_stated"


@dataclass(frozen=True)
class Use:
    """One purpose: counts by reason, None where hidden; the total is hidden where it tells."""

    purpose: str
    basis: str
    counts: dict[str, int | None]
    hidden: dict[str, str]
    customers: int | None


def uses(consent: pd.DataFrame | None, fewest: int = FEWEST) -> tuple[Use, ...]:
    """Every purpose's counts, none under ``fewest``, and none that the others would give away."""
    if consent is None:
        return ()
    return tuple(_use(row, fewest) for row in consent.sort_values("purpose").to_dict("records"))


def _use(row: dict[Any, Any], fewest: int) -> Use:
    cells = suppress("consent", (), [(name, int(row[name]), ()) for name in REASONS], fewest)
    return Use(
        purpose=str(row["purpose"]),
        basis=str(row["basis"]),
        counts={s.label: s.customers for s in cells.segments},
        hidden={s.label: s.hidden for s in cells.segments if s.hidden},
        customers=cells.total,
    )


def nothing_known(found: tuple[Use, ...]) -> bool:
    """Whether customers are used without consent and without a stated basis."""
    return any(use.basis == NOT_STATED for use in found)
