"""What `adapter.dispatch` is to sqlfluff: a call of the same name. Nothing of dbt runs here."""

from collections.abc import Callable


def dispatch(name: str, _package: str = "") -> Callable[..., str]:
    """Give a stand-in for a dispatched macro.

    Args:
        name: Macro name, for instance `us_between`.

    Returns:
        A function that renders a SQL call of that name.
    """
    return lambda *arguments: f"{name}({', '.join(str(argument) for argument in arguments)})"
