"""ODCS YAML -> `Contract` and `Deployment`.

What does NOT belong here: reading data (`ingestion`), the properties' own checks (`properties`).
"""

from __future__ import annotations

import dataclasses
import hashlib
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pydantic
from open_data_contract_standard.model import (
    OpenDataContractStandard,
    SchemaObject,
    SchemaProperty,
    Server,
)

from expectations.contract.consent import PROPERTY, check_legal_bases, read_legal_basis
from expectations.contract.entity import load_entities
from expectations.contract.errors import ContractError, did_you_mean, one_of
from expectations.contract.marks import Key, MarkedYaml
from expectations.contract.model import Churn, Contract, Deployment, KnownAt
from expectations.contract.patterns import MOST_GROUPS, PatternError, groups
from expectations.contract.properties import (
    NAME,
    build_properties,
    check_column,
    check_timezone,
    custom_properties,
)
from expectations.contract.servers import build_source, custom_at

SUFFIX = ".odcs.yaml"
_CUSTOM = (
    "habitus.knownAt",
    "habitus.csv",
    "habitus.timezone",
    "habitus.watermark",
    "habitus.churn",
    "habitus.startsOn",
    "habitus.skipLines",
    "habitus.settleSeconds",
    PROPERTY,
)
_KNOWN_AT = "Write landing, ts, {column: received_at} or {path: 'dt=(\\d{4}-\\d{2}-\\d{2})'}"


def _known_keys(model: type[pydantic.BaseModel]) -> tuple[str, ...]:
    return tuple(field.alias or name for name, field in model.model_fields.items())


def _check_keys(doc: MarkedYaml, at: Key, value: Any, model: type[pydantic.BaseModel]) -> None:
    if not isinstance(value, dict):
        raise doc.error(at, "a mapping is wanted here", "Write `key: value` lines")
    known = _known_keys(model)
    for key in value:
        if key not in known:
            near = did_you_mean(str(key), known)
            raise doc.error(
                (*at, str(key)),
                f"unknown key `{key}`",
                f"Did you mean `{near}`?" if near else f"Known here: {one_of(known)}",
            )


def _check_shape(doc: MarkedYaml) -> None:
    """Unknown keys at every level that we rely on; pydantic ignores them below the first."""
    _check_keys(doc, (), doc.data, OpenDataContractStandard)
    for name, model in (("servers", Server), ("schema", SchemaObject)):
        items = doc.data.get(name)
        if not isinstance(items, list) or len(items) != 1:
            raise doc.error(
                (name,),
                f"`{name}` must list exactly one item",
                "One contract is one source and feeds one entity: split it into two files",
            )
        _check_keys(doc, (name, 0), items[0], model)
    properties = doc.data["schema"][0].get("properties")
    if not isinstance(properties, list) or not properties:
        raise doc.error(
            ("schema", 0), "no properties", "Add `properties:` with one for each column"
        )
    for index, item in enumerate(properties):
        _check_keys(doc, ("schema", 0, "properties", index), item, SchemaProperty)


def _parse(doc: MarkedYaml) -> OpenDataContractStandard:
    _check_shape(doc)
    try:
        return OpenDataContractStandard(**doc.data)
    except pydantic.ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        at: Key = tuple(first["loc"])
        raise doc.error(
            at,
            f"`{'.'.join(map(str, at))}`: {first['msg'].lower()}",
            "Mend the value's type; YAML reads no, yes, 1 and dates as such unless in quotes",
        ) from None


#: What reading text, numbers and patterns that somebody wrote can end in.
_UNFORESEEN = (
    ArithmeticError,
    AttributeError,
    LookupError,
    OSError,
    RecursionError,
    TypeError,
    ValueError,
)


