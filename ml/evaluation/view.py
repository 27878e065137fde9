"""The page's content for one language: facts turned into cells, sentences and pictures.

Deriving facts belongs in ``analysis``, layout in the templates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from ml.evaluation import i18n
from ml.evaluation.analysis import (
    METRICS,
    RULES,
    Analysis,
    Cutoff,
    Score,
    SegmentSet,
    iso,
)
from ml.evaluation.cautions import cautions, model
from ml.evaluation.consent import REASONS, nothing_known, uses
from ml.evaluation.figures import curves, dots, timeline
from ml.evaluation.i18n import Term, Translator, decimal, integer, interval, percent

TOP_FEATURES = 15


@dataclass(frozen=True)
class Verdict:
    """One sentence and its tone: good, rule, none or stop."""

    text: str
    tone: str


def verdict(facts: Analysis, t: Translator) -> Verdict:
    """What this run comes to, in a sentence; what forbids its use comes first."""
    broken = [s.name for s in facts.sources if s.residual]
    if broken:
        return Verdict(t("verdict.conservation", sources=broken), "stop")
    if facts.failed:
        status = str(facts.data.summary.get("status"))
        return Verdict(t("verdict.status", status=Term("status", status.lower())), "stop")
    newest = facts.newest
    if facts.shipped is None:
        key = "untrained" if newest is None else "nothing_ships"
        return Verdict(t(f"verdict.{key}"), "none" if newest is None else "stop")
    if newest is None:
        return Verdict(t("verdict.untested", model=model(facts.shipped)), "rule")
    return _shipped(newest, facts.shipped, t)


def _shipped(newest: Cutoff, name: str, t: Translator) -> Verdict:
    """What ships, held against the best rule at the newest cutoff."""
    own = newest.auc(name)
    values: dict[str, Any] = {
        "model": model(name),
        "auc": decimal(own.value),
        "cutoff": newest.cutoff,
        "interval": _bracket(own, t),
        "rule": model(newest.best_rule or ""),
        "rule_auc": decimal(newest.auc(newest.best_rule).value),
    }
    if name in RULES:
        return Verdict(t("verdict.rule", **values), "rule")
    if newest.best_rule is None:
        return Verdict(t("verdict.model_alone", **values), "good")
    gap = newest.differences.get(name)
    clear = gap is not None and gap.low > 0
    return Verdict(t("verdict.model" if clear else "verdict.model_level", **values), "good")


def _bracket(score: Score, t: Translator) -> str:
    text = interval(score.low, score.high)
    return t("bracket", text=text) if text else ""


def page(facts: Analysis, t: Translator, figures: str) -> dict[str, Any]:
    """The template's context."""
    data, summary = facts.data, facts.data.summary
    return {
        "lang": {"en": "en", "zh": "zh-CN"}[t.lang],
        "title": t("title", deployment=str(summary.get("deployment", "?"))),
        "facts": facts,
        "summary": summary,
        "data": data,
        "verdict": verdict(facts, t),
        "digest": figures,
        "integer": integer,
        "decimal": decimal,
        "percent": percent,
        "interval": interval,
        "foreign": i18n.foreign,
        "feature": lambda name: t.html("feature", name),
        "knows_feature": lambda name: t.knows("feature", name),
        "timeline": timeline(facts, t),
        "scores": scores(facts, t),
        "dots": dots(facts, t),
        "curves": curves(facts, t),
        "importance": importance(facts),
        "segment_sets": [segment_table(s, t, data.small_cell) for s in facts.segment_sets],
        "truth": truth(facts, t),
        "consent": consent(facts, t),
        "cautions": [t(c.key, **c.values) for c in cautions(facts)],
        "gate_reasons": [t.phrase(str(r)) for r in facts.gate.get("reasons") or []],
        "not_trained": [t.phrase(r) for r in why_untrained(facts)],
        "quarantine": [(s, k, v) for s in facts.sources for k, v in s.reasons.items()],
        "slowest": max((summary.get("seconds") or {"": 0}).values(), default=0) or 1,
        "small_cell": data.small_cell,
    }


def consent(facts: Analysis, t: Translator) -> dict[str, Any]:
    """Who was left out of what, a row a purpose; hidden counts say how they are hidden."""
    found = uses(facts.data.consent, facts.data.small_cell)
    shown = {"small": f"<{facts.data.small_cell}", "kept": t("segments.kept")}
    rows = [
        {
            "purpose": t.html("purpose", use.purpose),
            "basis": t.html("basis", use.basis),
            "customers": t("segments.kept") if use.customers is None else integer(use.customers),
            "cells": [shown.get(use.hidden.get(r, "")) or integer(use.counts[r]) for r in REASONS],
        }
        for use in found
    ]
    return {
        "rows": rows,
        "unknown": nothing_known(found),
        "any_hidden": any(use.hidden for use in found),
    }


def why_untrained(facts: Analysis) -> list[str]:
    """Why churn was not trained: what the caller says, else the gate's own reasons."""
    if facts.data.not_trained:
        return [facts.data.not_trained]
    return [str(r) for r in facts.gate.get("reasons") or []]


