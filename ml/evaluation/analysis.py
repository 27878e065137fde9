"""The report's facts, in no language: checks, comparisons and suppression over ``ReportData``.

Wording belongs in ``i18n`` and ``cautions``, markup in ``view`` and the templates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from ml.evaluation.curves import FEWEST, Difference, Floats, difference
from ml.evaluation.report_data import ReportData, SourceNote

RULES = ("recency", "frequency", "bgnbd")  # the simple rules that a model must beat
METRICS = ("auc", "pr_auc", "brier", "lift_10", "mean_predicted")
Row = tuple[str, int, tuple[float | None, ...]]  # label, customers, medians
BAD_STATUS = ("failed", "failure", "error", "errored", "canceled", "cancelled")


@dataclass(frozen=True)
class Score:
    """One metric with its interval; missing parts are None."""

    value: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Cutoff:
    """One test cutoff: every model's scores, and the paired differences to the best rule."""

    cutoff: str
    n: int | None
    base_rate: float | None
    models: dict[str, dict[str, Score]]
    best_rule: str | None
    oracle: float | None
    differences: dict[str, Difference] = field(default_factory=dict)

    def auc(self, model: str | None) -> Score:
        """The model's AUC, empty when unknown."""
        return self.models.get(model or "", {}).get("auc", Score())


@dataclass(frozen=True)
class SourceCheck:
    """Conservation of one source: what is left of in − accepted − quarantined − duplicates."""

    name: str
    records_in: int
    accepted: int
    quarantined: int
    duplicates: int
    note: SourceNote | None
    reasons: dict[str, int]

    @property
    def residual(self) -> int:
        """Records that nobody accounts for; 0 when the law holds."""
        return self.records_in - self.accepted - self.quarantined - self.duplicates

    @property
    def reasons_residual(self) -> int:
        """Quarantined records without a stated reason; 0 when no reasons were handed over."""
        return self.quarantined - sum(self.reasons.values()) if self.reasons else 0


@dataclass(frozen=True)
class Segment:
    """One segment. ``hidden`` is "", "small" (count below the limit) or "kept" (complementary)."""

    label: str
    customers: int | None
    share: float | None
    medians: tuple[float | None, ...]
    hidden: str = ""


@dataclass(frozen=True)
class SegmentSet:
    """A segmentation; ``total`` is None when showing it would give a hidden cell away."""

    name: str
    features: tuple[str, ...]
    segments: tuple[Segment, ...]
    total: int | None


@dataclass(frozen=True)
class Analysis:
    """All facts of one report."""

    data: ReportData
    sources: tuple[SourceCheck, ...]
    cutoffs: tuple[Cutoff, ...]
    models: tuple[str, ...]
    segment_sets: tuple[SegmentSet, ...]
    shipped: str | None
    horizon: int | None
    gate: Mapping[str, Any]
    simulated: bool

    @property
    def newest(self) -> Cutoff | None:
        """The latest test cutoff."""
        return self.cutoffs[-1] if self.cutoffs else None

    @property
    def failed(self) -> bool:
        """The run itself says that it failed."""
        return str(self.data.summary.get("status", "")).lower() in BAD_STATUS


def iso(value: Any) -> str:
    """A date, timestamp or text as YYYY-MM-DD."""
    return str(pd.Timestamp(value).date())


def analyse(data: ReportData) -> Analysis:
    """Derives every fact that the page and its JSON twin show."""
    churn = data.summary.get("churn") or {}
    cutoffs = _cutoffs(data, churn)
    return Analysis(
        data=data,
        sources=_sources(data),
        cutoffs=cutoffs,
        models=_order(cutoffs),
        segment_sets=_segment_sets(data),
        shipped=churn.get("shipped"),
        horizon=churn.get("horizon_days"),
        gate=churn.get("gate") or {},
        simulated=data.simulated or data.truth is not None,
    )


