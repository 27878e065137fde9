"""The registry of who holds people, and the plan of an erasure."""

import pytest

from orchestration.lib.rights_registry import declared, inputs, key_columns_of, token_fields
from privacy.erasure import EXPLICIT, WITHOUT_PEOPLE, Plan, key_columns, unregistered

TOKENS = ("customer_id", "email", "device_id")


def missing(tables: dict[str, tuple[str, ...]], **reasons: str) -> list[str]:
    declared = {name.replace("__", "."): reason for name, reason in reasons.items()}
    return unregistered(tables, TOKENS, ("order_id",), declared)


@pytest.mark.parametrize("column", ["customer", "customer_id", "email", "order_id"])
def test_a_new_mart_needs_no_line(column: str) -> None:
    assert missing({"marts.mine": ("day", column)}) == []


def test_a_table_without_a_key_must_say_so() -> None:
    assert "marts.mine" in missing({"marts.mine": ("day", "person")})[0]
    assert missing({"marts.mine": ("day",)}, marts__mine="counts of days") == []
    assert "without `erasure_reason`" in missing({"marts.mine": ("day",)}, marts__mine=" ")[0]


def test_a_name_is_no_key_of_a_person() -> None:
    assert "name" not in token_fields()
    assert key_columns_of("marts.goods", ("name", "price")) == ()


def test_graphs_are_named_by_their_own_columns() -> None:
    table = "intermediate.int_identity__edges"
    assert key_columns(table, ("left_id", "right_id", "rule"), TOKENS) == ("left_id", "right_id")


def test_entities_and_outputs_are_registered() -> None:
    assert unregistered(inputs(), token_fields(), ("order_id",), {}) == []


def test_no_table_is_registered_twice() -> None:
    assert not set(EXPLICIT) & set(WITHOUT_PEOPLE)


def test_a_model_declares_itself_in_its_yml() -> None:
    node = {
        "resource_type": "model",
        "schema": "marts",
        "name": "mine",
        "config": {"meta": {"erasure": "none", "erasure_reason": "days"}},
    }
    assert declared({"nodes": {"a": node}}) == {"marts.mine": "days"}


def test_a_plan_survives_its_file() -> None:
    plan = Plan("id", ["sub_1"], "2026-01-01", own=[("email", "t")], done={"raw": {"rows": 3}})
    assert Plan.from_json(plan.to_json()) == plan
