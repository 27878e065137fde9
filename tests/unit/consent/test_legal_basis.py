"""What a deployment may do without a source of consents, as its contracts state it."""

import re
from pathlib import Path

import pytest
import yaml

from expectations.contract import PURPOSES, ContractError, legal_bases, load_deployment
from expectations.contract.consent import UNSTATED

REPO = Path(__file__).resolve().parents[3]
CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
id: t.{name}
name: {name}
version: 1.0.0
status: active
servers:
  - {{server: landing, type: local, path: {name}.csv, format: csv}}
schema:
  - name: {entity}
    properties:
      - {{name: customer_id, logicalType: string, required: true, classification: restricted}}
{rest}"""
ORDERS = (
    "      - {name: order_id, logicalType: string, required: true}\n"
    "      - {name: ordered_at, logicalType: timestamp, required: true}\n"
)
CONSENTS = (
    "      - {name: purpose, logicalType: string, required: true}\n"
    "      - {name: status, logicalType: string, required: true}\n"
    "      - {name: valid_from, logicalType: timestamp, required: true}\n"
)


def basis(value: str) -> str:
    """The custom property."""
    return f"customProperties:\n  - {{property: habitus.legalBasis, value: {value}}}\n"


def write(folder: Path, **contracts: str) -> Path:
    """Contracts by name; those called consents feed that entity."""
    for name, rest in contracts.items():
        entity = "consents" if name == "consents" else "orders"
        columns = CONSENTS if entity == "consents" else ORDERS
        text = CONTRACT.format(name=name, entity=entity, rest=columns + rest)
        (folder / f"{name}.odcs.yaml").write_text(text)
    return folder


def bases(folder: Path) -> dict[str, str]:
    """What the deployment may do with everybody."""
    return legal_bases(load_deployment(folder).contracts)


def test_nothing_stated_is_analytics_and_personalisation_but_no_marketing(tmp_path: Path) -> None:
    assert bases(write(tmp_path, shop="")) == dict(UNSTATED)
    assert set(UNSTATED) == {"analytics", "personalisation"}
    assert set(UNSTATED.values()) == {"not_stated"}


def test_what_is_stated_is_all_that_is_permitted(tmp_path: Path) -> None:
    write(tmp_path, shop=basis("{analytics: legitimate_interest}"), till="")
    assert bases(tmp_path) == {"analytics": "legitimate_interest"}


def test_a_source_of_consents_decides_alone(tmp_path: Path) -> None:
    assert bases(write(tmp_path, shop="", consents="")) == {}
    write(tmp_path, shop=basis("{analytics: contract}"))
    with pytest.raises(ContractError, match=r"shop.odcs.yaml.*consents.odcs.yaml brings consents"):
        load_deployment(tmp_path)


def test_two_contracts_may_not_contradict_each_other(tmp_path: Path) -> None:
    write(tmp_path, a=basis("{analytics: contract}"), b=basis("{analytics: public_task}"))
    with pytest.raises(ContractError, match=r"analytics is public_task here and contract in a\."):
        load_deployment(tmp_path)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("{analytic: contract}", r"unknown purpose `analytic`.*analytics, personal"),
        ("{analytics: consent}", r"consent is given by customers.*entity `consents`"),
        ("{analytics: because}", r"unknown basis `because`.*legitimate_interest"),
        ("contract", r"no mapping of purposes"),
        ("{}", r"no mapping of purposes"),
    ],
)
def test_a_wrong_basis_says_what_to_write(tmp_path: Path, value: str, message: str) -> None:
    with pytest.raises(ContractError, match=re.compile(message, re.DOTALL)):
        load_deployment(write(tmp_path, shop=basis(value)))


def test_dbt_and_contracts_know_the_same_purposes() -> None:
    macro = (REPO / "dbt_project" / "macros" / "consent.sql").read_text()
    listed = re.search(r"return\((\[.*?\])\)", macro)
    assert listed
    assert tuple(yaml.safe_load(listed.group(1))) == PURPOSES
