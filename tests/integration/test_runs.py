"""Runs that are killed, doubled, or find a broken warehouse: what is left needs no hands."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import dbt_fixture as fixture
import pytest

from orchestration.config import Settings, activate, settings
from orchestration.lib.publication import NothingPublishedError, read_pointer, swap_pointer
from orchestration.lib.recovery import set_asides
from orchestration.lib.warehouse import reader

HERE = Path(__file__).parent
# Two of one step, of which one stands on views that are not asked for.
MODELS = ("behaviour/dim_products", "staging/stg_products")


@pytest.fixture
def habitus(tmp_path: Path) -> Iterator[Settings]:
    """An activated deployment of its own."""
    before = dict(os.environ)
    os.environ["HABITUS_HOME"] = str(tmp_path)
    yield activate(settings("cdnow"))
    os.environ.clear()
    os.environ.update(before)


def run(seconds: float, log: Path) -> subprocess.Popen[str]:
    """A run in a process of its own."""
    return subprocess.Popen(
        [sys.executable, str(HERE / "tiny_line.py"), str(seconds), str(log)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def outcome(process: subprocess.Popen[str]) -> list[str]:
    """Status and id of a run that ended."""
    said, _ = process.communicate(timeout=180)
    assert process.returncode == 0, said
    found: list[str] = json.loads(said.splitlines()[-1])
    return found


def wait_for(log: Path, text: str) -> str:
    """The last line of a log once it has begun."""
    end = time.monotonic() + 180
    while time.monotonic() < end:
        if log.exists() and text in log.read_text():
            return log.read_text().split()[-1]
        time.sleep(0.05)
    raise AssertionError(f"no {text!r} in {log}")


def test_a_killed_run_is_failed_by_the_next(habitus: Settings, tmp_path: Path) -> None:
    log = tmp_path / "log"
    victim = run(600, log)
    killed = wait_for(log, "begin")
    victim.kill()
    victim.wait()
    with dg.DagsterInstance.get() as instance:
        left = instance.get_run_by_id(killed)
        assert left is not None
        assert left.status == dg.DagsterRunStatus.STARTED
    began = time.monotonic()
    status, _ = outcome(run(0, log))
    assert time.monotonic() - began < 60
    assert status == "success"
    with dg.DagsterInstance.get() as instance:
        left = instance.get_run_by_id(killed)
        assert left is not None
        assert left.status == dg.DagsterRunStatus.FAILURE
    summary = json.loads((habitus.reports / killed / "summary.json").read_text())
    assert summary["status"] == "failure"


def test_two_at_once_run_one_after_the_other(habitus: Settings, tmp_path: Path) -> None:
    log = tmp_path / "log"
    both = [run(1, log) for _ in range(2)]
    ended = [outcome(process) for process in both]
    assert [status for status, _ in ended] == ["success", "success"]
    lines = [line.split() for line in log.read_text().splitlines()]
    assert [what for what, _ in lines] == ["begin", "end"] * 2
    assert {run_id for _, run_id in lines} == {run_id for _, run_id in ended}


def test_a_broken_warehouse_is_rebuilt_by_whatever_step_meets_it(habitus: Settings) -> None:
    fixture.write_shop(habitus.deployment_home)
    swap_pointer(habitus.published, snapshot=7, run_id="before", as_of=None)
    habitus.warehouse.mkdir(parents=True)
    (habitus.warehouse / "catalog.sqlite").write_bytes(b"not a catalogue" * 300)
    from orchestration.definitions import defs

    one = dg.define_asset_job("one", dg.AssetSelection.assets(*MODELS))
    loaded = dg.Definitions.merge(defs(), dg.Definitions(jobs=[one]))
    with dg.DagsterInstance.get() as instance:
        made = loaded.resolve_job_def("one").execute_in_process(
            instance=instance, raise_on_error=False
        )
        logged = [entry.user_message for entry in instance.all_logs(made.run_id)]
    assert made.success
    assert any("the warehouse was broken" in text for text in logged)
    ((aside, why),) = set_asides(habitus)
    assert "not a database" in why
    assert read_pointer(aside / "published.json").run_id == "before"
    with pytest.raises(NothingPublishedError):
        read_pointer(habitus.published)
    with reader(habitus) as con:
        row = con.execute("select count(*) from lake.behaviour.dim_products").fetchone()
    assert row
    assert row[0] > 5
