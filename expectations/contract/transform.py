"""What a `transformLogic` expression reads, and that it is one plain expression.

What does NOT belong here: running it (`ingestion`).

A transform may compute over its own record and nothing else: no subquery, no second statement, no
window, no aggregate over other rows, no file, no reading of settings, nothing that differs from run
to run. It is parsed by DuckDB itself, so what is accepted here is what runs later; and only the
functions of `functions` are accepted, so that one which comes with a new version is refused until
somebody has looked at it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import duckdb

from expectations.contract.functions import ALLOWED, LAMBDAS, SIZED
from expectations.contract.growth import LARGEST, growth

#: Provided by ingestion beside the source's own columns.
BUILT_IN_COLUMNS = ("_row_number",)
#: How the names of ingestion's own columns begin wherever the source's are beside them.
META_PREFIX = "_habitus_"
_ALLOWED_CLASSES = frozenset(
    {
        "BETWEEN",
        "CASE",
        "CAST",
        "COLUMN_REF",
        "COMPARISON",
        "CONJUNCTION",
        "CONSTANT",
        "FUNCTION",
        "LAMBDA",
        "OPERATOR",
    }
)
#: What the parser gives as a column's name, and DuckDB as the present time where there is none.
_PRESENT = frozenset(
    {"current_date", "current_time", "current_timestamp", "localtime", "localtimestamp"}
)
#: The longest text that `lpad`, `rpad` and `repeat` may be told to make.
_LONGEST = 1000
#: What the parser leaves empty in a query that is one expression and nothing else.
_CLAUSES = ("modifiers", "where_clause", "group_expressions", "having", "qualify", "sample")


class TransformError(ValueError):
    """The expression cannot be used; the message says why."""


@lru_cache(maxsize=1)
def parser() -> duckdb.DuckDBPyConnection:
    """One connection for all expressions: opening one costs more than parsing."""
    return duckdb.connect(":memory:")


@lru_cache(maxsize=512)
def columns_of(expression: str) -> tuple[str, ...]:
    """Source columns that an expression reads, as dotted paths, in order of first use.

    Args:
        expression: The text of `transformLogic`.

    Returns:
        Column names without the built-in ones.

    Raises:
        TransformError: If it is not one plain expression.
    """
    found: dict[str, None] = {}
    try:
        tree = _tree("select " + expression)
        if not _stands_alone(expression, tree):
            raise TransformError(
                "it is not one expression and nothing else: leave out what belongs to a query or "
                "ends a statement"
            )
        _collect(tree, frozenset(), found)
        if growth(tree) >= LARGEST:
            raise TransformError(
                f"it can make {LARGEST} times as much of a value as there is: what it replaces, "
                "repeats or puts together grows again and again"
            )
    except RecursionError:
        raise TransformError("it is nested too deeply") from None
    return tuple(name for name in found if name.lower() not in BUILT_IN_COLUMNS)


def _stands_alone(expression: str, tree: dict[str, Any]) -> bool:
    """Whether it means the same in brackets, where ingestion puts it: `all x` and `x;` do not."""
    try:
        return _tree(f"select ({expression}\n)") == tree
    except TransformError:
        return False


def _tree(query: str) -> dict[str, Any]:
    """The one expression that a query selects, as DuckDB's parser sees it.

    Raises:
        TransformError: If it cannot be parsed, or has another part.
    """
    row = parser().cursor().execute("select json_serialize_sql(?::varchar)", [query]).fetchone()
    parsed: dict[str, Any] = json.loads(row[0]) if row else {"error": True}
    if parsed.get("error"):
        raise TransformError(parsed.get("error_message", "cannot be parsed"))
    statements = parsed["statements"]
    node = statements[0]["node"]
    if len(statements) != 1 or node.get("type") != "SELECT_NODE":
        raise TransformError("more than one expression")
    if len(node["select_list"]) != 1 or node["from_table"].get("type") != "EMPTY":
        raise TransformError("more than one expression")
    if any(node.get(clause) for clause in _CLAUSES):
        raise TransformError("more than one expression")
    tree: dict[str, Any] = node["select_list"][0]
    if tree.get("alias"):
        raise TransformError("a name given with `as` is not allowed in a transform")
    for inner in _nodes(tree):
        inner.pop("query_location", None)
    return tree


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """Every object of a parsed expression."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            yield node
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)


def is_reserved(column: str) -> bool:
    """Whether a source column's name (dotted for JSONL) is one that only ingestion may use."""
    top = column.lower().partition(".")[0]  # DuckDB's names know no case
    return top in BUILT_IN_COLUMNS or top.startswith(META_PREFIX)


def _check_function(node: dict[str, Any]) -> None:
    name, children = node["function_name"].lower(), node["children"]
    if node["catalog"] or node["schema"] not in ("", "main"):
        # Also `x.lower()`: the parser takes x for a schema, so that no column would be seen.
        raise TransformError(
            f"the function {node['function_name']} stands behind a dot: write it alone, with all "
            "that it works on between its brackets"
        )
    if name not in ALLOWED:
        raise TransformError(
            f"the function {node['function_name']} is not allowed: only functions of the record's "
            "own values are, and docs/contracts.md lists them under `Functions of transformLogic`"
        )
    if node["distinct"] or node["filter"] or node["order_bys"]["orders"]:
        raise TransformError(
            f"distinct, filter and order by are not allowed in {name}: they belong to aggregates"
        )
    if name == "age" and len(children) != 2:
        raise TransformError("age of one value reads the present time: give it two")
    if name in SIZED:
        _check_size(name, children)


def _check_size(name: str, children: list[dict[str, Any]]) -> None:
    size = children[1].get("value", {}).get("value") if len(children) > 1 else None
    if not isinstance(size, int) or size > _LONGEST:
        raise TransformError(
            f"the length that {name} is given must be a number, written out, of at most {_LONGEST}"
        )
    if name == "repeat" and any(
        str(inner.get("function_name")).lower() == name for inner in _nodes(children)
    ):
        raise TransformError("a repeat within a repeat is not allowed")


def _is_lambda(function: dict[str, Any], position: int, child: Any) -> bool:
    """Whether DuckDB takes a child's arrow for a lambda's; any other arrow reads from JSON."""
    return (
        position == 1
        and function["function_name"].lower() in LAMBDAS
        and isinstance(child, dict)
        and child.get("class") == "LAMBDA"
    )


def _collect(node: Any, bound: frozenset[str], into: dict[str, None]) -> None:
    if isinstance(node, list):
        for child in node:
            _collect(child, bound, into)
        return
    if not isinstance(node, dict):
        return
    kind = node.get("class")
    if isinstance(kind, str) and kind not in _ALLOWED_CLASSES:
        raise TransformError(f"{kind.lower()} is not allowed in a transform")
    if kind == "COLUMN_REF":
        _collect_column(node["column_names"], bound, into)
    elif kind == "FUNCTION":
        _check_function(node)
        for position, child in enumerate(node["children"]):
            if _is_lambda(node, position, child):
                names: dict[str, None] = {}
                _collect(child["lhs"], frozenset(), names)
                _collect(child["expr"], bound | set(names), into)
            else:
                _collect(child, bound, into)
    elif kind != "CONSTANT":
        for child in node.values():
            _collect(child, bound, into)


def _collect_column(names: list[str], bound: frozenset[str], into: dict[str, None]) -> None:
    if names[0] in bound:
        return
    if names[0].lower() in _PRESENT:
        raise TransformError(f"{names[0]} is the present time, which no record holds")
    into.setdefault(".".join(names))
