"""What habitus writes into its audit trail, and what `habitus verify-audit` says of it."""

import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from typer.testing import CliRunner

from habitus.cli import app
from orchestration.config import Settings, settings
from orchestration.lib import audit
from orchestration.lib.audit import UnauditedReadWarning, note_read, record, trail
from orchestration.lib.run_guard import the_only_run
from privacy.audit_check import verify


@pytest.fixture
def habitus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    monkeypatch.setenv("HABITUS_HOME", str(tmp_path))
    monkeypatch.setattr(audit, "_warned", set())
    return settings("shop")


def lines(habitus: Settings) -> list[dict[str, Any]]:
    text = (habitus.deployment_home / "audit" / "trail.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize(("broken", "end"), [(False, "run_finished"), (True, "run_failed")])
def test_a_run_leaves_its_lines(habitus: Settings, *, broken: bool, end: str) -> None:
    @dg.resource
    def held(context: dg.InitResourceContext) -> Iterator[Settings]:
        assert context.run is not None
        assert context.instance is not None
        with the_only_run(habitus, context.instance, context.run.run_id):
            yield habitus

    @dg.asset(key=["raw", "orders"], resource_defs={"habitus": held})
    def orders() -> None:
        pass

    @dg.asset(key=["marts", "rfm"], deps=[orders], resource_defs={"habitus": held})
    def rfm() -> None:
        if broken:
            raise ValueError("no")

    with dg.DagsterInstance.ephemeral() as instance:
        done = dg.materialize([orders, rfm], instance=instance, raise_on_error=False)
    assert done.success is not broken
    said = [(line["action"], line["tables"]) for line in lines(habitus)]
    made = [("ingest", ["raw.orders"])]
    made = made if broken else [("build", ["marts.rfm"]), *made]
    assert said == [("run_started", []), *made, (end, [])]
    assert {line["run_id"] for line in lines(habitus)} == {done.run_id}
    assert verify(trail(habitus)).findings == ()


def test_a_colleague_writes_a_line(habitus: Settings) -> None:
    head = record(habitus, "erase", subjects=["tok_v1_" + "a" * 32, "ana"], purpose="objection")
    (line,) = lines(habitus)
    assert line["subjects"][0] == "tok_v1_" + "a" * 32
    assert "ana" not in json.dumps(line["subjects"][1:])
    assert verify(trail(habitus)).head == head


def test_reading_goes_on_where_nothing_can_be_written(habitus: Settings) -> None:
    habitus.home.mkdir(exist_ok=True)
    habitus.deployment_home.write_text("a file where the folder should be")
    with pytest.warns(UnauditedReadWarning, match="can be read all the same"):
        note_read(habitus, "connect")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        note_read(habitus, "connect")
    with pytest.raises(OSError, match="audit"):
        record(habitus, "export")


def test_verify_says_line_and_kind(habitus: Settings) -> None:
    run = CliRunner()
    assert run.invoke(app, ["verify-audit"]).exit_code == 0
    heads = [record(habitus, "export", tables=["marts"]) for _ in range(3)]
    good = run.invoke(app, ["verify-audit", "--head", heads[0]])
    assert good.exit_code == 0
    assert heads[-1] in good.output.replace("\n", "")
    assert run.invoke(app, ["verify-audit", "--head", "0" * 64]).exit_code == 1
    path = trail(habitus).file
    path.write_text(path.read_text().replace('"seq":2,"at":"2', '"seq":2,"at":"1'))
    bad = run.invoke(app, ["verify-audit"])
    assert bad.exit_code == 1
    assert "line 2: edited" in bad.output


def test_an_export_has_its_line_or_is_not_done(
    habitus: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    run = CliRunner()
    refused = run.invoke(app, ["export", str(out), "--purpose", "for ana@example.org"])
    assert refused.exit_code == 2
    assert not out.exists()
    run.invoke(app, ["export", str(out), "--purpose", "dashboard of the shop"])
    (line,) = lines(habitus)
    assert (line["action"], line["purpose"]) == ("export", "dashboard of the shop")
