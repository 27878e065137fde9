"""Which column plays which role, by its name and by its values.

What does NOT belong here: what the roles make of the file (`decide`).
"""

from __future__ import annotations

from collections.abc import Mapping

from ingestion.draft.names import ideas, plain
from ingestion.draft.values import Values

#: Above this share of distinct order numbers, repeats are versions and not lines.
VERSIONS = 0.9


class DraftError(ValueError):
    """A file from which no contract can be drafted; the message says why."""


def role_of(name: str, found: Values) -> str | None:  # noqa: PLR0911, PLR0912 - a table of rules
    """The role that a column's name and values suggest, or None."""
    has = ideas(name)
    dated = found.dates > 0.8 and not (
        set(found.formats) & {"epoch_s", "epoch_ms"}
        and not has & {"time", "register", "update", "birth"}
    )
    if "email" in has or found.emails > 0.8:
        return "email"
    if "birth" in has and (dated or "time" in has or found.filled == 0):
        return "birth_date"
    if dated or ("time" in has and found.dates > 0.5):
        if "birth" in has:
            return "birth_date"
        if "update" in has:
            return "updated_at"
        if "deliver" in has:
            return "delivered_at"
        if "register" in has and "order" not in has:
            return "registered_at"
        if not has & {"ident"} or has & {"time", "order"} or found.has_time:
            return "time"
    if "phone" in has and found.numbers + found.phones > 0:
        return "phone"
    if "login" in has:
        return "login"
    if "address" in has and "email" not in has:
        return "address"
    if "currency" in has and found.length <= 4:
        return "currency"
    if "gender" in has:
        return "gender"
    if "status" in has:
        return "status"
    numeric = found.numbers > 0.9
    if numeric and "ident" not in has:
        for idea in ("discount", "tax", "shipping", "quantity"):
            if idea in has:
                return idea
        if "price" in has and "amount" not in has:
            return "price"
        if "amount" in has:
            return "amount"
    if "line" in has and "order" not in has and found.whole > 0.9:
        return "line_number"
    if "line" in has and "ident" in has and found.whole > 0.9:
        return "line_number"
    if "product" in has and "name" in has:
        return "product_name"
    if "product" in has and ("ident" in has or "-sku" in plain(name) or found.spaces < 0.2):
        return "product_id"
    if "order" in has and "person" not in has and not has & {"name", "store", "channel"}:
        return "order_id"
    if "person" in has and "name" in has and "ident" not in has:
        return "name"
    if "person" in has and not has & {"tier", "status", "channel", "remark"}:
        return "customer_id"
    for idea in ("first", "last"):
        if idea in has and ("name" in has or plain(name) in ("vorname", "nachname", "surname")):
            return f"{idea}_name"
    if has & {"country"}:
        return "country"
    for idea in (
        "city",
        "region",
        "language",
        "tier",
        "channel",
        "store",
        "coupon",
        "category",
        "brand",
        "event",
        "device",
        "remark",
    ):
        if idea in has:
            return idea
    if "name" in has:
        return "name"
    if has == {"ident"}:
        return "bare_id"
    return None


class Roles:
    """The roles of a file's columns.

    Attributes:
        roles: Role -> column.
        doubts: Column -> what is uncertain about its role.

    Args:
        values: What the columns hold.
    """

    def __init__(self, values: Mapping[str, Values]) -> None:
        self.values = values
        self.roles: dict[str, str] = {}
        self.doubts: dict[str, str] = {}
        for name, found in values.items():
            role = role_of(name, found)
            if role is not None:
                self._claim(role, name)
        self._by_content()

    def _claim(self, role: str, name: str) -> None:
        """One column for each role: the fuller, and of equals the first."""
        other = self.roles.get(role)
        if other is None:
            self.roles[role] = name
            return
        if role == "customer_id":
            better = "ident" in ideas(name) and "ident" not in ideas(other)
        elif role == "order_id":
            better = self.values[name].distinct > self.values[other].distinct
        elif role == "amount":
            better = (
                bool(ideas(name) & {"amount"})
                and "total" in plain(name)
                and ("total" not in plain(other))
            )
        elif role == "time":
            better = bool(ideas(name) & {"order"}) and not ideas(other) & {"order"}
        else:
            better = False
        if better:
            self.roles[role] = name

    def _by_content(self) -> None:
        roles, values = self.roles, self.values
        taken = set(roles.values())
        free = [name for name in values if name not in taken]
        bare = roles.pop("bare_id", None)
        if "time" not in roles and "registered_at" not in roles:
            dated = [
                n
                for n in free
                if values[n].dates > 0.95 and not set(values[n].formats) & {"epoch_s", "epoch_ms"}
            ]
            if dated:
                roles["time"] = dated[0]
                self.doubts[dated[0]] = "taken for the time because its values are dates"
                free.remove(dated[0])
        money = {"amount", "price"} & set(roles)
        if "time" not in roles and (money or "order_id" in roles) and "registered_at" in roles:
            roles["time"] = roles.pop("registered_at")
        if bare is not None:
            if "customer_id" not in roles and not money:
                roles["customer_id"] = bare
            elif "order_id" not in roles and money:
                roles["order_id"] = bare
            elif "customer_id" not in roles:
                roles["customer_id"] = bare
            if bare in roles.values():
                self.doubts[bare] = "taken for the key because of its name"
        buyer = roles.get("customer_id")
        is_register = buyer is not None and values[buyer].unique
        if "time" in roles and not money and ("order_id" in roles or not is_register):
            fractions = [n for n in free if values[n].numbers > 0.95 and values[n].whole < 0.9]
            if fractions:
                roles["amount"] = fractions[0]
                self.doubts[fractions[0]] = "taken for the amount: the first column of fractions"
                free.remove(fractions[0])
        selling = {"amount", "price", "order_id"} & set(roles) and "time" in roles
        if selling and "customer_id" not in roles:
            repeated = [
                n
                for n in free
                if values[n].dates < 0.5
                and values[n].filled > 0.5 * values[n].records
                and 0.005 < values[n].distinct / max(values[n].filled, 1) < 0.98
                and (values[n].whole > 0.9 or values[n].spaces < 0.05)
            ]
            repeated.sort(key=lambda n: -values[n].distinct)
            if repeated:
                roles["customer_id"] = repeated[0]
                self.doubts[repeated[0]] = "taken for the customer because its values repeat"

    def entity(self) -> str:
        """The entity that the roles speak for.

        Raises:
            DraftError: If they speak for none.
        """
        roles = self.roles
        selling = "order_id" in roles or ({"amount"} & set(roles) and "time" in roles)
        if selling and "time" in roles:
            order = roles.get("order_id")
            lines = {"product_id", "product_name", "quantity", "line_number", "price"} & set(roles)
            if order is None:
                return "order_items" if "product_id" in roles else "orders"
            once = self.values[order].distinct / max(self.values[order].filled, 1)
            # a few repeats without anything of a line are later versions of an order
            return "order_items" if once < (1 if lines else VERSIONS) else "orders"
        if "event" in roles and "time" in roles:
            return "events"
        person = {
            "email",
            "name",
            "first_name",
            "birth_date",
            "registered_at",
            "gender",
            "phone",
            "tier",
            "login",
            "city",
        }
        if "customer_id" in roles:
            return "customers"
        if "product_id" in roles and (
            "price" in roles or "category" in roles or "product_name" in roles or "name" in roles
        ):
            return "products"
        if person & set(roles) and "email" in roles:
            return "customers"
        raise DraftError(
            "neither customers, orders, lines, products nor events can be made out in its columns"
        )
