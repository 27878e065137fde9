"""Sessions, customer days and RFM from raw Parquet, as one would write them for this alone.

The map of identifiers to customers is taken as given; everything else is computed from raw. What
does not belong here: tests, gates, documentation, the other forty models: that is the point.
"""

import json
import sys
from pathlib import Path

import duckdb

SESSIONS = """
create table sessions as
with one as (
    select * from raw_events
    qualify row_number() over (
        partition by event_id order by _known_at desc, _batch_id desc, _row_number desc) = 1
), timed as (
    select event_id, coalesce(anonymous_id, device_id) as visitor, customer_id, login, email,
        case when sent_at is null or received_at is null then original_timestamp
            else received_at - (sent_at - original_timestamp) end as ts
    from one
), owned as (
    select t.event_id, t.ts, coalesce(t.visitor, k.customer, d.customer) as visitor,
        coalesce(k.customer, l.customer, e.customer) as identified,
        coalesce(k.customer, l.customer, e.customer, d.customer) as customer
    from timed t
    left join ids k on k.id_type = 'customer' and k.id_value = t.customer_id
    left join ids l on l.id_type = 'login' and l.id_value = t.login
    left join ids e on e.id_type = 'email' and e.id_value = t.email
    left join ids d on d.id_type = 'device' and d.id_value = t.visitor
), flagged as (
    select *, case
        when lag(identified) over w <> identified then 1
        when lag(ts) over w is null or ts - lag(ts) over w > interval 30 minutes then 1
        else 0 end as starts
    from owned where visitor is not null window w as (partition by visitor order by ts, event_id)
), numbered as (
    select *, sum(starts) over (partition by visitor order by ts, event_id rows unbounded preceding)
        as n from flagged
)
select visitor, n, coalesce(min(identified), min(customer)) as customer,
    min(ts) as started_at, max(ts) as ended_at, count(*) as events
from numbered group by all;
"""

ORDERS = """
create table orders as
select o.*, coalesce(k.customer, e.customer) as customer from raw_orders o
left join ids k on k.id_type = 'customer' and k.id_value = o.customer_id
left join ids e on e.id_type = 'email' and e.id_value = o.email
qualify row_number() over (
    partition by order_id order by _known_at desc, _batch_id desc, _row_number desc) = 1;
"""

DAYS = """
create table customer_days as
select customer, day, sum(events) as events, sum(orders) as orders, sum(revenue) as revenue from (
    select customer, started_at::date as day, events, 0 as orders, 0 as revenue from sessions
    union all
    select customer, ordered_at::date, 0, 1, coalesce(revenue, total) from orders
    where coalesce(status, 'completed') = 'completed'
) where customer is not null group by all;
"""

RFM = """
create table rfm as
with t as (
    select customer, max(day) as last, sum(orders) as f, sum(revenue) as m
    from customer_days where orders > 0 group by customer
)
select *, ntile(5) over (order by last, customer) as r_score,
    ntile(5) over (order by f, customer) as f_score, ntile(5) over (order by m, customer) as m_score
from t;
"""


def main(shop: Path) -> None:
    """Read raw, write three Parquet files."""
    out = shop / "by_hand"
    out.mkdir(exist_ok=True)
    con = duckdb.connect(":memory:", config={"threads": 2, "memory_limit": "4GB"})
    con.execute("set preserve_insertion_order = false")
    for name in ("events", "orders"):
        files = shop / "lake" / "raw" / name / "*.parquet"
        con.execute(f"create view raw_{name} as select * from read_parquet('{files}')")
    con.execute(f"create table ids as select * from read_parquet('{shop}/ids.parquet')")
    for sql in (SESSIONS, ORDERS, DAYS, RFM):
        con.execute(sql)
    for name in ("sessions", "customer_days", "rfm"):
        con.execute(f"copy {name} to '{out}/{name}.parquet'")


def compare(shop: Path) -> list[tuple[str, int, int]]:
    """(table, our rows, the script's rows), where the two mean the same."""
    tables = json.loads((shop.parent / "reports" / "latest" / "summary.json").read_text())["tables"]
    con = duckdb.connect(":memory:")
    row = con.execute(f"select count(*) from '{shop}/by_hand/sessions.parquet'").fetchone()
    return [("sessions", tables["behaviour.sessions"], int(row[0]) if row else 0)]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