def load_contract(path: Path | str) -> Contract:
    """Read and check one contract.

    Args:
        path: A file named `<source>.odcs.yaml`.

    Raises:
        ContractError: File, line, what is wrong, and what to write instead.
    """
    path = Path(path)
    try:
        return _loaded(path)
    except ContractError:
        raise
    except _UNFORESEEN as error:
        # A value of a type or size that no check foresaw; what it is stands in the file.
        raise ContractError(
            path,
            None,
            f"a value in it is none that a contract can have ({type(error).__name__})",
            "Compare it with docs/contracts.md, or draft it anew: habitus contracts init FILE...",
        ) from error


def _loaded(path: Path) -> Contract:
    doc = MarkedYaml(path)
    odcs = _parse(doc)
    if not path.name.endswith(SUFFIX):
        raise ContractError(path, None, "not named as a contract", f"Name it <source>{SUFFIX}")
    name = path.name.removesuffix(SUFFIX)
    if not NAME.match(name):
        raise ContractError(
            path, None, f"`{name}` cannot be a source's name", "Write snake_case: a-z, 0-9 and _"
        )
    if odcs.name != name:
        raise doc.error(("name",), f"name is `{odcs.name}`, the file's is `{name}`", "Use one name")
    for key in ("apiVersion", "kind", "id", "version"):
        if not getattr(odcs, key):
            raise doc.error((), f"`{key}` is missing", f"Add `{key}: ...`")
    schema = (odcs.schema_ or [])[0]
    entities = load_entities()
    entity = entities.get(schema.name or "")
    if entity is None:
        near = did_you_mean(schema.name or "", entities)
        raise doc.error(
            ("schema", 0, "name"),
            f"unknown entity `{schema.name}`",
            (f"Did you mean `{near}`? " if near else "") + f"Known: {one_of(entities)}",
        )
    custom = custom_properties(doc, (), odcs.customProperties, _CUSTOM)
    source = build_source(doc, (odcs.servers or [])[0], schema, custom)
    properties = build_properties(
        doc, ("schema", 0, "properties"), schema.properties or [], entity, source.format == "jsonl"
    )
    timezone = custom.get("habitus.timezone")
    if timezone is not None:
        check_timezone(doc, custom_at(doc, "habitus.timezone"), timezone)
    text = {
        key: value
        for key in ("purpose", "usage", "limitations")
        if odcs.description and (value := getattr(odcs.description, key))
    }
    watermark = custom.get("habitus.watermark")
    if watermark is not None and not isinstance(watermark, str):
        raise doc.error(
            custom_at(doc, "habitus.watermark"), "habitus.watermark is no column name", "Name one"
        )
    return Contract(
        name=name,
        id=odcs.id or "",
        version=odcs.version or "",
        path=path,
        entity=entity,
        source=source,
        properties=properties,
        known_at=_known_at(doc, custom.get("habitus.knownAt", "landing")),
        timezone=timezone,
        watermark=watermark,
        churn=_churn(doc, custom.get("habitus.churn")),
        starts_on=_date(doc, "habitus.startsOn", custom.get("habitus.startsOn")),
        legal_basis=read_legal_basis(doc, custom.get(PROPERTY)),
        freshness_hours=_freshness(doc, odcs),
        description=text,
        domain=odcs.domain,
        status=odcs.status,
        digest=hashlib.sha256(path.read_bytes()).hexdigest(),
        quality=tuple(rule.model_dump(exclude_none=True) for rule in schema.quality or []),
    )


