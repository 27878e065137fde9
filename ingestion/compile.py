"""A contract -> the SQL that maps, casts, checks and pseudonymises its records.

What does NOT belong here: running it (`batch`), what a cast looks like (`casts`).

The columns of the statement's stages:
`src`: the columns that the contract declares as clean text, under the source's names, as transforms
use them; beside them `_row_number`, which transforms may use too, and ingestion's own columns as
`META_PREFIX` ones: the loader sees to it that no declared column has any of these names.
`mapped`: `t_<property>`, the text of each property; `typed`: `v_<property>`, its value, with
`_reason` where a check failed. From `mapped` on, no column has a name that the source gave.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from expectations.contract import META_PREFIX, Contract, Property
from ingestion import casts, mask
from ingestion.content import content
from ingestion.names import shown_column
from ingestion.readers.base import own
from ingestion.sql import ident, literal, path_ident
from privacy.records import hash_sql

_FREE = "text"
#: What numbers and times are made of.
_PLAIN = r"[\p{N}\s.,:;+\-/TZeE%]*|NaN|nan|[+-]?Inf(inity)?|true|false|yes|no"
#: Known since before any history, where neither a time nor `habitus.startsOn` says more.
EPOCH = "1970-01-01"


@dataclass(frozen=True)
class Statement:
    """The SQL of one chunk.

    Attributes:
        typed: `select` over the Arrow table `chunk`; parameters `$now`, and those of `hash_sql`.
        source_columns: Source columns (dotted) that the contract declares.
        tokens: (property, token type) of the columns that become tokens.
    """

    typed: str
    source_columns: tuple[str, ...]
    tokens: tuple[tuple[str, str], ...]


def declared_columns(contract: Contract) -> tuple[str, ...]:
    """Source columns that a contract reads, in order, as dotted paths."""
    found: dict[str, None] = {}
    for prop in contract.properties:
        for column in prop.columns:
            found.setdefault(column)
    known = contract.known_at
    if known.kind == "column" and known.value and contract.property(known.value) is None:
        found.setdefault(known.value)
    return tuple(found)


def json_structure(columns: Sequence[str]) -> str:
    """json_transform's structure for dotted paths: every leaf as text."""
    tree: dict[str, object] = {}
    for column in columns:
        node = tree
        *parents, leaf = column.split(".")
        for parent in parents:
            child = node.setdefault(parent, {})
            node = child if isinstance(child, dict) else {}
        node[leaf] = "VARCHAR"
    return json.dumps(tree, ensure_ascii=False)


def meta_name(column: str) -> str:
    """The name in `src` of a column of ingestion's own (they begin with `_`)."""
    return META_PREFIX + column.removeprefix("_")


def source_stage(
    contract: Contract,
    available: Collection[str],
    clean: Collection[str] = (),
    chunk: str = "chunk",
) -> str:
    """The CTE body `src`: one clean text (or struct of texts) for each declared column."""
    columns = declared_columns(contract)
    kind = contract.source.format
    passed = ["_file_idx", "_byte_offset"]
    if contract.known_at.kind == "path":
        passed.append("_path_known_at")
    meta = ", ".join(["_row_number", *(f"{name} as {meta_name(name)}" for name in passed)])
    bad, whole_record = meta_name("_bad"), meta_name("_content")
    if kind == "jsonl":
        tops = dict.fromkeys(column.split(".")[0] for column in columns)
        listing = ", ".join(
            f"{casts.clean('j.' + ident(top), False)} as {ident(top)}"
            if top in columns
            else f"j.{ident(top)} as {ident(top)}"
            for top in tops
        )
        whole = "(starts_with(line, '{') or starts_with(ltrim(line), '{')) and json_valid(line)"
        return (
            f"select {meta}, coalesce(_bad, case when j is null then 'json' end) as {bad}, "
            f"_content as {whole_record}, {listing} from (select *, line as _content, "
            f"case when _bad is null and {whole} "
            f"then json_transform(line, {literal(json_structure(columns))}) end as j from {chunk})"
        )
    if kind == "text":
        return (
            f"select {meta}, _bad as {bad}, line as {whole_record}, "
            "rtrim(line, chr(10) || chr(13)) as line "
            f"from {chunk}"
        )
    listing = ", ".join(
        f"{ident(own(column))} as {ident(column)}"
        if column in clean
        else f"{casts.clean(ident(own(column)), kind == 'csv')} as {ident(column)}"
        if column in available
        else f"null::varchar as {ident(column)}"
        for column in columns
    )
    return (
        f"select {meta}, {_unreadable(available, clean, kind)} as {bad}, "
        f"{content(available)} as {whole_record}, {listing} from {chunk}"
    )


def _unreadable(available: Collection[str], clean: Collection[str], kind: str | None) -> str:
    """SQL of why a record of columns cannot be read; where Parquet has NUL, only the values say."""
    texts = sorted(set(available) - set(clean)) if kind == "parquet" else []
    if not texts:
        return "_bad"
    nul = " or ".join(f"contains({ident(own(column))}, chr(0))" for column in texts)
    return f"coalesce(_bad, case when {nul} then 'nul' end)"


