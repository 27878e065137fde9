"""Tables that are brought forward are those that would be built anew, whatever arrived."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import date, timedelta

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from increment_line import START, Line, batches, otherwise

from orchestration.config import Settings, activate
from orchestration.config import settings as read_settings
from orchestration.lib.dbt_server import DbtServer
from orchestration.lib.increments import MOST_INCREMENTS, note_built, note_published, plan
from orchestration.lib.lake import UNSIGNED, attach
from orchestration.lib.publication import swap_pointer
from orchestration.lib.warehouse import latest_snapshot

SEEDS = st.integers(0, 2**31)
QUIET = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]


@pytest.fixture(scope="module")
def habitus(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    home = tmp_path_factory.mktemp("increments")
    return activate(replace(read_settings("shop"), home=home, memory_limit="1GB"))


@pytest.fixture(scope="module")
def server(habitus: Settings) -> Iterator[DbtServer]:
    started = DbtServer(habitus)
    started.wait()
    yield started
    started.stop()


def line(habitus: Settings, server: DbtServer, seed: int, name: str, **environment: str) -> Line:
    """A line in a home of its own."""
    home = habitus.home / f"{seed}-{name}"
    return Line(replace(habitus, home=home), server, **environment)


def brought_forward(line: Line, seed: int, days: int) -> dict[str, str]:
    """The tables after the first two days at once, and each other day by an increment."""
    arrived = batches(seed, days)
    for number, batch in enumerate(arrived[:2]):
        line.land(batch, f"b{number}")
    snapshot = line.build()
    for number, batch in enumerate(arrived[2:], start=2):
        snapshot = line.build(snapshot, line.land(batch, f"b{number}"))
    return line.hashes()


def holds(habitus: Settings, server: DbtServer, seed: int, days: int) -> None:
    """Increments, a full build of the same lake, and of another arrival: all the same."""
    there = line(habitus, server, seed, "there", TZ="Asia/Shanghai", HABITUS_THREADS="2")
    forward = brought_forward(there, seed, days)
    there.environment |= {"TZ": "America/New_York", "HABITUS_THREADS": "1"}
    there.build()
    assert there.hashes() == forward
    other = line(habitus, server, seed, "other", TZ="UTC")
    for number, batch in enumerate(otherwise(batches(seed, days), seed)):
        other.land(batch, f"x{number}")
    other.build()
    assert other.hashes() == forward


@settings(max_examples=1, deadline=None, derandomize=True, suppress_health_check=QUIET)
@given(seed=SEEDS)
def test_increments_equal_a_full_build(habitus: Settings, server: DbtServer, seed: int) -> None:
    holds(habitus, server, seed, days=5)


@pytest.mark.hours
@settings(max_examples=20, deadline=None, suppress_health_check=QUIET)
@given(seed=SEEDS)
def test_increments_equal_a_full_build_often(
    habitus: Settings, server: DbtServer, seed: int
) -> None:
    holds(habitus, server, seed, days=9)


def test_an_increment_touches_only_what_changed(habitus: Settings, server: DbtServer) -> None:
    built = line(habitus, server, 1, "touched")
    for number, batch in enumerate(batches(11, 8)):
        built.land(batch, f"b{number}")
    before = built.build()
    event = {
        "event_id": "one",
        "event": "page_viewed",
        "original_timestamp": START + timedelta(days=2),
        "anonymous_id": "a1",
        "_known_at": START + timedelta(days=8),
    }
    after = built.build(before, built.land({"events": [event]}, "late"))
    with closing(built.connect()) as con:
        stream = "'lake', 'behaviour', 'customer_stream'"
        (written,) = con.execute(
            f"select count(*) from ducklake_table_insertions({stream}, {before + 1}, {after})"
        ).fetchone()
        (standing,) = con.execute("select count(*) from lake.behaviour.customer_stream").fetchone()
    assert 1 <= written < standing / 2


def test_a_table_is_filled_anew_and_replaced_where_it_is_not_what_it_should_be(
    habitus: Settings, server: DbtServer
) -> None:
    built = line(habitus, server, 2, "filled")
    for number, batch in enumerate(batches(11, 4)):
        built.land(batch, f"b{number}")

    def table_id() -> int:
        with closing(built.connect()) as con:
            return con.execute(
                "select table_id from ducklake_table_info('lake') "
                "where table_name = 'customer_id_map'"
            ).fetchone()[0]

    built.build()
    whole, standing = built.hashes(), table_id()
    built.build()
    assert table_id() == standing
    for harm in ("rename rule to reason", "drop column rule", "alter id_value drop not null"):
        with closing(duckdb.connect(config=UNSIGNED)) as con:
            attach(con, built.home, read_only=False)
            con.execute(f"alter table lake.behaviour.customer_id_map {harm}")
        built.build()
        assert table_id() != standing, harm
        assert built.hashes() == whole
        standing = table_id()


def test_of_contents_of_one_moment_the_same_one_stands(
    habitus: Settings, server: DbtServer
) -> None:
    known = START + timedelta(days=1)
    event = {"event_id": "e", "event": "page_viewed", "anonymous_id": "a1", "_known_at": known}
    event["original_timestamp"] = START
    order = {"order_id": "o", "customer_id": "c1", "ordered_at": START, "_known_at": known}
    one, other = (
        {"events": [event | {"url": url}], "orders": [order | {"revenue": revenue}]}
        for url, revenue in (("/a", 5), ("/b", 7))
    )
    first = line(habitus, server, 5, "tie-1")
    first.land(one, "b0")
    before = first.build()
    first.build(before, first.land(other, "b1"))
    second = line(habitus, server, 5, "tie-2")
    for name, batch in (("b0", other), ("b1", one)):
        second.land(batch, name)
    second.build()
    assert first.hashes() == second.hashes()


def test_a_key_that_comes_twice_is_seen_in_an_increment(
    habitus: Settings, server: DbtServer
) -> None:
    built = line(habitus, server, 4, "twice")
    first, second = batches(7, 2)
    built.land(first, "b0")
    before = built.build()
    name = "unique_key_customer_stream_activity_id"
    built.plan(before)
    assert built.dbt("test", name).returncode == 0, "nothing has come since"
    built.build(before, built.land(second, "b1"))
    assert built.dbt("test", name).returncode == 0
    for harm in ("", "replace (null as activity_id)"):
        with closing(duckdb.connect()) as con:
            attach(con, built.home, read_only=False)
            con.execute(
                f"insert into lake.behaviour.customer_stream select * {harm} "
                "from lake.behaviour.customer_stream limit 1"
            )
        assert "FAIL 1" in built.dbt("test", name).stdout
        with closing(duckdb.connect()) as con:
            attach(con, built.home, read_only=False)
            snapshot = latest_snapshot(con) - 1
            con.execute(
                "create or replace table lake.behaviour.customer_stream as "
                f"from lake.behaviour.customer_stream at (version => {snapshot})"
            )


@pytest.mark.parametrize(
    "harm",
    [
        "insert into lake.behaviour.customer_stream select * replace ('nobody' as customer) "
        "from lake.behaviour.customer_stream limit 1",
        "delete from lake.behaviour.dim_customers where customer in "
        "(select min(customer) from lake.behaviour.customer_stream)",
    ],
)
def test_a_customer_that_nobody_describes_is_seen_in_an_increment(
    habitus: Settings, server: DbtServer, harm: str
) -> None:
    built = line(habitus, server, 4, f"unknown-{harm[:6]}")
    first, second = batches(7, 2)
    built.land(first, "b0")
    before = built.build()
    built.build(before, built.land(second, "b1"))
    name = "relationships_customer_stream_customer__customer__ref_dim_customers_"
    assert built.dbt("test", name).returncode == 0
    with closing(duckdb.connect(config=UNSIGNED)) as con:
        attach(con, built.home, read_only=False)
        con.execute(harm)
    assert "FAIL" in built.dbt("test", name).stdout


def published(built: Line, habitus: Settings) -> Settings:
    """The line's settings, after a publication of what stands."""
    its = replace(habitus, home=built.home.parent)
    with closing(built.connect()) as con:
        snapshot = latest_snapshot(con)
    swap_pointer(its.published, snapshot=snapshot, run_id="r", as_of=None)
    note_built(its, plan(its))
    note_published(its)
    return its


