"""Sessions, customer days and RFM from raw Parquet, as one would write them for this alone.

The map of identifiers to customers, and who consents to analytics, are taken as given; everything
else is computed from raw. What does not belong here: tests, gates, documentation, the other forty
models: that is the point.
"""

import sys
from pathlib import Path

import duckdb

EVENTS = """
create table events as
with one as (
    select * from raw_events
    qualify row_number() over (
        partition by event_id order by _known_at desc, _batch_id desc, _row_number desc) = 1
)
select one.event_id, lower(trim(event)) as activity,
    coalesce(anonymous_id, device_id) as device,
    coalesce(k.customer, l.customer, e.customer) as identified,
    coalesce(k.customer, l.customer, e.customer, d.customer) as customer,
    case when sent_at is null or received_at is null then original_timestamp
        else received_at - (sent_at - original_timestamp) end as ts
from one
left join ids k on k.id_type = 'customer' and k.id_value = one.customer_id
left join ids l on l.id_type = 'login' and l.id_value = one.login
left join ids e on e.id_type = 'email' and e.id_value = one.email
left join ids d on d.id_type = 'device' and d.id_value = coalesce(anonymous_id, device_id)
-- What the order system says itself would count twice.
where not (activity in ('order_completed', 'order_refunded', 'order_cancelled')
    and order_id in (select order_id from raw_orders));
"""

# Of {events}: all of them, or those to be cut anew.
SESSIONS = """
with flagged as (
    select *, coalesce(device, identified) as visitor, case
        when lag(identified) over w <> identified then 1
        when lag(ts) over w is null or ts - lag(ts) over w > interval 30 minutes then 1
        else 0 end as starts
    from {events} where coalesce(device, identified) is not null
    window w as (partition by coalesce(device, identified) order by ts, event_id)
), numbered as (
    select *, sum(starts) over (partition by visitor order by ts, event_id rows unbounded preceding)
        as n from flagged
)
select visitor, n, coalesce(min_by(identified, (ts, event_id)) filter (identified is not null),
        min(customer)) as customer,
    min(ts) as started_at, max(ts) as ended_at, count(*) as events
from numbered group by visitor, n;
"""

ORDERS = """
create table orders as
with one as (
    select * from raw_orders
    qualify row_number() over (
        partition by order_id order by _known_at desc, _batch_id desc, _row_number desc) = 1
)
select one.order_id, one.ordered_at,
    coalesce(k.customer, e.customer, pn.customer, dn.customer, d.customer, p.customer) as customer,
    coalesce(revenue, total - coalesce(shipping, 0) - coalesce(tax, 0))::decimal(18, 2) as revenue
from one
left join ids k on k.id_type = 'customer' and k.id_value = one.customer_id
left join ids e on e.id_type = 'email' and e.id_value = one.email
left join ids pn on pn.id_type = 'phone_name' and pn.id_value = one.phone || '+' || one.name
left join ids dn on dn.id_type = 'device_name' and dn.id_value = one.device_id || '+' || one.name
left join ids d on d.id_type = 'device' and d.id_value = one.device_id
left join ids p on p.id_type = 'phone' and p.id_value = one.phone
where coalesce(lower(trim(status)), 'completed') = 'completed'
    and coalesce(revenue, total - coalesce(shipping, 0) - coalesce(tax, 0)) > 0;
"""

# Of {events} and {orders}: all of them, or those of the days to be counted anew.
DAYS = """
select customer, day, sum(page_views) as page_views, sum(product_views) as product_views,
    sum(cart_adds) as cart_adds, sum(orders) as orders, sum(revenue) as revenue
from (
    select customer, ts::date as day, count(*) filter (activity = 'page_viewed') as page_views,
        count(*) filter (activity = 'product_viewed') as product_views,
        count(*) filter (activity = 'product_added') as cart_adds, 0 as orders, 0 as revenue
    from {events} group by all
    union all
    select customer, ordered_at::date, 0, 0, 0, count(*), sum(revenue) from {orders} group by all
) where customer is not null group by all;
"""

