"""The ship gate: each branch on predictions made to reach it."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from ml.churn.gate import GateBounds, best_rule, choose_candidate, decide

CUTOFFS = pd.to_datetime(["2024-01-01", "2024-02-01", "2024-03-01"])
N = 2000


def _predictions(noise: dict[str, tuple[float, ...]], shift: float = 0.0, n: int = N):
    """Predictions whose noise by cutoff says how bad a model is; `shift` on the newest cutoff."""
    parts = []
    for i, cutoff in enumerate(CUTOFFS[: len(next(iter(noise.values())))]):
        rng = np.random.default_rng(i)
        truth = rng.normal(0, 1.5, n)
        y = rng.random(n) < expit(truth)
        for model, levels in noise.items():
            # Calibrated although noisy: the best guess of the truth given a noisy sight of it.
            seen = truth + rng.normal(0, 1.5 * levels[i], n)
            guess = seen / (1 + levels[i] ** 2)
            last = i == len(levels) - 1
            p = expit(guess + (shift if last and model in ("blend", "lightgbm") else 0))
            parts.append(
                pd.DataFrame(
                    {
                        "cutoff": cutoff,
                        "customer": [f"c{j}" for j in range(n)],
                        "model": model,
                        "p": p,
                        "churned": y,
                    }
                )
            )
    return pd.concat(parts, ignore_index=True)


CANDIDATES, RULES = ("blend", "lightgbm"), ("recency", "bgnbd")
GOOD = {"lightgbm": (0.2,) * 3, "recency": (0.9,) * 3, "bgnbd": (0.7,) * 3}


def test_better_and_calibrated_model_ships() -> None:
    found = decide(_predictions(GOOD), CANDIDATES, RULES)
    assert found.passed
    assert found.shipped == found.candidate == "lightgbm"
    assert found.rule == "bgnbd"
    assert "AUC" in found.reasons[0]


def test_worse_on_average_fails() -> None:
    noise = GOOD | {"lightgbm": (1.5, 1.5, 0.2)}
    found = decide(_predictions(noise), CANDIDATES, RULES)
    assert (found.passed, found.shipped) == (False, "bgnbd")
    assert any("over the cutoffs lightgbm ranks worse" in r for r in found.reasons)
    assert any("bgnbd ships instead" in r for r in found.reasons)


def test_worse_at_the_newest_fails() -> None:
    noise = GOOD | {"lightgbm": (0.1, 0.1, 1.4)}
    found = decide(_predictions(noise), CANDIDATES, RULES)
    assert (found.passed, found.shipped) == (False, "bgnbd")
    assert any("at the newest cutoff lightgbm ranks worse" in r for r in found.reasons)


def test_too_few_customers_to_tell_fails() -> None:
    noise = {"lightgbm": (0.7,), "recency": (0.72,)}
    found = decide(_predictions(noise, n=80), CANDIDATES, RULES, bounds=GateBounds(1.0))
    assert not found.passed
    assert any("too few customers" in r for r in found.reasons)


def test_uncalibrated_fails_and_rule_ships() -> None:
    found = decide(_predictions(GOOD, shift=1.5), CANDIDATES, RULES)
    assert (found.passed, found.shipped) == (False, "bgnbd")
    assert any("not calibrated" in r for r in found.reasons)


def test_rare_churn_is_held_to_a_factor() -> None:
    table = _predictions(GOOD)
    rare = table["customer"].str[1:].astype(int) % 20 == 0
    table["churned"] &= rare
    table["p"] = (table["p"] * 0.12).clip(0.001)
    found = decide(table, CANDIDATES, RULES, bounds=GateBounds(1.0, 1.0))
    assert any("not calibrated" in r for r in found.reasons)
    easy = GateBounds(1.0, 1.0, calibration_ratio=10)
    assert decide(table, CANDIDATES, RULES, bounds=easy).passed


@pytest.mark.parametrize("how", ["calibration", "ranking"])
def test_unfair_to_a_group_fails(how: str) -> None:
    table = _predictions(GOOD)
    odd = table["customer"].str[1:].astype(int) % 5 == 0
    hit = odd & (table["model"] == "lightgbm") & (table["cutoff"] == CUTOFFS[-1])
    groups = pd.DataFrame(
        {"tenure": np.where(np.arange(N) % 5 == 0, "new", "old")},
        index=[f"c{j}" for j in range(N)],
    )
    assert decide(table, CANDIDATES, RULES, groups=groups).passed
    if how == "calibration":
        table.loc[hit, "p"] = expit(np.log(table["p"] / (1 - table["p"])) - 1.2)[hit]
    else:
        table.loc[hit, "p"] = np.random.default_rng(1).permutation(table.loc[hit, "p"])
    wide = GateBounds(0.5, 0.5)
    found = decide(table, CANDIDATES, RULES, groups=groups, bounds=wide)
    assert not found.passed
    assert any("unfair to tenure = new" in r for r in found.reasons)
    tiny = GateBounds(0.5, 0.5, group_minimum=10_000)
    assert decide(table, CANDIDATES, RULES, groups=groups, bounds=tiny).passed


def test_candidate_is_chosen_on_earlier_cutoffs_only() -> None:
    noise = GOOD | {"blend": (0.1, 0.1, 2.0), "lightgbm": (0.4, 0.4, 0.1)}
    assert choose_candidate(_predictions(noise), CANDIDATES) == "blend"
    single = _predictions({"lightgbm": (0.1,), "blend": (0.5,), "bgnbd": (0.7,)})
    assert choose_candidate(single, CANDIDATES) == "blend"


def test_without_model_or_predictions() -> None:
    rules_only = _predictions({"recency": (0.9,), "bgnbd": (0.5,)})
    found = decide(rules_only, CANDIDATES, RULES)
    assert (found.passed, found.shipped, found.candidate) == (False, "bgnbd", None)
    nothing = decide(rules_only.iloc[:0], CANDIDATES, RULES)
    assert (nothing.passed, nothing.shipped) == (False, None)
    assert nothing.reasons
    one_class = rules_only.assign(churned=True)
    assert best_rule(one_class, RULES) is None
    assert decide(_predictions({"lightgbm": (0.1,)}), CANDIDATES, RULES).passed is False