def _sources(data: ReportData) -> tuple[SourceCheck, ...]:
    rows = []
    for name, counts in sorted((data.summary.get("sources") or {}).items()):
        reasons = {k: int(v) for k, v in sorted(data.quarantine.get(name, {}).items())}
        rows.append(
            SourceCheck(
                name=name,
                records_in=int(counts.get("records_in") or 0),
                accepted=int(counts.get("accepted") or 0),
                quarantined=int(counts.get("quarantined") or 0),
                duplicates=int(counts.get("duplicates") or 0),
                note=data.source_notes.get(name),
                reasons=reasons,
            )
        )
    return tuple(rows)


def _cutoffs(data: ReportData, churn: Mapping[str, Any]) -> tuple[Cutoff, ...]:
    """Merges the summary's figures with the evaluation's intervals; intervals win."""
    scores: dict[str, dict[str, dict[str, Score]]] = {}
    facts: dict[str, dict[str, Any]] = {}
    for entry in churn.get("cutoffs") or []:
        day = iso(entry["cutoff"])
        facts[day] = {"n": entry.get("n"), "base_rate": entry.get("base_rate")}
        for model, metrics in (entry.get("models") or {}).items():
            target = scores.setdefault(day, {}).setdefault(model, {})
            target.update({m: Score(_float(v)) for m, v in metrics.items() if m in METRICS})
    if data.evaluation is not None:
        for row in data.evaluation.itertuples(index=False):
            day = iso(row.cutoff)
            known = facts.setdefault(day, {})
            known.setdefault("n", row.n)
            known.setdefault("base_rate", getattr(row, "base_rate", None))
            if row.metric in METRICS:
                target = scores.setdefault(day, {}).setdefault(str(row.model), {})
                target[str(row.metric)] = Score(
                    _float(row.value), _float(row.low), _float(row.high)
                )
    oracle = {iso(k): _float(v) for k, v in ((data.truth or {}).get("oracle_auc") or {}).items()}
    wide = {day: backtest_at(data, day) for day in scores}
    result = []
    for day in sorted(scores):
        truth, frame = facts.get(day, {}), wide[day]
        rate = truth.get("base_rate")
        if rate is None and frame is not None:
            rate = float(frame[0].mean())
        if _tells_few(truth.get("n"), rate, data.small_cell):
            continue
        rules = [m for m in RULES if _value(scores[day], m) is not None]
        best = _best(scores[day], rules)
        result.append(
            Cutoff(
                cutoff=day,
                n=None if pd.isna(truth.get("n", np.nan)) else int(truth["n"]),
                base_rate=_float(rate),
                models=scores[day],
                best_rule=best,
                oracle=oracle.get(day),
                differences=_differences(frame, best),
            )
        )
    return tuple(result)


def _tells_few(n: Any, rate: float | None, fewest: int) -> bool:
    """Whether a cutoff's customers and their rate give a small count away."""
    if n is None or rate is None or pd.isna(n) or pd.isna(rate):
        return False
    churned = round(float(n) * float(rate))
    return any(0 < count < fewest for count in (churned, int(n) - churned))


def _best(models: Mapping[str, Mapping[str, Score]], rules: Sequence[str]) -> str | None:
    """The rule with the highest AUC, ties by name."""
    return max(((_value(models, m) or 0.0, m) for m in rules), default=(0.0, None))[1]


def _value(models: Mapping[str, Mapping[str, Score]], model: str) -> float | None:
    return models.get(model, {}).get("auc", Score()).value


