"""The page's content for one language: facts turned into cells, sentences and pictures.

Deriving facts belongs in ``analysis``, layout in the templates.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from ml.evaluation import i18n, plots
from ml.evaluation.analysis import (
    METRICS,
    RULES,
    SMALL_CELL,
    Analysis,
    Cutoff,
    Score,
    SegmentSet,
    backtest_at,
    iso,
)
from ml.evaluation.cautions import cautions, model
from ml.evaluation.curves import (
    Floats,
    calibration_bins,
    lift_points,
    pr_points,
    roc_points,
)
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
        "segment_sets": [segment_table(s, t) for s in facts.segment_sets],
        "truth": truth(facts, t),
        "cautions": [t(c.key, **c.values) for c in cautions(facts)],
        "gate_reasons": [t.phrase(str(r)) for r in facts.gate.get("reasons") or []],
        "not_trained": [t.phrase(r) for r in why_untrained(facts)],
        "quarantine": [(s, k, v) for s in facts.sources for k, v in s.reasons.items()],
        "slowest": max((summary.get("seconds") or {"": 0}).values(), default=0) or 1,
        "small_cell": SMALL_CELL,
    }


def why_untrained(facts: Analysis) -> list[str]:
    """Why churn was not trained: what the caller says, else the gate's own reasons."""
    if facts.data.not_trained:
        return [facts.data.not_trained]
    return [str(r) for r in facts.gate.get("reasons") or []]


# --- dates ---------------------------------------------------------------------------------------


def timeline(facts: Analysis, t: Translator) -> list[Markup]:
    """The picture of the dates, wide and narrow; empty when no date is known."""
    data = facts.data
    rows: list[plots.SpanRow] = []
    if data.history_from and data.history_to:
        span = plots.Span(data.history_from, data.history_to)
        rows.append(plots.SpanRow(t("time.history"), "history", [span]))
    if data.cutoffs is not None:
        for role in ("train", "test", "score"):
            part = data.cutoffs[data.cutoffs["role"] == role].sort_values("as_of")
            spans = [
                plots.Span(
                    pd.Timestamp(r["as_of"]).date(), _end(r, facts.horizon), ahead=role == "score"
                )
                for r in part.to_dict("records")
            ]
            if spans:
                rows.append(plots.SpanRow(t(f"time.{role}"), role, spans))
    if not rows:
        return []
    label = t("time.alt", n=sum(len(r.spans) for r in rows if r.css == "test"))
    return [plots.timeline(rows, label=label, wide=wide) for wide in (True, False)]


def _end(row: Mapping[Any, Any], horizon: int | None) -> date | None:
    """The last day of a label window, None when nothing tells it."""
    end, days = row.get("label_ends_on"), row.get("horizon_days", horizon)
    if end is not None and not pd.isna(end):
        return pd.Timestamp(end).date()
    if days is None or pd.isna(days):
        return None
    return (pd.Timestamp(row["as_of"]) + pd.Timedelta(days=int(days))).date()


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


def dots(facts: Analysis, t: Translator) -> list[Markup]:
    """AUC with intervals for each cutoff, wide and narrow; empty without any AUC."""
    panels = []
    oracle = any(c.oracle is not None for c in facts.cutoffs)
    for cutoff in facts.cutoffs:
        rows = []
        for name in facts.models:
            own = cutoff.auc(name)
            kind = "ship" if name == facts.shipped else "rule" if name in RULES else "model"
            rows.append(
                plots.Dot(
                    t.term("model", name), own.value, own.low, own.high, kind, decimal(own.value)
                )
            )
        if oracle:
            value = cutoff.oracle
            rows.append(
                plots.Dot(t("oracle"), value, None, None, "oracle", decimal(value) if value else "")
            )
        title = cutoff.cutoff
        if cutoff.base_rate is not None:
            title = t("dots.panel", cutoff=cutoff.cutoff, rate=percent(cutoff.base_rate))
        panels.append(plots.DotPanel(title, rows, cutoff.auc(cutoff.best_rule).value))
    if not any(r.value is not None for p in panels for r in p.rows):
        return []
    label = t("dots.alt", cutoffs=[c.cutoff for c in facts.cutoffs])
    return [plots.dot_plot(panels, label=label, wide=wide) for wide in (True, False)]


