"""What the tests of the simulator share; above all features straight from its arrays.

Only what a platform could see: no hidden trait, no regime, no satisfaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from simulator.shop import Generated, Summary


@dataclass(frozen=True)
class Written:
    """A shop on disk."""

    landing: Path
    truth: Path
    summary: Summary


def features(shop: Generated, cutoff: int) -> pd.DataFrame:
    """Features of everyone who bought in the 365 days to `cutoff`; index is the person."""
    n = len(shop.truth.people)
    p = shop.history.purchases
    past = p[p["day"] <= cutoff]
    person, day = past["person"].to_numpy(), past["day"].to_numpy()

    def total(frame: pd.DataFrame, value: np.ndarray | None = None) -> np.ndarray:
        return np.bincount(frame["person"], value, minlength=n).astype(float)

    last, first = np.full(n, -1.0), np.full(n, np.inf)
    np.maximum.at(last, person, day)
    np.minimum.at(first, person, day)
    count = total(past)
    out = pd.DataFrame({"recency": cutoff - last, "tenure": cutoff - first, "count": count})
    out["mean_gap"] = np.where(count > 1, (last - first) / np.maximum(count - 1, 1), np.nan)
    out["recency_over_gap"] = out["recency"] / out["mean_gap"]
    for w in (14, 28, 84, 168, 365):
        out[f"purchases_{w}"] = total(past[past["day"] > cutoff - w])
    late = past[(past["delay"] > 0) & (past["promised_day"] < cutoff)]
    seen = np.minimum(late["delay"], cutoff - late["promised_day"]).to_numpy(float)
    rated = past[past["ticket_day"] + 2 <= cutoff]
    for w in (56, 168):
        recent = (late["day"] > cutoff - w).to_numpy()
        out[f"late_{w}"] = total(late[recent])
        out[f"delay_{w}"] = total(late[recent], seen[recent])
        window = rated[rated["day"] > cutoff - w]
        out[f"tickets_{w}"] = total(window)
        out[f"bad_tickets_{w}"] = total(window[window["ticket_score"] <= 2])
    score = np.full(n, np.nan)
    score[rated["person"]] = rated["ticket_score"]
    out["last_ticket"] = score
    _from_visits(shop, cutoff, out, n)
    sends = shop.history.sends
    known = sends[(sends["day"] < cutoff - 2) & sends["treated"]]
    for w in (56, 168):
        recent = known[known["day"] > cutoff - w]
        out[f"sent_{w}"] = total(recent)
        out[f"opened_{w}"] = total(recent[recent["opened"]])
    out["left"] = total(known[known["unsubscribed"]])
    head = shop.shop.orders.head
    own = head[(head["purchase"] >= 0) & (head["day"] <= cutoff)]
    prices = shop.truth.prices
    lines = shop.shop.orders.lines
    lines = lines.assign(person=head["person"].to_numpy()[lines["order"]],
                         day=head["day"].to_numpy()[lines["order"]])  # fmt: skip
    lines = lines[(lines["day"] <= cutoff) & (lines["day"] > cutoff - 84)]
    index = lines["price"].to_numpy() / prices.base[lines["product"]]
    out["price_index_84"] = total(lines, index) / np.maximum(total(lines), 1)
    out["coupons"] = total(own[own["coupon"].notna()])
    fresh = own[own["day"] > cutoff - 84]
    out["revenue_84"] = total(fresh, fresh["total"].to_numpy(float))
    eligible = (last >= 0) & (last > cutoff - 365)
    return out[eligible]


def _from_visits(shop: Generated, cutoff: int, out: pd.DataFrame, n: int) -> None:
    """Add counts of visits, and days since the last one."""
    visits = shop.visits
    person, day = visits.person, visits.start // 86_400 - shop.shop.start
    keep = (person >= 0) & (day <= cutoff)
    person, day = person[keep], day[keep]
    for w in (7, 14, 28, 56, 84, 168):
        out[f"visits_{w}"] = np.bincount(person[day > cutoff - w], minlength=n).astype(float)
    last = np.full(n, -400.0)
    np.maximum.at(last, person, day)
    out["since_visit"] = cutoff - last
    out["visit_trend"] = (out["visits_28"] + 0.5) / (out["visits_168"] / 6 + 0.5)


def label(shop: Generated, cutoff: int, horizon: int, people: np.ndarray) -> np.ndarray:
    """No purchase in (cutoff, cutoff + horizon]."""
    p = shop.history.purchases
    after = p[(p["day"] > cutoff) & (p["day"] <= cutoff + horizon)]
    return ~np.isin(people, after["person"])
