"""How much larger than the values that it reads a `transformLogic` can make its result.

What does NOT belong here: which functions there are (`functions`), parsing (`transform`).

Text that is doubled and doubled again makes terabytes of a word, with harmless functions alone.
The reader's limits would end that, and put the blame on the file; so the contract is refused. This
is a bound by what is written, not a proof: a function is taken to add up what it is given, those
that write each sign as several are named, and of a choice the largest counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from expectations.contract.functions import LAMBDAS, SIZED

#: A result stays below so many times the longest value that is read.
LARGEST = 10_000
#: Characters that a value has: so many of a constant count as one.
_CONSTANT = 100
#: What one sign becomes at most.
_WIDENING = {"bin": 8, "to_binary": 8} | dict.fromkeys(
    (
        *("hex", "to_hex", "base64", "to_base64", "url_encode", "regexp_escape", "json_quote"),
        *("to_json", "array_to_json", "row_to_json", "json_array", "json_object", "json_pretty"),
    ),
    4,
)
_REPLACING = frozenset({"replace", "regexp_replace"})
_REDUCING = frozenset({"reduce", "list_reduce", "array_reduce"})
Sizes = Mapping[str, float]


def growth(node: dict[str, Any], bound: Sizes | None = None) -> float:
    """How many times as large as the longest value an expression's result can be, at most.

    Args:
        node: An expression as DuckDB's parser sees it.
        bound: Sizes of a lambda's parameters.
    """
    bound = bound or {}
    kind = node["class"]
    if kind == "COLUMN_REF":
        return bound.get(node["column_names"][0], 1)
    if kind == "CONSTANT":
        return max(1, _length(node) / _CONSTANT)
    if kind == "CASE":
        ways = [check["then_expr"] for check in node["case_checks"]]
        return max(growth(way, bound) for way in [*ways, node["else_expr"]])
    if kind in ("COMPARISON", "BETWEEN", "CONJUNCTION"):
        return max(growth(inner, bound) for inner in _inner(node))
    if kind == "FUNCTION":
        return _of_function(node, bound)
    return sum(growth(inner, bound) for inner in _inner(node)) or 1


def _inner(node: dict[str, Any]) -> list[dict[str, Any]]:
    """The expressions that stand directly in another."""
    lists = [value if isinstance(value, list) else [value] for value in node.values()]
    return [
        inner
        for values in lists
        for inner in values
        if isinstance(inner, dict) and "class" in inner
    ]


def _length(node: dict[str, Any]) -> int:
    return len(str(node["value"].get("value", "")))


def _of_function(node: dict[str, Any], bound: Sizes) -> float:
    name, children = node["function_name"].lower(), node["children"]
    if name in LAMBDAS and len(children) > 1 and children[1]["class"] == "LAMBDA":
        return _of_lambda(name, children, bound)
    whole = sum(growth(child, bound) for child in children) or 1
    if name in _REPLACING:
        # Each sign of the text may become all of what replaces it.
        by = children[2] if len(children) > 2 else {"class": "CONSTANT", "value": {}}
        is_written = by["class"] == "CONSTANT"
        times = _length(by) if is_written else _CONSTANT * growth(by, bound)
        return growth(children[0], bound) * max(1, times)
    if name in SIZED:
        size = float(children[1]["value"]["value"])
        return whole * size if name == "repeat" else max(whole, size / _CONSTANT)
    return whole * _WIDENING.get(name, 1)


def _of_lambda(name: str, children: list[dict[str, Any]], bound: Sizes) -> float:
    """A list's functions: what is made of each of its elements, which are as large as it is."""
    size = max(1, sum(growth(child, bound) for child in children if child["class"] != "LAMBDA"))
    names = [inner["column_names"][0] for inner in _columns(children[1]["lhs"])]
    made = growth(children[1]["expr"], {**bound, **dict.fromkeys(names, size)})
    if name in _REDUCING and names:
        # What has been made so far is in the next: twice in it, it doubles with each element.
        alone = {**bound, **dict.fromkeys(names, 0), names[0]: LARGEST}
        if growth(children[1]["expr"], alone) >= 2 * LARGEST:
            return LARGEST
    return made


def _columns(node: dict[str, Any]) -> list[dict[str, Any]]:
    if node["class"] == "COLUMN_REF":
        return [node]
    return [found for inner in _inner(node) for found in _columns(inner)]
