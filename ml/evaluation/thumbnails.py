"""PNG thumbnails for asset metadata: matplotlib without a display, the same bytes every time.

The report's own pictures are SVG and belong in ``plots``.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ml.evaluation.analysis import RULES, Row, suppress
from ml.evaluation.curves import roc_points

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#8a8a8a"  # Okabe-Ito
MAX_SETS = 4


def _png(figure: Figure) -> bytes:
    FigureCanvasAgg(figure)
    out = io.BytesIO()
    # no software name: the bytes must not change with matplotlib's version string
    figure.savefig(out, format="png", dpi=110, metadata={"Software": None})
    return out.getvalue()


def _bare(axes: Any) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8, length=3)


def _note(text: str) -> bytes:
    figure = Figure(figsize=(6, 1.2))
    figure.text(0.5, 0.5, text, ha="center", va="center", fontsize=10, color="#444444")
    return _png(figure)


def churn_png(evaluation: pd.DataFrame | None, backtest: pd.DataFrame | None) -> bytes:
    """AUC with intervals by cutoff, beside the ROC curves of the newest cutoff.

    Args:
        evaluation: rows cutoff × model × metric with value, low, high.
        backtest: rows cutoff × customer × model with p, churned.

    Returns:
        PNG bytes; without an evaluation, a picture that says so.
    """
    if evaluation is None or evaluation.empty:
        return _note("churn: nothing was evaluated")
    rows = evaluation[evaluation["metric"] == "auc"]
    if rows.empty:
        return _note("churn: no AUC was evaluated")
    cutoffs = sorted(rows["cutoff"].unique())
    newest = rows[rows["cutoff"] == cutoffs[-1]].sort_values(["value", "model"])
    models = [str(m) for m in newest["model"]]
    figure = Figure(figsize=(8.4, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1.35, 1])
    shades = np.linspace(0.3, 1.0, len(cutoffs))
    for i, cutoff in enumerate(cutoffs):
        part = rows[rows["cutoff"] == cutoff].set_index("model")
        for j, model in enumerate(models):
            if model not in part.index:
                continue
            row = part.loc[model]
            y = j + 0.22 * (i - (len(cutoffs) - 1) / 2)
            colour = ORANGE if model in RULES else BLUE
            left.plot([row["low"], row["high"]], [y, y], color=colour, alpha=shades[i], lw=1.4)
            left.plot([row["value"]], [y], "o", color=colour, alpha=shades[i], ms=4)
    left.set_yticks(range(len(models)), models)
    left.set_title(
        f"AUC, 95 % intervals, {len(cutoffs)} cutoffs (newest darkest)", fontsize=9, loc="left"
    )
    left.grid(axis="x", lw=0.4)
    _bare(left)
    _roc(right, backtest, cutoffs[-1], models[::-1])
    return _png(figure)


def _roc(axes: Any, backtest: pd.DataFrame | None, cutoff: Any, models: list[str]) -> None:
    part = None if backtest is None else backtest[backtest["cutoff"] == cutoff]
    if part is None or part.empty:
        axes.axis("off")
        axes.text(0.5, 0.5, "no backtest", ha="center", fontsize=9)
        return
    for model in models:
        frame = part[part["model"] == model].sort_values("customer")
        if frame.empty or frame["churned"].nunique() < 2:
            continue
        points = roc_points(frame["churned"].to_numpy(float), frame["p"].to_numpy(float))
        first = model == models[0]
        rule = model in RULES
        axes.plot(
            points[:, 0],
            points[:, 1],
            lw=1.8 if first else 0.9,
            color=ORANGE if rule else BLUE,
            ls="--" if rule else "-",
            alpha=1.0 if first else 0.55,
        )
    axes.plot([0, 1], [0, 1], color=GREY, lw=0.7, ls=":")
    axes.set_title(f"ROC {str(cutoff)[:10]} (rules dashed)", fontsize=9, loc="left")
    axes.set_aspect("equal")
    _bare(axes)


def segments_png(profile: pd.DataFrame | None, k: int) -> bytes:
    """Sizes of the segments, one panel a set; small cells are hidden as in the report.

    Args:
        profile: columns label and customers, with set when there are several.
        k: smallest number of customers that is shown.

    Returns:
        PNG bytes; without segments, a picture that says so.
    """
    if profile is None or profile.empty:
        return _note("segments: none in this run")
    frame = profile if "set" in profile.columns else profile.assign(set="segments")
    sets = sorted(frame["set"].unique())[:MAX_SETS]
    groups = [_sizes(frame[frame["set"] == name], k) for name in sets]
    rows = max(len(g) for g in groups)
    figure = Figure(figsize=(3.6 * len(sets), 0.8 + 0.27 * rows), layout="constrained")
    panels = figure.subplots(1, len(sets), squeeze=False)[0]
    for axes, name, group in zip(panels, sets, groups, strict=True):
        for y, (_, count, text) in enumerate(group):
            axes.barh(y, count, color=BLUE, height=0.7)
            axes.text(count, y, f" {text}", va="center", fontsize=8)
        axes.set_yticks(range(len(group)), [label for label, _, _ in group])
        axes.set_title(str(name), fontsize=9, loc="left")
        axes.set_xlim(0, max(max(count for _, count, _ in group) * 1.2, 1))
        axes.set_xticks([])
        axes.spines["bottom"].set_visible(False)
        _bare(axes)
    return _png(figure)


def _sizes(part: pd.DataFrame, k: int) -> list[tuple[str, int, str]]:
    """(label, length of the bar, text), the largest on top; hidden cells have no length."""
    rows: list[Row] = [(str(r["label"]), int(r["customers"]), ()) for r in part.to_dict("records")]
    shown = {"small": f"<{k}", "kept": "hidden"}
    segments = suppress("", (), rows, k).segments
    return [
        (s.label, s.customers or 0, shown.get(s.hidden) or f"{s.customers:,}")
        for s in reversed(segments)
    ]
