"""Tables, the registry, and what ml may import."""

import ast
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

import ml
from ml.contracts import (
    Column,
    ContractMismatchError,
    Table,
    arrow_schema,
    conform,
    empty,
    to_arrow,
    validate,
)
from ml.registry import OUTPUTS, TABLES, run_output

TABLE = Table(
    "things",
    "one row per key",
    ("key",),
    (
        Column("key", "string", "k"),
        Column("day", "date", "d"),
        Column("value", "double", "v", nullable=True),
        Column("count", "integer", "c"),
        Column("flag", "boolean", "f"),
        Column("extra", "json", "e", nullable=True),
    ),
)
GOOD = conform(
    pd.DataFrame(
        {
            "flag": [True, False],
            "extra": ["{}", None],
            "count": [1, 2],
            "value": [1, None],
            "day": [pd.Timestamp("2024-01-01 10:00").date(), pd.Timestamp("2024-01-02").date()],
            "key": ["a", "b"],
        }
    ),
    TABLE,
)


def test_conform_orders_and_casts() -> None:
    validate(GOOD, TABLE)
    assert list(GOOD.columns) == TABLE.names
    arrow = to_arrow(GOOD, TABLE)
    assert arrow.schema.equals(arrow_schema(TABLE))
    assert arrow.schema.field("day").type == pa.date32()
    assert arrow.column("extra").to_pylist() == ["{}", None]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.drop(columns="flag"), "columns are"),
        (lambda f: f.assign(key="a"), "repeat the key"),
        (lambda f: f.assign(count=[1.5, 2.0]), "things.count: type"),
        (lambda f: f.assign(key=[None, "b"]).astype({"key": "str"}), "things.key: 1 nulls"),
        (lambda f: f.assign(day="2024-01-01"), "things.day: type"),
        (lambda f: f.assign(flag=1), "things.flag: type"),
    ],
)
def test_mismatches_are_named(change, message: str) -> None:
    with pytest.raises(ContractMismatchError, match=message):
        validate(change(GOOD), TABLE)


def test_conform_refuses_what_it_cannot_cast() -> None:
    with pytest.raises(ContractMismatchError, match=r"things.count: cannot be cast"):
        conform(GOOD.assign(count="many"), TABLE)
    with pytest.raises(ContractMismatchError, match="missing columns"):
        conform(GOOD[["key"]], TABLE)


def test_registry_is_consistent() -> None:
    names = [t.name for t in TABLES]
    assert len(names) == len(set(names))
    outputs = [o.name for o in OUTPUTS]
    for i, output in enumerate(OUTPUTS):
        assert output.table.name == output.name
        assert set(output.after) <= set(outputs[:i])
        for table in output.tables:
            assert set(table.key) <= set(table.names)
            assert all(c.description.endswith(".") for c in table.columns)
            validate(empty(table), table)
            assert to_arrow(empty(table), table).num_rows == 0


def test_missing_input_is_named(context) -> None:
    with pytest.raises(KeyError, match=r"marts\.ml_features"):
        run_output(OUTPUTS[0], {}, context)


def test_ml_imports_no_other_part() -> None:
    banned = {
        *("dagster", "dbt", "ingestion", "expectations", "simulator"),
        *("orchestration", "habitus", "pickle", "joblib"),
    }
    root = Path(ml.__file__).parent
    files = sorted(root.rglob("*.py"))
    assert files
    for path in files:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not banned & {n.split(".")[0] for n in names}, f"{path.name} imports {names}"
