"""ODCS `relationships` of a property -> what it refers to.

What does NOT belong here: whether the record referred to is there (`ingestion.held`).
"""

from __future__ import annotations

from open_data_contract_standard.model import SchemaProperty

from expectations.contract.entity import Entity, load_entities
from expectations.contract.errors import did_you_mean, one_of
from expectations.contract.marks import Key, MarkedYaml


def reference(
    doc: MarkedYaml, at: Key, item: SchemaProperty, entity: Entity
) -> tuple[str, str] | None:
    """(entity, field) that a property refers to, or None.

    Raises:
        ContractError: If it is no field of an entity, or not one that can hold the same values.
    """
    relations = item.relationships or []
    if not relations:
        return None
    here = (*at, "relationships")
    to = relations[0].to
    example = "Write relationships: [{to: orders.order_id}]"
    if len(relations) > 1 or not isinstance(to, str) or to.count(".") != 1:
        raise doc.error(here, f"`{item.name}` does not refer to one field", example)
    name, column = to.split(".")
    entities = load_entities()
    if name not in entities:
        near = did_you_mean(name, entities)
        hint = f"Did you mean `{near}`?" if near else f"Known: {one_of(entities)}"
        raise doc.error(here, f"unknown entity `{name}`", hint)
    mine, other = entity.field(item.name or ""), entities[name].field(column)
    if mine is None or other is None:
        raise doc.error(here, f"`{item.name}` or `{to}` is no field of its entity", example)
    if (mine.type, mine.token) != (other.type, other.token):
        raise doc.error(here, f"`{item.name}` and `{to}` never hold the same values", example)
    return name, column
