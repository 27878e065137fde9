"""The truth folder: who is who, what drives whom, what was injected, what a reader must count.

Only evaluation may read it. What a source file shows does not belong here.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from simulator.exam import Exam
from simulator.identity import JUNK_EMAILS, JUNK_PHONE
from simulator.mess import Count
from simulator.oracle import Truth
from simulator.sessions import Sessions
from simulator.sources import Shop

TRUTH_FILES = (
    "anomalies.json", "campaign_effects.parquet", "campaigns.parquet", "churn_state.parquet",
    "exam.json", "expected.json", "identities.parquet", "orders.parquet", "persons.parquet",
    "price_index.parquet", "products.parquet", "purchases.parquet", "shocks.parquet",
    "world.json",
)  # fmt: skip
KEY = ["id_type", "id_value", "name"]


def save(frame: pd.DataFrame, path: Path) -> None:
    """Write a frame as Parquet with fixed settings."""
    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    pq.write_table(table, path, compression="zstd", version="2.6")


def record_ids(shop: Shop, visits: Sessions) -> pd.DataFrame:
    """Every identifier as it stands on emitted records: record, id_type, id_value, name, person.

    `name` is set for telephone numbers only: a number alone does not say who it is.
    """
    ids, head, parts, base = shop.ids, shop.orders.head, [], 0

    def add(n: int, person: np.ndarray, names: np.ndarray | None, **values: np.ndarray) -> None:
        nonlocal base
        for kind, value in values.items():
            id_type = kind.split("_")[0]
            given = pd.Series(value, dtype=object)
            keep = (given.notna() & (given != "")).to_numpy()
            name = names if id_type == "phone" and names is not None else np.full(n, "", object)
            parts.append(pd.DataFrame({
                "record": base + np.flatnonzero(keep), "id_type": id_type,
                "id_value": given.to_numpy()[keep], "name": name[keep],
                "person": person[keep],
            }))  # fmt: skip
        base += n

    has = np.flatnonzero(shop.history.registered < shop.calendar.days - 1)
    add(len(has), has, ids.name[has], customer=ids.customer[has], email=ids.email[has],
        phone=ids.phone[has], login=ids.login[has])  # fmt: skip
    moved = has[(ids.email_day[has] < shop.calendar.days - 1) & (ids.email_2[has] != "")]
    add(len(moved), moved, ids.name[moved], customer=ids.customer[moved],
        email=ids.email_2[moved], phone=ids.phone[moved], login=ids.login[moved])  # fmt: skip
    two = has[ids.second_day[has] < shop.calendar.days - 1]
    add(len(two), two, ids.name[two], customer=ids.customer_2[two],
        email=np.array([f"alt.{e}" for e in ids.email[two]], object), phone=ids.phone[two],
        login=np.array([f"{x}b" for x in ids.login[two]], object))  # fmt: skip
    add(len(head), head["person"].to_numpy(), head["name"].fillna("").to_numpy(),
        customer=head["customer"].to_numpy(), email=head["email"].to_numpy(),
        phone=head["phone"].to_numpy(), device=head["device"].to_numpy())  # fmt: skip
    spoken = np.where(visits.by_login, "", visits.customer)
    member = np.where(visits.by_login, ids.login[np.maximum(visits.person, 0)], "")
    seen = pd.DataFrame({
        "person": visits.person, "customer": spoken, "login": member,
        "device": visits.device, "anonymous": visits.anonymous,
    })  # fmt: skip
    seen = seen[seen["person"] >= 0].drop_duplicates(ignore_index=True)
    add(len(seen), seen["person"].to_numpy(), None, customer=seen["customer"].to_numpy(),
        login=seen["login"].to_numpy(), device=seen["device"].to_numpy(),
        device_2=seen["anonymous"].to_numpy())  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def identities(shop: Shop, visits: Sessions) -> pd.DataFrame:
    """Who owns each identifier, and whether the emitted records can tell.

    An identifier is resolvable if a chain of records of its own person links it to an account of
    that person by identifiers that belong to nobody else. Basis stated in `reason`.

    Returns:
        id_type, id_value, name (with telephone numbers), person, registered, is_shared,
        is_kiosk, is_junk, is_typo, is_recycled, is_resolvable, reason.
    """
    rows = record_ids(shop, visits)
    rows["is_kiosk"] = rows["id_value"].str.startswith("kiosk-")
    rows["is_junk"] = rows["id_value"].isin([*JUNK_EMAILS, JUNK_PHONE])
    owners = rows.drop_duplicates([*KEY, "person"]).groupby(KEY)["person"].transform("size")
    shared = owners[owners > 1].index
    rows["is_shared"] = False
    rows.loc[shared, "is_shared"] = True
    marks = rows.groupby(KEY)["is_shared"].transform("max")
    rows["is_shared"] = marks & ~rows["is_junk"] & ~rows["is_kiosk"]
    rows["node"] = rows.groupby([*KEY, "person"], sort=True).ngroup()
    usable = ~(rows["is_shared"] | rows["is_junk"] | rows["is_kiosk"])
    usable &= ~((rows["id_type"] == "phone") & (rows["name"] == ""))
    good = rows[usable]
    size = int(rows["node"].max()) + 1
    anchor = good.groupby("record")["node"].first().reindex(good["record"]).to_numpy()
    graph = coo_matrix((np.ones(len(good)), (good["node"], anchor)), shape=(size, size))
    part = connected_components(graph, directed=False)[1]
    accounts = np.zeros(size, dtype=bool)
    accounts[part[good.loc[good["id_type"] == "customer", "node"].to_numpy()]] = True
    out = rows.drop_duplicates("node").sort_values([*KEY, "person"])
    out = out.reset_index(drop=True)
    person = out["person"].to_numpy()
    known = {str(e) for e in shop.ids.email} | {str(e) for e in shop.ids.email_2}
    known |= {f"alt.{e}" for e in shop.ids.email}
    out["is_typo"] = (out["id_type"] == "email") & ~out["id_value"].isin(known) & ~out["is_junk"]
    reused = set(shop.ids.phone[shop.ids.recycled])
    out["is_recycled"] = (out["id_type"] == "phone") & out["id_value"].isin(reused)
    out["registered"] = shop.history.registered[person] < shop.calendar.days - 1
    linked = accounts[part[out["node"].to_numpy()]]
    blocked = out["is_shared"] | out["is_kiosk"] | out["is_junk"]
    out["is_resolvable"] = linked & ~blocked
    out["reason"] = np.select(
        [out["is_junk"], out["is_kiosk"], out["is_shared"], ~out["registered"], ~linked],
        ["junk value", "kiosk", "shared device", "never registered", "no record links it"], "",
    )  # fmt: skip
    return out.drop(columns=["record", "node"])


def write_truth(
    folder: Path, shop: Shop, truth: Truth, visits: Sessions, *,
    counts: dict[str, Count], exam: Exam, seed: int,
) -> pd.DataFrame:  # fmt: skip
    """Write everything; returns the identities."""
    folder.mkdir(parents=True, exist_ok=True)
    world = {"world": asdict(shop.world), "end": shop.calendar.end.isoformat(),
             "days": shop.calendar.days, "customers": len(shop.people), "seed": seed}  # fmt: skip
    expected = {name: counts[name].as_dict() for name in sorted(counts)}
    for name, value in {
        "world": world, "expected": expected, "exam": exam.as_dict(),
        "anomalies": shop.anomalies.rows(shop.calendar),
    }.items():  # fmt: skip
        text = json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True)
        (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    people = shop.people.frame()
    people["registered_day"] = shop.history.registered
    save(people, folder / "persons.parquet")
    names = [f"c{k}" for k in range(len(shop.prices.index))]
    columns = pd.DataFrame(shop.prices.index.T, columns=names)
    save(columns, folder / "price_index.parquet")
    base = pd.DataFrame({"base": shop.prices.base, "category": shop.prices.category})
    save(base, folder / "products.parquet")
    save(shop.plan.frame(), folder / "campaigns.parquet")
    head = shop.orders.head
    own = head[head["purchase"] >= 0].sort_values("purchase")
    purchases = truth.purchases.copy()
    purchases["order_id"] = own["order_id"].to_numpy()
    save(purchases, folder / "purchases.parquet")
    save(head[["order_id", "person", "is_typo", "is_junk"]], folder / "orders.parquet")
    save(truth.shocks, folder / "shocks.parquet")
    save(truth.regimes, folder / "churn_state.parquet")
    save(truth.sends, folder / "campaign_effects.parquet")
    found = identities(shop, visits)
    save(found, folder / "identities.parquet")
    return found
