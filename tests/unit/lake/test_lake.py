"""`orchestration.lib.lake`: attaching, pinning, the input views and their errors."""

import json
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import duckdb
import duckdb_extension_ducklake
import pytest

from orchestration.lib.dbt_plugin import Plugin
from orchestration.lib.lake import UNSIGNED, LakeError, attach, create_input_views


def make_lake(home: Path) -> int:
    """Write one table in two snapshots; give the number of the first."""
    con = duckdb.connect()
    attach(con, home, read_only=False)
    con.execute("create schema lake.marts; create table lake.marts.t as select 1 as a")
    row = con.execute("select max(snapshot_id) from ducklake_snapshots('lake')").fetchone()
    con.execute("insert into lake.marts.t values (2)")
    con.close()
    assert row is not None
    return row[0]


def test_pinned_reader_sees_its_snapshot(tmp_path: Path) -> None:
    snapshot = make_lake(tmp_path)
    for pin, expected in ((snapshot, 1), (None, 2)):
        con = duckdb.connect()
        attach(con, tmp_path, snapshot=pin)
        assert con.execute("select count(*) from lake.marts.t").fetchone() == (expected,)
        con.close()


def test_reader_cannot_write_and_inlining_is_off(tmp_path: Path) -> None:
    make_lake(tmp_path)
    con = duckdb.connect()
    attach(con, tmp_path)
    with pytest.raises(duckdb.Error, match="read-only"):
        con.execute("insert into lake.marts.t values (3)")
    assert con.execute("select current_setting('TimeZone')").fetchone() == ("UTC",)
    limit = con.execute(
        "select value from ducklake_options('lake') where option_name = 'data_inlining_row_limit'"
    ).fetchone()
    assert limit == ("0",)


def test_reader_of_nothing_is_told(tmp_path: Path) -> None:
    with pytest.raises(LakeError, match="no warehouse"):
        attach(duckdb.connect(), tmp_path)


def test_writer_cannot_be_pinned(tmp_path: Path) -> None:
    with pytest.raises(LakeError, match="pinned"):
        attach(duckdb.connect(), tmp_path, read_only=False, snapshot=1)


def test_home_with_a_quote(tmp_path: Path) -> None:
    home = tmp_path / "o'brien"
    home.mkdir()
    assert make_lake(home) >= 1


def write_raw(home: Path) -> None:
    """Write one entity in two batches, one of them with a column more."""
    folder = home / "lake" / "raw" / "orders"
    folder.mkdir(parents=True)
    con = duckdb.connect()
    con.execute(f"copy (select 'o1' as order_id) to '{folder}/b1.parquet'")
    con.execute(f"copy (select 'o2' as order_id, 7 as extra) to '{folder}/b2.parquet'")


def test_input_views_unite_batches_and_read_the_run(tmp_path: Path) -> None:
    write_raw(tmp_path)
    run = {"run_id": "r'1", "as_of": "2024-02-29", "churn": {"horizon_days": 28}}
    (tmp_path / "lake" / "run.json").write_text(json.dumps(run), encoding="utf-8")
    con = duckdb.connect()
    create_input_views(con, tmp_path)
    rows = con.execute("select order_id, extra from raw.orders order by 1").fetchall()
    assert rows == [("o1", None), ("o2", 7)]
    found = con.execute("select run_id, cast(as_of as varchar), * from raw.run").fetchone()
    assert found is not None
    assert found[:2] == ("r'1", "2024-02-29")
    assert found[4:] == (28, None, None, "{}", None)


def test_what_came_is_read_from_its_files_alone(tmp_path: Path) -> None:
    write_raw(tmp_path)
    folder = tmp_path / "lake" / "raw" / "orders"
    with duckdb.connect() as con:
        con.execute(
            "copy (select 'o' as order_id, 7 as extra limit 0) "
            f"to '{folder}/_schema.parquet' (format parquet)"
        )
        create_input_views(con, tmp_path, {"orders": []})
        assert con.execute("select order_id, extra from came.orders").fetchall() == []
        create_input_views(con, tmp_path, {"orders": ["b1.parquet"]})
        (folder / "b2.parquet").unlink()
        assert con.execute("select order_id, extra from came.orders").fetchall() == [("o1", None)]


