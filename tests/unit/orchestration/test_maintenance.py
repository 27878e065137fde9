"""Versions stay readable for their time, then go, and nobody who is pinned is broken."""

from contextlib import closing
from pathlib import Path

import duckdb
import pytest
from small_lake import TABLES, build, deployment, disk, publish, versions

from orchestration.lib.maintenance import maintain
from orchestration.lib.publication import read_pointer, swap_pointer
from orchestration.lib.warehouse import published_connection


def test_the_previous_version_survives_and_older_ones_go(tmp_path: Path) -> None:
    habitus = deployment(tmp_path)
    snapshots = []
    for version in (1, 2, 3):
        build(habitus, version)
        snapshots.append(publish(habitus, keep_days=0).snapshot)
    before = disk(habitus)
    with closing(published_connection(habitus)) as pinned:
        build(habitus, 4)
        snapshots.append(publish(habitus, keep_days=0).snapshot)
        assert disk(habitus) == pytest.approx(before * 4 / 3, rel=0.01)
        done = maintain(habitus)
        for table in TABLES:
            rows = pinned.execute(f"select distinct version from lake.{table}").fetchall()
            assert rows == [(3,)]
    assert versions(habitus, snapshots[2]) == {3}
    assert versions(habitus, snapshots[3]) == {4}
    with pytest.raises(duckdb.Error, match="No snapshot found"):
        versions(habitus, snapshots[1])
    assert done.files == 2 * len(TABLES)
    assert disk(habitus) == pytest.approx(before * 2 / 3, rel=0.01)


def test_a_version_stays_for_the_time_stated(tmp_path: Path) -> None:
    habitus = deployment(tmp_path)
    snapshots = []
    for version in (1, 2, 3):
        build(habitus, version)
        snapshots.append(publish(habitus, keep_days=2).snapshot)
        maintain(habitus)
    assert [versions(habitus, s) for s in snapshots] == [{1}, {2}, {3}]


def test_time_runs_from_the_replacement(tmp_path: Path) -> None:
    pointer = tmp_path / "published.json"
    for snapshot in (1, 2, 3):
        swap_pointer(pointer, snapshot=snapshot, run_id="r", as_of=None, keep_days=2)
    replaced_at = read_pointer(pointer).earlier[1].replaced_at
    text = pointer.read_text().replace(replaced_at, "2020-01-01T00:00:00+00:00")
    pointer.write_text(text)
    assert read_pointer(pointer).readable() == {1, 2, 3}
    last = swap_pointer(pointer, snapshot=4, run_id="r", as_of=None, keep_days=2)
    assert last.readable() == {2, 3, 4}


def test_publishing_the_same_snapshot_again_keeps_the_one_before(tmp_path: Path) -> None:
    pointer = tmp_path / "published.json"
    for snapshot in (1, 2, 2, 2):
        last = swap_pointer(pointer, snapshot=snapshot, run_id="r", as_of=None, keep_days=0)
    assert last.readable() == {1, 2}


def test_a_pointer_of_before_is_read(tmp_path: Path) -> None:
    pointer = tmp_path / "published.json"
    pointer.write_text(
        '{"snapshot": 7, "run_id": "r", "published_at": "2026-01-01", "as_of": null}'
    )
    assert read_pointer(pointer).readable() == {7}


def test_files_of_killed_runs_go_and_failed_runs_change_nothing(tmp_path: Path) -> None:
    habitus = deployment(tmp_path)
    build(habitus, 1)
    published = publish(habitus)
    orphan = habitus.warehouse / "data" / "marts" / "c" / "killed.parquet"
    orphan.write_bytes(b"half")
    build(habitus, 2, upto=2)
    assert read_pointer(habitus.published) == published
    done = maintain(habitus)
    assert done.orphans == 1
    assert not orphan.exists()
    assert versions(habitus, published.snapshot) == {1}
    assert versions(habitus) == {1, 2}
