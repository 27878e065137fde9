"""What the behaviour stream looks like: volume, who is in it, money, and clocks.

What does not belong here: keys, nulls and activity names (dbt tests), days (customer_days).
"""

from expectations.suite import TABLE, Suite, between, filled, no_rows, rows, share_of

ORDERS = ("orders", "order_items")

# Identity may join raw records, and a run as of an earlier day leaves later ones out; beyond
# that the stream has each event once. Counted exactly, of millions a share: the sketch behind
# approx_count_distinct was 17 % off on 29,322 ids.
_EVENTS_ARRIVED = f"""
select 1
from (
    select
        count(*) as all_rows,
        count(*) filter (where source in (select distinct _source from raw.events)) as n,
        max(greatest(ts, known_at))::date as as_of
    from {TABLE}
) as stream, lateral (
    select
        count(distinct event_id) * (18446744073709551615 / {share_of("raw.events")}) as n
    from raw.events
    where
        hash(event_id) <= {share_of("raw.events")}
        and greatest(original_timestamp, _known_at)::date <= stream.as_of
) as raw
where stream.all_rows > 0 and (stream.n < 0.8 * raw.n or stream.n > 1.2 * raw.n)
"""
_EARLY = f"""
select 1
from (
    select count(*) as n, count(*) filter (where ts > known_at + to_days(1)) as early from {TABLE}
) as t
where """

SUITE = Suite(
    table="behaviour.customer_stream",
    gate="behaviour",
    needs=frozenset(
        {"events", "orders", "order_items", "tickets", "feedback", "messages", "subscriptions"}
    ),
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
            f"select 1 from (select count(distinct currency) as n from {TABLE}) as t where n > 1",
            column="currency",
            blocking=False,
        ),
    ],
)
