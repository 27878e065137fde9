"""What the evaluation report is made of: plain data in, no reading of files or tables.

Computing metrics, wording and drawing do not belong here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import pandas as pd

from ml.evaluation.curves import FEWEST

KNOWN_AT_KINDS = ("column", "path", "ts", "landing")


@dataclass(frozen=True)
class SourceNote:
    """How one source tells when its records became known, and what it feeds.

    Attributes:
        known_at: one of ``KNOWN_AT_KINDS``: a column, a date in the path, the event's own time
            (a history loaded in bulk: known when it happened), or the moment of landing.
        detail: the column's name or the path's pattern; empty otherwise.
        entity: canonical entity that the source feeds.
        purpose: the contract's ``description.purpose``; shown as written.
    """

    known_at: str = "landing"
    detail: str = ""
    entity: str = ""
    purpose: str = ""


@dataclass(frozen=True)
class ReportData:
    """Everything that one run's report shows. Only ``summary`` is needed.

    Attributes:
        summary: the run's ``summary.json``: run_id, deployment, status, sources, tables,
            expectations, segments, churn, seconds. Missing parts are reported as missing.
        as_of: the day up to which the run looks.
        evaluation: rows cutoff × model × metric with value, low, high, n. Metrics read here:
            auc, pr_auc, brier, lift_10, mean_predicted.
        backtest: rows cutoff × customer × model with p (score, higher = more likely to churn) and
            churned (boolean). The customer's token only pairs the rows, it is never shown.
        importance: columns feature, gain_share (0..1), and mean_abs_contribution (mean absolute
            SHAP value, log-odds) where known; it then orders the table.
        profiles: columns set, label, customers; every further numeric column is shown as a
            median of that segment. Share is computed here.
        cutoffs: columns as_of, role (train, test, score), horizon_days, label_ends_on.
        history_from: first day with data. history_to: last one.
        source_notes: by source name.
        quarantine: by source name, records by failure type.
        checks: expectations that did not pass: mappings with suite, table, expectation, column,
            status (failed or errored), blocking, detail (without values).
        not_trained: why churn was not trained; None when it was, or when nobody knows.
        consent: columns purpose, basis, customers, permitted, refused, no_answer, one row a
            purpose; None where it was not handed over.
        warnings: sentences from the run, shown as written.
        truth: the simulated shop only: ``{"oracle_auc": {cutoff: auc}, "identity": {"precision":,
            "recall":}, "exam": {name: figure}}``; every part is optional.
        versions: name -> version, with ``git`` for the commit.
        small_cell: no count of customers below this is shown.
        seed: the seed of the run. digest: the digest of the training data.
        simulated: the deployment's data is simulated. True by itself when ``truth`` is given.
    """

    summary: Mapping[str, Any]
    as_of: date | None = None
    evaluation: pd.DataFrame | None = None
    backtest: pd.DataFrame | None = None
    importance: pd.DataFrame | None = None
    profiles: pd.DataFrame | None = None
    cutoffs: pd.DataFrame | None = None
    history_from: date | None = None
    history_to: date | None = None
    source_notes: Mapping[str, SourceNote] = field(default_factory=dict)
    quarantine: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    checks: Sequence[Mapping[str, Any]] = ()
    not_trained: str | None = None
    consent: pd.DataFrame | None = None
    warnings: Sequence[str] = ()
    truth: Mapping[str, Any] | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    small_cell: int = FEWEST
    seed: int | None = None
    digest: str | None = None
    simulated: bool = False
