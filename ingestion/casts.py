"""Text -> typed values, as SQL: casts that never raise, and the checks of a contract.

What does NOT belong here: which columns there are (`compile`).

Every cast is a try: what cannot be cast is null, and a null where there was text is a failure with
a reason. So no error text can carry a value.
"""

from __future__ import annotations

import re
from datetime import datetime

from expectations.contract import Property
from ingestion.sql import literal, literals

#: Characters that `clean` takes off both ends: white space, no-break and ideographic space.
_SPACE_CODES = (32, 9, 10, 13, 160, 12288)
_SPACE = " || ".join(f"chr({code})" for code in _SPACE_CODES)
_FULL_WIDTH = "０１２３４５６７８９．，－＋"
_HALF_WIDTH = "0123456789.,-+"
_SEPARATORS = ", '’\u00a0"
_GROUPS = "|".join(rf"(?:{separator}\d{{3}})+" for separator in _SEPARATORS)
#: A number with or without groups of digits. One separator only, no zero in front and nothing
#: grouped behind the point: `0,125` and `1 234,500` have a decimal comma, and would become another
#: amount.
_GROUPED = rf"^(?:[+-]?[1-9]\d{{0,2}}(?:{_GROUPS})(?:\.\d*)?|[^{_SEPARATORS}]*)$"
_WHOLE = r"^([+-]?\d+)(\.0*)?$"
#: A time of day and any offset, also one that is none: ignored, it would be another moment.
_OFFSET = r":\d.*([zZ]|[+-]\d[\d:]*| ?UTC| ?GMT)$"
#: A time of day without seconds but with an offset: ISO 8601, which DuckDB does not read.
_NO_SECONDS = r"^(\d{4}-\d{1,2}-\d{1,2}[ T]\d{1,2}:\d{2})(Z|[+-]\d{2}(?::?\d{2})?)$"
#: strptime directives that tell the time of day.
_TIME_OF_DAY = re.compile(r"%-?[HIMSfnpXcs]")
#: Ends the reason of a value that does not even look like its type.
ANOTHER_FORM = ", nor like one"
#: What a number looks like, whether or not there is such a number.
_NUMBER_FORM = (
    r"(?i)[+\-－＋]?[$€£¥￥]? ?[.．]?[\d０-９][\d０-９.,，． '’\x{a0}]*(e[+-]?\d+)?"
    r"|[+-]?(nan|inf|infinity)"
)
#: What a spreadsheet makes of a long number. A mere space does not make `12 E5` one.
_ROUNDED = (
    r"[+＋]?[\d０-９]+([.,．，][\d０-９]+)?"
    r"([eEｅＥ][+＋]?|[ \x{a0}\x{3000}]?[eEｅＥ] ?[+＋])[\d０-９]+"
)
#: What an ISO date, with or without a time, looks like; and a number that stands for one.
_ISO_FORM = r"\d{4}-\d{1,2}-\d{1,2}([ T]\d{1,2}:\d{1,2}.*)?|[+-]?\d+(\.\d+)?"
_TRUE = ("true", "t", "yes", "y", "1", "1.0", "是", "ja", "oui", "si", "sí")
_FALSE = ("false", "f", "no", "n", "0", "0.0", "否", "nein", "non")
#: Fields that may honestly lie in the future: plans, promises and ends.
MAY_BE_FUTURE = frozenset(
    {"promised_at", "started_at", "ended_at", "launched_at", "valid_from", "valid_to"}
)
#: A source's clock may run so far ahead of ours.
FUTURE_ALLOWANCE = "interval 1 day"


# DuckDB hoists an expression that occurs twice and computes it for every row, even where both
# places stand in a branch that is hardly ever taken. Casts are therefore written so that the rare
# path repeats nothing: 1.47M rows took 145 s before, and decimal(38, n) alone 10 s a million.
# Seconds a million short texts, one thread: trim .29, a regular expression .19, comparing the ends
# .07; cast to timestamptz .46, to timestamp .20.


