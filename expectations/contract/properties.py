"""ODCS properties -> `Property`, with every check that needs the entity.

What does NOT belong here: the contract's head, its servers (`loader`).
"""

from __future__ import annotations

import math
import re
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from open_data_contract_standard.model import SchemaProperty

from expectations.contract.entity import TOKEN_TYPES, Entity
from expectations.contract.errors import did_you_mean, one_of
from expectations.contract.marks import Key, MarkedYaml
from expectations.contract.model import Property
from expectations.contract.patterns import PatternError, groups
from expectations.contract.relations import reference
from expectations.contract.transform import (
    BUILT_IN_COLUMNS,
    META_PREFIX,
    TransformError,
    columns_of,
    is_reserved,
)

#: ODCS logical type -> type in raw, for properties that are not canonical.
LOGICAL_TYPES = {
    "string": "string",
    "integer": "integer",
    "number": "decimal",
    "boolean": "boolean",
    "date": "date",
    "timestamp": "timestamp",
}
_FITTING = {
    "string": tuple(LOGICAL_TYPES),
    "text": ("string",),
    "json": ("string",),
    "integer": ("integer", "number"),
    "decimal": ("number", "integer"),
    "double": ("number", "integer"),
    "boolean": ("boolean",),
    "date": ("date", "timestamp"),
    "timestamp": ("timestamp", "date"),
}
_OPTIONS = (
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "minLength",
    "maxLength",
    "pattern",
    "format",
    "timezone",
)
_CLASSES = ("public", "internal", "confidential", "restricted")
_PRIVACY = ("token", "drop", "generalise")
_CUSTOM = ("habitus.privacy", "habitus.tokenType", "habitus.attribute")
NAME = re.compile(r"[a-z][a-z0-9_]{0,62}\Z")
#: How like a canonical name another name must be to be taken for a slip of the pen.
NEAR_MISS = 0.85


def custom_properties(
    doc: MarkedYaml, at: Key, items: list[Any] | None, known: tuple[str, ...]
) -> dict[str, Any]:
    """`customProperties` as a dict; unknown `habitus.` names are errors, others are left alone."""
    found: dict[str, Any] = {}
    for index, item in enumerate(items or []):
        name = item.property or ""
        here = (*at, "customProperties", index)
        if name.startswith("habitus.") and name not in known:
            near = did_you_mean(name, known)
            raise doc.error(
                here,
                f"unknown custom property `{name}`",
                f"Write `{near}`" if near else f"Known here: {one_of(known)}",
            )
        if name in found:
            raise doc.error(here, f"custom property `{name}` is written twice", "Keep one")
        found[name] = item.value
    return found


def build_properties(
    doc: MarkedYaml, at: Key, items: list[SchemaProperty], entity: Entity, is_jsonl: bool
) -> tuple[Property, ...]:
    """All properties of a contract.

    Args:
        doc: The contract's file.
        at: Where `properties` stands in it.
        items: The parsed properties.
        entity: The entity that they feed.
        is_jsonl: Whether dotted physical names are paths.

    Raises:
        ContractError: With the line, for anything that could not be ingested as written.
    """
    found: dict[str, Property] = {}
    declared = {item.name for item in items}
    for index, item in enumerate(items):
        prop = _build(doc, (*at, index), item, entity, declared)
        if prop.name in found:
            raise doc.error(
                (*at, index, "name"),
                f"`{prop.name}` is mapped twice (first on line {found[prop.name].line})",
                "Keep one of the two, or give one another name: it then goes to `attributes`",
            )
        found[prop.name] = prop
    for field in entity.fields:
        if field.required and field.name not in found:
            raise doc.error(
                at,
                f"`{field.name}`, required by {entity.name}, is not mapped ({field.description})",
                f"Add `- {{name: {field.name}, physicalName: <the source's column>}}`",
            )
    if is_jsonl:
        _check_paths(doc, at, tuple(found.values()))
    return tuple(found.values())


def _check_paths(doc: MarkedYaml, at: Key, properties: tuple[Property, ...]) -> None:
    paths = {column for prop in properties for column in prop.columns}
    for path in paths:
        inner = next((other for other in paths if other.startswith(path + ".")), None)
        if inner is not None:
            raise doc.error(
                at,
                f"`{path}` is read both as a value and as an object (`{inner}`)",
                f"Read one of them; json_extract_string({path}, '$.x') in transformLogic reads in",
            )


