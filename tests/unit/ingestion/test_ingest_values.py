"""Values: casts, checks, tokens, masks, clocks."""

from __future__ import annotations

import datetime as dt

import duckdb
import pytest
from shops import NOW, Shop

from ingestion import mask
from ingestion.casts import plain_number
from ingestion.sql import ident, literal, path_ident

HEAD = "id,who,when,sum,note\n"


@pytest.fixture
def shop(tmp_path):
    return Shop(tmp_path)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1,234.50", "1234.5000"),
        ("１２３．５", "123.5000"),
        ("¥12", "12.0000"),
        ("-1,234,567", "-1234567.0000"),
        ("NaN", None),
        ("Infinity", None),
        ("1.2.3", None),
        ("99999999999999999", None),
        ("１，２３４．５", "1234.5000"),
        ("12,345", "12345.0000"),
        ("1'234’567", None),
        ("1'234'567.89", "1234567.8900"),
        ("1 234 567.5", "1234567.5000"),
        ("-$1,234", "-1234.0000"),
        ("1,23", None),
        ("0,125", None),
        ("０，１２５", None),
        ("12.345,678", None),
        (",500", None),
        ("1,234.567,890", None),
        ("1234,567", None),
        ("1 234,500", None),
        ("1,,234", None),
        ("abc", None),
    ],
)
def test_numbers(shop, text, value):
    shop.land("a.csv", HEAD + f'A1,c,2025-01-02,"{text}",x\n')
    shop.ingest()
    if value is None:
        ((kind, reason),) = shop.bad("failure_type, reason")
        assert kind == "type"
        assert reason.startswith("type: total is no decimal")
    else:
        assert shop.raw("total::varchar") == [(value,)]


@pytest.mark.parametrize("text", ["0,000", "1234,567", "1,234.567,890", ",500"])
def test_a_decimal_comma_makes_no_integer(shop, text):
    shop.form = "jsonl"
    shop.properties = shop.properties.replace("number}", "integer}")
    line = '{"id":"%s","who":"c","when":"2025-01-02","sum":"%s","note":"x"}\n'
    shop.land("a.jsonl", line % ("A1", text) + line % ("A2", "-1,234,567"))
    shop.ingest()
    assert shop.raw("total::integer") == [(-1234567,)]
    assert shop.bad() == [(1, "type")]


@pytest.mark.parametrize(
    ("text", "failure"),
    [
        ("2023-02-29", "type"),
        ("soon", "type"),
        ("", "required"),
        ("1970-01-01", "sentinel"),
        ("9999-12-31", "sentinel"),
        ("2025-07-01", "future"),
        ("2025-01-02 25:00", "type"),
    ],
)
def test_dates_that_fail(shop, text, failure):
    shop.land("a.csv", HEAD + f"A1,c,{text},1,x\n" + "A2,c,2025-01-02,1,x\n")
    assert shop.ingest().accepted == 1
    assert shop.bad() == [(1, failure)]


@pytest.mark.parametrize(
    ("option", "text", "utc"),
    [
        ("", "2025-01-02T03:04:05Z", "2025-01-02 03:04:05"),
        ("", "2025-01-02T03:04:05+08:00", "2025-01-01 19:04:05"),
        ("timezone: Asia/Shanghai", "2025-01-02 03:04:05", "2025-01-01 19:04:05"),
        ("timezone: Asia/Shanghai", "2025-01-02T03:04:05Z", "2025-01-02 03:04:05"),
        ("timezone: Asia/Shanghai", "2025-01-02", "2025-01-01 16:00:00"),
        ("timezone: Asia/Tokyo", "2025-01-02 03:04:05+08:00:00", "2025-01-01 19:04:05"),
        ("timezone: Asia/Tokyo", "2025-01-02 03:4:5+08:00", "2025-01-01 19:04:05"),
        ("timezone: Asia/Tokyo", "2025-01-02T03:04Z", "2025-01-02 03:04:00"),
        ("timezone: Asia/Tokyo", "2025-01-02T03:04+08:00", "2025-01-01 19:04:00"),
        ("", "2025-01-02T03:04Z", "2025-01-02 03:04:00"),
        ("", "2025-01-02T03:04+08:00", "2025-01-01 19:04:00"),
        ('format: "%d/%m/%Y"', "3/4/2025", "2025-04-03 00:00:00"),
        ('format: ["%d.%m.%Y %H:%M", "%d.%m.%Y"]', "03.04.2025", "2025-04-03 00:00:00"),
        ('format: "%Y年%m月%d日"', "2025年3月1日", "2025-03-01 00:00:00"),
        ("format: epoch_ms", "1735787045000", "2025-01-02 03:04:05"),
        ("format: epoch_s", "1735787045", "2025-01-02 03:04:05"),
        ("format: epoch_ms", "1735787045", None),
        ('format: "%Y-%m-%dT%H:%M:%S%z"', "2025-01-02T03:04:05+0800", "2025-01-01 19:04:05"),
    ],
)
def test_times(shop, option, text, utc):
    shop.properties = shop.properties.replace(
        "logicalType: timestamp}", f"logicalType: timestamp, logicalTypeOptions: {{{option}}}}}"
    )
    shop.land("a.csv", HEAD + f"A1,c,{text},1,x\n")
    shop.ingest()
    assert [str(value) for (value,) in shop.raw("ordered_at")] == ([utc] if utc else [])


