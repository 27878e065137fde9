"""What a column's values say, counted over all records by DuckDB.

What does NOT belong here: what its name says (`names`), the decision (`roles`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

import duckdb
import pyarrow as pa

from ingestion import casts
from ingestion.sql import ident, literal

_DAYS = (
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%d.%m.%Y",
    "%d-%m-%Y",
    "%m-%d-%Y",
    "%Y/%m/%d",
    "%Y.%m.%d",
    "%Y%m%d",
    "%Y年%m月%d日",
    "%d/%m/%y",
    "%m/%d/%y",
    "%d.%m.%y",
    "%d %b %Y",
    "%d-%b-%Y",
    "%d-%b-%y",
    "%b %d, %Y",
    "%B %d, %Y",
    "%d %B %Y",
)
_TIMES = (
    "",
    " %H:%M",
    " %H:%M:%S",
    " %H:%M:%S.%f",
    " %I:%M %p",
    " %I:%M:%S %p",
    "T%H:%M:%S",
    " %H时%M分",
    "%H%M%S",
    "%H:%M:%S",
    "%H:%M",
)
#: Days behind which a time may follow without a space.
_RUN_ON = ("%Y%m%d", "%Y年%m月%d日", "%Y/%m/%d")
_TWINS = {"%d/%m/": "%m/%d/", "%d-%m-": "%m-%d-"}
_EMAIL = r"[^@\s]+@[^@\s]+\.[^@\s]+"
_PHONE = r"[+(]?[\d０-９][\d０-９ ()\-./]{6,18}[\d０-９]"
_DOT = r"[+-]?(\d{1,3}([, ']\d{3})+|\d+)(\.\d+)?"
_COMMA = r"[+-]?(\d{1,3}([. ']\d{3})+|\d+),\d+"
_GROUPED_DOT = r"[+-]?\d{1,3}(\.\d{3})+"
_CODES = "EUR|USD|GBP|CNY|RMB|CHF"
_MONEY_SIGNS = rf"^\s*(US\$|R\$|[$€£¥￥]|{_CODES})?\s*|\s*(€|元|{_CODES}|kr|zł|[$£¥￥])?\s*$"
_SIGNS = {
    "€": "EUR",
    "EUR": "EUR",
    "$": "USD",
    "USD": "USD",
    "£": "GBP",
    "GBP": "GBP",
    "¥": "CNY",
    "￥": "CNY",
    "元": "CNY",
    "CNY": "CNY",
    "RMB": "CNY",
    "CHF": "CHF",
}


@dataclass
class Values:
    """Counts over a column.

    Attributes:
        name: The column.
        records: Distinct records in the file.
        filled: Records with a value.
        distinct: Distinct values.
        emails: Share of the filled that look like e-mail addresses.
        phones: Share that look like telephone numbers.
        numbers: Share that are numbers, whatever their decimal sign.
        whole: Share that are whole numbers.
        decimal_comma: Whether the comma is the decimal sign.
        signed: Whether currency signs stand beside the numbers.
        currency: ISO code of that sign.
        length: Mean length of the filled.
        spaces: Share with a space inside.
        formats: Date formats that fit, the best first; empty for ISO 8601.
        dates: Share of the filled that are dates under `formats`.
        first: Earliest date.
        last: Latest date.
        twin: The other reading (month or day first) that fits as well.
        has_time: Whether the dates carry a time of day.
        samples: A few frequent values, for words such as states; never written out.
    """

    name: str
    records: int
    filled: int
    distinct: int
    emails: float = 0.0
    phones: float = 0.0
    numbers: float = 0.0
    whole: float = 0.0
    decimal_comma: bool = False
    signed: bool = False
    currency: str | None = None
    length: float = 0.0
    spaces: float = 0.0
    formats: tuple[str, ...] = ()
    dates: float = 0.0
    first: datetime | None = None
    last: datetime | None = None
    twin: str | None = None
    has_time: bool = False
    samples: tuple[str, ...] = field(default=(), repr=False)

    @property
    def unique(self) -> bool:
        """Filled in every record, and no value twice."""
        return self.records > 0 and self.filled == self.records == self.distinct


def look(con: duckdb.DuckDBPyConnection, table: pa.Table) -> dict[str, Values]:
    """Look at every column of a table of texts; records that are alike in all count once."""
    con.register("drafted_all", table)
    con.execute("create or replace temp table drafted as select distinct * from drafted_all")
    con.unregister("drafted_all")
    counted = con.execute("select count(*) from drafted").fetchone()
    records = int(counted[0]) if counted else 0
    return {name: _look(con, name, records) for name in table.column_names}


def _look(con: duckdb.DuckDBPyConnection, name: str, records: int) -> Values:
    con.execute(
        "create or replace temp table one as "
        f"select {casts.clean(ident(name), True)} as x from drafted"
    )
    con.execute("delete from one where x is null")
    bare = f"regexp_replace(x, {literal(_MONEY_SIGNS)}, '', 'g')"
    row = con.execute(
        f"""
