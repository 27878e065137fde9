"""What the `dbt` namespace is to sqlfluff. Nothing of dbt runs here."""


def type_string() -> str:
    """The engine's text type."""
    return "varchar"
