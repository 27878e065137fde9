"""The evaluation report of a run: one self-contained HTML page a language, and its JSON twin.

Computing metrics, reading tables and writing files do not belong here: the caller gives
``ReportData`` and stores what comes back. Same data, same bytes.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from datetime import date
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ml.evaluation.analysis import Analysis, Cutoff, SegmentSet, SourceCheck, analyse
from ml.evaluation.cautions import cautions
from ml.evaluation.consent import Use, uses
from ml.evaluation.i18n import TEMPLATES, Translator
from ml.evaluation.report_data import ReportData, SourceNote
from ml.evaluation.view import importance_rows, page, verdict

__all__ = ["ReportData", "SourceNote", "build_report", "report_json"]
SCHEMA_VERSION = 1


def build_report(data: ReportData, lang: str) -> str:
    """The report as one HTML page without scripts, outside fonts or links to elsewhere.

    Args:
        data: the run's facts; everything but the summary may be missing.
        lang: "en" or "zh".

    Returns:
        HTML text, to be written as UTF-8.

    Raises:
        ValueError: an unknown language.
    """
    facts = analyse(data)
    translate = Translator(lang)
    context = page(facts, translate, figures_digest(facts))
    return _environment().get_template("report.html.j2").render(t=translate, **context)


@cache
def _environment() -> Environment:
    """One environment a process: compiling the templates costs more than filling them in."""
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def report_json(data: ReportData) -> dict[str, Any]:
    """The same facts for machines: plain JSON values, no personal data, small cells hidden.

    Returns:
        A dictionary with schema_version, run_id, deployment, status, as_of, verdict, sources,
        dates, churn, importance, segments, consent, truth, cautions, warnings, tables,
        expectations, seconds, reproducibility.
    """
    facts = analyse(data)
    summary = data.summary
    translate = Translator("en")
    out = {
        "schema_version": SCHEMA_VERSION,
        "run_id": summary.get("run_id"),
        "deployment": summary.get("deployment"),
        "status": summary.get("status"),
        "as_of": data.as_of,
        "verdict": verdict(facts, translate).text,
        "warnings": list(data.warnings),
        **_figures(facts),
        "tables": summary.get("tables") or {},
        "expectations": {**(summary.get("expectations") or {}), "not_passed": list(data.checks)},
        "cautions": [
            {"id": c.key.removeprefix("not."), "text": translate(c.key, **c.values)}
            for c in cautions(facts)
        ],
        "seconds": summary.get("seconds") or {},
        "reproducibility": {
            "versions": dict(sorted(data.versions.items())),
            "seed": data.seed,
            "training_data": data.digest,
            "figures": figures_digest(facts),
        },
    }
    plain: dict[str, Any] = _plain(out)
    return plain


def figures_digest(facts: Analysis) -> str:
    """SHA-256 (first 16 hex digits) of the figures, without run id, times and versions.

    Two runs with the same digest show the same figures.
    """
    text = json.dumps(_plain(_figures(facts)), sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _figures(facts: Analysis) -> dict[str, Any]:
    data = facts.data
    return {
        "sources": {s.name: _source(s) for s in facts.sources},
        "dates": {
            "history_from": data.history_from,
            "history_to": data.history_to,
            "cutoffs": [] if data.cutoffs is None else data.cutoffs.to_dict("records"),
        },
        "churn": {
            "shipped": facts.shipped,
            "horizon_days": facts.horizon,
            "not_trained": data.not_trained,
            "cutoffs": [_cutoff(c) for c in facts.cutoffs],
            "gate": dict(facts.gate),
        },
        "importance": importance_rows(facts),
        "segments": {s.name: _segments(s) for s in facts.segment_sets},
        "consent": {use.purpose: _use(use) for use in uses(data.consent, data.small_cell)},
        "truth": dict(data.truth) if data.truth is not None else None,
    }


def _source(check: SourceCheck) -> dict[str, Any]:
    return {
        "records_in": check.records_in,
        "accepted": check.accepted,
        "quarantined": check.quarantined,
        "duplicates": check.duplicates,
        "residual": check.residual,
        "holds": check.residual == 0,
        "quarantine_reasons": check.reasons,
        "known_at": check.note.known_at if check.note else None,
    }


def _cutoff(cutoff: Cutoff) -> dict[str, Any]:
    return {
        "cutoff": cutoff.cutoff,
        "n": cutoff.n,
        "base_rate": cutoff.base_rate,
        "best_rule": cutoff.best_rule,
        "oracle_auc": cutoff.oracle,
        "models": {
            model: {
                metric: {"value": s.value, "low": s.low, "high": s.high}
                for metric, s in sorted(scores.items())
            }
            for model, scores in sorted(cutoff.models.items())
        },
        "auc_minus_best_rule": {
            model: {"value": d.value, "low": d.low, "high": d.high}
            for model, d in sorted(cutoff.differences.items())
        },
    }


def _use(use: Use) -> dict[str, Any]:
    return {"basis": use.basis, "customers": use.customers, **use.counts, "hidden": use.hidden}


def _segments(group: SegmentSet) -> dict[str, Any]:
    return {
        "total": group.total,
        "segments": [
            {
                "label": s.label,
                "customers": s.customers,
                "share": s.share,
                "hidden": s.hidden or None,
                "medians": dict(zip(group.features, s.medians, strict=True)),
            }
            for s in group.segments
        ],
    }


def _plain(value: Any) -> Any:
    """JSON values: dates as ISO text, numpy as Python, NaN as null, keys as text."""
    if isinstance(value, Mapping):
        return {str(_plain(k)): _plain(v) for k, v in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, date):  # a Timestamp is one; every day here is midnight
        return None if value is pd.NaT else value.isoformat()[:10]
    if isinstance(value, float):
        return round(value, 10) if math.isfinite(value) else None
    return value
