"""The report's pictures for one language: facts turned into timelines, dots and curves.

Drawing itself belongs in ``plots``, what a picture stands beside in ``view``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from ml.evaluation import plots
from ml.evaluation.analysis import RULES, Analysis, Cutoff, backtest_at
from ml.evaluation.curves import (
    Floats,
    calibration_bins,
    lift_points,
    pr_points,
    roc_points,
)
from ml.evaluation.i18n import Translator, decimal, percent


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
    fewest = facts.data.small_cell
    styles = _styles(facts, newest, list(p))
    base = float(churned.mean())
    shared = {"x_format": lambda v: percent(v, 0)}
    specs: list[tuple[str, Callable[[Floats, Floats, int], Floats], str, dict[str, Any]]] = [
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
                t.term("model", m), css, [(x, y) for x, y in points(churned, p[m], fewest).tolist()]
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
        drawn = [
            _calibration(m, css, calibration_bins(churned, p[m], fewest), t)
            for m, css in probable
            if css != "cx"
        ]
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


def _calibration(name: str, css: str, bins: Floats, t: Translator) -> plots.Curve:
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