select count(*), count(distinct x),
    count(*) filter (regexp_full_match(x, {literal(_EMAIL)})),
    count(*) filter (regexp_full_match(x, {literal(_PHONE)})),
    count(*) filter (regexp_full_match({bare}, {literal(_DOT)})),
    count(*) filter (regexp_full_match({bare}, {literal(_COMMA)})),
    count(*) filter (regexp_full_match({bare}, {literal(_GROUPED_DOT)})),
    count(*) filter (regexp_full_match({bare}, '[+-]?\\d+\\.\\d*')),
    count(*) filter (regexp_full_match(x, '[+-]?\\d+(\\.0)?')),
    count(*) filter ({bare} <> x),
    coalesce(avg(length(x)), 0), count(*) filter (contains(x, ' '))
from one
"""
    ).fetchone()
    (
        filled,
        distinct,
        emails,
        phones,
        _dot,
        comma,
        grouped,
        dotted,
        whole,
        signed,
        length,
        spaces,
    ) = row or (0,) * 12
    values = Values(name, records, filled, distinct)
    if filled == 0:
        return values
    values.emails, values.phones = emails / filled, phones / filled
    values.whole, values.length, values.spaces = whole / filled, float(length), spaces / filled
    # "1,234" is a group under the dot and a fraction under the comma; only fractions of another
    # length, or a dot as the group sign, tell.
    telling = con.execute(
        f"select count(*) from one where regexp_full_match({bare}, '.*,(\\d{{1,2}}|\\d{{4,}})')"
    ).fetchone()
    values.decimal_comma = bool(telling and telling[0]) and dotted - grouped <= comma
    either = con.execute(
        f"select count(*) from one where regexp_full_match({bare}, {literal(_DOT)}) "
        f"or regexp_full_match({bare}, {literal(_COMMA)}) "
        f"or regexp_full_match({bare}, {literal(_GROUPED_DOT)})"
    ).fetchone()
    values.numbers = (either[0] if either else 0) / filled
    values.signed = signed > 0 and values.numbers > 0.9
    if values.signed:
        values.currency = _sign(con)
    values.samples = tuple(
        found[0]
        for found in con.execute(
            "select x from one group by x order by count(*) desc, x limit 30"
        ).fetchall()
    )
    _dates(con, values)
    return values


def _sign(con: duckdb.DuckDBPyConnection) -> str | None:
    pattern = "|".join("\\$" if sign == "$" else sign for sign in _SIGNS)
    found = con.execute(
        f"select regexp_extract(x, {literal(pattern)}) as s, count(*) from one "
        "group by s order by 2 desc, 1 limit 1"
    ).fetchone()
    return _SIGNS.get(found[0]) if found else None


def _candidates(con: duckdb.DuckDBPyConnection) -> list[str]:
    """Formats that fit at least one of some values; the full count then looks at few."""
    forms = [
        day + time
        for day in _DAYS
        for time in _TIMES
        if day in _RUN_ON or not (time.startswith("%") or time.startswith("T"))
    ]
    counts = ", ".join(
        f"count(*) filter (year(try_strptime(x, {literal(form)})) >= 1900)" for form in forms
    )
    found = con.execute(f"select {counts} from (select x from one limit 200)").fetchone()
    return [form for form, count in zip(forms, found or (), strict=True) if count]


def _dates(con: duckdb.DuckDBPyConnection, values: Values) -> None:
    """Fill in the dates' fields: the format, or formats, that fit most records."""
    good = "between timestamp '1900-01-02' and timestamp '2199-12-31'"
    fits: list[tuple[int, str]] = []
    iso = casts.timestamp((), "x", "UTC")
    shaped = "regexp_matches(x, '^\\d{4}-\\d{1,2}-\\d{1,2}')"
    count = con.execute(f"select count(*) from one where {shaped} and {iso} {good}").fetchone()
    if count and count[0]:
        fits.append((count[0], ""))
    digits = con.execute("select count(*) from one where regexp_matches(x, '\\d')").fetchone()
    if not digits or not digits[0]:
        return
    for form in (*_candidates(con), "epoch_s", "epoch_ms"):
        value = casts.timestamp((form,), "x", "UTC")
        count = con.execute(f"select count(*) from one where {value} {good}").fetchone()
        if count and count[0]:
            fits.append((count[0], form))
    if not fits:
        return
    fits.sort(key=lambda item: -item[0])
    best, form = fits[0]
    chosen = [form]
    twin = _twin(form)
    if twin and (best, twin) in fits:
        values.twin = twin
    if best < values.filled:
        for _number, other in fits[1:]:
            if other != twin and form and other and _twin(other) not in chosen:
                both = casts.timestamp((*chosen, other), "x", "UTC")
                more = con.execute(f"select count(*) from one where {both} {good}").fetchone()
                if more and more[0] > best:
                    chosen.append(other)
                    best = more[0]
    values.formats = tuple(f for f in chosen if f)
    values.dates = best / values.filled
    value = casts.timestamp(values.formats, "x", "UTC")
    span = con.execute(
        f"select min(d), max(d), bool_or(d <> date_trunc('day', d)) "
        f"from (select {value} as d from one) where d {good}"
    ).fetchone()
    if span:
        values.first, values.last, values.has_time = span[0], span[1], bool(span[2])


def _twin(form: str) -> str | None:
    for left, right in _TWINS.items():
        if form.startswith(left):
            return right + form.removeprefix(left)
        if form.startswith(right):
            return left + form.removeprefix(right)
    return None
