"""Finds the suites: every module of expectations/suites/ is one, and there is no other list.

A module has `SUITE`, or `build(deployment, entities)` that makes suites from a deployment's
contracts.

What does not belong here: suites themselves, or running them.
"""

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING

from expectations import suites as suites_package
from expectations.suite import GATES, Suite

if TYPE_CHECKING:
    from types import ModuleType

    from expectations.contract import Deployment, Entity


class SuiteError(ValueError):
    """A module of expectations/suites/ is no suite, or two suites have one name."""


@cache
def _modules() -> tuple["ModuleType", ...]:
    names = sorted(m.name for m in pkgutil.iter_modules(suites_package.__path__))
    return tuple(importlib.import_module(f"{suites_package.__name__}.{name}") for name in names)


def all_suites(
    deployment: "Deployment | None" = None, entities: "Mapping[str, Entity] | None" = None
) -> tuple[Suite, ...]:
    """Every suite, ordered by gate, then by name.

    Args:
        deployment: its contracts make the suites of the raw gate; without it there are none.
        entities: as `expectations.contract.load_entities()` gives them.

    Raises:
        SuiteError: a module gives no suite, or two suites have one name.
    """
    found: list[Suite] = []
    for module in _modules():
        suite = getattr(module, "SUITE", None)
        build = getattr(module, "build", None)
        if isinstance(suite, Suite):
            found.append(suite)
        elif callable(build):
            if deployment is not None and entities is not None:
                found.extend(build(deployment, entities))
        else:
            raise SuiteError(f"{module.__name__} must have SUITE = Suite(...) or build(...)")
    names = [suite.name for suite in found]
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise SuiteError(f"two suites are called {', '.join(doubled)}")
    return tuple(sorted(found, key=lambda s: (GATES.index(s.gate), s.name)))


def gate(
    name: str,
    deployment: "Deployment | None" = None,
    entities: "Mapping[str, Entity] | None" = None,
) -> tuple[Suite, ...]:
    """The suites that stand at a gate: raw, behaviour, features or ml.

    Raises:
        SuiteError: there is no such gate, or the raw gate is asked for without a deployment.
    """
    if name not in GATES:
        raise SuiteError(f"there is no gate {name!r}; there are {', '.join(GATES)}")
    if name == "raw" and (deployment is None or entities is None):
        raise SuiteError("the raw gate is made from contracts: give deployment and entities")
    return tuple(s for s in all_suites(deployment, entities) if s.gate == name)


def suites_for(
    table: str,
    deployment: "Deployment | None" = None,
    entities: "Mapping[str, Entity] | None" = None,
) -> tuple[Suite, ...]:
    """The suites on one table, `layer.name`; none when it has none."""
    return tuple(s for s in all_suites(deployment, entities) if s.table == table)
