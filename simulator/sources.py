"""Source files of the customer register, products, devices, market, consents and campaigns.

Does not belong here: orders (orders.py), tickets and feedback (service.py), events (events.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pandas as pd
import pyarrow as pa

from simulator.behaviour import NEVER, History
from simulator.campaigns import CHANNELS, DISCOUNTS, OFFERS, Campaigns
from simulator.identity import Identities
from simulator.mess import EPOCH_DAY, Flaw, Landing, months, pick, spoil, stamp
from simulator.orders import Orders
from simulator.people import CITIES, People
from simulator.world import CATEGORIES, Anomalies, Calendar, Ints, Prices, World


@dataclass(frozen=True)
class Shop:
    """All that is true of one simulated shop; input of the writers.

    `start` is the first day in days since 1970, `end` the first second after the last day.
    """

    world: World
    calendar: Calendar
    people: People
    plan: Campaigns
    prices: Prices
    history: History
    ids: Identities
    orders: Orders
    anomalies: Anomalies
    start: int
    end: int

    @property
    def shares(self) -> tuple[float, float]:
        """Shares of duplicates and malformed records."""
        return self.world.duplicate_share, self.world.malformed_share

    def export_day(self, seconds: Ints) -> Ints:
        """Day number of the weekly export that first shows a change; exports run at midnight.

        The last export is on the last day and shows what changed before it.
        """
        day = np.asarray(seconds) // EPOCH_DAY - self.start
        last = self.calendar.days - 1
        return np.asarray(last - 7 * ((last - day - 1) // 7), dtype=np.int64)


def _accounts(shop: Shop, rng: np.random.Generator) -> pd.DataFrame:
    """Versions of the accounts: opened, address changed, second account."""
    ids, registered = shop.ids, shop.history.registered
    has = np.flatnonzero(registered < NEVER)
    second = np.flatnonzero(ids.second_day < NEVER)
    moved = np.flatnonzero((ids.email_day < NEVER) & (ids.email_2 != ""))
    day = np.concatenate([registered[has], ids.second_day[second], ids.email_day[moved]])
    # accounts older than the history were opened up to two years before it
    day = np.where(day < 0, -rng.integers(1, 730, len(day)), day)
    opened = day.copy()
    opened[len(has) + len(second) :] = day[: len(has)][np.searchsorted(has, moved)]
    frame = pd.DataFrame({"person": np.concatenate([has, second, moved]), "day": day})
    frame["opened"] = opened
    kind = np.repeat([0, 1, 2], [len(has), len(second), len(moved)])
    person = frame["person"].to_numpy()
    frame["customer"] = np.where(kind == 1, ids.customer_2[person], ids.customer[person])
    alias = [f"alt.{e}" for e in ids.email[person]]
    frame["email"] = np.select(
        [kind == 1, kind == 2], [alias, ids.email_2[person]], ids.email[person]
    )
    login = [f"{x}b" for x in ids.login[person]]
    frame["login"] = np.where(kind == 1, login, ids.login[person])
    frame["second"] = rng.integers(1000, 60_000, len(frame))
    return frame


def write_crm(shop: Shop, landing: Landing, rng: np.random.Generator) -> None:
    """Weekly exports of new and changed accounts, CSV in GB 18030 with Chinese names."""
    rows = _accounts(shop, rng)
    ids, people, person = shop.ids, shop.people, rows["person"].to_numpy()
    changed = (shop.start + rows["day"].to_numpy()) * EPOCH_DAY + rows["second"].to_numpy()
    opened = (shop.start + rows["opened"].to_numpy()) * EPOCH_DAY + 3600
    opened = np.where(rows["opened"] == rows["day"], changed, opened)
    n = len(shop.people)
    birth = rng.integers(-14_000, 12_000, n)[person] * EPOCH_DAY
    sex, source = rng.integers(0, 3, n)[person], rng.integers(0, 5, n)[person]
    city = people.depot[person]
    out = pd.DataFrame({
        "会员号": rows["customer"], "姓名": ids.name[person], "邮箱": rows["email"],
        "手机": [f"+86 {p[:3]} {p[3:7]} {p[7:]}" for p in ids.phone[person]],
        "登录名": rows["login"],
        "生日": stamp_date(birth), "性别": np.array(["F", "M", "U"], dtype=object)[sex],
        "城市": [CITIES[c][0] for c in city], "省份": [CITIES[c][1] for c in city],
        "语言": np.where(person % 9 == 0, "en", "zh-CN"),
        "注册时间": stamp(opened, "%Y/%m/%d %H:%M", 8),
        "渠道": np.array(["search", "ads", "friend", "store", "social"], dtype=object)[source],
        "等级": np.where(person * 7 % 10 > 6, "silver", "basic"),
        "更新时间": stamp(changed, "%Y/%m/%d %H:%M", 8),
    })  # fmt: skip
    export = shop.export_day(changed)
    first = (shop.calendar.days - 1) % 7  # all older accounts come with the first export
    out["export"] = np.maximum(export, first)
    out = out[changed < shop.end - EPOCH_DAY]
    out = out.sort_values(["export", "更新时间", "会员号"], kind="stable").reset_index(drop=True)
    flaws = (
        Flaw("生日", "1987-02-30", "impossible date"), Flaw("性别", "Q", "unknown gender"),
        Flaw("会员号", None, "no key"), Flaw("注册时间", "昨天", "bad time"),
    )  # fmt: skip
    out = spoil(landing, "crm", out, "会员号", flaws=flaws, shares=shop.shares, rng=rng)
    for day, part in out.groupby("export", sort=True):
        name = (shop.calendar.start + timedelta(days=int(str(day)))).isoformat()
        landing.csv("crm", f"customers_{name}.csv", part.drop(columns="export"), encoding="gb18030")


COUPONS = ("", "SAVE10", "SAVE15", "SAVE20")
"""Coupon codes by number of the offer."""


def stamp_date(seconds: Ints) -> list[str]:
    """UTC seconds as YYYY-MM-DD; may lie before 1970."""
    days = np.asarray(seconds).astype("datetime64[s]").astype("datetime64[D]")
    return [str(d) for d in days]


def write_products(shop: Shop, landing: Landing, rng: np.random.Generator) -> None:
    """The product list: all on the first day, then those whose price changed."""
    prices, names = shop.prices, ("Spring", "Plain", "Royal", "Urban", "Classic")
    index = prices.index
    steps = np.flatnonzero((index[:, 1:] != index[:, :-1]).any(axis=0)) + 1
    for day in [0, *steps.tolist()]:
        hit = (
            np.arange(len(prices.base)) if day == 0
            else np.flatnonzero(index[prices.category, day] != index[prices.category, day - 1])
        )  # fmt: skip
        moment = shop.calendar.start + timedelta(days=int(day))
        fen = prices.price(hit, np.full(len(hit), day))
        launched = shop.calendar.start - timedelta(days=200)
        frame = pd.DataFrame({
            "item_code": [f"P{k + 1:04d}" for k in hit],
            "sku": [f"SKU-{CATEGORIES[prices.category[k]][:3].upper()}-{k + 1:04d}" for k in hit],
            "title": [f"{names[k % 5]} {CATEGORIES[prices.category[k]]} {k + 1}" for k in hit],
            "group": [CATEGORIES[prices.category[k]] for k in hit],
            "maker": [f"Brand {chr(65 + k % 12)}" for k in hit],
            "list_price": [f"¥{f / 100:,.2f}" for f in fen],
            "cost_price": [f"{f * 0.55 / 100:.2f}" for f in prices.base[hit]],
            "currency": "CNY",
            "on_sale_since": launched.strftime("%d/%m/%Y"),
            "changed_on": moment.strftime("%d/%m/%Y"),
        })  # fmt: skip
        if day == 0:
            flaws = (Flaw("list_price", "¥-5.00", "negative price"),
                     Flaw("on_sale_since", "31/02/2024", "impossible date"))  # fmt: skip
            frame = spoil(
                landing, "products", frame, "item_code", flaws=flaws, shares=shop.shares, rng=rng
            )
        landing.csv("products", f"products_{moment.isoformat()}.csv", frame)


def write_devices(
    shop: Shop, landing: Landing, seen: pd.DataFrame, rng: np.random.Generator
) -> None:
    """Devices on which an account was logged in, by month first seen.

    `seen`: device, anonymous (or ""), customer, platform, first (UTC seconds), one row a pair.
    """
    code = np.where(seen["platform"] == "web", 0, np.where(seen["first"] % 3 == 0, 1, 2))
    seen = seen.assign(code=code).sort_values(["first", "device", "customer"], kind="stable")
    flaws = (Flaw("device", None, "no key"),)
    rows = spoil(landing, "devices", seen, "device", flaws=flaws, shares=shop.shares, rng=rng)
    month = months(rows["first"].to_numpy()).to_numpy()
    for name, part in rows.groupby(month, sort=True):
        c = part["code"].to_numpy()
        table = pa.table({
            "device_id": pa.array(part["device"], pa.string(), from_pandas=True),
            "install_id": pa.array([a or None for a in part["anonymous"]], pa.string()),
            "customer_no": pa.array(part["customer"].tolist(), pa.string()),
            "platform": pa.array(np.array(["web", "ios", "android"], dtype=object)[c].tolist()),
            "os": pa.array(np.array(["Windows", "iOS", "Android"], dtype=object)[c].tolist()),
            "model": pa.array(np.array(["PC", "Phone S", "Phone A"], dtype=object)[c].tolist()),
            "first_seen": pa.array((part["first"].to_numpy() * 1000).astype("datetime64[ms]")),
        })  # fmt: skip
        landing.parquet("devices", f"{name}.parquet", table)


def write_market(shop: Shop, landing: Landing, rng: np.random.Generator) -> None:
    """A weekly confidence index and a daily temperature."""
    cal, rows = shop.calendar, []
    level = 100 + np.cumsum(rng.normal(0, 0.6, cal.days))
    for k in range(cal.days):
        day = cal.start + timedelta(days=k)
        warm = 16 - 12 * np.cos(2 * np.pi * (day.timetuple().tm_yday - 20) / 365.25)
        rows.append((day.isoformat(), "temperature_c", "CN", f"{warm + rng.normal(0, 2.5):.1f}"))
        if day.weekday() == 0:
            rows.append((day.isoformat(), "consumer_confidence", "CN", f"{level[k]:.2f}"))
    frame = pd.DataFrame(rows, columns=["day", "indicator", "area", "figure"])
    landing.csv("market", "market.csv", frame, delimiter="\t")


def write_consents(shop: Shop, landing: Landing, rng: np.random.Generator) -> None:
    """Consents given on registration, and marketing consent withdrawn by unsubscribing."""
    ids, registered = shop.ids, shop.history.registered
    has = np.flatnonzero(registered < NEVER)
    day = np.where(registered[has] < 0, 0, registered[has])
    at = (shop.start + day) * EPOCH_DAY + 3000
    parts = []
    for purpose in ("analytics", "personalisation", "marketing"):
        share = rng.random(len(has)) < (0.98 if purpose == "analytics" else 0.9)
        given = shop.people.opted_in[has] == 1 if purpose == "marketing" else share
        parts.append(pd.DataFrame({
            "customer_no": ids.customer[has], "purpose": purpose,
            "state": np.where(given, "granted", "withdrawn"), "legal_basis": "consent",
            "at": at, "given_via": "registration",
        }))  # fmt: skip
    left = shop.history.sends[shop.history.sends["unsubscribed"]]
    who = left["person"].to_numpy()
    gone = (shop.start + left["day"].to_numpy() + 1) * EPOCH_DAY + 7200
    parts.append(pd.DataFrame({
        "customer_no": ids.customer[who], "purpose": "marketing", "state": "withdrawn",
        "legal_basis": "consent", "at": gone, "given_via": "message",
    }))  # fmt: skip
    rows = pd.concat(parts, ignore_index=True)
    rows = rows[rows["at"] < shop.end].sort_values(["at", "customer_no", "purpose"], kind="stable")
    rows["valid_since"] = stamp(rows["at"].to_numpy()).to_numpy()
    flaws = (Flaw("state", "maybe", "unknown state"), Flaw("valid_since", "soon", "bad time"))
    rows = spoil(landing, "consents", rows.reset_index(drop=True), "customer_no", flaws=flaws,
                 shares=shop.shares, rng=rng)  # fmt: skip
    for name, part in rows.groupby(months(rows["at"].to_numpy()).to_numpy(), sort=True):
        landing.csv("consents", f"consents_{name}.csv", part.drop(columns="at"))


def write_campaigns(shop: Shop, landing: Landing, rng: np.random.Generator) -> None:
    """The plan, one file a year as planned on its first day of sending."""
    plan, cal = shop.plan, shop.calendar
    count = len(plan.day)
    first = [cal.start + timedelta(days=int(d)) for d in plan.day]
    frame = pd.DataFrame({
        "ref": [f"CMP{k + 1:03d}" for k in range(count)],
        "label": [
            f"{OFFERS[o]} by {CHANNELS[c]}" for o, c in zip(plan.offer, plan.channel, strict=True)
        ],
        "medium": [CHANNELS[c] for c in plan.channel],
        "objective": "repeat_purchase",
        "offer": [f"{DISCOUNTS[o]:.0%} off" if o else "news" for o in plan.offer],
        "first_day": [d.strftime("%d-%m-%Y") for d in first],
        "last_day": [
            (d + timedelta(days=shop.world.campaign_window)).strftime("%d-%m-%Y") for d in first
        ],
        "budget": [f"{b:.2f}" for b in rng.integers(500, 5000, count)],
        "holdout_pct": f"{shop.world.holdout_share * 100:.0f}",
    })  # fmt: skip
    landing.csv("campaigns", "campaigns.csv", frame, delimiter=";")


def write_messages(shop: Shop, landing: Landing, rng: np.random.Generator) -> None:
    """Messages and holdout silences: a row when sent, a further one when something came of it."""
    sends, ids, plan = shop.history.sends, shop.ids, shop.plan
    if not len(sends):
        return
    who, day = sends["person"].to_numpy(), sends["day"].to_numpy()
    k, n = sends["campaign"].to_numpy(), len(sends)
    treated = sends["treated"].to_numpy()
    sent = (shop.start + day) * EPOCH_DAY + 7200 + rng.integers(0, 3600, n)
    opened = np.where(sends["opened"], sent + rng.integers(120, 200_000, n), -1)
    clicked = np.where(sends["clicked"], opened + rng.integers(5, 120, n), -1)
    bounced = np.where(sends["bounced"], sent + 60, -1)
    left = np.where(sends["unsubscribed"], sent + rng.integers(300, 80_000, n), -1)
    delivered = np.where(treated & (bounced < 0), sent + 30, -1)
    updated = np.maximum.reduce([opened, clicked, bounced, left])
    channel, offer = plan.channel[k], plan.offer[k]
    base = pd.DataFrame({
        "msg_no": [f"M{i:08d}" for i in range(1, n + 1)],
        "campaign_ref": [f"CMP{c + 1:03d}" for c in k],
        "customer_no": ids.account(who, day),
        "address": pick(channel == 0, ids.address(who, day)),
        "medium": np.array(CHANNELS, dtype=object)[channel],
        "arm": np.where(treated, "treatment", "holdout"),
        "coupon": pick(treated & (offer > 0), np.array(COUPONS)[offer]),
        "at": sent, "sent": stamp(sent),
    })  # fmt: skip
    none = stamp(np.full(n, -1))
    first = base.assign(delivered=stamp(delivered), opened=none, clicked=none, bounced=none,
                        unsubscribed=none, changed=stamp(np.maximum(delivered, sent)))  # fmt: skip
    after = base.assign(delivered=stamp(delivered), opened=stamp(opened), clicked=stamp(clicked),
                        bounced=stamp(bounced), unsubscribed=stamp(left),
                        changed=stamp(updated))  # fmt: skip
    after["at"] = updated
    after = after[(updated >= 0) & (updated < shop.end)]
    rows = pd.concat([first, after], ignore_index=True)
    rows = rows.sort_values(["at", "msg_no"], kind="stable").reset_index(drop=True)
    flaws = (
        Flaw("arm", "control?", "unknown arm"), Flaw("sent", "2025-13-01T00:00:00Z", "bad time"),
        Flaw("medium", "pigeon", "unknown channel"),
    )  # fmt: skip
    rows = spoil(landing, "messages", rows, "msg_no", flaws=flaws, shares=shop.shares, rng=rng)
    for name, part in rows.groupby(months(rows["at"].to_numpy()).to_numpy(), sort=True):
        landing.csv("messages", f"messages_{name}.csv", part.drop(columns="at"))