def load_deployment(folder: Path | str) -> Deployment:
    """Read all contracts of a folder.

    A contract that states no `habitus.startsOn` takes the earliest that a sibling states.

    Raises:
        ContractError: If the folder is missing or empty, or a contract cannot be used, or two of
            them state the churn question or contradict each other on a legal basis.
    """
    folder = Path(folder)
    if not folder.is_dir():
        siblings = (
            [p.name for p in folder.parent.iterdir() if p.is_dir()]
            if folder.parent.is_dir()
            else []
        )
        near = did_you_mean(folder.name, siblings)
        raise ContractError(
            folder,
            None,
            "there is no such folder of contracts",
            (f"Did you mean `{near}`? " if near else "")
            + "Write contracts there, or draft them: habitus contracts init FILE...",
        )
    paths = sorted(folder.glob(f"*{SUFFIX}"))
    if not paths:
        stray = next(iter(sorted([*folder.glob("*.y*ml")])), None)
        raise ContractError(
            stray or folder,
            None,
            f"no file here is named <source>{SUFFIX}",
            "Rename the contracts, or draft them: habitus contracts init FILE...",
        )
    contracts = [load_contract(path) for path in paths]
    asking = [contract for contract in contracts if contract.churn is not None]
    if len(asking) > 1:
        raise ContractError(
            asking[1].path,
            None,
            f"habitus.churn is stated here and in {asking[0].path.name}",
            "Keep one of the two",
        )
    check_legal_bases(contracts)
    starts_on = min((c.starts_on for c in contracts if c.starts_on), default=None)
    return Deployment(
        name=folder.resolve().name,
        folder=folder,
        contracts=tuple(
            dataclasses.replace(c, starts_on=c.starts_on or starts_on) for c in contracts
        ),
    )


def _known_at(doc: MarkedYaml, value: Any) -> KnownAt:
    at = custom_at(doc, "habitus.knownAt")
    if value in ("landing", "ts"):
        return KnownAt(value)
    if isinstance(value, dict) and len(value) == 1:
        ((kind, text),) = value.items()
        if kind == "column" and isinstance(text, str) and text:
            check_column(doc, at, "habitus.knownAt", text)
            return KnownAt("column", text)
        if kind == "path" and isinstance(text, str):
            try:
                number = groups(text)
            except PatternError as error:
                raise doc.error(at, f"habitus.knownAt: {error}", _KNOWN_AT) from None
            if not 1 <= number <= MOST_GROUPS:
                raise doc.error(
                    at,
                    "habitus.knownAt's path needs one to three groups: date, hour, minute",
                    _KNOWN_AT,
                )
            return KnownAt("path", text)
    raise doc.error(at, f"habitus.knownAt cannot be `{value}`", _KNOWN_AT)


def _churn(doc: MarkedYaml, value: Any) -> Churn | None:
    if value is None:
        return None
    at = custom_at(doc, "habitus.churn")
    known = tuple(Churn.__dataclass_fields__)
    if not isinstance(value, dict) or any(key not in known for key in value):
        raise doc.error(at, "habitus.churn cannot be read", f"Write a mapping of {one_of(known)}")
    for key, low, high in (("horizon_days", 1, 365), ("cutoffs", 1, 12)):
        number = value.get(key)
        if number is not None and not (isinstance(number, int) and low <= number <= high):
            raise doc.error(at, f"habitus.churn {key} is `{number}`", f"Write {low} to {high}")
    return Churn(
        horizon_days=value.get("horizon_days"),
        last_cutoff=_date(doc, "habitus.churn last_cutoff", value.get("last_cutoff")),
        cutoffs=value.get("cutoffs"),
    )


def _date(doc: MarkedYaml, label: str, value: Any) -> date | None:
    if value is None or (isinstance(value, date) and not isinstance(value, datetime)):
        return value
    try:
        return date.fromisoformat(str(value))
    except ValueError:
        raise doc.error(
            custom_at(doc, label.partition(" ")[0]),
            f"{label} `{value}` is no date",
            "Write YYYY-MM-DD",
        ) from None


def _freshness(doc: MarkedYaml, odcs: OpenDataContractStandard) -> float | None:
    hours = {"h": 1.0, "hour": 1.0, "hours": 1.0, "d": 24.0, "day": 24.0, "days": 24.0}
    for index, item in enumerate(odcs.slaProperties or []):
        if item.property != "freshness":
            continue
        at: Key = ("slaProperties", index)
        unit = str(item.unit or "h").lower()
        if unit not in hours or not isinstance(item.value, int | float):
            raise doc.error(at, "freshness needs a number and a unit", "Write value: 24, unit: h")
        return float(item.value) * hours[unit]
    return None
