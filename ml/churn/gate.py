"""The ship gate: a model ships only if it earns it; else the best simple rule does.

Pure: predictions in, decision and reasons in plain words out.
What does not belong here: fitting, storing, metrics that only inform.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ml.evaluation.metrics import auc, auc_difference

_ONE_SIDED_95 = 1.6449


@dataclass(frozen=True)
class GateBounds:
    """What "no worse", "calibrated" and "fair" mean.

    Attributes:
        auc_tolerance: the model's AUC may lie this far below the best rule's, both on average over
            the cutoffs and at the newest. Below the noise of one cutoff of 3,000 customers (.008).
        auc_margin: nor may the lower one-sided 95 % bound of the average difference lie further
            below zero than this: too few customers to tell is not "no worse".
        calibration: largest |mean prediction - base rate| at the newest cutoff.
        calibration_ratio: and the mean prediction lies within this factor of the base rate, which
            binds where churn is rare.
        group_calibration: the same as `calibration` within each group.
        group_auc: how far the model may fall below the rule within a group. Both group bounds give
            way to noise: what a small group's one-sided 95 % error explains is no failure.
        group_minimum: a group with fewer churned or fewer kept is not judged.
    """

    auc_tolerance: float = 0.005
    auc_margin: float = 0.02
    calibration: float = 0.10
    calibration_ratio: float = 2.0
    group_calibration: float = 0.15
    group_auc: float = 0.05
    group_minimum: int = 50


@dataclass(frozen=True)
class GateDecision:
    """What ships and why.

    Attributes:
        passed: whether the candidate ships. shipped: what ships, None where there is nothing.
        candidate: judged model. rule: the best simple rule. reasons: plain words, never empty.
    """

    passed: bool
    shipped: str | None
    candidate: str | None
    rule: str | None
    reasons: tuple[str, ...]


def _wide(predictions: pd.DataFrame, cutoff: pd.Timestamp) -> pd.DataFrame:
    """One cutoff with a column of probabilities for each model, and `churned`."""
    rows = predictions[predictions["cutoff"] == cutoff]
    wide = rows.set_index(["customer", "model"])["p"].unstack("model")  # noqa: PD010 - must not average
    truth = rows.drop_duplicates("customer").set_index("customer")["churned"]
    return wide.assign(churned=truth.reindex(wide.index).astype(bool))


def _cutoffs(predictions: pd.DataFrame) -> list[pd.Timestamp]:
    """Cutoffs at which there is something to judge: both outcomes occurred."""
    both = predictions.groupby("cutoff")["churned"].nunique()
    return sorted(both[both == 2].index)


def _mean_auc(tables: Sequence[pd.DataFrame], model: str) -> float:
    return float(np.mean([auc(t["churned"], t[model]) for t in tables]))


def best_rule(predictions: pd.DataFrame, rules: Sequence[str]) -> str | None:
    """The rule with the highest AUC on average over the cutoffs at which all can be judged."""
    tables = [_wide(predictions, c) for c in _cutoffs(predictions)]
    if not tables:
        return None
    present = [r for r in rules if r in tables[-1]]
    shared = [t for t in tables if all(r in t for r in present)]
    return max(present, key=lambda r: (_mean_auc(shared, r), r)) if present else None


def choose_candidate(predictions: pd.DataFrame, candidates: Sequence[str]) -> str | None:
    """The candidate best on average at the earlier cutoffs; the first named where there is none.

    The newest cutoff judges the choice and so may not make it.
    """
    tables = [_wide(predictions, c) for c in _cutoffs(predictions)]
    if not tables:
        return None
    present = [c for c in candidates if c in tables[-1]]
    earlier = [t for t in tables[:-1] if all(c in t for c in present)]
    if not present or not earlier:
        return present[0] if present else None
    return max(present, key=lambda c: _mean_auc(earlier, c))


def _ranking(
    tables: Sequence[pd.DataFrame], candidate: str, rules: Sequence[str], bounds: GateBounds
) -> tuple[list[str], list[str]]:
    """(failures, facts) of the comparison with the best rule."""
    shared = [t for t in tables if candidate in t]
    present = [r for r in rules if all(r in t for t in shared)]
    if not present:
        return ["there is no simple rule to compare with"], []
    rule = max(present, key=lambda r: _mean_auc(shared, r))
    pairs = [auc_difference(t["churned"], t[candidate], t[rule]) for t in shared]
    mean = float(np.mean([p.difference for p in pairs]))
    # Cutoffs share customers, so their errors are taken as wholly dependent: the wider bound.
    spread = float(np.mean([p.standard_error for p in pairs]))
    newest = shared[-1]
    latest_rule = max(present, key=lambda r: auc(newest["churned"], newest[r]))
    latest = auc(newest["churned"], newest[candidate]) - auc(newest["churned"], newest[latest_rule])
    facts = [
        f"{candidate} has AUC {_mean_auc(shared, candidate):.3f} over {len(shared)} cutoffs, "
        f"{rule} {_mean_auc(shared, rule):.3f}; at the newest it is {latest:+.3f} from "
        f"{latest_rule}"
    ]
    failures = []
    if mean < -bounds.auc_tolerance:
        failures.append(
            f"over the cutoffs {candidate} ranks worse than {rule} by {-mean:.3f} AUC "
            f"(allowed {bounds.auc_tolerance})"
        )
    if latest < -bounds.auc_tolerance:
        failures.append(
            f"at the newest cutoff {candidate} ranks worse than {latest_rule} by {-latest:.3f} AUC "
            f"(allowed {bounds.auc_tolerance})"
        )
    low = mean - _ONE_SIDED_95 * spread
    if not low >= -bounds.auc_margin:
        failures.append(
            f"too few customers to tell that {candidate} is no worse than {rule}: the difference "
            f"may be {low:+.3f} AUC (allowed {-bounds.auc_margin:+})"
        )
    return failures, facts


def _calibration(table: pd.DataFrame, model: str, bounds: GateBounds) -> tuple[list[str], str]:
    """(failures, fact) of calibration in the large at one cutoff."""
    mean, rate = float(table[model].mean()), float(table["churned"].mean())
    fact = f"{model} predicts {mean:.3f} on average, {rate:.3f} churned"
    within = rate / bounds.calibration_ratio <= mean <= rate * bounds.calibration_ratio
    if abs(mean - rate) <= bounds.calibration and within:
        return [], fact
    allowed = f"allowed {bounds.calibration} and a factor of {bounds.calibration_ratio:g}"
    return [f"not calibrated in the large at the newest cutoff: {fact} ({allowed})"], fact


def _fairness(
    table: pd.DataFrame,
    groups: pd.DataFrame,
    candidate: str,
    rules: Sequence[str],
    bounds: GateBounds,
) -> tuple[list[str], int]:
    """(failures, groups judged) at the newest cutoff; `groups` is indexed by customer."""
    failures: list[str] = []
    judged = 0
    present = [r for r in rules if r in table]
    rule = max(present, key=lambda r: auc(table["churned"], table[r])) if present else None
    for column in groups.columns:
        labels = groups[column].reindex(table.index)
        for label, rows in table.groupby(labels, sort=True):
            churned = int(rows["churned"].sum())
            if min(churned, len(rows) - churned) < bounds.group_minimum:
                continue
            judged += 1
            gap = float(rows[candidate].mean() - rows["churned"].mean())
            noise = _ONE_SIDED_95 * float(rows["churned"].std()) / np.sqrt(len(rows))
            if abs(gap) > max(bounds.group_calibration, noise):
                failures.append(
                    f"unfair to {column} = {label}: predicts {gap:+.3f} from what happened "
                    f"(allowed {bounds.group_calibration})"
                )
            if rule is None:
                continue
            pair = auc_difference(rows["churned"], rows[rule], rows[candidate])
            behind = pair.difference
            if behind > max(bounds.group_auc, _ONE_SIDED_95 * pair.standard_error):
                failures.append(
                    f"unfair to {column} = {label}: ranks {behind:.3f} AUC worse than {rule} there "
                    f"(allowed {bounds.group_auc})"
                )
    return failures, judged


def decide(
    predictions: pd.DataFrame,
    candidates: Sequence[str],
    rules: Sequence[str],
    groups: pd.DataFrame | None = None,
    bounds: GateBounds | None = None,
) -> GateDecision:
    """Judge the best candidate; on any failure the best simple rule ships.

    Args:
        predictions: table churn_backtest.
        candidates: model names in order of preference.
        rules: names of the simple rules.
        groups: columns of group labels at the newest cutoff, indexed by customer.
        bounds: what passes.
    """
    limits = bounds or GateBounds()
    rule = best_rule(predictions, rules)
    candidate = choose_candidate(predictions, candidates)
    if candidate is None:
        why = "no model was trained" if len(predictions) else "no cutoff could be tested"
        return GateDecision(False, rule, None, rule, (why,))
    tables = [_wide(predictions, c) for c in _cutoffs(predictions)]
    failures, facts = _ranking(tables, candidate, rules, limits)
    newest = tables[-1]
    uncalibrated, fact = _calibration(newest, candidate, limits)
    failures += uncalibrated
    facts.append(fact)
    if groups is not None:
        unfair, judged = _fairness(newest, groups, candidate, rules, limits)
        failures += unfair
        facts.append(f"{judged} groups were large enough to be judged for fairness")
    if not failures:
        return GateDecision(True, candidate, candidate, rule, tuple(facts))
    if rule is not None:
        failures.append(f"the simple rule {rule} ships instead")
        warned, fact = _calibration(newest, rule, limits) if rule in newest else ([], "")
        if warned:
            failures.append(f"read its scores as an order, not as probabilities: {fact}")
    return GateDecision(False, rule, candidate, rule, tuple(failures))