# --- models --------------------------------------------------------------------------------------


def scores(facts: Analysis, t: Translator) -> list[dict[str, Any]]:
    """One table a cutoff, the newest first: every model beside every rule."""
    return [_score_table(facts, c, t) for c in reversed(facts.cutoffs)]


def _score_table(facts: Analysis, cutoff: Cutoff, t: Translator) -> dict[str, Any]:
    rows = []
    for name in facts.models:
        if name not in cutoff.models:
            continue
        own = cutoff.models[name]
        gap = cutoff.differences.get(name)
        rows.append(
            {
                "name": t.html("model", name),
                "kind": "rule" if name in RULES else "model",
                "shipped": name == facts.shipped,
                "best_rule": name == cutoff.best_rule,
                "cells": [(m, own.get(m, Score())) for m in METRICS],
                "gap": gap,
            }
        )
    return {"cutoff": cutoff, "rows": rows, "gaps": bool(cutoff.differences)}


def importance_rows(facts: Analysis) -> list[dict[str, Any]]:
    """Every feature with its shares, the weightiest first."""
    frame = facts.data.importance
    if frame is None or frame.empty:
        return []
    if "mean_abs_contribution" not in frame.columns:
        frame = frame.assign(mean_abs_contribution=None)
    by = "gain_share" if frame["mean_abs_contribution"].isna().any() else "mean_abs_contribution"
    ordered = frame.sort_values([by, "feature"], ascending=[False, True])
    return [
        {
            "feature": str(r["feature"]),
            "gain_share": float(r["gain_share"]),
            "contribution": None if by == "gain_share" else float(r["mean_abs_contribution"]),
        }
        for r in ordered.to_dict("records")
    ]


def importance(facts: Analysis) -> list[dict[str, Any]]:
    """The first features, with the width of their bars (0..100)."""
    rows = importance_rows(facts)[:TOP_FEATURES]
    if not rows:
        return []
    by = "gain_share" if rows[0]["contribution"] is None else "contribution"
    top = rows[0][by] or 1.0
    return [row | {"bar": round(100 * row[by] / top, 1)} for row in rows]


# --- segments and truth --------------------------------------------------------------------------


def segment_table(group: SegmentSet, t: Translator, fewest: int) -> dict[str, Any]:
    """One segmentation as cells; hidden counts say how they are hidden."""
    shown = {"small": f"<{fewest}", "kept": t("segments.kept")}
    top = max((s.share or 0.0 for s in group.segments), default=0.0) or 1.0
    return {
        "name": t.html("set", group.name),
        "features": group.features,
        "total": group.total,
        "any_hidden": any(s.hidden for s in group.segments),
        "rows": [
            {
                "label": t.html("segment", s.label),
                "customers": shown.get(s.hidden) or integer(s.customers),
                "share": "" if s.share is None else percent(s.share),
                "bar": round(100 * (s.share or 0.0) / top, 1),
                "medians": [i18n.compact(v) if v is not None else "" for v in s.medians],
            }
            for s in group.segments
        ],
    }


def truth(facts: Analysis, t: Translator) -> dict[str, Any] | None:
    """The simulated shop's known truth beside what was found; None without truth."""
    known = facts.data.truth
    if known is None:
        return None
    rows = []
    for cutoff in facts.cutoffs:
        own = cutoff.auc(facts.shipped).value
        if cutoff.oracle is None:
            continue
        rows.append(
            {
                "cutoff": cutoff.cutoff,
                "oracle": cutoff.oracle,
                "shipped": own,
                "rule": cutoff.auc(cutoff.best_rule).value,
                "rule_name": t.html("model", cutoff.best_rule) if cutoff.best_rule else "",
                "share": own / cutoff.oracle if own is not None and cutoff.oracle else None,
            }
        )
    tested = {c.cutoff for c in facts.cutoffs}
    for day, value in sorted((known.get("oracle_auc") or {}).items()):
        if iso(day) not in tested:
            empty = {"shipped": None, "rule": None, "rule_name": "", "share": None}
            rows.append({"cutoff": iso(day), "oracle": value, **empty})
    return {
        "rows": rows,
        "identity": [
            (t.html("truth", k), _figure(v, t, 4)) for k, v in (known.get("identity") or {}).items()
        ],
        "exam": [
            (t.html("exam", k), _figure(v, t, 3))
            for k, v in (known.get("exam") or {}).items()
            if v not in ([], None)
        ],
    }


def _figure(value: Any, t: Translator, digits: int) -> Markup | str:
    """A figure of any kind as a cell."""
    if isinstance(value, bool):
        return t("yes" if value else "no")
    if isinstance(value, float):
        return decimal(value, digits)
    if isinstance(value, int):
        return integer(value)
    if isinstance(value, (list, tuple)):
        return i18n.foreign("; ".join(str(v) for v in value))
    return t.html("model", str(value))