def test_run_is_optional_but_not_wrong(tmp_path: Path) -> None:
    write_raw(tmp_path)
    con = duckdb.connect()
    create_input_views(con, tmp_path)
    assert con.execute("select as_of from raw.run").fetchall() == [(None,)]
    path = tmp_path / "lake" / "run.json"
    for text in ("{", "[]", '{"as_of": "yesterday"}', '{"churn": {"horizon_days": "x"}}'):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(LakeError, match=r"run\.json"):
            create_input_views(con, tmp_path)


def test_missing_raw_lake_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(LakeError, match="ingest first"):
        create_input_views(duckdb.connect(), tmp_path)


def test_plugin_needs_a_home() -> None:
    with pytest.raises(LakeError, match=r"config\.home"):
        Plugin("lake_inputs", {})


def test_a_home_can_be_moved(tmp_path: Path) -> None:
    make_lake(tmp_path / "here")
    (tmp_path / "here").rename(tmp_path / "there")
    with duckdb.connect() as con:
        attach(con, tmp_path / "there", read_only=False)
        con.execute("insert into lake.marts.t values (3)")
    with duckdb.connect() as con:
        attach(con, tmp_path / "there")
        assert con.execute("select count(*) from lake.marts.t").fetchone() == (3,)


def test_held_records_wait_outside(tmp_path: Path) -> None:
    for folder in ("raw/orders", "raw/order_items", "held"):
        (tmp_path / "lake" / folder).mkdir(parents=True)
    with duckdb.connect() as con:
        for entity in ("orders", "order_items"):
            con.execute(
                "copy (select 'b' as _batch_id, n as _row_number from range(1, 4) as t(n)) "
                f"to '{tmp_path}/lake/raw/{entity}/b.parquet'"
            )
        con.execute(
            "copy (select 'b' as _batch_id, 2::bigint as _row_number, 'order_items' as entity) "
            f"to '{tmp_path}/lake/held/lines.parquet'"
        )
        create_input_views(con, tmp_path, {"order_items": ["b.parquet"]})
        for view in ("raw.order_items", "came.order_items"):
            rows = con.execute(f"select _row_number from {view} order by 1").fetchall()
            assert rows == [(1,), (3,)]
        assert con.execute("select count(*) from raw.orders").fetchone() == (3,)


def test_nothing_unsigned_can_be_loaded_afterwards(tmp_path: Path) -> None:
    with closing(duckdb.connect(config=UNSIGNED)) as con:
        attach(con, tmp_path, read_only=False)
        with pytest.raises(duckdb.InvalidInputException, match="allow_unsigned_extensions"):
            con.execute("set allow_unsigned_extensions = true")
        package = Path(next(iter(duckdb_extension_ducklake.__path__)))
        signed = next(package.rglob("*.duckdb_extension"))
        other = tmp_path / "other.duckdb_extension"
        other.write_bytes(signed.read_bytes()[:-8] + b"unsigned")
        with pytest.raises(duckdb.IOException, match="signature"):
            con.execute(f"load '{other}'")


def test_what_a_command_says_holds_no_progress_bar(tmp_path: Path) -> None:
    code = (
        "import duckdb\n"
        "from orchestration.config import settings\n"
        "from orchestration.lib.warehouse import new_connection\n"
        "for con in (duckdb.connect(), new_connection(settings('cdnow'))):\n"
        "    print(*con.execute(\"select current_setting('enable_progress_bar')\").fetchone())"
    )
    # So called, DuckDB takes it for somebody at a keyboard.
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "HABITUS_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["True", "False"]