def property_text(prop: Property, kind: str | None) -> str:
    """SQL of a property's text over `src`."""
    if prop.transform is not None:
        return f"nullif(try(({prop.transform}\n))::varchar, '')"
    column = prop.physical or prop.name
    if kind != "jsonl":
        return ident(column)
    text = casts.clean(path_ident(column), False) if "." in column else ident(column)
    if casts.is_identifier(prop):
        text = casts.as_written(text, meta_name("_content"), column.split(".")[-1])
    return text


def _value(prop: Property, contract: Contract, ascii_only: bool) -> str:
    text = ident(f"t_{prop.name}")
    if prop.type not in ("string", "text", "json"):
        return casts.cast(prop, text, contract.timezone)
    value = text if ascii_only else f"nfc_normalize({text})"
    if prop.name.endswith("_id") and prop.privacy != "token":
        value = (
            f"case when regexp_full_match({value}, '\\d+\\.0') then {value}[:-3] else {value} end"
        )
    return value


def _known_at(contract: Contract) -> str:
    known = contract.known_at
    match known.kind:
        case "ts":
            start = contract.starts_on.isoformat() if contract.starts_on else EPOCH
            fallback = f"timestamp {literal(start)}"
            if contract.property(contract.entity.ts) is None:
                return fallback
            return f"coalesce({ident('v_' + contract.entity.ts)}::timestamp, {fallback})"
        case "column":
            if contract.property(known.value or "") is not None:
                return f"{ident('v_' + (known.value or ''))}::timestamp"
            return casts.timestamp((), "_known_text", contract.timezone)
        case "path":
            return "_path_known_at"
        case _:
            return "$now::timestamp"


def _known_at_sentinel(contract: Contract) -> list[tuple[str, str]]:
    """The check (condition, SQL of the reason) of a moment of knowing that stands for none.

    None where a timestamp's own checks have it, and where the contract itself says the moment: the
    fallback of kind `ts` may be 1970-01-01.
    """
    known = contract.known_at
    if known.kind not in ("column", "path"):
        return []
    name = "the moment of knowing"
    if known.kind == "column" and known.value:
        prop = contract.property(known.value)
        if prop is not None and prop.type == "timestamp":
            return []
        name = f"{name} ({shown_column(known.value)})"
    condition, reason = casts.sentinel_check(name, "_known_at", is_timestamp=True)
    return [(condition, literal(reason))]


def compile_contract(
    contract: Contract,
    available: Collection[str],
    ascii_only: bool = False,
    clean: Collection[str] = (),
    keys: int = 1,
) -> Statement:
    """The statement for chunks of a source.

    Args:
        contract: The contract.
        available: The source's columns that the chunk has (all formats but jsonl and text).
        ascii_only: Whether no text needs Unicode normalisation.
        clean: Columns that need no trimming.
        keys: Under how many record keys hashes stand.
    """
    kind = contract.source.format
    properties = contract.properties
    mapped = ", ".join(f"{property_text(p, kind)} as {ident('t_' + p.name)}" for p in properties)
    values = ", ".join(
        f"{_value(p, contract, ascii_only)} as {ident('v_' + p.name)}" for p in properties
    )
    failing: list[tuple[str, str]] = []
    for prop in properties:
        is_text = prop.type in ("string", "text", "json")
        value, text = ident("v_" + prop.name), ident("t_" + prop.name)
        failing.extend(casts.checks(prop, value, text, is_text, contract.timezone))
    unknown = "is empty" if contract.timezone else "is empty or has no time zone"
    failing.append(("_known_at is null", literal(f"required: the moment of knowing {unknown}")))
    failing.append(
        (
            f"_known_at > $now::timestamp + {casts.FUTURE_ALLOWANCE}",
            "'future: the moment of knowing lies in the future'",
        )
    )
    failing.extend(_known_at_sentinel(contract))
    any_failing = " or ".join(f"({condition})" for condition, _reason in failing)
    reasons = ", ".join(f"case when {condition} then {reason} end" for condition, reason in failing)
    unreadable = "case when _bad is not null then 'unreadable: ' || _bad end"
    kept = ", ".join(ident("v_" + prop.name) for prop in properties)
    exclude = " exclude (_path_known_at)" if contract.known_at.kind == "path" else ""
    typed = f"""
with src as ({source_stage(contract, available, clean)}),
mapped as (
    select {meta_name("_file_idx")} as _file_idx, _row_number,
        {meta_name("_byte_offset")} as _byte_offset, {meta_name("_bad")} as _bad,
        {hash_sql(meta_name("_content"), keys)} as _hash{_known_columns(contract)}, {mapped}
    from src
),
valued as (select *, {values} from mapped),
known as (
    select *{exclude}, {_known_at(contract)} as _known_at from valued
)
select _file_idx, _row_number, _byte_offset, _hash, _known_at, {kept},
    coalesce({unreadable}, case when {any_failing} then concat_ws('; ', {reasons}) end)
        as _reason
from known
"""
    tokens = tuple(
        (prop.name, prop.token_type)
        for prop in properties
        if prop.privacy == "token" and prop.token_type
    )
    return Statement(typed, declared_columns(contract), tokens)


