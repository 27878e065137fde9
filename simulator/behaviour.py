"""What people do day by day: buy, wait for parcels, complain, open messages, lose interest.

Does not belong here: products, identifiers, web events or files; only the numbers behind them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from simulator.campaigns import Campaigns
from simulator.people import GUEST_FIRST, REGISTERED, People
from simulator.propensity import cool_hazard, intensity, rhythm
from simulator.world import ACTIVE, COOLING, LAPSED, Calendar, Floats, Ints, Prices, World

WEB, APP, STORE = 0, 1, 2
NEVER = 1 << 30
"""Day number for what does not happen."""


@dataclass(frozen=True)
class History:
    """All that happened. Day numbers count from the first day; NEVER if it did not happen.

    Attributes:
        purchases: person, day, channel, promised_day, delivered_day, delay (days late),
            ticket_day, ticket_score (1-5), satisfaction (before), campaign (-1 none).
        shocks: person, decided (day), effective (day), delta of satisfaction.
        regimes: person, day, regime: a row for each change, and for the state on day 0.
        sends: person, campaign, day, treated, opened, clicked, unsubscribed, bounced, effect,
            uplift (true gain in the chance to buy within the window).
        visits: (n, days) expected browsing, in arbitrary units.
        registered: day of registration (NEVER for guests), (n,).
    """

    purchases: pd.DataFrame
    shocks: pd.DataFrame
    regimes: pd.DataFrame
    sends: pd.DataFrame
    visits: NDArray[np.float32]
    registered: Ints


@dataclass
class _State:
    """Mutable state during the simulation, arrays of length n."""

    deviation: Floats
    regime: Ints
    last: Floats
    registered: Ints
    opted: NDArray[np.bool_]
    effect: Floats
    effect_until: int = -1
    effect_campaign: int = -1
    due: dict[int, list[tuple[Ints, Floats]]] = field(default_factory=dict)


def _outcomes(
    world: World, people: People, who: Ints, day: int, *, strike: bool, rng: np.random.Generator
) -> tuple[dict[str, Ints], list[tuple[Ints, Ints, Floats]]]:
    """Draw delivery and ticket of the purchases of one day.

    Returns the columns, and the satisfaction shocks as (people, effective day, delta).
    """
    n = len(who)
    channel = rng.choice([WEB, APP, STORE], n, p=[0.45, 0.40, 0.15])
    shipped = channel != STORE
    late_share = np.array(world.late_share)[people.depot[who]]
    late = shipped & (rng.random(n) < (0.75 if strike else late_share))
    transit = rng.integers(2, 6, n)
    delay = np.where(late, rng.geometric(1 / (world.delay_mean * (2 if strike else 1)), n), 0)
    delay = np.minimum(delay, 25)
    promised = np.where(shipped, day + transit + 1, NEVER)
    delivered = np.where(shipped, day + np.where(late, transit + 1 + delay, transit), NEVER)
    ticket = rng.random(n) < np.where(late, world.ticket_late, world.ticket_on_time)
    mean_score = np.where(late, 2.4, 3.2) - 0.12 * delay
    score = np.clip(np.rint(rng.normal(mean_score, 1.2)), 1, 5).astype(np.int64)
    opened = np.where(shipped, np.where(late, promised + 1, delivered), day) + 1
    ticket_day = np.where(ticket, opened, NEVER)
    touch = people.touchiness[who]
    delivery = np.where(late, world.shock_late + world.shock_delay * delay, world.shock_on_time)
    answer = np.select(
        [score <= 2, score >= 4], [world.shock_bad_ticket, world.shock_good_ticket], 0.0
    )
    shocks = [
        (who[shipped], delivered[shipped], (touch * delivery)[shipped]),
        (who[ticket], ticket_day[ticket] + 2, (touch * answer)[ticket]),
    ]
    columns = {
        "channel": channel, "promised_day": promised, "delivered_day": delivered,
        "delay": delay, "ticket_day": ticket_day, "ticket_score": np.where(ticket, score, 0),
    }  # fmt: skip
    return columns, shocks


def _move_regimes(
    world: World, people: People, state: _State, satisfaction: Floats, index: Floats,
    *, rng: np.random.Generator,
) -> Ints:  # fmt: skip
    """Step the regime chain of everyone by one day; returns who changed."""
    hazard = cool_hazard(
        world,
        satisfaction=satisfaction,
        frailty=people.frailty,
        price_sensitivity=people.price_sensitivity,
        price_index=index,
    )
    u = rng.random(len(people))
    old = state.regime
    new = old.copy()
    new[(old == ACTIVE) & (u < hazard)] = COOLING
    cooling = old == COOLING
    new[cooling & (u < world.hazard_lapse)] = LAPSED
    new[cooling & (u >= world.hazard_lapse) & (u < world.hazard_lapse + world.hazard_recover)] = (
        ACTIVE
    )
    new[(old == LAPSED) & (u < world.hazard_return)] = ACTIVE
    state.regime = new
    return np.flatnonzero(new != old)


def _send(
    world: World, people: People, plan: Campaigns, state: _State, campaign: int, *,
    day: int, satisfaction: Floats, strength: Floats, rng: np.random.Generator,
) -> dict[str, NDArray[np.generic]]:  # fmt: skip
    """Send one campaign: random holdout, opens, clicks, unsubscribes, and the true effect."""
    who = np.flatnonzero(state.opted & (state.registered <= day))
    n = len(who)
    treated = rng.random(n) >= world.holdout_share
    tau = plan.effect(people, campaign)[who]
    regime = state.regime[who]
    willing = people.openness[who] * np.array(world.open_by_regime)[regime]
    willing = np.clip(willing * np.exp(0.35 * satisfaction[who]), 0, 0.95)
    bounced = treated & (rng.random(n) < 0.01)
    opened = treated & ~bounced & (rng.random(n) < willing)
    clicked = opened & (rng.random(n) < 0.25)
    leave = np.array([0.0015, 0.012, 0.012])[regime]
    unsubscribed = treated & ~bounced & (rng.random(n) < leave)
    state.opted[who[unsubscribed]] = False
    state.effect = np.ones(len(people))
    state.effect[who[treated]] = np.exp(tau[treated])
    state.effect_until = day + world.campaign_window
    state.effect_campaign = campaign
    expected = strength[who] * world.campaign_window
    uplift = np.exp(-expected) - np.exp(-expected * np.exp(tau))
    return {
        "person": who, "campaign": np.full(n, campaign), "day": np.full(n, day),
        "treated": treated, "opened": opened, "clicked": clicked,
        "unsubscribed": unsubscribed, "bounced": bounced, "effect": tau, "uplift": uplift,
    }  # fmt: skip


def _frame(rows: list[dict[str, NDArray[np.generic]]], columns: tuple[str, ...]) -> pd.DataFrame:
    """Stack the columns of daily rows."""
    return pd.DataFrame(
        {c: np.concatenate([r[c] for r in rows]) if rows else np.array([], int) for c in columns}
    )


def _satisfied(world: World, people: People, state: _State, day: int) -> Floats:
    """Let satisfaction fade by a day and take the shocks due; returns it, (n,)."""
    state.deviation *= 0.5 ** (1 / world.half_life)
    for who, delta in state.due.pop(day, []):
        np.add.at(state.deviation, who, delta)
    return people.baseline + state.deviation


def run_history(
    world: World, people: People, plan: Campaigns, prices: Prices, calendar: Calendar,
    *, strike: tuple[int, int], rng: np.random.Generator,
) -> History:  # fmt: skip
    """Simulate every day for everyone. `strike` is the first and last day of late deliveries."""
    n, days = len(people), calendar.days
    season = calendar.season(days)
    reg = np.full(n, NEVER)
    reg[people.kind == REGISTERED] = people.join[people.kind == REGISTERED]
    start = np.where((people.join < 0) & (rng.random(n) < 0.30), LAPSED, ACTIVE)
    state = _State(
        np.zeros(n), start.astype(np.int64), people.last_before.copy(), reg,
        people.opted_in.astype(bool), np.ones(n),
    )  # fmt: skip
    buy, look = np.array(world.buy_by_regime), np.array(world.browse_by_regime)
    base_visits = people.browse * (people.rate / world.rate_mean) ** world.browse_rate_power
    visits = np.zeros((n, days), dtype=np.float32)
    bought, sent, shocks = [], [], []
    regimes = [{"person": np.arange(n), "day": np.zeros(n, int), "regime": state.regime}]
    sends = {int(day): k for k, day in enumerate(plan.day)}
    for day in range(days):
        satisfaction = _satisfied(world, people, state, day)
        index = prices.index[people.favourite, day]
        moved = _move_regimes(world, people, state, satisfaction, index, rng=rng)
        regimes.append(
            {"person": moved, "day": np.full(len(moved), day), "regime": state.regime[moved]}
        )
        if day > state.effect_until:
            state.effect, state.effect_campaign = np.ones(n), -1
        here = people.join <= day
        strength = buy[state.regime] * intensity(
            world, rate=people.rate, days_since=day - state.last, satisfaction=satisfaction,
            price_sensitivity=people.price_sensitivity, price_index=index,
            campaign=state.effect, season=float(season[day]),
        )  # fmt: skip
        strength = (strength + world.chance_rate) * here
        pace = 0.6 + 0.4 * rhythm(world, people.rate, day - state.last)
        mood = np.exp(np.clip(world.browse_satisfaction * satisfaction, -1.5, 1.0))
        visits[:, day] = base_visits * look[state.regime] * pace * mood * (people.join <= day + 14)
        who = np.flatnonzero(rng.random(n) < 1 - np.exp(-strength))
        on_strike = strike[0] <= day <= strike[1]
        columns, todays = _outcomes(world, people, who, day, strike=on_strike, rng=rng)
        treated = (state.effect[who] != 1) & (rng.random(len(who)) < 0.5)
        bought.append(
            {"person": who, "day": np.full(len(who), day), "satisfaction": satisfaction[who],
             "campaign": np.where(treated, state.effect_campaign, -1), **columns}
        )  # fmt: skip
        for hit, effective, delta in todays:
            shocks.append(
                {"person": hit, "decided": np.full(len(hit), day), "effective": effective,
                 "delta": delta}
            )  # fmt: skip
            for due in np.unique(effective):
                mask = effective == due
                state.due.setdefault(int(due), []).append((hit[mask], delta[mask]))
        state.last[who] = day
        late_comers = who[(people.kind[who] == GUEST_FIRST) & (state.registered[who] == NEVER)]
        state.registered[late_comers] = day + rng.integers(2, 60, len(late_comers))
        if day in sends:
            sent.append(
                _send(
                    world,
                    people,
                    plan,
                    state,
                    sends[day],
                    day=day,
                    satisfaction=satisfaction,
                    strength=strength,
                    rng=rng,
                )
            )
    return History(
        _frame(bought, (
            "person", "day", "satisfaction", "campaign", "channel", "promised_day",
            "delivered_day", "delay", "ticket_day", "ticket_score",
        )),
        _frame(shocks, ("person", "decided", "effective", "delta")),
        _frame(regimes, ("person", "day", "regime")),
        _frame(sent, (
            "person", "campaign", "day", "treated", "opened", "clicked", "unsubscribed",
            "bounced", "effect", "uplift",
        )),
        visits,
        np.where(state.registered < days, state.registered, NEVER),
    )  # fmt: skip
