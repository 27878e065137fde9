"""Orders and order lines: from purchases to records with identifiers, money and versions.

Does not belong here: when and why people buy (behaviour.py).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from simulator.behaviour import APP, NEVER, STORE, WEB, History
from simulator.campaigns import DISCOUNTS, Campaigns
from simulator.identity import JUNK_EMAILS, JUNK_PHONE, Identities, mistype
from simulator.mess import EPOCH_DAY, Flaw, Landing, months, pick, spoil
from simulator.people import People
from simulator.world import Ints, Prices, World

CHANNEL_NAMES = np.array(["web", "app", "store"], dtype=object)


@dataclass(frozen=True)
class Orders:
    """Orders and lines. Times are UTC seconds; -1 where there is none. Money in fen.

    Attributes:
        head: one row an order, sorted by time: order_id, purchase (row of History.purchases),
            person, day, at, channel, customer, email, phone, name, device, store, subtotal,
            discount, shipping, tax, total, coupon, campaign_id, promised, delivered, cancelled,
            refunded, is_typo, is_junk.
        lines: one row a line: order (row of head), line, product, quantity, price.
    """

    head: pd.DataFrame
    lines: pd.DataFrame


def _lines(
    world: World, people: People, prices: Prices, head: pd.DataFrame, *,
    glitch: tuple[int, int], rng: np.random.Generator,
) -> pd.DataFrame:  # fmt: skip
    """Draw the lines; `glitch` is the product sold at a tenth of its price on one day."""
    n = len(head)
    size = rng.choice([1, 2, 3, 4], n, p=[0.45, 0.30, 0.17, 0.08])
    order = np.repeat(np.arange(n), size)
    starts = np.cumsum(size) - size
    line = np.arange(len(order)) - np.repeat(starts, size) + 1
    person, day = head["person"].to_numpy()[order], head["day"].to_numpy()[order]
    count = len(np.unique(prices.category))
    favourite = rng.random(len(order)) < 0.75
    category = np.where(favourite, people.favourite[person], rng.integers(0, count, len(order)))
    rank = np.floor(world.products // count * rng.random(len(order)) ** 1.6).astype(np.int64)
    product = category + count * rank
    price = prices.price(product, day)
    price = np.where((product == glitch[0]) & (day == glitch[1]), price // 10, price)
    quantity = rng.choice([1, 2, 3], len(order), p=[0.78, 0.16, 0.06])
    return pd.DataFrame(
        {"order": order, "line": line, "product": product, "quantity": quantity, "price": price}
    )


def _identify(
    head: pd.DataFrame, ids: Identities, registered: Ints, rng: np.random.Generator
) -> pd.DataFrame:
    """Put identifiers on orders: accounts, guests, slips, junk, kiosks."""
    n = len(head)
    person, day = head["person"].to_numpy(), head["day"].to_numpy()
    channel = head["channel"].to_numpy()
    known = (registered[person] <= day) & (rng.random(n) > 0.03)
    u = rng.random((6, n))
    address = ids.address(person, day)
    typo = ~known & (u[0] < 0.10)
    junk = ~known & ~typo & (u[0] > 0.96)
    address = address.copy()
    for i in np.flatnonzero(typo):
        address[i] = mistype(str(address[i]), int(u[1, i] * 3))
    address[junk] = np.array(JUNK_EMAILS, dtype=object)[(u[1, junk] * 3).astype(int)]
    no_mail = (known & (u[2] < 0.4)) | ((channel == STORE) & ~junk & (u[2] < 0.7))
    no_phone = known & (u[3] < 0.3)
    bad_phone = ~known & ~typo & ~junk & ~no_mail & (u[3] < 0.03)
    browser = ids.browser(person, day)
    # a guest on a family browser would tie two people together: they use their telephone
    own = pick(known | (ids.family[person] < 0), browser)
    kiosk = ids.kiosks[(u[4] * len(ids.kiosks)).astype(int)]
    own = np.where(channel == APP, ids.device[person], np.where(channel == WEB, own, kiosk))
    head = head.copy()
    head["customer"] = pick(known, ids.account(person, day))
    head["email"] = pick(~no_mail, address)
    head["phone"] = pick(~no_phone, np.where(bad_phone, JUNK_PHONE, ids.phone[person]))
    head["name"] = pick(~no_phone, ids.name[person])
    head["device"] = pick((channel != STORE) | (u[5] < 0.4), own)
    head["store"] = np.where(channel == STORE, (u[4] * len(ids.kiosks)).astype(int) + 1, 0)
    head["is_typo"] = typo & ~no_mail
    head["is_junk"] = junk
    return head


def make_orders(
    world: World, people: People, plan: Campaigns, prices: Prices, history: History,
    *, ids: Identities, start: int, glitch: tuple[int, int], rng: np.random.Generator,
) -> Orders:  # fmt: skip
    """Turn purchases into orders. `start` is the first day in days since 1970."""
    p = history.purchases
    at = (start + p["day"].to_numpy()) * EPOCH_DAY + rng.integers(1800, 57_600, len(p))
    head = p[["person", "day", "channel", "campaign", "promised_day", "delivered_day"]].copy()
    head["purchase"], head["at"], head["fate"] = np.arange(len(p)), at, 0
    # cancelled and refunded orders stand beside a purchase of the same day (a wrong size,
    # ordered again), so that they change nobody's purchase days
    again = head[rng.random(len(p)) < 0.035].copy()
    again["fate"], again["purchase"] = rng.choice([1, 2], len(again), p=[0.6, 0.4]), -1
    again["at"] -= rng.integers(600, 1500, len(again))
    head = pd.concat([head, again], ignore_index=True)
    head = head.sort_values(["at", "person", "fate"], kind="stable").reset_index(drop=True)
    n = len(head)
    lines = _lines(world, people, prices, head, glitch=glitch, rng=rng)
    worth = lines["quantity"].to_numpy() * lines["price"].to_numpy()
    subtotal = np.bincount(lines["order"], worth, minlength=n).astype(np.int64)
    campaign = head["campaign"].to_numpy()
    offer = np.where(campaign >= 0, plan.offer[campaign], 0)
    discount = np.rint(subtotal * np.array(DISCOUNTS)[offer]).astype(np.int64)
    store = head["channel"].to_numpy() == STORE
    head["subtotal"], head["discount"] = subtotal, discount
    head["shipping"] = np.where(store | (subtotal >= 9900), 0, 800)
    head["tax"] = np.rint((subtotal - discount) * 0.06).astype(np.int64)
    head["total"] = subtotal - discount + head["shipping"] + head["tax"]
    head["coupon"] = pick(offer > 0, np.array(["", "SAVE10", "SAVE15", "SAVE20"])[offer])
    head["campaign_id"] = pick(campaign >= 0, [f"CMP{c + 1:03d}" for c in campaign])
    hour = rng.integers(3600, 50_000, n)
    for name in ("promised", "delivered"):
        d = head[f"{name}_day"].to_numpy()
        moment = (start + d) * EPOCH_DAY + (hour if name == "delivered" else 57_600)
        head[name] = np.where(d < NEVER, moment, -1)
    fate = head["fate"].to_numpy()
    head.loc[fate > 0, "delivered"] = -1
    head["cancelled"] = np.where(fate == 1, head["at"] + rng.integers(900, 80_000, n), -1)
    head["refunded"] = np.where(fate == 2, head["at"] + rng.integers(90_000, 400_000, n), -1)
    head["order_id"] = [f"SO{k:09d}" for k in range(100_001, 100_001 + n)]
    return Orders(_identify(head, ids, history.registered, rng), lines)


def _versions(head: pd.DataFrame, end: int) -> pd.DataFrame:
    """A record at creation, and a further version for what became of the order before `end`."""
    created = head.copy()
    created["status"], created["updated"] = "completed", created["at"] + 5
    created[["delivered", "cancelled", "refunded"]] = -1
    closed = head.copy()
    closed["updated"] = closed[["delivered", "cancelled", "refunded"]].max(axis=1) + 600
    closed["status"] = np.select(
        [closed["cancelled"] >= 0, closed["refunded"] >= 0], ["cancelled", "refunded"], "completed"
    )
    closed = closed[(closed["updated"] > 600) & (closed["updated"] < end)]
    both = pd.concat([created, closed], ignore_index=True)
    return both.sort_values(["updated", "order_id"], kind="stable").reset_index(drop=True)


def _times(seconds: pd.Series) -> pa.Array:
    """UTC seconds as millisecond timestamps, null where negative."""
    values = seconds.to_numpy(dtype=np.int64)
    return pa.array((values * 1000).astype("datetime64[ms]"), mask=values < 0)


def _money(fen: pd.Series) -> pa.Array:
    """Fen as DECIMAL(18, 2), built from integers so that nothing is rounded."""
    raw = np.zeros((len(fen), 2), dtype=np.int64)
    raw[:, 0] = fen.to_numpy(dtype=np.int64)
    raw[:, 1] = np.where(raw[:, 0] < 0, -1, 0)  # high word of the 128-bit number
    return pa.Array.from_buffers(pa.decimal128(18, 2), len(raw), [None, pa.py_buffer(raw)])


def write_orders(
    landing: Landing, world: World, orders: Orders, end: int, rng: np.random.Generator
) -> None:
    """Write `orders` and `order_lines` as monthly Parquet files."""
    shares = (world.duplicate_share, world.malformed_share)
    flaws = (
        Flaw("total", -1990, "negative total"),
        Flaw("status", "shiped", "unknown status"),
        Flaw("order_id", None, "no key"),
    )
    rows = spoil(
        landing,
        "orders",
        _versions(orders.head, end),
        "order_id",
        flaws=flaws,
        shares=shares,
        rng=rng,
    )
    kinds = {
        "OrderNo": "order_id", "CustomerNo": "customer", "ContactEmail": "email",
        "ContactPhone": "phone", "ContactName": "name", "DeviceId": "device",
        "Status": "status", "CouponCode": "coupon", "CampaignRef": "campaign_id",
    }  # fmt: skip
    month = months(rows["updated"].to_numpy())
    for name, part in rows.groupby(month.to_numpy(), sort=True):
        columns = {k: pa.array(part[v], pa.string(), from_pandas=True) for k, v in kinds.items()}
        columns["SalesChannel"] = pa.array(CHANNEL_NAMES[part["channel"]].tolist(), pa.string())
        store = [f"S{s:02d}" if s else None for s in part["store"]]
        columns["StoreNo"] = pa.array(store, pa.string())
        for k, v in {
            "GoodsTotal": "subtotal",
            "OrderDiscount": "discount",
            "ShippingFee": "shipping",
            "TaxAmount": "tax",
            "GrandTotal": "total",
        }.items():
            columns[k] = _money(part[v])
        columns["Currency"] = pa.array(["CNY"] * len(part))
        for k, v in {
            "OrderedAt": "at",
            "PromisedAt": "promised",
            "DeliveredAt": "delivered",
            "CancelledAt": "cancelled",
            "RefundedAt": "refunded",
            "UpdatedAt": "updated",
        }.items():
            columns[k] = _times(part[v])
        landing.parquet("orders", f"{name}.parquet", pa.table(columns))
    _write_lines(landing, orders, shares, rng)


def _write_lines(
    landing: Landing, orders: Orders, shares: tuple[float, float], rng: np.random.Generator
) -> None:
    """Write the lines by month of the order."""
    lines, head = orders.lines.copy(), orders.head
    lines["order_id"] = head["order_id"].to_numpy()[lines["order"]]
    lines["at"] = head["at"].to_numpy()[lines["order"]]
    flaws = (
        Flaw("quantity", -2, "negative quantity"),
        Flaw("price", -100, "negative price"),
        Flaw("order_id", None, "no key"),
    )
    rows = spoil(landing, "order_lines", lines, "order_id", flaws=flaws, shares=shares, rng=rng)
    for name, part in rows.groupby(months(rows["at"].to_numpy()).to_numpy(), sort=True):
        table = pa.table({
            "order_no": pa.array(part["order_id"], pa.string(), from_pandas=True),
            "pos": pa.array(part["line"].to_numpy(), pa.int32()),
            "item_code": pa.array([f"P{k + 1:04d}" for k in part["product"]], pa.string()),
            "qty": pa.array(part["quantity"].to_numpy(), pa.int32()),
            "unit_price": _money(part["price"]),
            "currency": pa.array(["CNY"] * len(part)),
            "created_at": _times(part["at"]),
        })  # fmt: skip
        landing.parquet("order_lines", f"{name}.parquet", table)
