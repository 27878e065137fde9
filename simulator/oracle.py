"""The true chance that a person does not buy in the days after a cutoff.

Exact, but for one thing: messages after the cutoff are taken at their expected effect, because
who is held out is not yet drawn. Satisfaction moves only by purchases, so on the path without a
purchase it is known; the hidden regime is a three-state chain, stepped day by day.

The state at the cutoff includes parcels and tickets under way, whose outcome is already drawn.
The calendar, the price list and the campaign plan are taken as known.
Does not belong here: scores of models against the oracle (exam.py).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from simulator.campaigns import Campaigns
from simulator.people import People
from simulator.propensity import cool_hazard, intensity, step_regimes
from simulator.world import Calendar, Floats, Ints, Prices, World


@dataclass(frozen=True)
class Truth:
    """What the oracle needs, in memory or read back from the truth folder.

    Attributes:
        purchases: person, day, sorted by day.
        shocks: person, decided, effective, delta.
        regimes: person, day, regime, sorted by day.
        sends: person, campaign, day, treated, unsubscribed, effect.
        registered: day of registration, (n,).
    """

    world: World
    calendar: Calendar
    people: People
    plan: Campaigns
    prices: Prices
    purchases: pd.DataFrame
    shocks: pd.DataFrame
    regimes: pd.DataFrame
    sends: pd.DataFrame
    registered: Ints


def load_truth(folder: Path) -> Truth:
    """Read the truth folder that `simulate` wrote. Raises FileNotFoundError if there is none."""
    spec = json.loads((folder / "world.json").read_text(encoding="utf-8"))
    fields: dict[str, Any] = {
        k: tuple(v) if isinstance(v, list) else v for k, v in spec["world"].items()
    }
    price = pd.read_parquet(folder / "price_index.parquet").to_numpy().T
    products = pd.read_parquet(folder / "products.parquet")
    people = pd.read_parquet(folder / "persons.parquet")
    return Truth(
        world=World(**fields),
        calendar=Calendar(date.fromisoformat(spec["end"]), spec["days"]),
        people=People.from_frame(people),
        plan=Campaigns.from_frame(pd.read_parquet(folder / "campaigns.parquet")),
        prices=Prices(products["base"].to_numpy(), products["category"].to_numpy(), price),
        purchases=pd.read_parquet(folder / "purchases.parquet"),
        shocks=pd.read_parquet(folder / "shocks.parquet"),
        regimes=pd.read_parquet(folder / "churn_state.parquet"),
        sends=pd.read_parquet(folder / "campaign_effects.parquet"),
        registered=people["registered_day"].to_numpy(),
    )


def _latest(frame: pd.DataFrame, day: int, column: str, start: Floats) -> Floats:
    """Last value of `column` for each person up to `day`, `start` where there is none."""
    out = start.copy()
    past = frame[frame["day"] <= day]
    out[past["person"].to_numpy()] = past[column].to_numpy()  # later rows overwrite earlier ones
    return out


def _campaign_factor(truth: Truth, cutoff: int, day: int) -> Floats:
    """Expected multiplier of the purchase rate by campaigns on `day`, as seen at `cutoff`."""
    n = len(truth.people)
    window = truth.world.campaign_window
    factor = np.ones(n)
    active = np.flatnonzero((truth.plan.day < day) & (truth.plan.day >= day - window))
    for k in active:
        if truth.plan.day[k] <= cutoff:
            rows = truth.sends[(truth.sends["campaign"] == k) & truth.sends["treated"]]
            factor[rows["person"].to_numpy()] = np.exp(rows["effect"].to_numpy())
            continue
        left = truth.sends[truth.sends["unsubscribed"] & (truth.sends["day"] <= cutoff)]
        can = (truth.people.opted_in == 1) & (truth.registered <= truth.plan.day[k])
        can[left["person"].to_numpy()] = False
        gain = np.exp(truth.plan.effect(truth.people, int(k))) - 1
        factor = np.where(can, 1 + (1 - truth.world.holdout_share) * gain, factor)
    return factor


def no_purchase(truth: Truth, cutoff: int, horizon: int) -> Floats:
    """True P(no purchase on days cutoff + 1 to cutoff + horizon) of each person, (n,)."""
    world, people = truth.world, truth.people
    n = len(people)
    fade = 0.5 ** (1 / world.half_life)
    past = truth.shocks[truth.shocks["decided"] <= cutoff]
    done = past[past["effective"] <= cutoff]
    weight = done["delta"].to_numpy() * fade ** (cutoff - done["effective"].to_numpy())
    deviation = np.bincount(done["person"].to_numpy(), weight, minlength=n)
    pending = past[past["effective"] > cutoff]
    last = _latest(truth.purchases, cutoff, "day", people.last_before)
    regime = _latest(truth.regimes, cutoff, "regime", np.zeros(n)).astype(np.int64)
    share = np.eye(3)[regime]
    length = cutoff + horizon + 1
    season = truth.calendar.season(length)
    index_by_day = truth.prices.at(length)
    buy = np.array(world.buy_by_regime)
    for day in range(cutoff + 1, length):
        deviation *= fade
        due = pending[pending["effective"] == day]
        np.add.at(deviation, due["person"].to_numpy(), due["delta"].to_numpy())
        satisfaction = people.baseline + deviation
        index = index_by_day[people.favourite, day]
        hazard = cool_hazard(
            world, satisfaction=satisfaction, frailty=people.frailty,
            price_sensitivity=people.price_sensitivity, price_index=index,
        )  # fmt: skip
        share = step_regimes(world, share, hazard)
        strength = intensity(
            world, rate=people.rate, days_since=day - last, satisfaction=satisfaction,
            price_sensitivity=people.price_sensitivity, price_index=index,
            campaign=_campaign_factor(truth, cutoff, day), season=float(season[day]),
        )  # fmt: skip
        expected = strength[:, None] * buy[None, :] + world.chance_rate
        share = share * np.exp(-expected * (people.join <= day)[:, None])
    return np.asarray(share.sum(axis=1))


def p_no_purchase(truth: Path, as_of: date, horizon_days: int) -> pd.DataFrame:
    """True chance of no purchase in (as_of, as_of + horizon_days].

    Args:
        truth: the truth folder of a simulated shop.
        as_of: last day that is known.
        horizon_days: days after it.

    Returns:
        person (number as in identities.parquet) and p in [0, 1], one row a person.
    """
    known = load_truth(truth)
    p = no_purchase(known, known.calendar.index(as_of), horizon_days)
    return pd.DataFrame({"person": np.arange(len(p)), "p": p})
