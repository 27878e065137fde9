"""`habitus activate`: the customers of a segment who may be used for a purpose, as a list.

What does not belong here: who consented (dbt's `dim_consents`), or sending anything.
"""

import csv
import os
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated

import duckdb
import typer
from rich.console import Console

from expectations.contract import (
    NOT_STATED,
    Contract,
    ContractError,
    has_consents,
    legal_bases,
    load_deployment,
)
from habitus.said import fail
from orchestration.config import Settings, SettingsError, activate, settings
from orchestration.lib.audit import record
from orchestration.lib.lake import ALIAS
from orchestration.lib.publication import NothingPublishedError
from orchestration.lib.warehouse import published_connection
from privacy.audit import AuditError
from privacy.export import escape_formula
from privacy.keys import KeyringError

CONSENTS = "behaviour.dim_consents"
COLUMNS = ("customer_id", "customer")

# Of each id, what was said last; anything but a grant leaves its person out, published or not. A
# grant that has not begun takes nothing back.
_REFUSED_SINCE = """
select distinct ids.customer
from (
    select
        customer_id,
        lower(trim(status)) as status,
        row_number() over (
            partition by customer_id
            order by valid_from desc, _known_at desc, lower(trim(status)) = 'granted'
        ) as newest
    from read_parquet(?, union_by_name = true)
    where
        lower(trim(purpose)) = ?
        and (lower(trim(status)) <> 'granted' or cast(valid_from as date) <= ?)
) as said
inner join {lake}.behaviour.customer_id_map as ids
    on ids.id_type = 'customer' and ids.id_value = said.customer_id
where said.newest = 1 and said.status <> 'granted'
"""
_MEMBERS = """
select
    members.customer,
    coalesce(
        bool_or(answers.may_use and (answers.valid_to is null or answers.valid_to > ?)), false
    ),
    coalesce(bool_or(answers.answer = 'refused'), false)
from {lake}.marts.customer_360 as members
left join {lake}.behaviour.dim_consents as answers
    on members.customer = answers.customer and answers.purpose = ? and answers.is_today
where members."{column}" = ?
group by members.customer
"""
_IDS = """
select customer, id_value from {lake}.behaviour.customer_id_map
where id_type = 'customer' order by id_value
"""


class ActivationError(ValueError):
    """A list that cannot be made; the message says why and what to do."""


@dataclass(frozen=True)
class Activation:
    """A list, and who is not on it.

    Attributes:
        rows: (token of the customer's id, key of the customer), sorted.
        customers: people on the list.
        refused: members left out because they refused, withdrew, or their consent ran out.
        no_answer: members left out because they were never asked, or not yet.
        no_id: members without an id of the source's own, whom nobody could look up.
    """

    rows: tuple[tuple[str, str], ...]
    customers: int
    refused: int
    no_answer: int
    no_id: int


def require_basis(contracts: tuple[Contract, ...], purpose: str) -> None:
    """Without consents and without a stated basis, nobody is on any list.

    Raises:
        ActivationError: nothing permits the purpose in this deployment.
    """
    if has_consents(contracts) or legal_bases(contracts).get(purpose, NOT_STATED) != NOT_STATED:
        return
    raise ActivationError(
        f"nothing says that customers may be used for {purpose}: no contract brings consents, and "
        "none states a legal basis. Add a contract for the entity `consents`, or state "
        f"`habitus.legalBasis: {{{purpose}: ...}}` in a contract (docs/consent.md)"
    )


def segment_column(sets: Mapping[str, str], segment: str) -> tuple[str, str]:
    """Column of `customer_360` and label that `SET:LABEL` names.

    Raises:
        ActivationError: no such set.
    """
    name, _, label = segment.partition(":")
    if name not in sets or not label:
        known = ", ".join(f"{s}:..." for s in sorted(sets))
        raise ActivationError(f"{segment!r} is no segment; write SET:LABEL with one of {known}")
    return sets[name], label


def _require_known(con: duckdb.DuckDBPyConnection, purpose: str, column: str, label: str) -> None:
    """The purpose and the label must occur: a slip of the pen is no empty list."""
    try:
        purposes = con.execute(
            f"select distinct purpose from {ALIAS}.{CONSENTS} order by 1"
        ).fetchall()
        labels = con.execute(
            f'select distinct "{column}" from {ALIAS}.marts.customer_360 '
            f'where "{column}" is not null order by 1'
        ).fetchall()
    except (duckdb.CatalogException, duckdb.BinderException) as error:
        raise ActivationError(
            "the published tables are older than consent; publish anew: habitus run"
        ) from error
    for what, value, known in (("purpose", purpose, purposes), ("label", label, labels)):
        names = [str(name) for (name,) in known]
        if value not in names:
            said = ", ".join(names) or "none"
            raise ActivationError(f"no customer has the {what} {value!r}; there are: {said}")


