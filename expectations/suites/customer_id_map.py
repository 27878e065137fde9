"""What identity looks like: no mega-person, known people, tokens only.

What does not belong here: the rules that join identities (dbt), their precision (evaluation).
"""

from expectations.suite import TABLE, Suite, no_rows, rows

SUITE = Suite(
    table="behaviour.customer_id_map",
    gate="behaviour",
    needs=frozenset(
        {"customers", "events", "orders", "order_items", "tickets", "feedback", "messages"}
    ),
    expectations=[
        rows(),
        no_rows(
            "no_mega_person",
            "No customer has more than 2 % of all ids, nor, below 2,500 ids, more than 50.",
            f"select 1 from (select customer, count(*) as n, sum(count(*)) over () as all_n "
            f"from {TABLE} group by customer) as t where n > greatest(50, 0.02 * all_n)",
            column="customer",
        ),
        no_rows(
            "someone_is_known",
            "At least one id in a thousand belongs to a customer whom a source knows.",
            f"select 1 from (select count(*) as n, count(*) filter (where is_known) as known "
            f"from {TABLE}) as t where known < 0.001 * n",
            column="is_known",
            needs=("customers", "orders", "order_items"),
        ),
        no_rows(
            "ids_are_tokens",
            "Every id is a token, or tokens joined by +.",
            f"select 1 from {TABLE} where not regexp_full_match(id_value, "
            "'tok_v[0-9]+_[a-z2-7]{32}([+]tok_v[0-9]+_[a-z2-7]{32})*')",
            column="id_value",
        ),
        no_rows(
            "ids_per_customer",
            "A customer has at most 20 ids on average.",
            f"select 1 from (select count(*) as n, count(distinct customer) as people "
            f"from {TABLE}) as t where n > 20 * people",
            column="customer",
            blocking=False,
        ),
    ],
)