def clean(expression: str, null_words: bool) -> str:
    r"""Text without space at its ends; empty (and, in CSV, NULL and \N) becomes null."""
    ends = " or ".join(f"ends_with({expression}, chr({code}))" for code in _SPACE_CODES)
    wide = " or ".join(f"starts_with({expression}, chr({code}))" for code in _SPACE_CODES[-2:])
    trimmed = (
        f"case when {expression} < '!' or {ends} or {wide} "
        f"then trim({expression}, {_SPACE}) else {expression} end"
    )
    if not null_words:
        return f"nullif({trimmed}, '')"
    return f"case when {trimmed} in ('', 'NULL', 'null', '\\N') then null else {trimmed} end"


def plain_number(text: str) -> str:
    """Digits as ASCII, without grouping and a currency sign in front; empty if wrongly grouped."""
    half = f"translate({text}, '{_FULL_WIDTH}', '{_HALF_WIDTH}')"
    bare = f"regexp_replace({half}, '^([+-]?)[$€£¥￥] ?', '\\1')"
    grouped = f"regexp_extract({bare}, {literal(_GROUPED)})"
    return f"translate({grouped}, {literal(_SEPARATORS)}, '')"


def _number(text: str, kind: str) -> str:
    return f"coalesce(try_cast({text} as {kind}), try_cast({plain_number(text)} as {kind}))"


def cast(prop: Property, text: str, timezone: str | None) -> str:  # noqa: PLR0911 - one per type
    """SQL of the typed value of a property; null where the text cannot be cast.

    Args:
        prop: Its type, formats and time zone.
        text: SQL of the cleaned text.
        timezone: The contract's, for values without an offset; None if it declares none.
    """
    match prop.type:
        case "integer":
            whole = f"regexp_extract({plain_number(text)}, {literal(_WHOLE)}, 1)"
            return (
                f"case when regexp_full_match({text}, '\\d{{1,18}}') "
                f"then try_cast({text} as bigint) "
                f"else try_cast({whole} as bigint) end"
            )
        case "decimal":
            return _number(text, "decimal(18,4)")
        case "double":
            number = _number(text, "double")
            return f"case when isfinite({number}) then {number} end"
        case "boolean":
            low = f"lower({text})"
            return (
                f"case when {low} in ({literals(_TRUE)}) then true "
                f"when {low} in ({literals(_FALSE)}) then false end"
            )
        case "date":
            return f"try_cast({timestamp(prop.formats, text, 'UTC')} as date)"
        case "timestamp":
            return timestamp(prop.formats, text, prop.timezone or timezone)
        case _:
            return text


def timestamp(formats: tuple[str, ...], text: str, timezone: str | None) -> str:
    """SQL of a naive UTC timestamp; the session's time zone must be UTC.

    Without formats: ISO 8601, with or without an offset. Without a time zone, a time of day that
    has no offset is null: which moment it was, nobody said. A mere day is taken as one of UTC.
    """
    if not formats:
        with_seconds = f"regexp_replace({text}, {literal(_NO_SECONDS)}, '\\1:00\\2')"
        return (
            f"coalesce({_iso_timestamp(text, timezone)}, "
            f"case when regexp_matches({text}, {literal(_NO_SECONDS)}) "
            f"then try_cast({with_seconds} as timestamptz)::timestamp end)"
        )
    tried = []
    for form in formats:
        if form == "epoch_s":
            seconds = f"try_cast({text} as decimal(20,6))"
            tried.append(
                f"case when {seconds} between 100000000 and 9999999999 "
                f"then make_timestamp(({seconds} * 1000000)::bigint) end"
            )
        elif form == "epoch_ms":
            millis = f"try_cast({text} as decimal(20,3))"
            tried.append(
                f"case when {millis} between 100000000000 and 9999999999999 "
                f"then make_timestamp(({millis} * 1000)::bigint) end"
            )
        elif "%z" in form:
            tried.append(f"try_strptime({text}, {literal(form)})::timestamp")
        elif timezone is None:
            if not _TIME_OF_DAY.search(form):
                tried.append(f"try_strptime({text}, {literal(form)})")
        else:
            naive = f"try_strptime({text}, {literal(form)})"
            zone = literal(timezone)
            tried.append(naive if timezone == "UTC" else f"timezone({zone}, {naive})::timestamp")
    if not tried:
        return "null::timestamp"
    return tried[0] if len(tried) == 1 else f"coalesce({', '.join(tried)})"


