"""The law of the shop: how likely a person is to buy and to lose interest on one day.

Used by the simulation (behaviour.py) and by the oracle (oracle.py), so that both mean the same.
Does not belong here: drawing anything at random.
"""

from __future__ import annotations

import numpy as np

from simulator.world import Floats, World


def rhythm(world: World, rate: Floats, days_since: Floats) -> Floats:
    """Multiplier of the rate, low right after a purchase; `days_since` in days, (n,)."""
    x = np.maximum(days_since, 0) * rate
    return np.asarray(world.rhythm_floor + world.rhythm_gain * x * x / (1 + x * x))


def intensity(
    world: World,
    *,
    rate: Floats,
    days_since: Floats,
    satisfaction: Floats,
    price_sensitivity: Floats,
    price_index: Floats,
    campaign: Floats,
    season: float,
) -> Floats:
    """Purchases a day expected of people in the active regime, (n,).

    The chance of a purchase day is 1 - exp(-intensity * buy_by_regime).
    """
    effect = world.satisfaction_effect * satisfaction - price_sensitivity * np.log(price_index)
    return np.asarray(
        rate
        * rhythm(world, rate, days_since)
        * np.exp(np.clip(effect, -3, 1.2))
        * campaign
        * season
    )


def cool_hazard(
    world: World,
    *,
    satisfaction: Floats,
    frailty: Floats,
    price_sensitivity: Floats,
    price_index: Floats,
) -> Floats:
    """Chance of going from active to cooling on one day, (n,)."""
    log_risk = (
        -world.hazard_satisfaction * satisfaction
        + frailty
        + world.price_hazard * price_sensitivity / world.price_effect * np.log(price_index)
    )
    return np.asarray(1 - np.exp(-world.hazard_cool * np.exp(np.clip(log_risk, -3, 3))))


def step_regimes(world: World, share: Floats, hazard: Floats) -> Floats:
    """One day of the regime chain. `share` (n, 3) are probabilities; returns the next (n, 3)."""
    active, cooling, lapsed = share[:, 0], share[:, 1], share[:, 2]
    out = np.empty_like(share)
    out[:, 0] = (
        active * (1 - hazard) + cooling * world.hazard_recover + lapsed * world.hazard_return
    )
    out[:, 1] = active * hazard + cooling * (1 - world.hazard_lapse - world.hazard_recover)
    out[:, 2] = cooling * world.hazard_lapse + lapsed * (1 - world.hazard_return)
    return out
