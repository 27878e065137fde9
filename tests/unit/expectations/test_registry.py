"""Suites are found, not listed; malformed ones are refused; the raw ones come from contracts."""

import subprocess
import sys
from pathlib import Path

import pytest

from expectations import registry
from expectations.contract import Deployment, load_entities
from expectations.registry import SuiteError, all_suites, gate, suites_for
from expectations.suite import GATES, Suite, between, no_rows, rows

REPO = Path(registry.__file__).parents[1]


def test_each_module_is_found_and_named_after_its_table() -> None:
    files = {p.stem for p in (REPO / "expectations/suites").glob("*.py")} - {"__init__", "raw"}

    assert {s.table.split(".")[1] for s in all_suites()} == files


def test_each_gate_has_suites(deployment: Deployment) -> None:
    for name in GATES:
        assert gate(name, deployment, load_entities())


def test_a_new_file_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.py").write_text(
        "from expectations.suite import Suite, rows\n"
        "SUITE = Suite(table='marts.mine', gate='features', expectations=[rows(5)])\n"
    )
    paths = [*registry.suites_package.__path__, str(tmp_path)]
    monkeypatch.setattr(registry.suites_package, "__path__", paths)
    registry._modules.cache_clear()
    try:
        assert [s.table for s in suites_for("marts.mine")] == ["marts.mine"]
    finally:
        registry._modules.cache_clear()
        sys.modules.pop("expectations.suites.mine", None)


def test_a_file_without_a_suite_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hollow.py").write_text("X = 1\n")
    monkeypatch.setattr(registry.suites_package, "__path__", [str(tmp_path)])
    registry._modules.cache_clear()
    try:
        with pytest.raises(SuiteError, match="must have SUITE"):
            all_suites()
    finally:
        registry._modules.cache_clear()
        sys.modules.pop("expectations.suites.hollow", None)


def test_gate_says_what_is_wrong() -> None:
    with pytest.raises(SuiteError, match="no gate 'rwa'"):
        gate("rwa")
    with pytest.raises(SuiteError, match="made from contracts"):
        gate("raw")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"expectations": []}, "first expectation"),
        ({"expectations": [between("n", 1)]}, "first expectation"),
        ({"expectations": [rows(), rows()]}, "one name"),
        ({"gate": "door"}, "gate 'door'"),
        ({"table": "clicks"}, "layer.name"),
    ],
)
def test_malformed_suite_is_refused(arguments: dict, message: str) -> None:
    good = {"table": "behaviour.clicks", "gate": "behaviour", "expectations": [rows()]}
    with pytest.raises(ValueError, match=message):
        Suite(**(good | arguments))


def test_sql_must_read_the_table() -> None:
    with pytest.raises(ValueError, match="must read"):
        no_rows("x", "y", "select 1 from behaviour.clicks")


def test_raw_suites_say_what_the_contract_says(deployment: Deployment) -> None:
    (orders,) = suites_for("raw.orders", deployment, load_entities())
    by_name = {e.name: e for e in orders.expectations}

    assert orders.name == "raw.orders[pos]"
    assert by_name["channel_allowed"].arguments["value_set"] == ["web", "app"]
    assert by_name["revenue_range"].arguments["max_value"] == 1000
    assert not by_name["fresh"].blocking
    assert "customer_id_allowed" not in by_name


def test_finding_suites_does_not_import_the_library() -> None:
    code = (
        "import sys, expectations.runner, expectations.registry as r; r.all_suites(); "
        "sys.exit('great_expectations' in sys.modules or 'sqlalchemy' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=REPO, timeout=60)
