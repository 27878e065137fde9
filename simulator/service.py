"""Support tickets, reviews and NPS answers, with free text in Chinese and English.

Does not belong here: whether there is a ticket and how it went (behaviour.py).
"""

from __future__ import annotations

import json

import numpy as np
import pandas as pd

from simulator.behaviour import NEVER
from simulator.mess import EPOCH_DAY, Flaw, Landing, months, pick, spoil, stamp
from simulator.sources import Shop
from simulator.world import Floats, Ints

LATE_TEXT = (
    "订单{o}还没有收到,已经晚了好几天,请联系我 {p}",
    "快递太慢了,订单{o}到底什么时候送到?",
    "Order {o} is days late, please call me at {p}",
    "Where is my parcel {o}? Write to {e} please.",
)
OTHER_TEXT = (
    "想问一下订单{o}可以开发票吗?",
    "商品有一点问题,订单{o},请处理,谢谢",
    "How do I change the address of order {o}?",
    "订单{o}的优惠券没有用上,我的邮箱是{e}",
)
GOOD_TEXT = ("很好,会再来", "Great quality, thank you", "不错", "Arrived well packed")
BAD_TEXT = ("太失望了", "Not what I expected", "物流太慢,不会再买", "Poor service")


def write_tickets(shop: Shop, landing: Landing, rng: np.random.Generator) -> None:
    """A row when a ticket is opened, a further one when it is resolved and rated."""
    head, p = shop.orders.head, shop.history.purchases
    own = head[head["purchase"] >= 0]
    own = own[(p["ticket_day"].to_numpy() < NEVER)[own["purchase"]]].reset_index(drop=True)
    rows = p.iloc[own["purchase"]].reset_index(drop=True)
    n = len(own)
    late = rows["delay"].to_numpy() > 0
    opened = (shop.start + rows["ticket_day"].to_numpy()) * EPOCH_DAY + rng.integers(
        3600, 50_000, n
    )
    opened = np.maximum(opened, own["at"].to_numpy() + 600)
    reply = opened + rng.integers(600, 70_000, n)
    resolved = (opened // EPOCH_DAY + 2) * EPOCH_DAY + rng.integers(1000, 30_000, n)
    resolved = np.maximum(resolved, reply + 60)
    rated = rng.random(n) < 0.8
    choice = rng.integers(0, 4, n)
    texts = [
        (LATE_TEXT if is_late else OTHER_TEXT)[k].format(
            o=order, p=shop.ids.phone[who], e=shop.ids.email[who]
        )
        for is_late, k, order, who in zip(late, choice, own["order_id"], own["person"], strict=True)
    ]
    topic = np.where(
        late, "delivery", np.array(["invoice", "quality", "address", "coupon"])[choice]
    )
    base = pd.DataFrame({
        "ticket_no": [f"T{k:07d}" for k in range(1, n + 1)], "customer_no": own["customer"],
        "contact_email": own["email"], "contact_tel": own["phone"], "order_ref": own["order_id"],
        "opened": stamp(opened, "%d.%m.%Y %H:%M", 8),
        "via": np.array(["chat", "e-mail", "phone"])[choice % 3],
        "topic": topic, "prio": np.where(late, "high", "normal"),
        "lang": np.where(np.isin(choice, [2, 3]) & late | (choice == 2), "en", "zh"),
        "message": texts,
    }).astype(object)  # fmt: skip
    missing = np.full(n, -1)
    first = base.assign(at=opened, first_reply=stamp(missing), closed=stamp(missing), csat=None,
                        state="open", changed=stamp(opened, "%d.%m.%Y %H:%M:%S", 8))  # fmt: skip
    score = pick(rated, rows["ticket_score"].astype(str))
    after = base.assign(at=resolved, first_reply=stamp(reply, "%d.%m.%Y %H:%M", 8),
                        closed=stamp(resolved, "%d.%m.%Y %H:%M", 8), csat=score, state="resolved",
                        changed=stamp(resolved, "%d.%m.%Y %H:%M:%S", 8))  # fmt: skip
    both = pd.concat([first, after], ignore_index=True)
    both = both[both["at"].astype("int64") < shop.end]
    both = both.sort_values(["at", "ticket_no"], kind="stable").reset_index(drop=True)
    flaws = (Flaw("csat", "9", "score out of range"), Flaw("opened", "n/a", "bad time"),
             Flaw("prio", "asap", "unknown priority"))  # fmt: skip
    both = spoil(landing, "tickets", both, "ticket_no", flaws=flaws, shares=shop.shares, rng=rng)
    for name, part in both.groupby(months(both["at"].to_numpy(np.int64)).to_numpy(), sort=True):
        landing.csv("tickets", f"tickets_{name}.csv", part.drop(columns="at"), delimiter=";")


def _present(value: object) -> bool:
    """Whether a field has a value: neither None nor NaN."""
    return value is not None and not (isinstance(value, float) and np.isnan(value))


def _lines(landing: Landing, source: str, frame: pd.DataFrame, at: Ints) -> None:
    """Write rows as JSON lines by month; empty fields are left out."""
    bad = frame.pop("broken") if "broken" in frame else pd.Series(False, index=frame.index)
    month = months(at).to_numpy()
    records = frame.to_dict("records")
    lines = [
        json.dumps({k: v for k, v in r.items() if _present(v)}, ensure_ascii=False) for r in records
    ]
    lines = [text[:-9] if b is True else text for text, b in zip(lines, bad, strict=True)]
    for name in np.unique(month):
        chosen = [lines[i] for i in np.flatnonzero(month == name)]
        landing.jsonl(source, f"{source}_{name}.jsonl.gz", chosen)


def _score(mean: Floats, sd: float, scale: tuple[int, int], rng: np.random.Generator) -> Ints:
    """A noisy score around `mean` on a scale from lowest to highest."""
    raw = mean + rng.normal(0, sd, len(mean))
    return np.asarray(np.clip(np.rint(raw), *scale), dtype=np.int64)


def write_reviews(shop: Shop, landing: Landing, rng: np.random.Generator) -> None:
    """Stars some days after a purchase: a noisy look at satisfaction."""
    head, p, lines = shop.orders.head, shop.history.purchases, shop.orders.lines
    first = lines.drop_duplicates("order")["product"].to_numpy()
    own = head.assign(product=first)[head["purchase"] >= 0]
    rows = p.iloc[own["purchase"]]
    mood = rows["satisfaction"].to_numpy() - 0.12 * rows["delay"].to_numpy()
    arrived = np.minimum(rows["delivered_day"].to_numpy(), rows["day"].to_numpy() + 40)
    at = (shop.start + arrived) * EPOCH_DAY + rng.integers(50_000, 90_000, len(own))
    at += rng.integers(0, 5, len(own)) * EPOCH_DAY
    chosen = np.flatnonzero((rng.random(len(own)) < 0.22) & (at < shop.end))
    own, at, mood = own.iloc[chosen].reset_index(drop=True), at[chosen], mood[chosen]
    score = _score(3.9 + 1.3 * mood, 0.7, (1, 5), rng)
    choice = rng.integers(0, 4, len(own))
    text = [(GOOD_TEXT if s > 3 else BAD_TEXT)[k] for s, k in zip(score, choice, strict=True)]
    frame = pd.DataFrame({
        "review_id": [f"R{k:07d}" for k in range(1, len(own) + 1)], "member": own["customer"],
        "contact": pick(own["customer"].isna(), own["email"]),
        "stars": score, "item": [f"P{k + 1:04d}" for k in own["product"]],
        "order": own["order_id"], "created": stamp(at), "text": text,
        "lang": np.where(np.isin(choice, [0, 2]), "zh", "en"), "broken": False, "at": at,
    }).astype(object)  # fmt: skip
    frame = frame.sort_values(["at", "review_id"], kind="stable").reset_index(drop=True)
    flaws = (Flaw("stars", 11, "score out of range"), Flaw("broken", True, "broken JSON"),
             Flaw("created", "2025-02-30T10:00:00Z", "impossible date"))  # fmt: skip
    frame = spoil(landing, "reviews", frame, "review_id", flaws=flaws, shares=shop.shares, rng=rng)
    _lines(landing, "reviews", frame, frame.pop("at").to_numpy(np.int64))


def write_nps(shop: Shop, landing: Landing, rng: np.random.Generator) -> None:
    """Answers to a question sent some time after a purchase to people with an account."""
    head, p = shop.orders.head, shop.history.purchases
    own = head[(head["purchase"] >= 0) & head["customer"].notna()]
    rows = p.iloc[own["purchase"]]
    at = (shop.start + rows["day"].to_numpy() + 12) * EPOCH_DAY + rng.integers(
        5000, 80_000, len(own)
    )
    chosen = np.flatnonzero((rng.random(len(own)) < 0.12) & (at < shop.end))
    own, rows, at = own.iloc[chosen].reset_index(drop=True), rows.iloc[chosen], at[chosen]
    mood = rows["satisfaction"].to_numpy() - 0.12 * rows["delay"].to_numpy()
    frame = pd.DataFrame({
        "id": [f"N{k:07d}" for k in range(1, len(own) + 1)],
        "respondent": [{"customer": c} for c in own["customer"]],
        "answer": _score(7.4 + 2.6 * mood, 1.4, (0, 10), rng),
        "submitted_at": stamp(at, "%Y-%m-%dT%H:%M:%S+08:00", 8),
        "channel": "email", "broken": False, "at": at,
    }).astype(object)  # fmt: skip
    frame = frame.sort_values(["at", "id"], kind="stable").reset_index(drop=True)
    flaws = (Flaw("answer", "ten", "score is not a number"), Flaw("broken", True, "broken JSON"),
             Flaw("answer", 12, "score out of range"))  # fmt: skip
    frame = spoil(landing, "nps", frame, "id", flaws=flaws, shares=shop.shares, rng=rng)
    _lines(landing, "nps", frame, frame.pop("at").to_numpy(np.int64))