def backtest_at(data: ReportData, day: str) -> tuple[Floats, dict[str, Floats]] | None:
    """Labels and scores of one cutoff, on the customers that every model scored.

    Returns:
        (churned 0/1, {model: score}), all in the same order, or None without such rows or with
        few customers of a class.
    """
    if data.backtest is None or data.backtest.empty:
        return None
    frame = data.backtest
    frame = frame[pd.to_datetime(frame["cutoff"]).dt.normalize() == pd.Timestamp(day)]
    if frame.empty:
        return None
    scores = frame.set_index(["customer", "model"])["p"].unstack(level="model")  # noqa: PD010
    scores = scores.dropna().sort_index()
    labels = frame.groupby("customer")["churned"].max().reindex(scores.index)
    churned = labels.to_numpy(dtype=float)
    if min(churned.sum(), len(churned) - churned.sum()) < data.small_cell:
        return None
    return churned, {str(m): scores[m].to_numpy(dtype=float) for m in scores.columns}


def _differences(
    frame: tuple[Floats, dict[str, Floats]] | None, best: str | None
) -> dict[str, Difference]:
    if frame is None or best is None or best not in frame[1]:
        return {}
    churned, scores = frame
    found = {
        model: difference(churned, score, scores[best])
        for model, score in sorted(scores.items())
        if model != best
    }
    return {model: gap for model, gap in found.items() if gap is not None}


def _order(cutoffs: Sequence[Cutoff]) -> tuple[str, ...]:
    """Models by AUC at the newest cutoff, the best first; one order for every table and plot."""
    names = sorted({m for c in cutoffs for m in c.models})
    if not names:
        return ()
    newest = cutoffs[-1]
    return tuple(sorted(names, key=lambda m: (-(newest.auc(m).value or 0.0), m)))


def _segment_sets(data: ReportData) -> tuple[SegmentSet, ...]:
    sets: dict[str, SegmentSet] = {}
    for name, labels in (data.summary.get("segments") or {}).items():
        sizes: list[Row] = [(str(label), int(n), ()) for label, n in labels.items()]
        sets[name] = suppress(name, (), sizes, data.small_cell)
    if data.profiles is not None and not data.profiles.empty:
        plain = [
            c for c in data.profiles.columns if c not in {"set", "label", "customers", "share"}
        ]
        for name, part in data.profiles.groupby("set", sort=True):
            features = tuple(
                c for c in plain if pd.api.types.is_numeric_dtype(part[c]) and part[c].notna().any()
            )
            rows: list[Row] = [
                (str(r["label"]), int(r["customers"]), tuple(_float(r[f]) for f in features))
                for r in part.to_dict("records")
            ]
            sets[str(name)] = suppress(str(name), features, rows, data.small_cell)
    return tuple(sets[name] for name in sorted(sets, key=_set_order))


def _set_order(name: str) -> tuple[int, str]:
    known = ("rfm", "lifecycle")
    return (known.index(name) if name in known else len(known), name)


def suppress(
    name: str, features: tuple[str, ...], rows: Sequence[Row], fewest: int = FEWEST
) -> SegmentSet:
    """Hides counts of 1 to ``fewest`` - 1, and the next smallest until the rest tells nothing.

    With the total shown, one hidden cell is total minus the others. So the hidden cells are at
    least two and hold at least ``fewest`` customers together; when the set has no further
    cell to hide, the total goes instead.
    """
    rows = sorted(rows, key=lambda r: (-r[1], r[0]))
    total = sum(r[1] for r in rows)
    hidden = {r[0]: "small" for r in rows if 0 < r[1] < fewest}
    spare = [r for r in reversed(rows) if r[1] >= fewest]
    sizes = {r[0]: r[1] for r in rows}
    while hidden and spare and (len(hidden) < 2 or sum(sizes[k] for k in hidden) < fewest):
        hidden[spare.pop(0)[0]] = "kept"
    exposed = bool(hidden) and (len(hidden) < 2 or sum(sizes[k] for k in hidden) < fewest)
    segments = tuple(
        Segment(label, None, None, tuple(None for _ in features), hidden[label])
        if label in hidden
        else Segment(label, n, n / total if total and not exposed else None, medians)
        for label, n, medians in rows
    )
    return SegmentSet(name, features, segments, None if exposed else total)


def _float(value: Any) -> float | None:
    return None if value is None or pd.isna(value) else float(value)
