"""What a `transformLogic` expression reads, and that it is one plain expression.

What does NOT belong here: running it (`ingestion`).

A transform may compute over its own record and nothing else: no subquery, no second statement, no
window, no aggregate over other rows, no reading of settings. It is parsed by DuckDB itself, so what
is accepted here is what runs later.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

import duckdb

#: Provided by ingestion beside the source's own columns.
BUILT_IN_COLUMNS = ("_row_number",)
_ALLOWED = frozenset(
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
_FORBIDDEN_FUNCTIONS = frozenset(
    {"getenv", "getvariable", "current_setting", "query", "query_table", "error", "nextval"}
)


class TransformError(ValueError):
    """The expression cannot be used; the message says why."""


@lru_cache(maxsize=1)
def _parser() -> duckdb.DuckDBPyConnection:
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
    found = _parser().cursor()
    row = found.execute(
        "select json_serialize_sql(?::varchar)", ["select " + expression]
    ).fetchone()
    parsed: dict[str, Any] = json.loads(row[0]) if row else {"error": True}
    if parsed.get("error"):
        raise TransformError(parsed.get("error_message", "cannot be parsed"))
    statements = parsed["statements"]
    node = statements[0]["node"]
    if len(statements) != 1 or node.get("type") != "SELECT_NODE" or node.get("modifiers"):
        raise TransformError("more than one expression")
    if len(node["select_list"]) != 1 or node["from_table"].get("type") != "EMPTY":
        raise TransformError("more than one expression")
    if node.get("where_clause") or node.get("group_expressions") or node.get("having"):
        raise TransformError("more than one expression")
    found_columns: dict[str, None] = {}
    _collect(node["select_list"][0], frozenset(), found_columns)
    return tuple(name for name in found_columns if name not in BUILT_IN_COLUMNS)


def _collect(node: Any, bound: frozenset[str], into: dict[str, None]) -> None:
    if isinstance(node, list):
        for child in node:
            _collect(child, bound, into)
        return
    if not isinstance(node, dict):
        return
    kind = node.get("class")
    if isinstance(kind, str):
        if kind not in _ALLOWED:
            raise TransformError(f"{kind.lower()} is not allowed in a transform")
        if kind == "FUNCTION" and node["function_name"].lower() in _FORBIDDEN_FUNCTIONS:
            raise TransformError(f"the function {node['function_name']} is not allowed")
        if kind == "CONSTANT":
            return
        if kind == "COLUMN_REF":
            if node["column_names"][0] not in bound:
                into.setdefault(".".join(node["column_names"]))
            return
        if kind == "LAMBDA":
            names: dict[str, None] = {}
            _collect(node["lhs"], frozenset(), names)
            _collect(node["expr"], bound | set(names), into)
            return
    for child in node.values():
        _collect(child, bound, into)