def _iso_timestamp(text: str, timezone: str | None) -> str:
    """SQL of what DuckDB reads as ISO 8601, as naive UTC."""
    if timezone == "UTC":
        return (
            f"case when ends_with({text}, 'Z') then try_cast({text} as timestamp) "
            f"else try_cast({text} as timestamptz)::timestamp end"
        )
    with_offset = f"case when regexp_matches({text}, {literal(_OFFSET)}) "
    with_offset += f"then try_cast({text} as timestamptz)::timestamp"
    if timezone is None:
        return (
            f"case when ends_with({text}, 'Z') then try_cast({text} as timestamp) "
            f"else {with_offset} when length({text}) <= 10 "
            f"then try_cast({text} as timestamp) end end"
        )
    local = f"timezone({literal(timezone)}, try_cast({text} as timestamp))::timestamp"
    return f"{with_offset} else {local} end"


def naive_timestamp(formats: tuple[str, ...], text: str) -> str:
    """SQL of a text without an offset as the clock on the wall showed it; else null."""
    if not formats:
        return (
            f"case when not regexp_matches({text}, {literal(_OFFSET)}) "
            f"then try_cast({text} as timestamp) end"
        )
    naive = [form for form in formats if "%" in form and "%z" not in form]
    if not naive:
        return "null::timestamp"
    return f"try_strptime({text}, [{literals(naive)}])"


def _cast_reason(prop: Property, text: str, timezone: str | None) -> str:
    """SQL of the reason why a text could not be cast: no such value, no time zone, another type.

    NaN, 29 February 2023 and too many digits have the form of their type; what has not may show
    that the column is no longer what it was: see `whole`, which looks for ANOTHER_FORM.
    """
    name = prop.name
    no_value = literal(f"type: {name} is no {prop.type}")
    no_type = literal(f"type: {name} is no {prop.type}{ANOTHER_FORM}")
    if prop.type not in ("date", "timestamp"):
        if prop.type not in ("integer", "decimal", "double"):
            return no_type
        number = f"regexp_full_match({text}, {literal(_NUMBER_FORM)})"
        return f"case when {number} then {no_value} else {no_type} end"
    forms = [form for form in (_form_of(text_form) for text_form in prop.formats) if form]
    shape = "|".join(f"({form})" for form in forms) if prop.formats else _ISO_FORM
    reason = f"case when regexp_full_match({text}, {literal(shape)}) then {no_value} "
    reason += f"else {no_type} end"
    if prop.type == "timestamp" and (prop.timezone or timezone) is None:
        no_zone = literal(f"timezone: {name} has no offset and the contract declares no time zone")
        naive = naive_timestamp(prop.formats, text)
        return f"case when {naive} is not null then {no_zone} else {reason} end"
    return reason


def _form_of(strptime_form: str) -> str:
    """A regular expression of what a strptime format looks like; any word stands for a name."""
    if strptime_form.startswith("epoch_"):
        return r"[+-]?\d+(\.\d+)?"
    parts = re.split(r"(%-?[A-Za-z%])", strptime_form)
    return "".join(_directive(part) if part.startswith("%") else re.escape(part) for part in parts)


def _directive(part: str) -> str:
    letter = part[-1]
    if letter == "%":
        return "%"
    return r"\S+" if letter in "aAbBpzZxXcn" else r"\d{1,9}"


def is_identifier(prop: Property) -> bool:
    """Whether every digit of a property's text counts."""
    is_text = prop.type in ("string", "text", "json")
    return prop.token_type in ("phone", "customer") or (prop.name.endswith("_id") and is_text)


def as_written(text: str, line: str, key: str) -> str:
    """Text of a JSON number, in powers of ten where its line has it so: DuckDB writes it out.

    Args:
        text: SQL of what DuckDB makes of the value.
        line: SQL of the JSON record.
        key: The value's own key.
    """
    powers = rf'"{re.escape(key)}"\s*:\s*(\d+(?:\.\d+)?[eE]\+?\d+)'
    found = f"nullif(regexp_extract({line}, {literal(powers)}, 1), '')"
    return f"case when ends_with({text}, '.0') then coalesce({found}, {text}) else {text} end"