def _build(
    doc: MarkedYaml, at: Key, item: SchemaProperty, entity: Entity, declared: set[str | None]
) -> Property:
    name = item.name or ""
    if not NAME.match(name):
        raise doc.error(
            at,
            f"`{name}` cannot be a property's name",
            "Write snake_case (a-z, 0-9, _) and put the source's own name into physicalName",
        )
    custom = custom_properties(doc, at, item.customProperties, _CUSTOM)
    field = entity.field(name)
    if field is None and not custom.get("habitus.attribute"):
        free = [known for known in entity.field_names if known not in declared]
        near = did_you_mean(name, free, NEAR_MISS)
        if near:
            raise doc.error(
                (*at, "name"),
                f"{entity.name} has no field `{name}`",
                f"Did you mean `{near}`? If it is an attribute of your own, add customProperties: "
                "[{property: habitus.attribute, value: true}]",
            )
    logical = item.logicalType
    if logical is not None and logical not in LOGICAL_TYPES:
        near = did_you_mean(logical, LOGICAL_TYPES)
        hint = f"Did you mean `{near}`? " if near else ""
        raise doc.error(
            (*at, "logicalType"),
            f"unknown logicalType `{logical}`",
            f"{hint}Known: {one_of(LOGICAL_TYPES)}",
        )
    if field is not None and logical is not None and logical not in _FITTING[field.type]:
        raise doc.error(
            (*at, "logicalType"),
            f"`{name}` is {field.type} in {entity.name}, not {logical}",
            f"Write {one_of(_FITTING[field.type])}; logicalTypeOptions.format or transformLogic "
            "say how the source writes it",
        )
    physical, columns = _reads(doc, at, item)
    read_in = "physicalName" if item.physicalName is not None else "transformLogic"
    for column in columns:
        check_column(doc, (*at, read_in), f"`{name}`", column)
    options = _options(doc, at, item)
    privacy, token_type = _privacy(doc, at, item, field, custom)
    return Property(
        name=name,
        physical=physical,
        type=field.type if field else LOGICAL_TYPES[logical or "string"],
        canonical=field is not None,
        description=item.description or (field.description if field else ""),
        required=bool(item.required or item.primaryKey or (field and field.required)),
        primary_key=bool(item.primaryKey),
        unique=bool(item.unique),
        classification=item.classification,
        privacy=privacy,
        token_type=token_type,
        enum=_enum(doc, at, item),
        transform=item.transformLogic,
        references=reference(doc, at, item, entity),
        columns=columns,
        line=doc.line(*at),
        **options,
    )


def _reads(doc: MarkedYaml, at: Key, item: SchemaProperty) -> tuple[str | None, tuple[str, ...]]:
    if item.transformLogic is None:
        physical = item.physicalName or item.name or ""
        return physical, (physical,)
    if item.physicalName is not None:
        raise doc.error(
            (*at, "physicalName"),
            f"`{item.name}` has both physicalName and transformLogic",
            "Keep transformLogic alone: it names the columns that it reads",
        )
    try:
        return None, columns_of(item.transformLogic)
    except TransformError as error:
        raise doc.error(
            (*at, "transformLogic"),
            f"transformLogic of `{item.name}` cannot be used: {error}",
            "Write one DuckDB expression over the source's columns (double quotes around a column "
            "with spaces, single quotes around text)",
        ) from None


def check_column(doc: MarkedYaml, at: Key, reader: str, column: str) -> None:
    """Raise a ContractError if a source column has a name that only ingestion may use.

    Args:
        doc: The contract's file.
        at: Where the column is named in it.
        reader: What reads the column.
        column: Its name, dotted for JSONL.
    """
    if is_reserved(column):
        raise doc.error(
            at,
            f"{reader} reads a source column `{column}`, a name that ingestion keeps for itself "
            f"({one_of(BUILT_IN_COLUMNS)}, and all that begin with {META_PREFIX})",
            "Have the source give its column another name, or leave it out of the contract; in "
            "transformLogic, _row_number is the record's number in its file",
        )


def _options(doc: MarkedYaml, at: Key, item: SchemaProperty) -> dict[str, Any]:
    options = item.logicalTypeOptions or {}
    here = (*at, "logicalTypeOptions")
    for key in options:
        if key not in _OPTIONS:
            near = did_you_mean(key, _OPTIONS)
            raise doc.error(
                (*here, key),
                f"unknown option `{key}`",
                f"Did you mean `{near}`?" if near else f"Known: {one_of(_OPTIONS)}",
            )
    formats = options.get("format", [])
    formats = [formats] if isinstance(formats, str) else formats
    for text in formats:
        if not isinstance(text, str) or ("%" not in text and text not in ("epoch_s", "epoch_ms")):
            raise doc.error(
                (*here, "format"),
                f"`{text}` is no strptime format",
                "Write for instance '%d/%m/%Y %H:%M', a list of such, epoch_s or epoch_ms",
            )
    if "pattern" in options:
        try:
            groups(options["pattern"])
        except PatternError as error:
            raise doc.error(
                (*here, "pattern"),
                f"not a regular expression of RE2: {error}",
                "Mend the expression; RE2 has no look-around and no back-references",
            ) from None
    if "timezone" in options:
        check_timezone(doc, (*here, "timezone"), options["timezone"])

    _check_limits(doc, here, options, item.logicalType)

    def text_of(key: str) -> str | None:
        return None if options.get(key) is None else str(options[key])

    return {
        "minimum": text_of("minimum"),
        "maximum": text_of("maximum"),
        "exclusive_minimum": text_of("exclusiveMinimum"),
        "exclusive_maximum": text_of("exclusiveMaximum"),
        "min_length": options.get("minLength"),
        "max_length": options.get("maxLength"),
        "pattern": options.get("pattern"),
        "formats": tuple(formats),
        "timezone": options.get("timezone"),
    }