def activation(
    con: duckdb.DuckDBPyConnection,
    column: str,
    label: str,
    *,
    purpose: str,
    raw_consents: Path,
    today: date,
) -> Activation:
    """Who of a segment may be used for a purpose today.

    Args:
        con: a connection pinned to the published tables.
        column: of `customer_360`, with the segment's label.
        label: the segment.
        purpose: what for; nobody is in by default.
        raw_consents: folder of ingested consents: a refusal counts from there, published or not.
        today: a consent that has run out by this day counts no longer.

    Raises:
        ActivationError: no such label or purpose, or tables from before there was consent.
    """
    _require_known(con, purpose, column, label)
    refused_since: set[str] = set()
    if any(raw_consents.glob("**/*.parquet")):
        files = str(raw_consents / "**" / "*.parquet")
        found = con.execute(_REFUSED_SINCE.format(lake=ALIAS), [files, purpose, today]).fetchall()
        refused_since = {str(customer) for (customer,) in found}
    query = _MEMBERS.format(lake=ALIAS, column=column)
    members = con.execute(query, [today, purpose, label]).fetchall()
    ids: dict[str, list[str]] = {}
    for customer, token in con.execute(_IDS.format(lake=ALIAS)).fetchall():
        ids.setdefault(str(customer), []).append(str(token))
    refused = {c for c, _, no in members if no or c in refused_since}
    permitted = {c for c, may_use, _ in members if may_use and c not in refused}
    reached = {c for c in permitted if c in ids}
    return Activation(
        rows=tuple(sorted((token, c) for c in reached for token in ids[c])),
        customers=len(reached),
        refused=len(refused),
        no_answer=len(members) - len(refused) - len(permitted),
        no_id=len(permitted) - len(reached),
    )


def write_list(found: Activation, out: Path) -> None:
    """Write the list as CSV, whole or not at all, readable by its owner only.

    Cells that a spreadsheet would take for a formula get a leading apostrophe.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            lines = csv.writer(file, lineterminator="\n")
            lines.writerow(COLUMNS)
            lines.writerows([escape_formula(cell) for cell in row] for row in found.rows)
        temporary.replace(out)
    finally:
        temporary.unlink(missing_ok=True)


def _sets(habitus: Settings) -> dict[str, str]:
    from orchestration.lib.dbt_steps import (  # noqa: PLC0415  Dagster takes seconds to import
        ensure_manifest,
        load_manifest,
        segment_sets,
    )

    return segment_sets(load_manifest(ensure_manifest(habitus)))


def activate_segment(
    segment: Annotated[str, typer.Argument(help="SET:LABEL, for instance rfm:champions.")],
    out: Annotated[Path, typer.Argument(help="FILE.csv to write.")],
    purpose: Annotated[str, typer.Option(help="What the list is for.")] = "marketing",
    deployment: Annotated[
        str | None,
        typer.Option(
            "--deployment",
            "-d",
            help="A deployment, or a folder of contracts. Default: HABITUS_CONTRACTS, else shop.",
        ),
    ] = None,
) -> None:
    """Write the tokens of a segment's customers who consent to a purpose; nobody by default."""
    try:
        habitus = activate(settings(deployment))
        require_basis(load_deployment(habitus.contracts).contracts, purpose)
        column, label = segment_column(_sets(habitus), segment)
        with closing(published_connection(habitus)) as con:
            found = activation(
                con,
                column,
                label,
                purpose=purpose,
                raw_consents=habitus.lake / "raw" / "consents",
                today=datetime.now(UTC).date(),
            )
        # No list without its line in the audit trail.
        record(
            habitus,
            "activate",
            tables=("marts.customer_360",),
            purpose=purpose,
            customers=found.customers,
            refused=found.refused,
            no_answer=found.no_answer,
            no_id=found.no_id,
        )
        write_list(found, out)
    except (
        SettingsError,
        ContractError,
        ActivationError,
        NothingPublishedError,
        AuditError,
        KeyringError,
        OSError,
    ) as error:
        fail(error)
    Console().print(
        f"{out}  {found.customers:,} customers ({len(found.rows):,} ids) for {purpose}; left out: "
        f"{found.refused:,} refused, {found.no_answer:,} gave no answer, {found.no_id:,} without "
        "an id",
        highlight=False,
        soft_wrap=True,
        markup=False,
    )
