"""A broken warehouse is recognised and set aside; a busy or full one is not."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from small_lake import build, deployment, publish, versions

from habitus.doctor import _warehouse
from orchestration.config import Settings
from orchestration.lib.publication import NothingPublishedError, read_pointer
from orchestration.lib.recovery import set_aside_if_broken, set_asides, what_is_wrong


@pytest.fixture
def habitus(tmp_path: Path) -> Settings:
    """A deployment with one published version."""
    made = deployment(tmp_path)
    build(made, 1)
    publish(made)
    return made


def catalogue(habitus: Settings) -> Path:
    return habitus.warehouse / "catalog.sqlite"


def a_data_file(habitus: Settings) -> Path:
    return next((habitus.warehouse / "data" / "marts" / "c").glob("*.parquet"))


def truncate(habitus: Settings) -> None:
    path = catalogue(habitus)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def overwrite(habitus: Settings) -> None:
    catalogue(habitus).write_bytes(b"not a database" * 500)


def damage_a_page(habitus: Settings) -> None:
    path = catalogue(habitus)
    text = bytearray(path.read_bytes())
    text[4096:12288] = b"\xff" * 8192
    path.write_bytes(text)


def cut_a_data_file(habitus: Settings) -> None:
    path = a_data_file(habitus)
    path.write_bytes(path.read_bytes()[:-10])


def forget_a_snapshot(habitus: Settings) -> None:
    with closing(sqlite3.connect(catalogue(habitus))) as con, con:
        con.execute("delete from ducklake_snapshot where snapshot_id > 2")


BREAKS: list[Callable[[Settings], object]] = [
    truncate,
    overwrite,
    damage_a_page,
    cut_a_data_file,
    forget_a_snapshot,
    lambda h: catalogue(h).write_bytes(b""),
    lambda h: catalogue(h).unlink(),
    lambda h: a_data_file(h).unlink(),
]


@pytest.mark.parametrize("break_it", BREAKS)
def test_broken_is_set_aside_and_built_anew(
    habitus: Settings, break_it: Callable[[Settings], object]
) -> None:
    break_it(habitus)
    before = {p.name for p in habitus.warehouse.rglob("*") if p.is_file()}
    assert set_aside_if_broken(habitus)
    ((aside, why),) = set_asides(habitus)
    kept = {p.name for p in aside.rglob("*") if p.is_file()} - {"WHY.txt", "published.json"}
    # The write-ahead log belongs to SQLite, which may have folded it in.
    assert kept >= {name for name in before if not name.endswith(("-wal", "-shm"))}
    assert why
    with pytest.raises(NothingPublishedError):
        read_pointer(habitus.published)
    assert what_is_wrong(habitus) is None
    build(habitus, 2)
    publish(habitus)
    assert versions(habitus, read_pointer(habitus.published).snapshot) == {2}
    assert set_aside_if_broken(habitus) is None


def test_sound_is_left_alone(habitus: Settings) -> None:
    assert set_aside_if_broken(habitus) is None
    assert versions(habitus) == {1}


def test_nothing_built_yet_is_no_damage(tmp_path: Path) -> None:
    habitus = deployment(tmp_path)
    assert what_is_wrong(habitus) is None
    assert set_aside_if_broken(habitus) is None
    assert not habitus.warehouse.exists()


def test_busy_is_not_broken(habitus: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *a, **k: connect(*a, **{**k, "timeout": 0.1}))
    with closing(connect(catalogue(habitus), isolation_level=None)) as con:
        con.execute("pragma locking_mode = exclusive")
        con.execute("begin exclusive")
        con.execute("update ducklake_metadata set value = value")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            set_aside_if_broken(habitus)
    assert versions(habitus) == {1}


def test_the_doctor_says_so(habitus: Settings) -> None:
    (sound,) = _warehouse(habitus)
    assert sound.ok
    a_data_file(habitus).unlink()
    (broken,) = _warehouse(habitus)
    assert not broken.ok
    assert "missing" in broken.detail
    assert "habitus run" in broken.remedy
    set_aside_if_broken(habitus)
    none_yet, aside = _warehouse(habitus)
    assert none_yet.ok
    assert "rm -r" in aside.remedy
