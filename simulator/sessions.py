"""Visits to the web shop and the app: who came when, on what device, logged in or not.

Does not belong here: the events inside a visit and their files (events.py).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulator.behaviour import STORE, WEB, History
from simulator.identity import Text
from simulator.mess import EPOCH_DAY
from simulator.sources import Shop
from simulator.world import ROBOT, Calendar, Ints

BROWSE_EVENTS, ORDER_EVENTS = 3.0, 5.0
"""Mean events of a visit without and with an order."""

VISITOR, ROBOT_PERSON = -1, -2
"""Person numbers of visits by nobody known."""


@dataclass(frozen=True)
class Sessions:
    """One row a visit, arrays of one length. Rows are in order of kind, not of time.

    Attributes:
        person: person number; VISITOR for those who never buy, ROBOT_PERSON for the robot.
        start: UTC seconds of the first event.
        app: in the app, else in the browser.
        ordering: whether an order ends the visit.
        customer: account logged in, "" for none.
        anonymous: browser cookie or installation id.
        device: telephone's hardware id in the app, "" in the browser.
        by_login: the app sends the member name and not the account.
    """

    person: Ints
    start: Ints
    app: NDArray[np.bool_]
    ordering: NDArray[np.bool_]
    customer: Text
    anonymous: Text
    device: Text
    by_login: NDArray[np.bool_]


def _browse(
    history: History, calendar: Calendar, wanted: float, rng: np.random.Generator
) -> tuple[Ints, Ints]:
    """Draw browsing visits; their mean number is `wanted`. Returns person and day."""
    total = float(history.visits.sum(dtype=np.float64))
    scale = wanted / total if total else 0.0
    person, day = [], []
    for k in range(calendar.days):
        column = history.visits[:, k].astype(np.float64) * scale
        count = rng.poisson(column)
        who = np.repeat(np.arange(len(count)), count)
        person.append(who)
        day.append(np.full(len(who), k))
    return np.concatenate(person), np.concatenate(day)


def _log_in_once(
    key: Ints, day: Ints, logged: NDArray[np.bool_], able: NDArray[np.bool_],
    rng: np.random.Generator,
) -> NDArray[np.bool_]:  # fmt: skip
    """Nearly every browser of an account holder is logged in at least once.

    `key` is the browser, `able` whether the person had an account then. A few stay unknown.
    """
    out = logged.copy()
    order = np.lexsort((day, key))
    k = key[order]
    start = np.flatnonzero(np.r_[True, k[1:] != k[:-1]])
    ever = np.add.reduceat(logged[order].astype(np.int64), start) > 0
    last = order[np.r_[start[1:], len(k)] - 1]
    chosen = last[~ever & able[last] & (rng.random(len(start)) < 0.80)]
    out[chosen] = True
    return out


def make_sessions(shop: Shop, events_per_day: float, rng: np.random.Generator) -> Sessions:
    """Draw all visits of the shop, so many that they have about `events_per_day` events."""
    world, calendar, history, ids = shop.world, shop.calendar, shop.history, shop.ids
    orders, start, robot_day = shop.orders, shop.start, shop.anomalies.robot
    head = orders.head
    buying = head[(head["channel"] != STORE) & (head["purchase"] >= 0)]
    n_buy = len(buying)
    left = max(events_per_day * calendar.days - n_buy * ORDER_EVENTS, 0) / BROWSE_EVENTS
    person, day = _browse(history, calendar, left * (1 - world.visitor_share), rng)
    n_see = rng.poisson(left * world.visitor_share)
    n = len(person)
    at = (start + day) * EPOCH_DAY + rng.integers(1800, 80_000, n)
    app = rng.random(n) < 0.5
    account = history.registered[person] <= day
    logged = account & (app | (rng.random(n) < 0.55))
    # all visits of people: browsing, then those that end in an order
    person = np.concatenate([person, buying["person"].to_numpy()])
    day = np.concatenate([day, buying["day"].to_numpy()])
    at = np.concatenate([at, buying["at"].to_numpy() - 420])
    app = np.concatenate([app, buying["channel"].to_numpy() != WEB])
    guest = buying["customer"].isna().to_numpy()
    account = np.concatenate([account, ~guest])
    logged = np.concatenate([logged, ~guest])
    key = person * 2 + (day >= ids.cookie_day[person])
    web = np.flatnonzero(~app)
    logged[web] = _log_in_once(key[web], day[web], logged[web], account[web], rng)
    customer = np.where(logged, ids.account(person, day), "")
    anonymous = np.where(app, ids.install[person], ids.browser(person, day))
    device = np.where(app, ids.device[person], "")
    by_login = app & logged & (rng.random(len(person)) < 0.25) & (ids.second_day[person] > day)
    # visitors: about four visits in five come with a cookie of their own
    see_day = rng.integers(0, calendar.days, n_see)
    see_at = (start + see_day) * EPOCH_DAY + rng.integers(1800, 80_000, n_see)
    number = rng.integers(0, max(4 * n_see, 1), n_see)
    cookie = np.array([f"vi-{v:08x}" for v in number], dtype=object)
    if n_see:  # one visit of a robot, see Anomalies
        see_at[0], cookie[0] = (start + robot_day) * EPOCH_DAY + 7200, ROBOT
    blank = np.full(n_see, "", dtype=object)
    no = np.zeros(n_see, dtype=bool)
    visitor = np.full(n_see, VISITOR)
    visitor[:1] = ROBOT_PERSON
    ordering = np.repeat([False, True, False], [n, n_buy, n_see])
    return Sessions(
        person=np.concatenate([person, visitor]),
        start=np.concatenate([at, see_at]),
        app=np.concatenate([app, no]),
        ordering=ordering,
        customer=np.concatenate([customer, blank]),
        anonymous=np.concatenate([anonymous, cookie]),
        device=np.concatenate([device, blank]),
        by_login=np.concatenate([by_login, no]),
    )