def _check_limits(doc: MarkedYaml, here: Key, options: dict[str, Any], logical: str | None) -> None:
    """Raise a ContractError unless lengths are whole numbers, and bounds numbers or moments."""
    for key in ("minLength", "maxLength"):
        length = options.get(key, 0)
        if not isinstance(length, int) or isinstance(length, bool) or not 0 <= length < 1 << 31:
            raise doc.error((*here, key), f"{key} `{length}` is no length", "Write a whole number")
    for key in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"):
        if options.get(key) is not None and logical != "string" and not _is_bound(options[key]):
            raise doc.error(
                (*here, key),
                f"{key} `{options[key]}` is no number and no moment",
                "Write for instance 0, -1.5 or 2025-01-31",
            )


def _is_bound(value: Any) -> bool:
    try:
        return math.isfinite(float(str(value)))
    except ValueError:
        pass
    try:
        datetime.fromisoformat(str(value))
    except ValueError:
        return False
    return True


def check_timezone(doc: MarkedYaml, at: Key, name: Any) -> None:
    """Raise a ContractError unless `name` is an IANA time zone."""
    try:
        ZoneInfo(str(name))
    except (ZoneInfoNotFoundError, ValueError):
        raise doc.error(
            at, f"unknown time zone `{name}`", "Write an IANA name such as Asia/Shanghai or UTC"
        ) from None


def _enum(doc: MarkedYaml, at: Key, item: SchemaProperty) -> tuple[str, ...]:
    values = [entry.value for entry in item.enum or []]
    for index, rule in enumerate(item.quality or []):
        if (rule.metric or rule.rule) != "invalidValues":
            continue
        valid = (rule.arguments or {}).get("validValues")
        if valid is None:
            continue
        if not isinstance(valid, list) or not valid:
            raise doc.error(
                (*at, "quality", index), "validValues is no list", "Write validValues: [a, b]"
            )
        values.extend(valid)
    if any(isinstance(value, bool) or value is None for value in values):
        raise doc.error(
            (*at, "enum"),
            "an enum value is read by YAML as true, false or nothing",
            "Put the values in quotes: {value: 'no'}",
        )
    return tuple(dict.fromkeys(str(value) for value in values))


def _privacy(
    doc: MarkedYaml,
    at: Key,
    item: SchemaProperty,
    field: Any,
    custom: dict[str, Any],
) -> tuple[str | None, str | None]:
    """(privacy, token type); identity fields are tokens whatever the contract says."""
    classification = item.classification
    if classification is not None and classification not in _CLASSES:
        near = did_you_mean(classification, _CLASSES)
        raise doc.error(
            (*at, "classification"),
            f"unknown classification `{classification}`",
            f"Did you mean `{near}`?" if near else f"Write {one_of(_CLASSES)}",
        )
    privacy = custom.get("habitus.privacy")
    if privacy is not None and privacy not in _PRIVACY:
        raise doc.error(at, f"unknown habitus.privacy `{privacy}`", f"Write {one_of(_PRIVACY)}")
    if field is not None and field.token:
        return ("drop", None) if privacy == "drop" else ("token", field.token)
    if field is not None and field.generalise:
        return ("drop" if privacy == "drop" else "generalise"), None
    if privacy is None and classification == "restricted":
        privacy = "token"
    kind = field.type if field else LOGICAL_TYPES[item.logicalType or "string"]
    if privacy == "token" and kind != "string":
        raise doc.error(
            at,
            f"`{item.name}` is restricted and {kind}: only a string can become a token",
            "Add customProperties: [{property: habitus.privacy, value: generalise}] (or drop)",
        )
    if privacy == "generalise" and kind not in ("date", "timestamp", "integer", "decimal"):
        raise doc.error(
            at,
            f"`{item.name}` is {kind}: only dates (to the year) and numbers (to tens) generalise",
            "Write token or drop",
        )
    if privacy == "token":
        wanted = custom.get("habitus.tokenType", item.name)
        if not isinstance(wanted, str) or not NAME.match(wanted):
            raise doc.error(
                at, f"habitus.tokenType `{wanted}` is no name", f"Write {one_of(TOKEN_TYPES)}"
            )
        return "token", wanted
    return privacy, None
