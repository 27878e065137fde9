"""`habitus quarantine`: lists, shows and exports what failed; a record cannot steer anything."""

from __future__ import annotations

import csv
import json
import os
import sys
from pathlib import Path
from unittest.mock import patch

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from habitus.cli import app
from ingestion.quarantine import QUARANTINE_SCHEMA
from ingestion.review import quarantine_groups
from privacy.export import FORMULA, escape_formula

sys.path.insert(0, str(Path(__file__).parent / "ingestion"))

from shops import NOW, Shop

HEAD = "id,who,when,sum,note\n"


@pytest.fixture(autouse=True)
def _own_environment():
    """A command activates its settings in the environment; they go with the test."""
    with patch.dict(os.environ):
        yield


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """A shop whose folders are those of a deployment named `contracts`."""
    monkeypatch.setenv("HABITUS_HOME", str(tmp_path))
    shop = Shop(tmp_path / "contracts")
    shop.land("a.csv", HEAD + "A1,c1,2025-01-02,1,x\nA2,c2,bad,1,=1+1\nA3,c3\n")
    shop.land("b.csv", b"PK\x03\x04")
    shop.ingest()
    return shop


def command(shop, *words):
    """Run `habitus WORDS`; the deployment is the folder of contracts of the shop."""
    deployment = ["--deployment", str(shop.home / "contracts")]
    env = {"COLUMNS": "300"}
    return CliRunner().invoke(app, [*words, *deployment], env=env)


def test_list_groups_by_file_and_reason(shop):
    result = command(shop, "quarantine", "list")
    assert result.exit_code == 0, result.output
    for text in ("sales/a.csv", "sales/b.csv", "type: ordered_at", "file_magic"):
        assert text in result.output
    groups = quarantine_groups(shop.paths.quarantine, "sales")
    assert sum(group.records for group in groups) == 3
    assert {group.first_seen_at for group in groups} == {NOW.replace(tzinfo=None)}
    assert not any(group.recovered for group in groups)


def test_show_gives_rows_and_records(shop):
    result = command(shop, "quarantine", "show", "sales", "--limit", "2")
    assert result.exit_code == 0, result.output
    assert "=1+1" in result.output
    assert "tok_v1_" in result.output
    assert '"c2"' not in result.output
    sha = quarantine_groups(shop.paths.quarantine)[-1].file_sha256
    result = command(shop, "quarantine", "show", "sales", "--file", sha[:8])
    assert "whole file" in result.output
    assert "sales/a.csv" not in result.output


@pytest.mark.parametrize(
    "words",
    [("list", "--source", "nope"), ("show", "nope"), ("export", "nope", "x.csv")],
)
def test_an_unknown_source_is_said(shop, words):
    result = command(shop, "quarantine", *words)
    assert result.exit_code == 2
    assert "these have: sales" in result.output


def test_an_unknown_file_and_an_unknown_form_are_said(shop, tmp_path):
    assert (
        "no quarantined file" in command(shop, "quarantine", "show", "sales", "--file", "zz").output
    )
    result = command(shop, "quarantine", "export", "sales", str(tmp_path / "x.xlsx"))
    assert result.exit_code == 2
    assert ".csv, .parquet or .jsonl" in result.output


def _spoil(shop):
    """A record for each beginning of a formula, and one that steers terminals."""
    path = next((shop.paths.quarantine / "sales").glob("*.parquet"))
    row = pq.read_table(path).to_pylist()[0]
    texts = [f"{char}cmd" for char in FORMULA] + ["\x1b[31m[bold]red", "plain"]
    rows = [{**row, "record": text, "row_number": i} for i, text in enumerate(texts)]
    other = path.with_name("spoilt.parquet")
    pq.write_table(pa.Table.from_pylist(rows, QUARANTINE_SCHEMA), other)
    return texts


def test_export_escapes_formulas_in_csv_only(shop, tmp_path):
    texts = _spoil(shop)
    for form in ("csv", "jsonl", "parquet"):
        result = command(shop, "quarantine", "export", "sales", str(tmp_path / f"q.{form}"))
        assert result.exit_code == 0, result.output
        assert f"{len(texts) + 3} records" in result.output
    with (tmp_path / "q.csv").open(newline="") as handle:
        cells = [row["record"] for row in csv.DictReader(handle)]
    assert {escape_formula(text) for text in texts} <= set(cells)
    assert not [cell for cell in cells if cell and cell[0] in FORMULA]
    lines = [json.loads(line) for line in (tmp_path / "q.jsonl").read_text().split("\n") if line]
    assert set(texts) <= {line["record"] for line in lines}
    assert pq.read_table(tmp_path / "q.parquet").schema == QUARANTINE_SCHEMA


def test_a_record_cannot_steer_the_terminal(shop):
    _spoil(shop)
    result = command(shop, "quarantine", "show", "sales")
    assert "\x1b[31m" not in result.output
    assert "[bold]red" in result.output


def test_an_empty_quarantine(tmp_path, monkeypatch):
    monkeypatch.setenv("HABITUS_HOME", str(tmp_path))
    shop = Shop(tmp_path / "contracts")
    shop.contract()
    assert "nothing is in quarantine" in command(shop, "quarantine", "list").output


def test_replay_says_what_it_did(shop, tmp_path):
    mended = tmp_path / "a.csv"
    mended.write_text(HEAD + "A1,c1,2025-01-02,1,x\nA2,c2,2025-01-02,1,y\nA3,c3,2025-01-02,1,y\n")
    result = command(shop, "replay", "sales", str(mended))
    assert result.exit_code == 0, result.output
    assert "3 records = 3 accepted" in result.output  # another key of tokens, so no duplicates
    assert "recovered from quarantine: 2" in result.output
    assert "habitus run" in result.output
    assert "recovered" in command(shop, "quarantine", "list").output
    result = command(shop, "replay", "sales", str(mended))
    assert (result.exit_code, "read before" in result.output) == (2, True)
    assert command(shop, "replay", "nope", str(mended)).exit_code == 2
