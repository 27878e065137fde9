"""What is released: fixed cells, one a customer, and a budget that is spent first."""

from datetime import date
from pathlib import Path

import duckdb
import pytest

from orchestration.lib.release import (
    FREQUENCY,
    MONTHS,
    RECENCY,
    bucket,
    buckets,
    months_before,
    tables_of,
)
from privacy.release import exact


def test_cells_are_known_without_the_data() -> None:
    assert buckets(FREQUENCY) == ("0", "1", "2", "3-5", "6-10", "11+")
    assert buckets(RECENCY) == ("0-30", "31-90", "91-180", "181-365", "366+")
    assert [bucket(n, FREQUENCY) for n in (0, 1, 3, 5, 6, 99)] == [
        "0", "1", "3-5", "3-5", "6-10", "11+",
    ]  # fmt: skip
    assert months_before(date(2025, 2, 28), 4) == ["2024-11", "2024-12", "2025-01", "2025-02"]


@pytest.mark.parametrize("people", [0, 6])
def test_a_customer_is_in_one_cell_of_each_table(people: int, tmp_path: Path) -> None:
    con = duckdb.connect()
    con.execute(f"attach '{tmp_path / 'lake.duckdb'}' as lake")
    con.execute("create schema lake.marts")
    con.execute(
        "create table lake.marts.customer_360 as select 'c' || i as customer, "
        "case when i > 1 then timestamp '2025-01-05' - to_days(i * 300) end as first_ordered_at, "
        "case when i > 1 then timestamp '2025-01-05' end as last_ordered_at, "
        "case when i > 0 then i - 1 end as orders "
        f"from range({people}) as t (i)"
    )
    con.execute("create table lake.marts.rfm as select customer from lake.marts.customer_360")
    con.execute("insert into lake.marts.customer_360 select 'refused', null, null, 1")
    tables = tables_of(con, date(2025, 1, 31))
    assert [len(t.cells) for t in tables] == [MONTHS + 2, len(RECENCY) + 2, len(FREQUENCY) + 1]
    assert all(sum(exact(t)) == people == len(t.of_customer) for t in tables)
