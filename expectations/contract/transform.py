"""What a `transformLogic` expression reads, and that it is one plain expression.

What does NOT belong here: running it (`ingestion`).

A transform may compute over its own record and nothing else: no subquery, no second statement, no
window, no aggregate over other rows, no file, no reading of settings, nothing that differs from run
to run. It is parsed by DuckDB itself, so what is accepted here is what runs later; and only
functions that DuckDB lists as pure functions of their arguments are accepted, so that one which
comes with a new version is refused until somebody has looked at it.
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
#: Pure by DuckDB's own list, but not of the record: they read the process or the settings.
_FORBIDDEN_FUNCTIONS = frozenset(
    {"getenv", "getvariable", "current_setting", "error", "version", "sleep_ms", "write_log"}
)
#: DuckDB's macros over pure functions; the others look into its catalogue.
_MACROS = frozenset(
    {
        "array_to_string",
        "date_add",
        "days_in_month",
        "fdiv",
        "fmod",
        "json",
        "map_contains_entry",
        "map_contains_value",
        "md5_number_lower",
        "md5_number_upper",
        "nullif",
        "round_even",
        "roundbankers",
        "split_part",
    }
)


class TransformError(ValueError):
    """The expression cannot be used; the message says why."""


@lru_cache(maxsize=1)
def _parser() -> duckdb.DuckDBPyConnection:
    """One connection for all expressions: opening one costs more than parsing."""
    return duckdb.connect(":memory:")


@lru_cache(maxsize=1)
def _pure_functions() -> frozenset[str]:
    """Functions whose result depends on their arguments and on nothing else."""
    rows = _parser().execute(
        # A table function of the same name cannot be meant where a value stands.
        "select lower(function_name), bool_and(function_type = 'scalar' and "
        "stability = 'CONSISTENT') from duckdb_functions() where not function_type like 'table%' "
        "group by all"
    )
    return frozenset(name for name, is_pure in rows.fetchall() if is_pure) - _FORBIDDEN_FUNCTIONS


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
    if node["select_list"][0].get("alias"):
        raise TransformError("a name given with `as` is not allowed in a transform")
    found_columns: dict[str, None] = {}
    _collect(node["select_list"][0], frozenset(), found_columns)
    return tuple(name for name in found_columns if name not in BUILT_IN_COLUMNS)


def _check_function(node: dict[str, Any]) -> None:
    name = node["function_name"].lower()
    if name not in _MACROS and name not in _pure_functions():
        raise TransformError(
            f"the function {node['function_name']} is not allowed: only functions of the record's "
            "own values are"
        )


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
        if kind == "FUNCTION":
            _check_function(node)
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
