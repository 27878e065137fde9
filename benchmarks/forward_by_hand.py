"""Brings the tables of `by_hand` forward by what arrived since, as one would for these alone.

The maps of identifiers before and after, and who consents, are taken as given. What does not belong
here: anything that `by_hand` does not make.
"""

import sys
from pathlib import Path

import duckdb

from benchmarks import by_hand

# Events that are new, and those whose customer is another by now: with what they were.
TOUCHED = """
create temp table changed_ids as
select id_type, id_value from (from new_ids except from ids union (from ids except from new_ids));
create temp table moved as
select event_id from known
where customer_id in (select id_value from changed_ids where id_type = 'customer')
    or login in (select id_value from changed_ids where id_type = 'login')
    or email in (select id_value from changed_ids where id_type = 'email')
    or coalesce(anonymous_id, device_id) in (select id_value from changed_ids
        where id_type = 'device');
create temp table was as
select * from events where event_id in (select event_id from moved)
    or event_id in (select event_id from fresh);
"""

RECUT = """
delete from events where event_id in (select event_id from was);
insert into events select * from arriving;
create temp table touched as
select coalesce(device, identified) as visitor, customer, ts from arriving
union all select coalesce(device, identified), customer, ts from was;
create temp table cuts as
select visitor, least(min(t.ts), min(s.started_at)) as cut_at
from (select visitor, min(ts) as ts from touched where visitor is not null group by 1) t
left join sessions s using (visitor)
where s.visitor is null or s.ended_at >= t.ts - interval 30 minutes or s.started_at is null
group by visitor
union all
select visitor, min(ts) from touched where visitor is not null and visitor not in (
    select visitor from sessions join (select visitor, min(ts) as ts from touched group by 1) t
    using (visitor) where ended_at >= t.ts - interval 30 minutes) group by 1;
create temp table cut as select visitor, min(cut_at) as cut_at from cuts group by visitor;
delete from sessions using cut
where sessions.visitor = cut.visitor and sessions.started_at >= cut.cut_at;
"""

RECOUNT = """
create temp table days as
select distinct customer, ts::date as day from touched where customer is not null
union select customer, ordered_at::date from (
    (from orders except from new_orders) union all (from new_orders except from orders));
delete from customer_days using days
where customer_days.customer = days.customer and customer_days.day = days.day;
drop table orders;
create table orders as from new_orders;
drop table rfm;
"""

EVENTS_TO_CUT = """(
    select events.* from events join cut on coalesce(device, identified) = cut.visitor
        and ts >= cut.cut_at
)"""


def main(shop: Path) -> None:
    """Bring `by_hand/state.duckdb` forward and write its tables again."""
    out = shop / "by_hand"
    con = duckdb.connect(str(out / "state.duckdb"), config={"threads": 2, "memory_limit": "4GB"})
    con.execute("set preserve_insertion_order = false")
    names = [row[0] for row in con.execute("select name from loaded").fetchall()]
    files = sorted((shop / "lake" / "raw" / "events").glob("*.parquet"))
    fresh = [str(path) for path in files if path.name not in names]
    everything = [str(path) for path in files]
    con.execute(f"create temp view known as select * from read_parquet({everything})")
    con.execute(f"create temp table fresh as select * from read_parquet({fresh})")
    con.execute(f"create temp table new_ids as from read_parquet('{shop}/ids.parquet')")
    con.execute(
        f"create or replace table permitted as from read_parquet('{shop}/permitted.parquet')"
    )
    orders = shop / "lake" / "raw" / "orders" / "*.parquet"
    con.execute(f"create temp view raw_orders as select * from read_parquet('{orders}')")
    con.execute(TOUCHED)
    con.execute(
        "create temp view raw_events as select * from known where event_id in "
        "(select event_id from moved) or event_id in (select event_id from fresh)"
    )
    for table, sql in (("arriving", by_hand.EVENTS), ("new_orders", by_hand.ORDERS)):
        name = "events" if table == "arriving" else "orders"
        text = sql.replace(f"create table {name} as", f"create temp table {table} as")
        con.execute(text.replace("join ids ", "join new_ids "))
    con.execute(RECUT)
    con.execute("insert into sessions " + by_hand.SESSIONS.format(events=EVENTS_TO_CUT))
    con.execute(RECOUNT)
    changed = by_hand.DAYS.format(
        events="(from events where (customer, ts::date) in (from days))",
        orders="(from orders where (customer, ordered_at::date) in (from days))",
    )
    con.execute("insert into customer_days " + changed)
    con.execute(by_hand.RFM)
    for name in ("sessions", "customer_days", "rfm"):
        con.execute(f"copy {name} to '{out}/{name}.parquet'")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
