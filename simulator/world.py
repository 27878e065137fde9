"""Every parameter of the simulated shop, and its calendar and price list.

Does not belong here: people (people.py), the daily process (behaviour.py), files (sources.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

ACTIVE, COOLING, LAPSED = 0, 1, 2
"""Hidden regimes of a person: buys as usual, loses interest, gone (may come back)."""

CATEGORIES = ("tea", "kitchen", "beauty", "sport", "garden", "toys", "books", "pet")


@dataclass(frozen=True)
class World:
    """Constants of the shop. Rates are per day; effects act on the log of a rate.

    The values were tuned so that the exam (exam.py) holds for 2,000 to 20,000 customers and
    365 to 730 days: true hazard AUC in [.80, .90], every simple rule at least .04 below it.
    """

    # purchase rhythm
    rate_shape: float = 3.2  # gamma shape of the base purchase rate over people
    rate_mean: float = 1 / 24  # mean base purchase rate, purchases per day
    chance_rate: float = 1 / 450  # purchases a day of anybody, whatever their state (a present)
    rhythm_floor: float = 0.35  # rate right after a purchase, as a share of the base rate
    rhythm_gain: float = 1.35  # what is added as the person's own gap passes
    established_share: float = 0.55  # people who were customers before the first day
    # satisfaction: 0 is neutral, moves by shocks, falls back to the person's baseline
    baseline_sd: float = 0.15  # hidden sd of the baseline over people
    half_life: float = 120.0  # days until half of a shock is forgotten
    satisfaction_effect: float = 0.40  # on the purchase rate
    touchy_sigma: float = 0.20  # hidden: log sd of how strongly a person takes a shock
    # delivery and support
    late_share: tuple[float, ...] = (0.06, 0.10, 0.14, 0.20, 0.28, 0.40)  # by depot
    delay_mean: float = 4.0  # mean days late, given late
    shock_late: float = -0.35  # for being late at all
    shock_delay: float = -0.09  # for each day late
    shock_on_time: float = 0.05
    ticket_late: float = 0.40  # chance of a ticket after a late delivery
    ticket_on_time: float = 0.05
    shock_bad_ticket: float = -0.75
    shock_good_ticket: float = 0.25
    # price
    price_effect: float = 2.0  # mean of the price sensitivity over people
    price_shape: float = 10.0  # gamma shape of it: hidden, the higher the more alike
    price_drift: float = 0.07  # price rise at a step in the category that rises most
    price_hazard: float = 2.0  # of the log price index on the hazard to cool down
    # regimes
    hazard_cool: float = 1 / 600  # active -> cooling at satisfaction 0
    hazard_satisfaction: float = 1.1  # satisfaction on that hazard, negative direction
    frailty_sd: float = 0.45  # hidden sd of the log hazard over people
    hazard_lapse: float = 1 / 24  # cooling -> lapsed
    hazard_recover: float = 1 / 60  # cooling -> active
    hazard_return: float = 1 / 1500  # lapsed -> active
    buy_by_regime: tuple[float, float, float] = (1.0, 0.30, 0.015)
    browse_by_regime: tuple[float, float, float] = (1.0, 0.35, 0.02)
    open_by_regime: tuple[float, float, float] = (1.0, 0.45, 0.08)
    # browsing
    browse_sigma: float = 0.12  # hidden log sd of how much a person browses
    browse_rate_power: float = 0.7  # browsing grows with the purchase rate to this power
    browse_satisfaction: float = 0.5  # satisfaction on browsing
    events_per_customer_day: float = 0.4  # default volume of web and app events
    visitor_share: float = 0.08  # sessions of people who never buy
    # campaigns
    campaign_every: int = 17  # days between sends
    campaign_window: int = 10  # days that an effect lasts
    holdout_share: float = 0.20
    opt_in_share: float = 0.80
    campaign_effect: float = 0.22  # mean effect of a treatment on the log purchase rate
    # mess, as shares of records
    duplicate_share: float = 0.004
    malformed_share: float = 0.002
    late_event_share: float = 0.01  # events that reach the collector hours or days late
    hourly_days: int = 14  # the latest days with one event file an hour; before, one a day
    products: int = 160
    stores: int = 4


@dataclass(frozen=True)
class Calendar:
    """Days of the history. Day 0 is `start`; day `days - 1` is `end`, the last day."""

    end: date
    days: int

    @property
    def start(self) -> date:
        """First day."""
        return self.end - timedelta(days=self.days - 1)

    def index(self, day: date) -> int:
        """Number of `day`, 0 for the first day."""
        return (day - self.start).days

    def season(self, length: int) -> Floats:
        """Demand multiplier of days 0 to length - 1; may go beyond the end."""
        first = np.datetime64(self.start, "D")
        days = first + np.arange(length)
        ordinal = (days - days.astype("datetime64[Y]")).astype(np.int64)
        weekday = (days.astype("datetime64[D]").view("int64") + 3) % 7
        week = np.array([0.95, 0.92, 0.94, 0.98, 1.05, 1.12, 1.04])[weekday]
        year = 1 + 0.10 * np.sin(2 * np.pi * (ordinal - 240) / 365.25)
        year += 0.45 * np.exp(-0.5 * ((ordinal - 168) / 5.0) ** 2)  # mid-year sale
        year += 0.60 * np.exp(-0.5 * ((ordinal - 314) / 6.0) ** 2)  # autumn sale
        year -= 0.30 * np.exp(-0.5 * ((ordinal - 38) / 8.0) ** 2)  # new year holiday
        return np.asarray(week * year, dtype=np.float64)


@dataclass(frozen=True)
class Prices:
    """The price list: products, and the price index of each category on each day.

    Attributes:
        base: first price of each product, in fen (1/100 of the currency).
        category: category number of each product.
        index: (categories, days) price relative to day 0; one step change a category and date.
    """

    base: Ints
    category: Ints
    index: Floats

    def at(self, length: int) -> Floats:
        """Index for days 0 to length - 1; the last day's prices hold beyond the end."""
        have = self.index.shape[1]
        if length <= have:
            return self.index[:, :length]
        tail = np.repeat(self.index[:, -1:], length - have, axis=1)
        return np.concatenate([self.index, tail], axis=1)

    def price(self, product: Ints, day: Ints) -> Ints:
        """Price in fen of products on days (both arrays of one shape)."""
        step = self.index[self.category[product], day]
        return np.asarray(np.rint(self.base[product] * step), dtype=np.int64)


