"""A draft for each entity: which of a file's columns feed which fields.

What does NOT belong here: the parts themselves (`choices`), writing the contract (`emit`).
"""

from __future__ import annotations

from collections.abc import Mapping

from expectations.contract import Entity
from ingestion.draft.choices import Choice, Drafting, Parts
from ingestion.draft.roles import DraftError, Roles
from ingestion.draft.sniff import Sniffed
from ingestion.draft.values import Values


def decide(
    sniffed: Sniffed, values: Mapping[str, Values], entities: Mapping[str, Entity]
) -> Drafting:
    """The draft of one file.

    Raises:
        DraftError: If no entity can be made out, or a field that it needs has no column.
    """
    found = Roles(values)
    entity = entities[found.entity()]
    parts = Decider(sniffed, values, entity, found)
    drafting = parts.drafting
    drafting.notes.extend(sniffed.notes)
    getattr(parts, entity.name)()
    parts.attributes()
    mapped = {choice.name for choice in drafting.choices}
    for wanted in entity.fields:
        if wanted.required and wanted.name not in mapped:
            raise DraftError(
                f"looks like {entity.name}, but no column for {wanted.name} "
                f"({wanted.description}) was found"
            )
    return drafting


class Decider(Parts):
    """One method for each entity that can be drafted."""

    def customers(self) -> None:
        """Customers."""
        key = self.roles.get("customer_id") or self.roles["email"]
        unique = self.values[key].unique
        doubt = None if unique else "values occur twice: not declared as a key"
        self.drafting.choices.append(
            Choice(
                "customer_id",
                key,
                required=True,
                primary_key=unique,
                privacy="token",
                description="The customer's key; becomes a token.",
                doubt=doubt or self.doubts.get(key),
            )
        )
        if "registered_at" not in self.roles and "time" in self.roles:
            self.roles["registered_at"] = self.roles.pop("time")
        for role in ("email", "phone", "login"):
            self.add(role, role, privacy="token")
        self.person_name()
        self.time("birth_date", "birth_date", "date", counts=False)
        for role, name in (
            ("gender", "gender"),
            ("city", "city"),
            ("region", "region"),
            ("country", "country"),
            ("language", "language"),
            ("channel", "acquisition_channel"),
            ("tier", "loyalty_tier"),
        ):
            self.add(role, name)
        self.time("registered_at", "registered_at")
        self.time("updated_at", "updated_at")

    def person_name(self) -> None:
        """The full name, in one column or two."""
        first, last = self.roles.get("first_name"), self.roles.get("last_name")
        if first and last:
            reads = f"concat_ws(' ', {self.ref(first)}, {self.ref(last)})"
            self.drafting.choices.append(
                Choice(
                    "name",
                    None,
                    transform=reads,
                    reads=(first, last),
                    privacy="token",
                    description="Full name.",
                )
            )
        elif first or last or "name" in self.roles:
            column = self.roles.get("name") or last or first
            self.drafting.choices.append(
                Choice("name", column, privacy="token", description="Full name.")
            )

    def orders(self) -> None:
        """Order headers."""
        self.order_key(key=True)
        self.buyer()
        for role in ("email", "phone"):
            self.add(role, role, privacy="token")
        if "name" in self.roles:
            self.add("name", "name", privacy="token")
        self.time("time", "ordered_at", required=True)
        self.status()
        self.sale_words()
        self.number("discount", "discount")
        self.number("shipping", "shipping")
        self.number("tax", "tax")
        if "amount" not in self.roles and "price" in self.roles:
            self.roles["amount"] = self.roles.pop("price")
        if "amount" in self.roles:
            self.number("amount", "total")
        else:
            self.drafting.notes.append("no amount was found: orders will be worth nothing")
        self.currency()
        self.add("coupon", "coupon")
        self.time("delivered_at", "delivered_at", counts=False)
        self.time("updated_at", "updated_at", counts=False)

    def order_items(self) -> None:
        """Order lines."""
        self.order_key(key=False)
        if "line_number" in self.roles:
            self.number("line_number", "line_number", kind="integer")
        self.buyer()
        self.time("time", "ordered_at", required=True)
        if "product_id" in self.roles:
            self.add("product_id", "product_id")
        elif "product_name" in self.roles:
            self.add("product_name", "product_id")
        self.number("quantity", "quantity")
        self.number("price", "unit_price")
        self.number("discount", "discount")
        if "amount" in self.roles:
            self.number("amount", "amount")
        elif not {"price", "quantity"} <= set(self.roles):
            self.drafting.notes.append("no amount was found: lines will be worth nothing")
        self.status()
        self.sale_words()
        self.currency()
        self.drafting.notes.append(
            "order numbers repeat: drafted as order lines, headers are derived"
        )

    def products(self) -> None:
        """Products."""
        key = self.roles["product_id"]
        self.drafting.choices.append(
            Choice(
                "product_id",
                key,
                required=True,
                primary_key=self.values[key].unique,
                description="The product's key.",
            )
        )
        self.add("product_name" if "product_name" in self.roles else "name", "name")
        self.add("category", "category")
        self.add("brand", "brand")
        self.number("price" if "price" in self.roles else "amount", "price")
        self.currency()
        self.time("time", "launched_at", counts=False)
        self.time("updated_at", "updated_at", counts=False)

    def events(self) -> None:
        """Events."""
        whole = "concat_ws('|', " + ", ".join(self.ref(n) for n in self.sniffed.columns) + ")"
        self.drafting.choices.append(
            Choice(
                "event_id",
                None,
                transform=whole,
                required=True,
                privacy="token",
                description="A token of the whole record.",
                doubt="the source's own event key, if it has one, is better",
            )
        )
        self.add("event", "event", required=True)
        self.time("time", "original_timestamp", required=True)
        self.buyer()
        self.add("device", "device_id", privacy="token")
        self.add("product_id", "product_id")
        self.add("order_id", "order_id")