def _known_columns(contract: Contract) -> str:
    known = contract.known_at
    if known.kind == "path":
        return f", {meta_name('_path_known_at')} as _path_known_at"
    if known.kind != "column" or contract.property(known.value or "") is not None:
        return ""
    return f", {path_ident(known.value or '')} as _known_text"


def output_columns(contract: Contract) -> str:
    """The select list of raw: fields, `attributes`, meta; over `typed` and its token joins."""
    listing = []
    for field in contract.entity.fields:
        prop = contract.property(field.name)
        value = f"null::{field.duckdb_type}" if prop is None else _output(prop, contract)
        listing.append(f"{value}::{field.duckdb_type} as {ident(field.name)}")
    extras = [p for p in contract.properties if not p.canonical and p.privacy != "drop"]
    listing.append(f"{_attributes(extras, contract)} as attributes")
    return ", ".join(listing)


def _output(prop: Property, contract: Contract) -> str:  # noqa: PLR0911 - one per fate
    value = ident("v_" + prop.name)
    if prop.privacy == "token":
        return ident("k_" + prop.name)
    if prop.privacy == "drop":
        return "null"
    if prop.privacy == "generalise":
        if prop.type in ("date", "timestamp"):
            return f"date_trunc('year', {value})"
        return f"(floor({value} / 10) * 10)"
    if prop.type == _FREE:
        return mask.free_text(value)
    if prop.enum or prop.type not in ("string", "json") or prop.name in contract.entity.key:
        return value  # of an enumeration's words, none else has been accepted
    return mask.emails_if_any(value) if prop.name.endswith("_id") else mask.value(value)


def _attributes(extras: Sequence[Property], contract: Contract) -> str:
    """A JSON object of the extras that have a value; '{}' if none has."""
    if not extras:
        return "'{}'"
    parts = []
    for prop in extras:
        value = _output(prop, contract)
        if prop.type in ("date", "timestamp"):
            value = f"({value})::{prop.type}::varchar"
        parts.append(
            f"case when {value} is not null then {literal(json.dumps(prop.name) + ':')} "
            f"|| to_json({value})::varchar end"
        )
    return "'{' || concat_ws(',', " + ", ".join(parts) + ") || '}'"


def has_identities(contract: Contract) -> bool:
    """Whether any property of the contract is restricted in any way."""
    return any(prop.privacy is not None or prop.type == _FREE for prop in contract.properties)


def kept_token(column: str) -> str:
    """The identifier, beside those of `src`, of the token of a source column."""
    return ident(meta_name(f"token_{column}"))


def record_text(contract: Contract, available: Collection[str]) -> tuple[str, dict[str, str]]:
    """How a failed record is kept: (SQL of its JSON text over `src`, token columns it needs).

    The second value maps a source column (dotted) to the token type under which it is kept; its
    token is expected under the name that `kept_token` gives.
    """
    fate: dict[str, str] = {}
    for prop in contract.properties:
        for column in prop.columns:
            if prop.privacy == "token" and prop.transform is None:
                fate[column] = f"token:{prop.token_type}"
            elif prop.privacy is not None:
                fate.setdefault(column, "restricted")
    tokens = {c: f.removeprefix("token:") for c, f in fate.items() if f.startswith("token:")}
    keys = {
        column
        for prop in contract.properties
        if prop.name.endswith("_id") or prop.name in contract.entity.key
        for column in prop.columns
    }
    typed = {
        column
        for prop in contract.properties
        if prop.type not in ("string", "text", "json")
        for column in prop.columns
    }
    hidden = has_identities(contract)
    parts = []
    kind = contract.source.format
    declared = declared_columns(contract)
    for column in declared:
        value = path_ident(column) if kind == "jsonl" else ident(column)
        if column in tokens:
            kept = kept_token(column)
        elif column in fate:
            kept = f"case when {value} is not null then {literal(mask.RESTRICTED_MARK)} end"
        elif kind == "text":
            kept = mask.shape(value) if hidden else mask.free_text(value)
        elif column in typed:
            # A name in a column of dates has no form by which it could be masked.
            kept = (
                f"case when regexp_full_match({value}, {literal(_PLAIN)}) "
                f"then {mask.free_text(value)} else {mask.shape(value)} end"
            )
        else:
            kept = mask.emails(value) if column in keys else mask.free_text(value)
        parts.append(f"{literal(column)}, {kept}")
    if kind in ("csv", "parquet"):
        parts.extend(
            f"{literal(column)}, {literal(mask.UNDECLARED_MARK)}"
            for column in sorted({shown_column(name) for name in available if name not in declared})
        )
    return f"json_object({', '.join(parts)})::varchar", tokens