def make_prices(world: World, days: int, rng: np.random.Generator) -> Prices:
    """Draw the price list: a few steps a year for each category, more up than down."""
    count = len(CATEGORIES)
    category = np.arange(world.products) % count
    base = np.rint(np.exp(rng.normal(4.3, 0.7, world.products)) * 10) * 10
    index = np.ones((count, days))
    for c in range(count):
        drift = 0.005 + world.price_drift * c / (
            count - 1
        )  # some categories hardly rise, some steeply
        for day in range(70 + 11 * c, days, 120):
            index[c, day:] *= 1 + drift * rng.uniform(0.5, 1.2)
    return Prices(np.maximum(base, 500).astype(np.int64), category, index)


@dataclass(frozen=True)
class Anomalies:
    """What goes wrong on known days; day numbers, first and last inclusive.

    Attributes:
        strike: parcels are late.
        glitch: product number, and the day on which it sells at a tenth of its price.
        outage: the browser's tracking loses four events in five.
        robot: a robot reads thousands of pages under one cookie.
    """

    strike: tuple[int, int]
    glitch: tuple[int, int]
    outage: int
    robot: int

    def rows(self, calendar: Calendar) -> list[dict[str, object]]:
        """JSON-able, with dates."""

        def when(first: int, last: int) -> dict[str, object]:
            return {k: (calendar.start + timedelta(days=d)).isoformat()
                    for k, d in (("from", first), ("to", last))}  # fmt: skip

        return [
            {"kind": "late_deliveries", "source": "orders", **when(*self.strike)},
            {"kind": "wrong_price", "source": "order_lines",
             "product_id": f"P{self.glitch[0] + 1:04d}", **when(self.glitch[1], self.glitch[1])},
            {"kind": "tracking_outage", "source": "web_events", **when(self.outage, self.outage)},
            {"kind": "robot", "source": "web_events", "anonymous_id": ROBOT,
             **when(self.robot, self.robot)},
        ]  # fmt: skip


ROBOT = "vi-robot-01"


def plan_anomalies(days: int) -> Anomalies:
    """When things go wrong in a history of `days` days."""
    first = int(days * 0.35)
    return Anomalies((first, first + 6), (9, int(days * 0.6)), int(days * 0.75), int(days * 0.8))