def test_checks_of_the_contract(shop):
    shop.properties = """
      - {name: order_id, physicalName: id, required: true, unique: true,
         logicalTypeOptions: {pattern: "A\\\\d+"}}
      - {name: ordered_at, physicalName: when, logicalType: timestamp,
         logicalTypeOptions: {minimum: 2025-01-01}}
      - {name: total, physicalName: sum, logicalType: number,
         logicalTypeOptions: {minimum: 0, maximum: 10}}
      - {name: status, physicalName: note, enum: [{value: open}, {value: done}],
         logicalTypeOptions: {maxLength: 4}}
"""
    rows = [
        "A1,c,2025-01-02,1,open",
        "B2,c,2025-01-02,1,open",
        "A3,c,2024-01-02,1,open",
        "A4,c,2025-01-02,-1,open",
        "A5,c,2025-01-02,1,gone",
        "A6,c,2025-01-02,11,closed",
        "A7,c,2025-01-02,1,open",
        "A7,d,2025-01-02,1,done",
    ]
    shop.land("a.csv", HEAD + "\n".join(rows) + "\n")
    assert shop.ingest().accepted == 1
    assert shop.bad("row_number, reason") == [
        (2, "pattern: order_id has another form"),
        (3, "range: ordered_at is out of range"),
        (4, "range: total is out of range"),
        (5, "enum: status is not listed"),
        (6, "range: total is out of range; enum: status is not listed; length: status is too long"),
        (7, "unique: order_id occurs more than once"),
        (8, "unique: order_id occurs more than once"),
    ]


CANARIES = ("zhangcanary", "canary@example.com", "13812345678", "CUST-CANARY", "李金丝雀")


def test_no_clear_identity_leaves_in_good_rows_or_bad(shop):
    shop.entity = "customers"
    shop.properties = """
      - {name: customer_id, physicalName: id, primaryKey: true}
      - {name: name, physicalName: who}
      - {name: email}
      - {name: phone}
      - {name: birth_date, physicalName: born, logicalType: date}
      - {name: registered_at, physicalName: when, logicalType: timestamp}
      - {name: passport, classification: restricted}
      - {name: street, classification: restricted,
         customProperties: [{property: habitus.privacy, value: drop}]}
      - {name: motto, logicalType: string}
"""
    head = "id,who,email,phone,born,when,passport,street,motto,extra\n"
    good = (
        "CUST-CANARY,zhangcanary 李金丝雀,canary@example.com,13812345678,1980-05-06,{when},"
        "zhangcanary9,zhangcanary street,mail canary@example.com,zhangcanary\n"
    )
    shop.land(
        "a.csv",
        head
        + good.format(when="2025-01-02")
        + good.format(when="never")
        + good.format(when="2025-01-03,,")
        + good.replace(",zhangcanary street", ',"open')
        + good.replace("CUST-CANARY", "1.38E+10").format(when="2025-01-02"),
    )
    result = shop.ingest()
    assert (result.accepted, result.quarantined) == (1, 4)
    outputs = [*(shop.home / "lake").rglob("*.parquet"), shop.paths.ledger]
    with duckdb.connect() as con:
        seen = [p.read_bytes().decode("latin-1") for p in outputs]
        seen += [
            str(con.execute(f"select * from read_parquet('{p}')").fetchall())
            for p in outputs
            if p.suffix == ".parquet"
        ]
    assert any("tok_v1_" in text for text in seen)  # the search sees what is there
    for canary in CANARIES:
        assert not any(canary in text for text in seen), canary
    assert shop.raw("birth_date, attributes")[0][0] == dt.date(1980, 1, 1)
    assert "‹email›" in shop.raw("attributes")[0][0]


def test_free_text_is_masked():
    text = "mail a.b@x.co.uk or ring +86 138-0013-8000 / 13800138000, nr 12345678, size 42"
    with duckdb.connect() as con:
        mask.register(con)
        (masked,) = con.execute(f"select {mask.free_text('$1')}", [text]).fetchone()
        (shape,) = con.execute(f"select {mask.shape('$1')}", ["Ab 中文-12"]).fetchone()
        (number,) = con.execute(f"select {plain_number('$1')}", ["1 234 567"]).fetchone()
    assert masked == "mail ‹email› or ring ‹phone› / ‹phone›, nr ‹number›, size 42"
    assert shape == "xx 字字-99"
    assert number == "1234567"


