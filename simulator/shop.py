"""`simulate`: a shop that never was, from people to source files and truth.

Does not belong here: parameters (world.py), the law of behaviour (propensity.py, behaviour.py).
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

from simulator.behaviour import History, run_history
from simulator.campaigns import plan_campaigns
from simulator.events import make_events, mess_up, write_events
from simulator.exam import Exam, sit_exam
from simulator.identity import make_identities
from simulator.mess import Landing
from simulator.oracle import Truth
from simulator.orders import make_orders, write_orders
from simulator.people import make_people
from simulator.service import write_nps, write_reviews, write_tickets
from simulator.sessions import Sessions, make_sessions
from simulator.sources import (
    Shop,
    write_campaigns,
    write_consents,
    write_crm,
    write_devices,
    write_market,
    write_messages,
    write_products,
)  # fmt: skip
from simulator.truth import TRUTH_FILES, write_truth
from simulator.world import Calendar, World, make_prices, plan_anomalies

END = date(2025, 12, 31)
SOURCES = ("app_events", "campaigns", "consents", "crm", "devices", "market", "messages", "nps",
           "order_lines", "orders", "products", "reviews", "tickets", "web_events")  # fmt: skip


@dataclass(frozen=True)
class Summary:
    """What was generated.

    Attributes:
        exam: whether the shop is a fair exam, with the figures.
        sources: for each source its files, records_in, accepted, malformed, duplicates, late.
        customers: people; `purchases` in all; `identifiers` in the identity truth.
        unresolvable: share of identifiers of registered people that no record can resolve.
    """

    exam: Exam
    sources: dict[str, dict[str, object]]
    customers: int
    purchases: int
    identifiers: int
    unresolvable: float

    def rows(self) -> list[tuple[str, str, str]]:
        """Figure, value, what it must be: the rows of the table to print after generating."""
        events = sum(int(str(self.sources[k]["records_in"])) for k in ("web_events", "app_events"))
        return [
            ("people", f"{self.customers:,}", ""),
            ("purchases", f"{self.purchases:,}", ""),
            ("web and app events", f"{events:,}", ""),
            *self.exam.rows(),
            ("unresolvable identifiers", f"{self.unresolvable:.1%}", "below 3 %"),
        ]


@dataclass(frozen=True)
class Generated:
    """A shop in memory: what is true of it and who visited when. Nothing is written."""

    shop: Shop
    truth: Truth
    visits: Sessions

    @property
    def history(self) -> History:
        """What happened."""
        return self.shop.history


def streams(seed: int) -> dict[str, np.random.Generator]:
    """Independent streams of chance, so that one part can change without moving the others."""
    names = ("prices", "people", "campaigns", "history", "identity", "orders", "crm", "products",
             "devices", "market", "consents", "plan", "messages", "tickets", "reviews", "nps",
             "sessions", "events", "web_events", "app_events", "order_files")  # fmt: skip
    children = np.random.SeedSequence(seed).spawn(len(names))
    return {k: np.random.default_rng(s) for k, s in zip(names, children, strict=True)}


def _clear(folder: Path, known: tuple[str, ...]) -> None:
    """Remove what an earlier generation wrote; refuses a folder that holds anything else."""
    if not folder.exists():
        return
    strange = sorted(p.name for p in folder.iterdir() if p.name not in known)
    if strange:
        raise ValueError(f"{folder} holds {strange[0]}, which no shop wrote: give an empty folder")
    shutil.rmtree(folder)


def _seen(shop: Shop, visits: Sessions) -> pd.DataFrame:
    """Pairs of device and account, with the moment first seen."""
    frame = pd.DataFrame({
        "device": np.where(visits.app, visits.device, visits.anonymous),
        "anonymous": np.where(visits.app, visits.anonymous, ""),
        "customer": visits.customer, "platform": np.where(visits.app, "app", "web"),
        "first": visits.start,
    })  # fmt: skip
    frame = frame[(frame["customer"] != "") & (frame["first"] < shop.end)]
    keys = ["device", "anonymous", "customer", "platform"]
    return frame.sort_values([*keys, "first"]).drop_duplicates(keys)


def _write_sources(shop: Shop, landing: Landing, visits: Sessions,
                   rng: dict[str, np.random.Generator]) -> None:  # fmt: skip
    """Write every source but the events."""
    write_crm(shop, landing, rng["crm"])
    write_orders(landing, shop.world, shop.orders, shop.end, rng["order_files"])
    write_products(shop, landing, rng["products"])
    write_devices(shop, landing, _seen(shop, visits), rng["devices"])
    write_market(shop, landing, rng["market"])
    write_consents(shop, landing, rng["consents"])
    write_campaigns(shop, landing, rng["plan"])
    write_messages(shop, landing, rng["messages"])
    write_tickets(shop, landing, rng["tickets"])
    write_reviews(shop, landing, rng["reviews"])
    write_nps(shop, landing, rng["nps"])


def generate(
    customers: int,
    days: int,
    events_per_day: int | None,
    rng: dict[str, np.random.Generator],
    *,
    end: date = END,
    world: World | None = None,
) -> Generated:
    """Simulate the shop in memory; arguments as for `simulate`, `rng` from `streams`."""
    world = world or World()
    calendar = Calendar(end, days)
    prices = make_prices(world, days, rng["prices"])
    people = make_people(world, customers, days, rng["people"])
    plan = plan_campaigns(world, days, rng["campaigns"])
    anomalies = plan_anomalies(days)
    history = run_history(
        world, people, plan, prices, calendar, strike=anomalies.strike, rng=rng["history"]
    )
    ids = make_identities(people, history.registered, days, world.stores, rng["identity"])
    start = (calendar.start - date(1970, 1, 1)).days
    orders = make_orders(
        world,
        people,
        plan,
        prices,
        history,
        ids=ids,
        start=start,
        glitch=anomalies.glitch,
        rng=rng["orders"],
    )
    shop = Shop(world, calendar, people, plan, prices, history, ids, orders, anomalies, start,
                (start + days) * 86_400)  # fmt: skip
    volume = events_per_day or round(world.events_per_customer_day * customers)
    visits = make_sessions(shop, volume, rng["sessions"])
    known = Truth(world, calendar, people, plan, prices, history.purchases[["person", "day"]],
                  history.shocks, history.regimes, history.sends, history.registered)  # fmt: skip
    return Generated(shop, known, visits)


def simulate(
    out: Path,
    truth: Path,
    *,
    customers: int = 4000,
    days: int = 540,
    events_per_day: int | None = None,
    seed: int = 7,
    end: date = END,
    world: World | None = None,
) -> Summary:
    """Generate the shop's source files under `out` and its truth under `truth`.

    The same arguments give byte-identical files. What an earlier generation
    wrote in the two folders is removed first.

    Args:
        out: landing folder; one folder a source appears below it.
        truth: truth folder, for evaluation only.
        customers: number of people who may buy, 100 or more.
        days: length of the history, 90 or more; ends on `end`.
        events_per_day: mean number of web and app events a day; None for 0.4 a person.
        seed: seed of all chance.
        end: last day of the history.
        world: parameters; None for the defaults.

    Returns:
        The figures of the exam and the counts of every source.

    Raises:
        ValueError: for too few customers or days, or a folder that holds something else.
    """
    if customers < 100 or days < 90:
        raise ValueError("customers must be 100 or more and days 90 or more")
    _clear(out, SOURCES)
    _clear(truth, TRUTH_FILES)
    rng = streams(seed)
    made = generate(customers, days, events_per_day, rng, end=end, world=world)
    shop, visits, known = made.shop, made.visits, made.truth
    landing = Landing(out)
    _write_sources(shop, landing, visits, rng)
    events = make_events(shop, visits, rng["events"])
    for source in ("web_events", "app_events"):
        mine = np.flatnonzero(visits.app[events.session] == (source == "app_events"))
        messy = mess_up(shop, landing, source, events.take(mine), rng[source])
        write_events(shop, landing, source, visits, messy)
    exam = sit_exam(known)
    found = write_truth(truth, shop, known, visits, counts=landing.counts, exam=exam, seed=seed)
    own = found[found["registered"] & ~found[["is_junk", "is_kiosk", "is_shared"]].any(axis=1)]
    return Summary(
        exam, {k: landing.counts[k].as_dict() for k in sorted(landing.counts)}, customers,
        len(known.purchases), len(found), float((~own["is_resolvable"]).mean()),
    )  # fmt: skip
