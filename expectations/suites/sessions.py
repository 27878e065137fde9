"""What sessions look like: length, events in each, conversion, and coverage of the stream.

What does not belong here: the rule that cuts a session (a dbt unit test).
"""

from expectations.suite import TABLE, Suite, between, no_rows, rows

CAP_DAYS = 3

SUITE = Suite(
    table="behaviour.sessions",
    gate="behaviour",
    needs=frozenset({"events"}),
    expectations=[
        rows(),
        no_rows(
            "events_per_session",
            "A session has between 1 and 500 events on average.",
            f"select 1 from (select avg(events) as m from {TABLE}) as t "
            "where m not between 1 and 500",
            column="events",
        ),
        between("absolute_seconds", 0, CAP_DAYS * 86_400, name="not_longer_than_the_cap"),
        no_rows(
            "views_within_events",
            "No session has more page views than events.",
            f"select 1 from {TABLE} where page_views > events",
            column="page_views",
        ),
        no_rows(
            "not_all_converted",
            "Fewer than 90 % of the sessions convert, if there are 100.",
            f"select 1 from (select count(*) as n, count(*) filter (where is_converted) as bought "
            f"from {TABLE}) as t where n >= 100 and bought >= 0.9 * n",
            column="is_converted",
            blocking=False,  # a shop may send nothing but its purchases
        ),
        no_rows(
            "not_one_customer",
            "No customer has a fifth of the sessions, if there are 1,000.",
            f"select 1 from (select customer, count(*) as n, sum(count(*)) over () as all_n "
            f"from {TABLE} where customer is not null group by customer) as t "
            "where all_n >= 1000 and n > 0.2 * all_n",
            column="customer",
        ),
        no_rows(
            "within_the_stream",
            "Sessions hold no more events than the stream.",
            f"select 1 from (select sum(events) as n from {TABLE}) as own, "
            "(select count(*) as n from behaviour.customer_stream) as stream "
            "where own.n > stream.n",
            column="events",
        ),
        no_rows(
            "some_engaged",
            "Between 1 % and 99 % of the sessions are engaged, if there are 1,000.",
            f"select 1 from (select count(*) as n, count(*) filter (where is_engaged) as yes "
            f"from {TABLE}) as t where n >= 1000 and yes not between 0.01 * n and 0.99 * n",
            column="is_engaged",
            blocking=False,
        ),
        no_rows(
            "not_all_single",
            "At most 95 % of the sessions have a single event, if there are 1,000.",
            f"select 1 from (select count(*) as n, count(*) filter (where events = 1) as single "
            f"from {TABLE}) as t where n >= 1000 and single > 0.95 * n",
            column="events",
            blocking=False,
        ),
    ],
)
