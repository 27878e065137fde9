"""What orders look like: volume against raw, money, customers, delivery.

What does not belong here: keys, statuses and relations (dbt tests).
"""

from expectations.suite import TABLE, Suite, between, filled, no_rows, rows

# `raw.run` says as of which day the run sees the data; empty means all of it.
_ARRIVED = f"""
select 1
from (select count(*) as n from {TABLE}) as own, (
    select count(distinct order_id) as n
    from (
        select order_id, ordered_at, _known_at from raw.orders
        union all
        select order_id, ordered_at, _known_at from raw.order_items
    ) as records
    where greatest(ordered_at, _known_at)::date
        <= coalesce((select max(as_of) from raw.run), date '9999-12-31')
) as raw
where own.n > 0 and (own.n < 0.9 * raw.n or own.n > 1.1 * raw.n)
"""

SUITE = Suite(
    table="behaviour.fct_orders",
    gate="behaviour",
    needs=frozenset({"orders", "order_items"}),
    expectations=[
        rows(),
        no_rows(
            "orders_arrived",
            "There are as many orders as the raw layer has order ids, within a tenth.",
            _ARRIVED,
            column="order_id",
        ),
        no_rows(
            "mostly_purchases",
            "At least a fifth of the orders are purchases.",
            f"select 1 from (select count(*) as n, count(*) filter (where is_purchase) as bought "
            f"from {TABLE}) as t where n > 0 and bought < 0.2 * n",
            column="is_purchase",
        ),
        no_rows(
            "purchases_bring_money",
            "Every purchase has revenue.",
            f"select 1 from {TABLE} where is_purchase and coalesce(revenue, 0) <= 0",
            column="revenue",
        ),
        no_rows(
            "no_order_owns_the_revenue",
            "No single order has half of the revenue, if there are 100 purchases.",
            f"select 1 from (select max(revenue) as top, sum(revenue) as total, count(*) as n "
            f"from {TABLE} where is_purchase) as t where n >= 100 and top > 0.5 * total",
            column="revenue",
        ),
        filled("customer", 0.3, name="mostly_with_customer"),
        between("ordered_at", "1990-01-01", "2100-01-01", name="ordered_at_plausible"),
        no_rows(
            "units_plausible",
            "Half of the purchases or more have at most 10,000 units.",
            f"select 1 from (select median(units) as m from {TABLE} where is_purchase) as t "
            "where m > 10000",
            column="units",
        ),
        between("delay_days", -90, 365, mostly=0.99, blocking=False, name="delay_plausible"),
        no_rows(
            "one_scale_of_money",
            "The median order of no source is 50 times that of another: cents beside units.",
            f"select 1 from (select max(m) as high, min(m) as low from (select median(revenue) "
            f"as m from {TABLE} where is_purchase group by source having count(*) >= 100) as s) "
            "as t where high > 50 * low",
            column="revenue",
            blocking=False,
        ),
        no_rows(
            "discount_within_reason",
            "Discounts are at most half of what was sold.",
            f"select 1 from (select sum(discount) as d, sum(revenue) as r from {TABLE} "
            "where is_purchase) as t where d > r",
            column="discount",
            blocking=False,
        ),
    ],
)