RFM = """
create table rfm as
with t as (
    select customer, (select max(ordered_at) from orders)::date - max(ordered_at)::date as recency,
        count(*) as frequency, sum(revenue) as monetary
    from orders where customer in (from permitted) group by customer
), b as (
    select quantile_cont(-recency, [.2, .4, .6, .8]) as r,
        quantile_cont(frequency, [.2, .4, .6, .8]) as f,
        quantile_cont(monetary::double, [.2, .4, .6, .8]) as m
    from t
)
select customer, frequency, monetary,
    1 + len(list_filter(r, x -> x < -recency)) as r_score,
    1 + len(list_filter(f, x -> x < frequency)) as f_score,
    1 + len(list_filter(m, x -> x < monetary)) as m_score
from t cross join b;
"""

# What the script takes from the warehouse, by the file that it finds it in.
GIVEN = {
    "ids": "select * from lake.behaviour.customer_id_map",
    "permitted": "select customer from lake.behaviour.dim_consents, lake.behaviour.run_clock "
    "where purpose = 'analytics' and may_use and valid_from <= as_of "
    "and (valid_to is null or valid_to > as_of)",
}

# What both must agree on: our query over the warehouse, and the script's table.
SAME = {
    "sessions": (
        "select customer, started_at, ended_at, events from lake.behaviour.sessions "
        "union all "
        "select customer, started_at, ended_at, events from lake.behaviour.sessions_quarantined",
        "select customer, started_at, ended_at, events from '{out}/sessions.parquet'",
    ),
    "customer_days": (
        "select customer, day, page_views, product_views, cart_adds, orders, "
        "revenue::decimal(18, 2) from lake.behaviour.customer_days "
        "where page_views + product_views + cart_adds + orders > 0",
        "select customer, day, page_views, product_views, cart_adds, orders, "
        "revenue::decimal(18, 2) from '{out}/customer_days.parquet' "
        "where page_views + product_views + cart_adds + orders > 0",
    ),
    "rfm": (
        "select customer, frequency, monetary, r_score, f_score, m_score from lake.marts.rfm "
        "where frequency > 0",
        "select customer, frequency, monetary, r_score, f_score, m_score from '{out}/rfm.parquet'",
    ),
}


def main(shop: Path, keep: bool = False) -> None:
    """Read raw, write three Parquet files; keep the tables in a database if they are to go on."""
    out = shop / "by_hand"
    out.mkdir(exist_ok=True)
    state = str(out / "state.duckdb") if keep else ":memory:"
    con = duckdb.connect(state, config={"threads": 2, "memory_limit": "4GB"})
    con.execute("set preserve_insertion_order = false")
    for name in ("events", "orders"):
        files = shop / "lake" / "raw" / name / "*.parquet"
        con.execute(f"create temp view raw_{name} as select * from read_parquet('{files}')")
    for name in GIVEN:
        con.execute(f"create table {name} as select * from read_parquet('{shop}/{name}.parquet')")
    con.execute(EVENTS + ORDERS)
    con.execute("create table sessions as " + SESSIONS.format(events="events"))
    con.execute("create table customer_days as " + DAYS.format(events="events", orders="orders"))
    con.execute(RFM)
    for name in ("sessions", "customer_days", "rfm"):
        con.execute(f"copy {name} to '{out}/{name}.parquet'")
    if keep:
        names = [path.name for path in (shop / "lake" / "raw" / "events").glob("*.parquet")]
        con.execute("create table loaded as select unnest(?::varchar[]) as name", [names])


def give(con: duckdb.DuckDBPyConnection, shop: Path) -> None:
    """Write what the script takes as given, from a connection to the published warehouse."""
    for name, query in GIVEN.items():
        con.sql(query).write_parquet(str(shop / f"{name}.parquet"))


def compare(con: duckdb.DuckDBPyConnection, shop: Path) -> list[tuple[str, int, int, int]]:
    """(table, our rows, the script's rows, rows that only one of the two has), row by row.

    Args:
        con: a connection to the published warehouse.
        shop: the deployment's folder, with `by_hand/`.
    """
    found = []
    for name, (ours, theirs) in SAME.items():
        both = (ours, theirs.format(out=shop / "by_hand"))
        row = con.execute(
            f"with ours as materialized ({both[0]}), theirs as materialized ({both[1]}) select "
            "(select count(*) from ours), (select count(*) from theirs), "
            "(select count(*) from (from ours except all from theirs)) "
            "+ (select count(*) from (from theirs except all from ours))"
        ).fetchone()
        if row is None:
            raise RuntimeError(f"{name} could not be compared")
        found.append((name, int(row[0]), int(row[1]), int(row[2])))
    return found


if __name__ == "__main__":
    main(Path(sys.argv[1]), keep=sys.argv[2:] == ["keep"])
