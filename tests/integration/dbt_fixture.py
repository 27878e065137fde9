"""Writes small raw lakes for the dbt tests: typed Parquet in the shape that ingestion writes.

What does NOT belong here: assertions, and anything about how dbt is called.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import yaml

ROOT = Path(__file__).resolve().parents[2]
ENTITIES = ROOT / "expectations" / "entities"
TYPES = {
    "string": "varchar", "text": "varchar", "json": "varchar", "integer": "bigint",
    "decimal": "decimal(18,4)", "double": "double", "boolean": "boolean", "date": "date",
    "timestamp": "timestamp",
}  # fmt: skip
META = {
    "attributes": "varchar", "_batch_id": "varchar", "_source": "varchar",
    "_file_sha256": "varchar", "_row_number": "bigint", "_known_at": "timestamp",
    "_record_hash": "blob",
}  # fmt: skip
ML = {
    "behaviour_clusters": {
        "customer": "varchar", "as_of": "date", "cluster": "integer", "label": "varchar",
        "distance": "double",
    },
    "churn_scores": {
        "customer": "varchar", "as_of": "date", "model": "varchar", "model_version": "varchar",
        "horizon_days": "integer", "score": "double", "rank": "bigint", "reasons": "varchar",
    },
}  # fmt: skip


def columns(entity: str) -> dict[str, str]:
    """Columns of a raw entity with their DuckDB types, in order."""
    document = yaml.safe_load((ENTITIES / f"{entity}.yaml").read_text(encoding="utf-8"))
    fields = {field["name"]: TYPES[field["type"]] for field in document["fields"]}
    return fields | META


def write_empty_lake(home: Path, run: Mapping[str, Any] | None = None) -> None:
    """Write a deployment without a single record: schemas alone."""
    con = duckdb.connect()
    for path in sorted(ENTITIES.glob("*.yaml")):
        _write(con, home / "lake" / "raw" / path.stem / "_schema.parquet", columns(path.stem), [])
    for name, types in ML.items():
        _write(con, home / "lake" / "ml" / name / "_schema.parquet", types, [])
    document = {"run_id": "test", "as_of": None, "churn": {}} | dict(run or {})
    (home / "lake" / "run.json").write_text(json.dumps(document), encoding="utf-8")
    con.close()


def write_records(
    home: Path,
    entity: str,
    records: Iterable[Mapping[str, Any]],
    *,
    batch: str = "b1",
    known_at: datetime | None = None,
) -> None:
    """Write one batch of an entity; `_known_at` of a record wins over `known_at`."""
    types = columns(entity)
    rows = []
    for number, record in enumerate(records, start=1):
        unknown = set(record) - set(types)
        if unknown:
            msg = f"{entity} has no fields {sorted(unknown)}"
            raise ValueError(msg)
        meta = {
            "attributes": "{}", "_batch_id": batch, "_source": entity, "_file_sha256": "0" * 64,
            "_row_number": number, "_known_at": known_at,
            "_record_hash": hashlib.md5(repr(sorted(record.items())).encode()).digest(),
        }  # fmt: skip
        rows.append(meta | dict(record))
    con = duckdb.connect()
    _write(con, home / "lake" / "raw" / entity / f"{batch}.parquet", types, rows)
    con.close()


def _write(
    con: duckdb.DuckDBPyConnection, path: Path, types: Mapping[str, str], rows: list[dict]
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    names = ", ".join(f'"{name}" {kind}' for name, kind in types.items())
    con.execute(f"create or replace temp table t ({names})")
    if rows:
        marks = ", ".join("?" for _ in types)
        con.executemany(
            f"insert into t values ({marks})", [[row.get(name) for name in types] for row in rows]
        )
    con.execute(f"copy t to '{path}' (format parquet)")


def write_shop(home: Path, run: Mapping[str, Any] | None = None) -> None:
    """Write a small shop: 50 customers over a year, every entity, both clocks, some guests."""
    write_empty_lake(home, run)
    start = datetime(2024, 1, 1)
    customers, orders, items, events, tickets, feedback, messages = [], [], [], [], [], [], []
    for c in range(50):
        registered = start + timedelta(days=c % 40, hours=3)
        customers.append({
            "customer_id": f"c{c}", "email": f"e{c}", "phone": f"p{c % 45}", "name": f"n{c}",
            "login": f"l{c}", "city": "Wuhan", "gender": "F", "registered_at": registered,
            "birth_date": datetime(1980 + c % 20, 1, 1).date(), "_known_at": registered,
        })  # fmt: skip
        gap = 9 + c % 35
        for n in range(2 + (c * 7) % 12):
            at = registered + timedelta(days=gap * n, hours=c % 9, minutes=n)
            if at > datetime(2024, 12, 20):
                break
            oid = f"o{c}_{n}"
            guest = c % 10 == 0 and n == 1
            order = {
                "order_id": oid, "customer_id": None if guest else f"c{c}", "email": f"e{c}",
                "phone": f"p{c % 45}", "name": f"n{c}", "device_id": f"d{c}", "ordered_at": at,
                "status": "Completed", "channel": "web", "revenue": 20 + c, "discount": n % 3,
                "currency": "CNY", "coupon": "SAVE" if n % 4 == 0 else None,
                "promised_at": at + timedelta(days=3), "_known_at": at,
            }  # fmt: skip
            orders.append(order)
            later = {"delivered_at": at + timedelta(days=2 + n % 3)}
            if (c + n) % 11 == 0:
                later |= {"status": "refunded", "refunded_at": at + timedelta(days=6)}
            orders.append(order | later | {"_known_at": at + timedelta(days=7)})
            items += [
                {"order_id": oid, "line_number": line, "product_id": f"x{(c + line) % 7}",
                 "quantity": line, "unit_price": 10 + n % 2, "_known_at": at}
                for line in (1, 2)
            ]  # fmt: skip
            for k, name in enumerate(
                ["page_viewed", "product_viewed", "product_added", "heartbeat", "order_completed"]
            ):
                ts = at - timedelta(minutes=20 - 5 * k)
                events.append({
                    "event_id": f"{oid}_{k}", "event": name, "original_timestamp": ts,
                    "sent_at": ts + timedelta(seconds=1), "received_at": ts + timedelta(seconds=1),
                    "customer_id": f"c{c}" if k > 2 and not guest else None,
                    "anonymous_id": f"a{c}", "device_id": f"d{c}", "url": f"/p/{k}",
                    "product_id": f"x{k}" if k < 3 else None, "order_id": oid if k == 4 else None,
                    "utm_medium": "cpc" if n % 2 else None, "_known_at": ts + timedelta(minutes=1),
                })  # fmt: skip
        opened = registered + timedelta(days=20 + c)
        ticket = {
            "ticket_id": f"t{c}", "customer_id": f"c{c}", "opened_at": opened,
            "category": "delivery", "status": "open", "_known_at": opened,
        }  # fmt: skip
        tickets += [
            ticket,
            ticket | {
                "status": "resolved", "resolved_at": opened + timedelta(days=2),
                "satisfaction": 1 + c % 5, "_known_at": opened + timedelta(days=2),
            },
        ]  # fmt: skip
        feedback.append({
            "feedback_id": f"f{c}", "kind": "nps" if c % 2 else "review", "customer_id": f"c{c}",
            "submitted_at": opened, "score": c % 11 if c % 2 else 1 + c % 5,
            "score_max": 10 if c % 2 else 5, "_known_at": opened,
        })  # fmt: skip
        messages.append({
            "message_id": f"m{c}", "campaign_id": "spring", "customer_id": f"c{c}",
            "channel": "email", "variant": "holdout" if c % 5 == 0 else "a",
            "sent_at": opened, "delivered_at": None if c % 5 == 0 else opened,
            "opened_at": opened if c % 3 == 0 and c % 5 else None, "_known_at": opened,
        })  # fmt: skip
    # The same five events again, in the same batch: exact duplicates.
    events += [dict(event) for event in events[:5]]
    write_records(home, "customers", customers)
    write_records(home, "orders", orders)
    write_records(home, "order_items", items)
    write_records(home, "events", events)
    write_records(home, "tickets", tickets)
    write_records(home, "feedback", feedback)
    write_records(home, "messages", messages)
    write_records(home, "products", [
        {"product_id": f"x{i}", "name": f"Thing {i}", "price": 10, "_known_at": start}
        for i in range(7)
    ])  # fmt: skip
    write_records(home, "campaigns", [{"campaign_id": "spring", "_known_at": start}])
    write_records(home, "devices", [
        {"device_id": f"d{c}", "customer_id": f"c{c}", "first_seen_at": start, "_known_at": start}
        for c in range(0, 50, 3)
    ])  # fmt: skip
    # All but c49, who was never asked; every other one for marketing.
    write_records(home, "consents", [
        {"customer_id": f"c{c}", "purpose": purpose, "status": "granted", "valid_from": start,
         "_known_at": start}
        for purpose, step in (("analytics", 1), ("personalisation", 1), ("marketing", 2))
        for c in range(0, 49, step)
    ])  # fmt: skip
    write_records(home, "subscriptions", [
        {"subscription_id": "s1", "customer_id": "c1", "plan": "gold", "status": "active",
         "started_at": start, "monthly_amount": 9, "_known_at": start}
    ])  # fmt: skip
    write_records(home, "market", [
        {"date": start.date(), "metric": "cpi", "region": "CN", "value": 101.5, "_known_at": start}
    ])  # fmt: skip
    write_records(home, "profile_snapshots", [
        {"customer_id": "c1", "taken_at": start, "attributes": '{"x": 1}', "_known_at": start}
    ])  # fmt: skip
