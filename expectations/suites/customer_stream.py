"""What the behaviour stream looks like: volume, who is in it, money, and clocks.

What does not belong here: keys, nulls and activity names (dbt tests), days (customer_days).
"""

from expectations.suite import COUNTED, TABLE, Suite, between, filled, no_rows, rows, share_of

ORDERS = ("orders", "order_items")

# One scan for what several expectations ask. Most is known when it happens or later, so that the
# sum with its calendar is seldom made.
COUNTS = "behaviour.counts_of_stream"
_COUNT = """
select
    source,
    count(*) as n,
    count(*) filter (where case when ts > known_at then ts > known_at + to_days(1) end) as early
from behaviour.customer_stream
group by source
"""

# Identity may join raw records, and a run as of an earlier day leaves later ones out; beyond
# that the stream has each event once. Counted exactly, of many a share: the sketch behind
# approx_count_distinct was 17 % off on 29,322 ids. Two branches, because DuckDB leaves out the one
# that the run's parameters rule out: without a day, the two moments of each record are not read.
_EVENTS_ARRIVED = f"""
select 1
from (
    select
        sum(n) as all_rows,
        coalesce(sum(n) filter (where source in (select distinct _source from raw.events)), 0) as n
    from {COUNTED}
) as stream, (
    select
        count(distinct event_id) * (18446744073709551615 / {share_of("raw.events")}) as n
    from (
        select event_id
        from raw.events, raw.run
        where as_of is null and hash(event_id) <= {share_of("raw.events")}
        union all
        select event_id
        from raw.events, raw.run
        where
            as_of is not null and hash(event_id) <= {share_of("raw.events")}
            and greatest(original_timestamp, _known_at)::date <= as_of
    ) as sampled
) as raw
where stream.all_rows > 0 and (stream.n < 0.8 * raw.n or stream.n > 1.2 * raw.n)
"""
_EARLY = f"""
select 1
from (select sum(n) as n, sum(early) as early from {COUNTED}) as t
where """

SUITE = Suite(
    table="behaviour.customer_stream",
    gate="behaviour",
    needs=frozenset(
        {"events", "orders", "order_items", "tickets", "feedback", "messages", "subscriptions"}
    ),
    shared={COUNTS: _COUNT},
    counted=f"select * from {COUNTS}",
    expectations=[
        rows(),
        filled("customer", 0.3, name="mostly_with_customer"),
        filled("customer", 0.9, blocking=False, name="nearly_all_with_customer"),
        between("ts", "1990-01-01", "2100-01-01", name="ts_plausible"),
        no_rows(
            "ts_not_after_known",
            "At most half of the activities were known a day or more before they happened.",
            # a history that is known when it happened knows deliveries with their orders
            _EARLY + "early > 0.5 * n",
            column="known_at",
        ),
        no_rows(
            "hardly_any_ts_after_known",
            "At most 5 % of the activities were known a day or more before they happened.",
            _EARLY + "early > 0.05 * n",
            column="known_at",
            blocking=False,
        ),
        no_rows(
            "has_purchases",
            "Where there are orders, the stream has completed ones.",
            f"select 1 from (select count(*) as n, count(*) filter (where activity = "
            f"'order_completed') as bought from {TABLE}) as t where n > 0 and bought = 0",
            column="activity",
            needs=ORDERS,
        ),
        no_rows(
            "revenue_is_positive",
            "All activities together bring in money, not cost it.",
            f"select 1 from (select count(*) as n, sum(revenue_impact) as total from {TABLE}) as t "
            "where n > 0 and coalesce(total, 0) <= 0",
            column="revenue_impact",
            needs=ORDERS,
        ),
        no_rows(
            "no_activity_owns_the_revenue",
            "No single activity brings half of the revenue, if 100 bring any.",
            f"select 1 from (select max(revenue_impact) as top, sum(revenue_impact) as total, "
            f"count(*) as n from {TABLE} where revenue_impact > 0) as t "
            "where n >= 100 and top > 0.5 * total",
            column="revenue_impact",
        ),
        no_rows(
            "events_arrived",
            "The stream holds as many events as the raw layer, within a fifth.",
            _EVENTS_ARRIVED,
            needs=("events",),
        ),
        no_rows(
            "one_currency",
            "All money is in one currency.",
            f"select 1 from {TABLE} having min(currency) <> max(currency)",
            column="currency",
            blocking=False,
        ),
    ],
)
