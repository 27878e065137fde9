"""A lake of a handful of people whose consents are written down by hand.

What does not belong here: assertions.
"""

from pathlib import Path

import duckdb

# (customer, purpose, valid_to, answer, may_use), all that holds today.
ANSWERS = (
    ("c_yes", "marketing", None, "granted", True),
    ("c_two", "marketing", None, "granted", True),
    ("c_no", "marketing", None, "refused", False),
    ("c_no", "analytics", None, "granted", True),
    ("c_soon_over", "marketing", "2026-01-01", "granted", True),
    ("c_guest", "marketing", None, "granted", True),
    ("c_since", "marketing", None, "granted", True),
    ("c_other", "marketing", None, "granted", True),
)
IDS = (
    ("tok_yes", "c_yes"), ("tok_two_b", "c_two"), ("tok_two_a", "c_two"), ("tok_no", "c_no"),
    ("=tok_soon_over", "c_soon_over"), ("tok_since", "c_since"), ("tok_other", "c_other"),
    ("tok_unasked", "c_unasked"),
)  # fmt: skip
CHAMPIONS = ("c_yes", "c_two", "c_no", "c_soon_over", "c_guest", "c_since", "c_unasked")


def tables(con: duckdb.DuckDBPyConnection) -> None:
    """Create what activation and ML outputs ask of the lake, in the attached `lake`."""
    con.execute("create schema if not exists lake.behaviour")
    con.execute("create schema if not exists lake.marts")
    con.execute(
        "create table lake.behaviour.dim_consents (customer varchar, purpose varchar, "
        "valid_from date, valid_to date, answer varchar, is_today boolean, may_use boolean)"
    )
    for customer, purpose, valid_to, answer, may_use in ANSWERS:
        con.execute(
            "insert into lake.behaviour.dim_consents values (?, ?, '2024-01-01', ?, ?, true, ?)",
            [customer, purpose, valid_to, answer, may_use],
        )
    # Once granted, long over: nothing that holds today.
    con.execute(
        "insert into lake.behaviour.dim_consents values "
        "('c_unasked', 'marketing', '2020-01-01', '2021-01-01', 'granted', false, false)"
    )
    con.execute(
        "create table lake.behaviour.customer_id_map "
        "(id_type varchar, id_value varchar, customer varchar)"
    )
    con.executemany("insert into lake.behaviour.customer_id_map values ('customer', ?, ?)", IDS)
    con.execute("insert into lake.behaviour.customer_id_map values ('email', 'e', 'c_guest')")
    con.execute("create table lake.marts.customer_360 (customer varchar, rfm_segment varchar)")
    con.executemany(
        "insert into lake.marts.customer_360 values (?, 'champions')", [[c] for c in CHAMPIONS]
    )
    con.execute("insert into lake.marts.customer_360 values ('c_other', 'loyal')")


def write_raw_consents(folder: Path, rows: list[tuple[str, str, str, str]]) -> None:
    """(customer_id, purpose, status, moment) as ingestion leaves them."""
    folder.mkdir(parents=True)
    con = duckdb.connect()
    con.execute(
        "create table t (customer_id varchar, purpose varchar, status varchar, "
        "valid_from timestamp, _known_at timestamp)"
    )
    con.executemany("insert into t values (?, ?, ?, ?, ?)", [[*row, row[3]] for row in rows])
    con.execute(f"copy t to '{folder / 'b1.parquet'}' (format parquet)")
