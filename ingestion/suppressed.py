"""Records of people who were erased: counted, and kept out with all that they hold.

What does NOT belong here: the list itself (privacy/suppression), erasing what is there already.

A record that names a customer number is that customer's. One that names none is a suppressed
person's by any other identifier, or by the key of a record of theirs, as an order's lines; but not
by such a key alone where it names somebody else. It is quarantined as `suppressed`, so that the
counts still add up, and none of its values is tokenised, sealed or written.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from ingestion.session import Session
from ingestion.sql import ident, literal
from privacy.suppression import KEY_KIND, NAMING

REASON = "suppressed: a person who was erased"
_OTHERS = ("login", "email")
#: (SQL of a column, kind of what it holds).
Columns = Sequence[tuple[str, str]]


def attributed(columns: Columns, keys: Columns, held: str) -> str:
    """SQL that says whether a row is somebody's, by the rule that the module states.

    Args:
        columns: (SQL of the column, token type) of its identity.
        keys: The same, of columns that hold keys of records: their kinds begin with `key:`.
        held: SQL with `{column}` and `{kind}`: whether a column's value is one of theirs.
    """
    by_type = {kind: [c for c, k in columns if k == kind] for kind in NAMING}
    named = [held.format(column=c, kind=kind) for kind in NAMING for c in by_type[kind]]
    nobody_else = [f"{c} is null" for kind in _OTHERS for c in by_type[kind]]
    for column, kind in keys:
        named.append(" and ".join([held.format(column=column, kind=kind), *nobody_else]))
    if not named:
        return "false"
    rule = " or ".join(f"({condition})" for condition in named)
    for column in by_type["customer"]:
        own = held.format(column=column, kind="customer")
        rule = f"case when {column} is not null then {own} else {rule} end"
    return f"coalesce({rule}, false)"


def mark(session: Session, tokens: Columns) -> None:
    """Fail the suppressed records of `typed`, and empty their identity.

    Args:
        session: The source's, with the chunk's table `typed`.
        tokens: (property, token type) of the columns that become tokens.
    """
    listed = session.keys.suppressed
    if listed is None:
        return
    columns = [(ident("v_" + name), kind) for name, kind in tokens]
    fields = {prop.name for prop in session.contract.properties} & listed.key_fields
    keys = [(ident("v_" + name), KEY_KIND + name) for name in sorted(fields)]
    found: list[dict[str, str]] = []
    for column, kind in [*(pair for pair in columns if pair[1] in NAMING), *keys]:
        values = session.con.execute(
            f"select distinct {column}::varchar from typed where {column} is not null"
        ).to_arrow_table()
        matches = listed.matches(values.column(0).to_pylist(), kind)
        found += [{"kind": kind, "value": value} for value in matches]
    if not found:
        return
    session.con.register("suppressed_values", pa.Table.from_pylist(found))
    held = "{column}::varchar in (select value from suppressed_values where kind = '{kind}')"
    emptied = "".join(f", {column} = null" for column, _ in columns)
    session.con.execute(
        f"update typed set _reason = {literal(REASON)}{emptied} "
        f"where {attributed(columns, keys, held)}"
    )
    session.con.unregister("suppressed_values")
