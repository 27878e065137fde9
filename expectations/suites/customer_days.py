"""What customer days look like: no holes in time, and the same sums as the facts beneath.

What does not belong here: keys and nulls (dbt tests).
"""

from expectations.suite import TABLE, Suite, between, no_rows, rows, share_of

ORDERS = ("orders", "order_items")

# A hole: no customer on a day whose weekday usually has 20 or more. Only the middle nine tenths
# of the history count: both ends ramp up and down. Shops close: real retail years here have up
# to 4 % of such days (Christmas), so a gate closes at 10 %.
_HOLES = f"""
select 1
from (
    with
    days as (select day, count(*) as n from {TABLE} group by day),
    bounds as (
        select
            min(day) as first_day,
            max(day) as last_day,
            ((max(day) - min(day)) // 20)::integer as edge
        from days
    ),
    calendar as (
        select unnest(generate_series(first_day + edge, last_day - edge, interval 1 day))::date
            as day
        from bounds
    ),
    filled as (
        select calendar.day, coalesce(days.n, 0) as n
        from calendar left join days on calendar.day = days.day
    ),
    usual as (
        select *, median(n) over (partition by isodow(day)) as usual_n from filled
    )
    select
        count(*) filter (where usual_n >= 20) as days,
        count(*) filter (where usual_n >= 20 and n < 0.02 * usual_n) as holes
    from usual
) as t
where """

# Of a share of the customers, where the stream has many rows: telling days apart is slow.
_AS_IN_STREAM = f"""
select 1
from (
    select count(*) as n from {TABLE}
    where hash(customer) <= {share_of("behaviour.customer_stream")}
) as own, (
    select count(*) as n
    from (
        select distinct customer, ts::date
        from behaviour.customer_stream
        where hash(customer) <= {share_of("behaviour.customer_stream")} and customer is not null
    ) as days
) as stream
where own.n > 0 and abs(own.n - stream.n) > 0.05 * stream.n
"""

SUITE = Suite(
    table="behaviour.customer_days",
    gate="behaviour",
    needs=frozenset(
        {"events", "orders", "order_items", "tickets", "feedback", "messages", "subscriptions"}
    ),
    expectations=[
        rows(),
        between("day", "1990-01-01", "2100-01-01", name="day_plausible"),
        no_rows(
            "no_long_holes",
            "At most 10 % of the days on which there usually is traffic have none.",
            _HOLES + "holes > 0.1 * days",
            column="day",
        ),
        no_rows(
            "no_holes",
            "No day on which there usually is traffic has none.",
            _HOLES + "holes > 0",
            column="day",
            blocking=False,
        ),
        no_rows(
            "revenue_as_in_orders",
            "Revenue by day adds up to that of the orders, within a thousandth.",
            f"select 1 from (select count(*) as n, sum(revenue) as r from {TABLE}) as own, "
            "(select sum(revenue) as r from behaviour.fct_orders "
            "where is_purchase and customer is not null) as orders "
            "where own.n > 0 and abs(coalesce(own.r, 0) - coalesce(orders.r, 0)) "
            "> 0.001 * abs(coalesce(orders.r, 0)) + 0.01",
            column="revenue",
            needs=ORDERS,
        ),
        no_rows(
            "days_as_in_stream",
            "There are as many customer days as the stream has, within 5 %.",
            _AS_IN_STREAM,
        ),
    ],
)