def test_names_become_sql_in_one_place():
    assert ident('a"b') == '"a""b"'
    assert literal("a'b") == "'a''b'"
    assert path_ident("a.b") == '"a"."b"'
    for bad in ("", "a\x00"):
        with pytest.raises(ValueError, match="identifier"):
            ident(bad)


@pytest.mark.parametrize(
    ("custom", "known"),
    [
        ("", "2025-06-01 12:00:00"),
        ("landing", "2025-06-01 12:00:00"),
        ("ts", "2025-01-02 00:00:00"),
        ("{column: note}", "2025-03-04 05:06:00"),
        ("{path: 'day=(\\d{4}-\\d{2}-\\d{2})'}", "2025-05-06 23:59:59.999999"),
        ("{path: 'day=(\\d{4}-\\d{2}-\\d{2})-(\\d{2})'}", "2025-05-06 07:59:59.999999"),
    ],
)
def test_the_moment_of_knowing(shop, custom, known):
    if custom:
        shop.custom = f"  - {{property: habitus.knownAt, value: {custom}}}\n"
    shop.land("day=2025-05-06-07.csv", HEAD + "A1,c,2025-01-02,1,2025-03-04 05:06\n")
    result = shop.ingest()
    assert [str(value) for (value,) in shop.raw("_known_at")] == [known]
    assert str(result.known_from) == known


@pytest.mark.parametrize("zone", [None, "UTC"])
@pytest.mark.parametrize("text", ["2025-01-02T03:04Z", "2025-01-02 11:04:00+08:00:00"])
def test_an_offset_needs_no_time_zone_of_the_contract(shop, zone, text):
    shop.timezone = zone
    shop.land("a.csv", HEAD + f"A1,c,{text},1,x\n")
    shop.ingest()
    assert [str(value) for (value,) in shop.raw("ordered_at")] == ["2025-01-02 03:04:00"]


@pytest.mark.parametrize("text", ["0001-01-01", "1900-01-01", "1970-01-01", "9999-12-31"])
def test_no_sentinel_is_a_moment_of_knowing(shop, text):
    shop.custom = "  - {property: habitus.knownAt, value: {column: note}}\n"
    rows = [f"A1,c,2025-01-02,1,{text}\n", "A2,c,2025-01-02,1,2025-01-03\n"]
    shop.land("a.csv", HEAD + "".join(rows))
    assert shop.ingest().accepted == 1
    ((number, kind, reason),) = shop.bad("row_number, failure_type, reason")
    assert number == 1
    # The end of all time lies in the future, too.
    assert kind == ("future" if text == "9999-12-31" else "sentinel")
    assert "sentinel: the moment of knowing (note) stands for no date" in reason


def test_no_sentinel_in_a_path_is_a_moment_of_knowing(shop):
    shop.custom = "  - {property: habitus.knownAt, value: {path: 'day=(\\d{4}-\\d{2}-\\d{2})'}}\n"
    shop.land("day=1970-01-01.csv", HEAD + "A1,c,2025-01-02,1,x\n")
    shop.ingest()
    assert shop.bad("reason") == [("sentinel: the moment of knowing stands for no date",)]


DAY = r"d=(\d{4}-\d{2}-\d{2})(?:-h=(\d\d))?"


@pytest.mark.parametrize(
    ("pattern", "name", "known"),
    [
        (DAY, "d=2025-01-02-h=03", "2025-01-02 03:59:59.999999"),
        (DAY, "d=2025-01-02", "2025-01-02 23:59:59.999999"),
        (DAY, "d=2025-01-02-\udcff", "2025-01-02 23:59:59.999999"),
        # RE2's own: the engine takes linear time. Another one would go back and try again, for
        # seconds here, and for ever with some letters more.
        (r"d=(\d{8})\.csv\z", "d=20250102", "2025-01-02 23:59:59.999999"),
        ("((?:a+)+)b/c", "a" * 26, None),
    ],
)
def test_a_path_says_the_moment(shop, pattern, name, known):
    shop.custom = f"  - {{property: habitus.knownAt, value: {{path: '{pattern}'}}}}\n"
    shop.land(f"{name}.csv", HEAD + "A1,c,2025-01-02,1,x\n")
    assert shop.ingest().quarantined == (known is None)
    assert [str(value) for (value,) in shop.raw("_known_at")] == ([known] if known else [])


def test_known_by_its_time_needs_no_time_at_all(shop):
    shop.entity = "products"
    shop.custom = (
        "  - {property: habitus.knownAt, value: ts}\n"
        "  - {property: habitus.startsOn, value: 2024-02-03}\n"
    )
    shop.properties = "\n      - {name: product_id, physicalName: id, primaryKey: true}\n"
    shop.land("a.csv", "id\nP1\n")
    shop.ingest()
    assert [str(value) for (value,) in shop.raw("_known_at")] == ["2024-02-03 00:00:00"]


def test_now_needs_a_time_zone(shop):
    shop.land("a.csv", HEAD)
    with pytest.raises(ValueError, match="time zone"):
        shop.ingest(now=NOW.replace(tzinfo=None))
