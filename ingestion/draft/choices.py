"""What a draft is made of: properties, and the parts that several entities share.

What does NOT belong here: which role a column plays (`roles`), which parts an entity has
(`decide`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from expectations.contract import Entity
from ingestion.draft.names import ideas, plain, slug
from ingestion.draft.roles import Roles
from ingestion.draft.sniff import Sniffed
from ingestion.draft.values import Values
from ingestion.draft.words import CURRENCIES, STATES
from ingestion.sql import ident, literal, path_ident

_LONG_TEXT = 40.0


@dataclass
class Choice:
    """One property of the drafted contract.

    Attributes:
        name: Canonical field or attribute.
        column: The source's column, or None where a transform reads it.
        transform: DuckDB expression, or None.
        reads: Columns that the transform stands for; they become no attributes.
        type: ODCS logical type.
        formats: Date formats.
        required: No empty values.
        primary_key: The source's key.
        attribute: Not a canonical field.
        privacy: token, drop or None.
        description: For the reader.
        doubt: What is uncertain, for the comment and the notes.
    """

    name: str
    column: str | None
    transform: str | None = None
    reads: tuple[str, ...] = ()
    type: str = "string"
    formats: tuple[str, ...] = ()
    required: bool = False
    primary_key: bool = False
    attribute: bool = False
    privacy: str | None = None
    description: str = ""
    doubt: str | None = None


@dataclass
class Drafting:
    """A contract in the making.

    Attributes:
        entity: Name of the entity.
        choices: Its properties.
        notes: What was uncertain about the whole.
        first: Earliest moment in the file.
        last: Latest moment in the file.
    """

    entity: str
    choices: list[Choice] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    first: datetime | None = None
    last: datetime | None = None


class Parts:
    """The parts of a draft.

    Args:
        sniffed: The file.
        values: What its columns hold.
        entity: The entity that it feeds.
        found: The roles of its columns.
    """

    def __init__(
        self, sniffed: Sniffed, values: Mapping[str, Values], entity: Entity, found: Roles
    ) -> None:
        self.sniffed = sniffed
        self.values = values
        self.entity = entity
        self.roles = found.roles
        self.doubts = found.doubts
        self.drafting = Drafting(entity.name)

    def describe(self, name: str) -> str:
        """The entity's own words for a field."""
        known = self.entity.field(name)
        return known.description if known else ""

    def ref(self, column: str) -> str:
        """SQL that names a source column."""
        return path_ident(column) if self.sniffed.format == "jsonl" else ident(column)

    def add(
        self,
        role: str,
        name: str,
        *,
        required: bool = False,
        privacy: str | None = None,
    ) -> None:
        """A field taken from a column as it is."""
        column = self.roles.get(role)
        if column is None or any(choice.column == column for choice in self.drafting.choices):
            return
        self.drafting.choices.append(
            Choice(
                name,
                column,
                required=required,
                privacy=privacy,
                description=self.describe(name),
                doubt=self.doubts.get(column),
            )
        )

    def order_key(self, key: bool) -> None:
        """The order number, or a token of the whole record in its place."""
        column = self.roles.get("order_id")
        if column is not None:
            self.drafting.choices.append(
                Choice(
                    "order_id",
                    column,
                    required=True,
                    primary_key=key and self.values[column].unique,
                    description="The order's key.",
                    doubt=self.doubts.get(column),
                )
            )
            return
        whole = "concat_ws('|', " + ", ".join(self.ref(n) for n in self.sniffed.columns) + ")"
        self.drafting.choices.append(
            Choice(
                "order_id",
                None,
                transform=whole,
                required=True,
                privacy="token",
                description="A token of the whole record, as the source numbers no orders.",
                doubt="no order number was found: each record is taken for an order",
            )
        )

    def buyer(self) -> None:
        """The customer, if any column knows one."""
        column = self.roles.get("customer_id")
        if column is None and "email" in self.roles:
            self.drafting.notes.append("no customer key was found: customers are known by e-mail")
        elif column is None:
            self.drafting.notes.append("no customer key was found: all buyers are guests")
        self.add("customer_id", "customer_id", privacy="token")

    def sale_words(self) -> None:
        """Channel and shop."""
        self.add("channel", "channel")
        self.add("store", "store_id")

    def time(
        self,
        role: str,
        name: str,
        kind: str = "timestamp",
        *,
        required: bool = False,
        counts: bool = True,
    ) -> None:
        """A field of dates."""
        column = self.roles.get(role)
        if column is None:
            return
        found = self.values[column]
        doubt = self.doubts.get(column)
        if found.twin:
            doubt = (
                f"every date fits both {found.formats[0]} and {found.twin}: "
                "check which comes first, the day or the month"
            )
        elif len(found.formats) > 1:
            doubt = "dates are written in several ways; all are read"
        self.drafting.choices.append(
            Choice(
                name,
                column,
                type=kind,
                formats=found.formats,
                required=required,
                description=self.describe(name),
                doubt=doubt,
            )
        )
        if counts and found.first and found.last:
            self.drafting.first = min(self.drafting.first or found.first, found.first)
            self.drafting.last = max(self.drafting.last or found.last, found.last)

    def number(self, role: str, name: str, kind: str = "number") -> None:
        """A field of numbers."""
        column = self.roles.get(role)
        if column is None or any(choice.column == column for choice in self.drafting.choices):
            return
        found = self.values[column]
        transform, doubt = number_transform(found, self.ref(column))
        description = self.describe(name)
        self.drafting.choices.append(
            Choice(
                name,
                None if transform else column,
                transform=transform,
                reads=(column,),
                type=kind,
                description=f"{description} Source column: {column}.",
                doubt=doubt or self.doubts.get(column),
            )
        )

    def currency(self) -> None:
        """The currency: a column, or what stands beside the amounts."""
        if "currency" in self.roles:
            self.add("currency", "currency")
            return
        for role in ("amount", "price"):
            column = self.roles.get(role)
            if column is None:
                continue
            words = set(plain(column).split("_"))
            code = self.values[column].currency or next(
                (CURRENCIES[word] for word in sorted(words) if word in CURRENCIES), None
            )
            if code:
                self.drafting.choices.append(
                    Choice(
                        "currency",
                        None,
                        transform=literal(code),
                        description=f"Read from the column {column}.",
                    )
                )
                return
        self.drafting.notes.append("no currency was found: amounts stay without one")

    def status(self) -> None:
        """The order's status, in the platform's words."""
        column = self.roles.get("status")
        if column is None:
            return
        known = {word: state for state, words in STATES.items() for word in words}
        cases: dict[str, list[str]] = {}
        unknown = False
        for value in self.values[column].samples:
            state = known.get(value.strip().lower())
            unknown = unknown or state is None
            if state is not None and state != "completed":
                cases.setdefault(state, []).append(value.strip().lower())
        low = f"lower({self.ref(column)})"
        whens = " ".join(
            f"when {low} in ({', '.join(literal(w) for w in words)}) then {literal(state)}"
            for state, words in cases.items()
        )
        transform = f"case {whens} else 'completed' end" if whens else "'completed'"
        doubt = (
            f"some words of {column} are not known and taken as completed: check"
            if unknown
            else None
        )
        self.drafting.choices.append(
            Choice(
                "status",
                None,
                transform=transform,
                reads=(column,),
                description=f"completed, pending, cancelled, refunded, returned; from {column}.",
                doubt=doubt,
            )
        )

    def attributes(self) -> None:
        """A column that feeds no field becomes an attribute, or is left out if it is private."""
        used = {choice.column for choice in self.drafting.choices}
        used.update(column for choice in self.drafting.choices for column in choice.reads)
        fields = set(self.entity.field_names)
        names = {choice.name for choice in self.drafting.choices} | fields
        for position, column in enumerate(self.sniffed.columns):
            found = self.values[column]
            if column in used:
                continue
            name = slug(column) or f"attribute_{position + 1}"
            while name in names:
                name = f"{name}_{position + 1}"
            names.add(name)
            has = ideas(column)
            private, doubt = None, None
            if found.emails > 0.1 or has & {"email"}:
                private, doubt = "token", "looks like an e-mail address: kept as a token"
            elif (
                has & {"address", "phone", "login", "birth"}
                or (has & {"name"} and has & {"person", "first", "last"})
                or found.phones > 0.8 > found.whole
            ):
                private, doubt = "drop", "looks private: left out"
            elif has & {"remark"} or (found.length > _LONG_TEXT and found.spaces > 0.5):
                private, doubt = "drop", "free text: left out"
            kind = "string"
            if (
                private is None
                and found.whole == 1.0
                and found.length < 15
                and ("ident" not in has)
            ):
                kind = "integer"
            self.drafting.choices.append(
                Choice(
                    name,
                    column,
                    type=kind,
                    attribute=True,
                    privacy=private,
                    description=f"Attribute; column {column}.",
                    doubt=doubt,
                )
            )


def number_transform(found: Values, reference: str) -> tuple[str | None, str | None]:
    """(transform, doubt) for a column of numbers; None where the plain cast reads it."""
    if found.decimal_comma:
        digits = f"regexp_replace({reference}, '[^0-9,+-]', '', 'g')"
        return f"replace({digits}, ',', '.')", "the comma is read as the decimal sign"
    if found.signed:
        return f"regexp_replace({reference}, '[^0-9.+-]', '', 'g')", None
    return None, None
