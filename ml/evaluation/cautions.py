"""What must not be concluded from a run: message ids and values, derived from its facts.

Each rule is a small function from ``Analysis`` to cautions. Wording belongs in ``i18n``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pandas as pd

from ml.evaluation.analysis import RULES, Analysis, Cutoff, Score
from ml.evaluation.i18n import Term, decimal, integer, interval, percent

FEW_CUTOFFS = 6
RATE_SHIFT = 0.03  # base rates further apart than this are called a shift
OFF_CALIBRATION = 0.03
QUARANTINE_SHARE = 0.01
TWO_YEARS = 730


@dataclass(frozen=True)
class Caution:
    """A message id with its values."""

    key: str
    values: dict[str, Any] = field(default_factory=dict)


def model(name: str) -> Term:
    """The name of a model or rule, to be translated."""
    return Term("model", name)


def cautions(facts: Analysis) -> list[Caution]:
    """Every caution that the facts call for, the ones on the verdict first."""
    found: list[Caution] = []
    if facts.cutoffs:
        for rule in (_differences, _cutoff_count, _base_rates, _calibration, _meaning):
            found += rule(facts)
    for rule in (_clocks, _history, _sources, _rest):
        found += rule(facts)
    return found


def _best_model(facts: Analysis, cutoff: Cutoff) -> str | None:
    """What ships when it is no rule; otherwise the best of the models."""
    if facts.shipped and facts.shipped not in RULES and facts.shipped in cutoff.models:
        return facts.shipped
    return next((m for m in facts.models if m not in RULES and m in cutoff.models), None)


def _overlap(a: Score, b: Score) -> bool:
    if a.low is None or a.high is None or b.low is None or b.high is None:
        return True
    return a.low <= b.high and b.low <= a.high


def _differences(facts: Analysis) -> Iterator[Caution]:
    """Whether the model is shown to be better than the best rule, and than its runner-up."""
    newest = facts.cutoffs[-1]
    best, rule = _best_model(facts, newest), newest.best_rule
    if best and rule:
        gap = newest.differences.get(best)
        names = {"model": model(best), "rule": model(rule), "cutoff": newest.cutoff}
        if gap is not None:
            values = names | {
                "gap": decimal(gap.value, sign=True),
                "interval": interval(gap.low, gap.high, sign=True),
            }
            unsettled = gap.low <= 0 <= gap.high
            yield Caution(
                "not.gap_open" if unsettled else "not.gap_small" if gap.low > 0 else "not.gap_lost",
                values,
            )
        elif _overlap(newest.auc(best), newest.auc(rule)):
            yield Caution("not.overlap", names)
        wins = [c for c in facts.cutoffs if c.differences.get(best) and c.best_rule]
        clear = [c for c in wins if c.differences[best].low > 0]
        if len(wins) > 1 and len(clear) < len(wins):
            yield Caution("not.wins", names | {"clear": len(clear), "all": len(wins)})
    rivals = [m for m in facts.models if m in newest.models and m != best and m not in RULES]
    close = [m for m in rivals if best and _overlap(newest.auc(best), newest.auc(m))]
    if best and close:
        yield Caution("not.rivals", {"model": model(best), "rivals": [model(m) for m in close]})


def _cutoff_count(facts: Analysis) -> Iterator[Caution]:
    count = len(facts.cutoffs)
    if count < FEW_CUTOFFS:
        yield Caution("not.cutoffs_one" if count == 1 else "not.cutoffs", {"n": count})
    days = [pd.Timestamp(c.cutoff) for c in facts.cutoffs]
    gaps = [(b - a).days for a, b in pairwise(days)]
    if gaps and facts.horizon and min(gaps) < facts.horizon:
        yield Caution("not.windows", {"gap": min(gaps), "horizon": facts.horizon})
    sizes = [
        min(c.n * c.base_rate, c.n * (1 - c.base_rate))
        for c in facts.cutoffs
        if c.n is not None and c.base_rate is not None
    ]
    if sizes and min(sizes) < 200:
        yield Caution("not.small_n", {"n": integer(min(sizes))})


def _base_rates(facts: Analysis) -> Iterator[Caution]:
    rates = [(c.base_rate, c.cutoff) for c in facts.cutoffs if c.base_rate is not None]
    if rates and max(rates)[0] - min(rates)[0] > RATE_SHIFT:
        (low, low_at), (high, high_at) = min(rates), max(rates)
        values = {"low": percent(low), "high": percent(high), "low_at": low_at, "high_at": high_at}
        yield Caution("not.base_rate", values)


def _calibration(facts: Analysis) -> Iterator[Caution]:
    """Calibration in the large of what ships, at the cutoff where it is worst."""
    worst: tuple[float, Cutoff, float] | None = None
    for cutoff in facts.cutoffs:
        said = cutoff.models.get(facts.shipped or "", {}).get("mean_predicted", Score()).value
        if said is None or cutoff.base_rate is None:
            continue
        off = abs(said - cutoff.base_rate)
        if worst is None or off > worst[0]:
            worst = (off, cutoff, said)
    if worst and worst[0] > OFF_CALIBRATION:
        yield Caution(
            "not.calibration",
            {
                "model": model(facts.shipped or ""),
                "said": percent(worst[2]),
                "was": percent(worst[1].base_rate),
                "cutoff": worst[1].cutoff,
            },
        )


def _meaning(facts: Analysis) -> Iterator[Caution]:
    yield Caution("not.cause")
    if facts.horizon:
        yield Caution("not.churned", {"horizon": facts.horizon})
    yield Caution("not.eligible")
    if facts.data.importance is not None and not facts.data.importance.empty:
        yield Caution("not.importance")


def _clocks(facts: Analysis) -> Iterator[Caution]:
    notes = {s.name: s.note.known_at for s in facts.sources if s.note is not None}
    for kind in ("ts", "landing"):
        names = [name for name, known_at in notes.items() if known_at == kind]
        if names:
            yield Caution(f"not.known_{kind}", {"sources": names})


def _history(facts: Analysis) -> Iterator[Caution]:
    first, last = facts.data.history_from, facts.data.history_to
    if first is None or last is None:
        return
    days = (last - first).days + 1
    if facts.horizon and days < 3 * facts.horizon:
        yield Caution("not.history", {"days": integer(days), "horizon": facts.horizon})
    if days < TWO_YEARS:
        yield Caution("not.season", {"days": integer(days)})


def _sources(facts: Analysis) -> Iterator[Caution]:
    for source in facts.sources:
        if source.records_in and source.quarantined / source.records_in > QUARANTINE_SHARE:
            share = percent(source.quarantined / source.records_in)
            yield Caution("not.quarantine", {"source": source.name, "share": share})


def _rest(facts: Analysis) -> Iterator[Caution]:
    if facts.segment_sets:
        yield Caution("not.segments")
    if facts.simulated:
        yield Caution("not.simulated")