def checks(
    prop: Property, value: str, text: str, typed_text: bool, timezone: str | None
) -> list[tuple[str, str]]:
    """(condition of failure, SQL of the reason) of each check of a property, the gravest first.

    Args:
        prop: The property.
        value: SQL of the typed value.
        text: SQL of the cleaned text before the cast.
        typed_text: Whether the value is the text itself (no cast can fail).
        timezone: The contract's, or None.
    """
    found = [(condition, literal(reason)) for condition, reason in _rules(prop, value, text)]
    if not typed_text:
        uncast = f"{value} is null and {text} is not null"
        found.insert(0, (uncast, _cast_reason(prop, text, timezone)))
    return found


def _rules(prop: Property, value: str, text: str) -> list[tuple[str, str]]:
    """(condition of failure, reason) of each check but the cast."""
    name = prop.name
    found: list[tuple[str, str]] = []
    if prop.required:
        found.append((f"{text} is null", f"required: {name} is empty"))
    if prop.enum:
        found.append((f"{text} not in ({literals(prop.enum)})", f"enum: {name} is not listed"))
    for limit, fails in (
        (prop.minimum, "<"),
        (prop.maximum, ">"),
        (prop.exclusive_minimum, "<="),
        (prop.exclusive_maximum, ">="),
    ):
        if limit is not None:
            bound = _bound(prop.type, limit)
            found.append((f"{value} {fails} {bound}", f"range: {name} is out of range"))
    if prop.min_length is not None:
        found.append((f"length({text}) < {int(prop.min_length)}", f"length: {name} is too short"))
    if prop.max_length is not None:
        found.append((f"length({text}) > {int(prop.max_length)}", f"length: {name} is too long"))
    if prop.pattern is not None:
        found.append(
            (
                f"not regexp_full_match({text}, {literal(prop.pattern)})",
                f"pattern: {name} has another form",
            )
        )
    if prop.type in ("date", "timestamp"):
        found.extend(_date_checks(prop, value))
    if is_identifier(prop):
        found.append(
            (
                f"regexp_full_match({text}, {literal(_ROUNDED)})",
                f"type: {name} was rounded to powers of ten",
            )
        )
    return found


def _bound(kind: str, limit: str) -> str:
    if kind in ("date", "timestamp"):
        return f"{literal(limit)}::{kind}"
    if kind in ("integer", "decimal", "double"):
        return str(float(limit)) if kind == "double" else f"{literal(limit)}::decimal(18,4)"
    return literal(limit)


def _date_checks(prop: Property, value: str) -> list[tuple[str, str]]:
    found = [sentinel_check(prop.name, value, prop.type == "timestamp")]
    if prop.canonical and prop.name not in MAY_BE_FUTURE:
        late = f"{value} > $now::timestamp + {FUTURE_ALLOWANCE}"
        found.append((late, f"future: {prop.name} lies in the future"))
    return found


def sentinel_check(name: str, value: str, is_timestamp: bool) -> tuple[str, str]:
    """(condition of failure, reason) of a date or timestamp that stands for none.

    Args:
        name: What the reason calls it.
        value: SQL of the typed value.
        is_timestamp: Whether 1970-01-01 stands for none too; as a mere date it may be a birthday.
    """
    sentinels = f"{value} < timestamp '1900-01-02' or {value} >= timestamp '2200-01-01'"
    if is_timestamp:
        # Zero in any zone, and seconds that were read as milliseconds.
        sentinels += f" or ({value} >= timestamp '1969-12-31' and {value} < timestamp '1970-02-01')"
    return sentinels, f"sentinel: {name} stands for no date"


def utc(moment: datetime) -> datetime:
    """A moment as naive UTC, as raw keeps it.

    Raises:
        ValueError: If it has no time zone.
    """
    if moment.tzinfo is None:
        raise ValueError("`now` needs a time zone")
    offset = moment.utcoffset()
    return (moment - offset).replace(tzinfo=None) if offset else moment.replace(tzinfo=None)
