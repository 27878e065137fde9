"""What a suite is: plain data, made by a few constructors, read by the engine.

What does not belong here: anything that runs an expectation (engine.py), finds suites
(registry.py), or rules that dbt tests own (keys, nulls, relationships, accepted values of
modelled tables).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

GATES = ("raw", "behaviour", "features", "ml")

# In SQL of `no_rows` this stands for the batch: the suite's table, or its `query`.
TABLE = "{table}"
# And this for all rows of the suite's part, where only those that came are the batch.
WHOLE = "{whole}"
# And this for what was counted of all rows, in one scan for several expectations.
COUNTED = "{counted}"
ROWS = "rows"
# Of more rows `share_of` takes about so many: what they count is within a hundredth of all of them,
# where expectations allow 5 and 20; of a million, to tell days apart took a third longer.
SAMPLE = 200_000


@dataclass(frozen=True)
class Expectation:
    """One statement about what a table looks like.

    Attributes:
        name: snake_case, unique in its suite.
        kind: class name in `great_expectations.expectations`, or `NoRows`.
        description: one plain sentence without any value from the data.
        arguments: keyword arguments of that class, without column.
        column: column it is about; None for the whole table.
        blocking: False means that a failure is a warning.
        needs: entities, any one of which the deployment must have; empty means always.
    """

    name: str
    kind: str
    description: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    column: str | None = None
    blocking: bool = True
    needs: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Suite:
    """Expectations on one table, at one gate.

    Attributes:
        table: `layer.name`, as the connection given to the runner resolves it.
        gate: one of GATES.
        expectations: at least one; the first is a row count, so that no empty table passes.
        needs: entities, any one of which the deployment must have; empty means always.
        part: what of the table, when it has several suites: a source's name.
        where: SQL condition of that part; empty means the whole table.
        came: the view of what came of the table, where the batch is that alone; else empty.
        shared: tables that several expectations read, made by the first suite: `layer.name` -> SQL.
        counted: SQL that reads one of those: what was counted of the part's rows.
    """

    table: str
    gate: str
    expectations: Sequence[Expectation]
    needs: frozenset[str] = frozenset()
    part: str = ""
    where: str = ""
    came: str = ""
    shared: Mapping[str, str] = field(default_factory=dict)
    counted: str = ""

    def __post_init__(self) -> None:
        if self.gate not in GATES:
            raise ValueError(f"{self.table}: gate {self.gate!r} is none of {', '.join(GATES)}")
        if self.table.count(".") != 1:
            raise ValueError(f"{self.table!r} must be written layer.name")
        names = [e.name for e in self.expectations]
        if len(set(names)) != len(names):
            raise ValueError(f"{self.name}: two expectations have one name")
        if not names or names[0] != ROWS or not self.expectations[0].blocking:
            raise ValueError(f"{self.name}: the first expectation must be rows() or rows_when()")

    @property
    def name(self) -> str:
        """`layer.table`, or `layer.table[part]`."""
        return f"{self.table}[{self.part}]" if self.part else self.table

    @property
    def layer(self) -> str:
        """The table's layer."""
        return self.table.split(".")[0]

    @property
    def sql(self) -> str:
        """SQL that reads the rows the suite is about."""
        return self._of(self.came or self.table)

    @property
    def whole(self) -> str:
        """SQL that reads all rows of the part, whatever came."""
        return self._of(self.table)

    def _of(self, table: str) -> str:
        return f"select * from {table}" + (f" where {self.where}" if self.where else "")

    def of_what_came(self, view: str) -> "Suite":
        """The same suite on the rows of a view; what is said of `{whole}` stays so."""
        return replace(self, came=view)


def share_of(table: str) -> str:
    """SQL of the highest hash in a share of values: `SAMPLE` rows of the table, or all of them."""
    # Compared, not divided by: a modulus that is no constant took ten times as long.
    return (
        f"(select (18446744073709551615 // greatest(1, count(*) // {SAMPLE}))::ubigint "
        f"from {table})"
    )


def rows(minimum: int = 1) -> Expectation:
    """The table has at least so many rows; always the first expectation, and blocking."""
    return Expectation(
        name=ROWS,
        kind="ExpectTableRowCountToBeBetween",
        description=f"The table has at least {minimum} row{'s' * (minimum != 1)}.",
        arguments={"min_value": minimum},
    )


def rows_when(condition: str, description: str) -> Expectation:
    """The table has rows whenever the SQL condition holds; for tables that may be empty.

    Args:
        condition: DuckDB SQL of a boolean, over other tables.
        description: what must hold.
    """
    sql = f"select 1 from (select count(*) as n from {TABLE}) as t where n = 0 and ({condition})"
    return no_rows(ROWS, description, sql)


def between(
    column: str,
    low: Any = None,
    high: Any = None,
    *,
    mostly: float = 1.0,
    blocking: bool = True,
    name: str = "",
    needs: Sequence[str] = (),
) -> Expectation:
    """Values that are not null lie in [low, high], for at least the share `mostly`."""
    share = "" if mostly == 1 else f" for at least {mostly:.0%} of the rows"
    bounds = " and ".join(
        text
        for text in (
            "" if low is None else f"at least {low}",
            "" if high is None else f"at most {high}",
        )
        if text
    )
    return Expectation(
        name=name or f"{column}_range",
        kind="ExpectColumnValuesToBeBetween",
        description=f"{column} is {bounds}{share}.",
        arguments={"min_value": low, "max_value": high, "mostly": mostly},
        column=column,
        blocking=blocking,
        needs=frozenset(needs),
    )


def filled(
    column: str,
    mostly: float = 1.0,
    *,
    blocking: bool = True,
    name: str = "",
    needs: Sequence[str] = (),
) -> Expectation:
    """At least the share `mostly` of the rows has a value."""
    return Expectation(
        name=name or f"{column}_filled",
        kind="ExpectColumnValuesToNotBeNull",
        description=f"{column} is filled in at least {mostly:.0%} of the rows.",
        arguments={"mostly": mostly},
        column=column,
        blocking=blocking,
        needs=frozenset(needs),
    )


def in_set(column: str, allowed: Sequence[Any], *, name: str = "") -> Expectation:
    """Values that are not null are among the allowed ones (contracts only: dbt owns the rest)."""
    return Expectation(
        name=name or f"{column}_allowed",
        kind="ExpectColumnValuesToBeInSet",
        description=f"{column} has only values that its contract allows.",
        arguments={"value_set": list(allowed)},
        column=column,
    )


def no_rows(
    name: str,
    description: str,
    sql: str,
    *,
    column: str | None = None,
    blocking: bool = True,
    needs: Sequence[str] = (),
) -> Expectation:
    """SQL that finds what is wrong finds nothing.

    Args:
        name: the expectation's name.
        description: what must hold.
        sql: DuckDB SQL that returns a row when something is wrong; `{table}` stands for the
            suite's rows, `{whole}` for all rows of its part, `{counted}` for what was counted of
            them, other tables are written `layer.name`. Only the number of its rows is ever read.
        column: column it is about.
        blocking: False means that a failure is a warning.
        needs: entities, any one of which the deployment must have.

    Raises:
        ValueError: the SQL reads none of these.
    """
    if not any(rows_of in sql for rows_of in (TABLE, WHOLE, COUNTED)):
        raise ValueError(f"{name}: the SQL must read {TABLE}, {WHOLE} or {COUNTED}")
    return Expectation(
        name=name,
        kind="NoRows",
        description=description,
        arguments={"sql": sql},
        column=column,
        blocking=blocking,
        needs=frozenset(needs),
    )