def test_when_tables_can_be_brought_forward(habitus: Settings, server: DbtServer) -> None:
    built = line(habitus, server, 2, "plan")
    first, second = batches(5, 2)
    built.land(first, "b0")
    built.build()
    assert plan(replace(habitus, home=built.home.parent)).since is None
    its = published(built, habitus)
    begun = plan(its)
    assert begun.since is not None
    assert begun.files == []
    built.land(second, "b1")
    assert plan(its).files == ["b1.parquet"]
    note_built(its, replace(begun, inputs=replace(begun.inputs, increments=MOST_INCREMENTS)))
    note_published(its)
    assert "increments" in plan(its).why
    assert plan(replace(its, as_of=date(2024, 3, 1))).since is None
    raw = its.lake / "raw" / "events" / "b0.parquet"
    raw.write_bytes(raw.read_bytes() + b"x")
    assert "rewritten" in plan(its).why
    raw.unlink()
    assert "removed" in plan(its).why


def test_tables_that_were_touched_otherwise_are_built_anew(
    habitus: Settings, server: DbtServer
) -> None:
    built = line(habitus, server, 3, "otherwise")
    built.land(batches(5, 1)[0], "b0")
    built.build()
    its = published(built, habitus)
    assert plan(its).since is not None
    built.build()
    assert "changed since" in plan(its).why