def curves(facts: Analysis, t: Translator) -> list[dict[str, Any]]:
    """ROC, precision-recall, lift and calibration at the newest cutoff, with their titles."""
    newest = facts.newest
    found = backtest_at(facts.data, newest.cutoff) if newest else None
    if newest is None or found is None:
        return []
    churned, p = found
    styles = _styles(facts, newest, list(p))
    base = float(churned.mean())
    shared = {"x_format": lambda v: percent(v, 0)}
    specs: list[tuple[str, Callable[[Floats, Floats], Floats], str, dict[str, Any]]] = [
        ("roc", roc_points, "br", {"reference": [(0, 0), (1, 1)]}),
        (
            "pr",
            pr_points,
            "bl" if base > 0.4 else "tr",
            {
                "reference": [(0, base), (1, base)],
                "reference_label": t("plot.base", rate=percent(base)),
            },
        ),
        ("lift", lift_points, "tr", {"reference": [(0, 1), (1, 1)]}),
    ]
    result = []
    for kind, points, corner, extra in specs:
        drawn = [
            plots.Curve(
                t.term("model", m), css, [(x, y) for x, y in points(churned, p[m]).tolist()]
            )
            for m, css in styles
        ]
        options: dict[str, Any] = {"y_format": lambda v: percent(v, 0)}
        if kind == "lift":
            highest = max(y for c in drawn for _, y in c.points)
            lowest = min([1.0, *(y for c in drawn for _, y in c.points)])
            options = {
                "y_format": lambda v: decimal(v, 2),
                "y_range": (lowest - 0.1 * (highest - lowest), highest + 0.1 * (highest - lowest)),
            }
        result.append(_plot(kind, drawn, newest, t, {**shared, **options, **extra, "key": corner}))
    probable = [(m, css) for m, css in styles if _is_probability(p[m])]
    if probable:
        drawn = [_calibration(m, css, churned, p[m], t) for m, css in probable if css != "cx"]
        options = {"y_format": lambda v: percent(v, 0), "reference": [(0, 0), (1, 1)]}
        if drawn:
            result.append(
                _plot("calibration", drawn, newest, t, {**shared, **options, "key": "tl"})
            )
    return result


def _is_probability(score: Floats) -> bool:
    """Scores inside 0..1 that are not bare ranks."""
    return bool(np.all((score >= 0) & (score <= 1)) and np.max(score) > np.min(score))


def _styles(facts: Analysis, cutoff: Cutoff, names: list[str]) -> list[tuple[str, str]]:
    """What ships, the best rule and the runner-up get a colour; the rest is grey."""
    order = [m for m in facts.models if m in names]
    first = facts.shipped if facts.shipped in names else order[0]
    second = cutoff.best_rule if cutoff.best_rule != first else None
    rest = [m for m in order if m not in (first, second)]
    third = next((m for m in rest if m not in RULES), None)
    styled = [(first, "c0"), (second, "c1"), (third, "c2")]
    chosen = [(str(m), css) for m, css in styled if m is not None and m in names]
    taken = {m for m, _ in chosen}
    return chosen + [(m, "cx") for m in order if m not in taken]


def _calibration(name: str, css: str, churned: Floats, p: Floats, t: Translator) -> plots.Curve:
    bins = calibration_bins(churned, p)
    points = [(float(r[0]), float(r[1])) for r in bins]
    whiskers = [plots.Whisker(float(r[0]), float(r[2]), float(r[3])) for r in bins]
    # intervals for what ships alone: three sets would hide one another
    return plots.Curve(
        t.term("model", name), css, points, whiskers if css == "c0" else (), dots=True
    )


def _plot(
    kind: str,
    drawn: list[plots.Curve],
    cutoff: Cutoff,
    t: Translator,
    options: dict[str, Any],
) -> dict[str, Any]:
    picture = plots.curve_plot(
        drawn,
        label=t(f"plot.{kind}_alt", cutoff=cutoff.cutoff, models=[c.label for c in drawn]),
        x_label=t(f"plot.{kind}_x"),
        y_label=t(f"plot.{kind}_y"),
        **options,
    )
    return {"title": t(f"plot.{kind}"), "svg": picture}


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


def segment_table(group: SegmentSet, t: Translator) -> dict[str, Any]:
    """One segmentation as cells; hidden counts say how they are hidden."""
    shown = {"small": f"<{SMALL_CELL}", "kept": t("segments.kept")}
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
