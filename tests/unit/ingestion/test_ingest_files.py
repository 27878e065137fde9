"""Bad and odd files: each gets what it must, the rest loads, nothing is lost."""

from __future__ import annotations

import bz2
import codecs
import gzip
import json
from decimal import Decimal

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from shops import KEY, Shop

from ingestion import SourceError
from privacy.tokens import tokenise

HEAD = "id,who,when,sum,note\n"


def row(i: int, *, note: str = "x", when: str = "2025-01-02T03:04:05", total: str = "1.50") -> str:
    return f"A{i},c{i},{when},{total},{note}\n"


@pytest.fixture
def shop(tmp_path):
    return Shop(tmp_path)


def test_plain_csv(shop):
    shop.land("a.csv", HEAD + row(1) + row(2))
    result = shop.ingest()
    assert (result.records_in, result.accepted) == (2, 2)
    assert shop.raw("order_id, total::varchar, attributes, _row_number") == [
        ("A1", "1.5000", '{"note":"x"}', 1),
        ("A2", "1.5000", '{"note":"x"}', 2),
    ]


@pytest.mark.parametrize(
    "data",
    [
        (HEAD + row(1, note="é中") + row(2)).encode("utf-8-sig"),
        (HEAD + row(1, note="é中") + row(2)).encode("utf-16"),
        (HEAD + row(1, note="é中") + row(2)).replace("\n", "\r\n").encode(),
        (HEAD + row(1, note="é中") + row(2)).replace("\n", "\r").encode(),
        (HEAD + row(1, note="é中").replace("\n", "\r\n") + row(2)).encode(),
        (HEAD + row(1, note="é中") + row(2)).rstrip("\n").encode(),
        (HEAD + "\n" + row(1, note="é中") + "  \n" + row(2) + "\n\n").encode(),
        gzip.compress((HEAD + row(1, note="é中") + row(2)).encode()),
        gzip.compress((HEAD + row(1, note="é中")).encode()) + gzip.compress(row(2).encode()),
        (
            "note,sum,when,who,id\n"
            + "é中,1.50,2025-01-02T03:04:05,c1,A1\n"
            + "x,1.50,2025-01-02T03:04:05,c2,A2\n"
        ).encode(),
    ],
    ids=["bom", "utf16", "crlf", "cr", "mixed", "no-end", "blank", "gzip", "members", "reordered"],
)
def test_forms_that_are_accepted(shop, data):
    shop.land("a.csv", data)
    result = shop.ingest()
    assert (result.accepted, result.quarantined) == (2, 0)
    assert shop.raw("order_id, attributes") == [("A1", '{"note":"é中"}'), ("A2", '{"note":"x"}')]


def rows(first: int, last: int) -> str:
    return "".join(row(number) for number in range(first, last))


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize(
    "note",
    ["一", "退", "一" * 800, "\u3000" * 800, "不上中文" * 300, "数据😀" * 200],
    ids=["one", "one-control", "same", "blanks", "chinese", "emoji"],
)
def test_utf_16_without_a_mark(shop, codec, note):
    shop.land("a.csv", (HEAD + row(1, note=f"-{note}-") + rows(2, 60)).encode(codec))
    assert (shop.ingest().accepted, shop.bad()) == (59, [])
    assert shop.raw("attributes")[0] == (f'{{"note":"-{note}-"}}',)


@pytest.mark.parametrize("note", ["\0" * 40, "a\0b", "一\0", "\0\0中文" * 20])
def test_nuls_make_no_utf_16(shop, note):
    shop.land("a.csv", (HEAD + row(1, note=note) + rows(2, 9)).encode())
    assert shop.ingest().accepted == 7
    assert shop.bad() == [(1, "nul")]


@pytest.mark.parametrize(
    ("codec", "bad"),
    [
        ("utf-16-le", b"\x00\xdc"),
        ("utf-16-be", b"\xdc\x00"),
        ("utf-16-le", b"\x00\xd8"),
        ("utf-32-le", b"\x00\x00\x11\x00"),
    ],
)
@pytest.mark.parametrize("mark", ["\ufeff", ""])
@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_a_bad_wide_unit_costs_its_row_alone(shop, codec, bad, mark, form):
    shop.server = f"    encoding: {codec}\n"
    shop.form = form
    lines = [row(number) for number in range(1, 60)]
    if form == "jsonl":
        names = HEAD.strip().split(",")
        lines = [
            json.dumps(dict(zip(names, line.strip().split(","), strict=True))) + "\n"
            for line in lines
        ]
    begin = mark + ("" if form == "jsonl" else HEAD) + "".join(lines[:30])
    parts = begin.encode(codec), lines[30][:9].encode(codec), bad, lines[30][9:].encode(codec)
    shop.land("a." + form, b"".join(parts) + "".join(lines[31:]).encode(codec))
    result = shop.ingest()
    assert (result.records_in, result.accepted) == (59, 58)
    assert shop.bad("row_number, failure_type, byte_offset") == [(31, "encoding", len(parts[0]))]


@pytest.mark.parametrize("end", [b"\x00\xdc", b"\x41", b"\x00\xd8"])
def test_a_bad_wide_end_costs_only_the_end(shop, end):
    shop.land("a.csv", (HEAD + rows(1, 60)).encode("utf-16") + end)
    assert shop.ingest().accepted == 59
    assert shop.bad() == [(60, "encoding")]


def test_a_file_in_no_wide_encoding_is_told_by_its_codec(shop):
    shop.land("a.csv", codecs.BOM_UTF32_LE + (HEAD + rows(1, 60)).encode())
    shop.ingest()
    assert shop.bad("failure_type, reason") == [("file_encoding", "not utf-32-le")]


def test_declared_encoding(shop):
    shop.server = "    encoding: gb18030\n"
    shop.land("a.csv", (HEAD + row(1, note="中文")).encode("gb18030"))
    assert shop.ingest().accepted == 1
    assert shop.raw("attributes") == [('{"note":"中文"}',)]


def test_rows_that_cannot_be_read_fail_alone(shop):
    shop.land(
        "a.csv",
        (HEAD + row(1)).encode()
        + b"A2,c2,2025-01-02,1,\xff\xfe\n"  # not UTF-8
        + b"A3,c3,2025-01-02,1,\x00\n"  # NUL
        + b"A4,c4,2025-01-02,1\n"  # a field too few
        + b"A5,c5,2025-01-02,1,x,y\n"  # a field too many
        + b'A6,c6,2025-01-02,1,"open\n'  # a quote that never closes
        + row(7).encode()
        + b'A8,c8,2025-01-02,1,"two\nlines, and ""quotes"""\n'
        + b'A9,c9,2025-01-02,1,12" vinyl\n'
        + b"A10,c10,2025-01-02,1,"
        + b"z" * (1 << 21)
        + b"\n"
        + row(11).encode(),
    )
    result = shop.ingest()
    assert (result.records_in, result.accepted, result.quarantined) == (11, 5, 6)
    assert shop.bad() == [
        (2, "encoding"),
        (3, "nul"),
        (4, "field_count"),
        (5, "field_count"),
        (6, "unclosed_quote"),
        (10, "oversized"),
    ]
    assert [number for (number,) in shop.raw("_row_number")] == [1, 7, 8, 9, 11]
    assert shop.raw("attributes")[2] == ('{"note":"two\\nlines, and \\"quotes\\""}',)
    assert shop.bad("byte_offset")[0] == (len(HEAD + row(1)),)


def test_a_quote_in_mid_field_does_not_reach_into_the_next_row(shop):
    shop.land("a.csv", HEAD + 'A1,a"b,2025-01-02,1,"c\n' + row(2) + 'A3,c3,2025-01-02,1,"d"\n')
    result = shop.ingest()
    assert result.records_in == 3
    assert [number for (number,) in shop.raw("_row_number")] == [2, 3]


@pytest.mark.parametrize(
    ("name", "data", "failure"),
    [
        ("a.csv", b"", "file_empty"),
        ("a.csv.gz", gzip.compress((HEAD + row(1) * 500).encode())[:-20], "file_truncated"),
        ("a.csv.gz", b"no gzip", "file_magic"),
        ("a.csv", b"PK\x03\x04rest", "file_magic"),
        ("a.csv", bz2.compress(b"id\n1\n"), "file_magic"),
        ("a.csv", bz2.compress(b""), "file_magic"),
        ("a.csv", (",".join(f"c{i}" for i in range(2001)) + "\n").encode(), "file_header"),
        ("a.csv", b"id,who,when,sum,ID\n1,2,3,4,5\n", "file_duplicate_header"),
        ("a.csv", b"number,who,when,sum,note\n1,2,3,4,5\n", "file_missing_column"),
        ("a.csv", (HEAD + row(1)).replace(",", ";").encode(), "file_missing_column"),
    ],
)
def test_files_that_are_quarantined_whole(shop, name, data, failure):
    shop.land(name, data)
    shop.land("good.csv", HEAD + row(1))
    result = shop.ingest()
    assert result.accepted == 1
    assert shop.bad() == [(None, failure)]
    assert any("quarantined whole" in warning for warning in result.warnings)
    assert shop.ingest().files == 0


def test_columns_added_dropped_and_renamed(shop):
    shop.land("a.csv", HEAD + row(1))
    shop.ingest()
    shop.land("b.csv", "id,who,when,sum,note,new\nB1,c,2025-01-02,1,x,y\n")
    assert "column new is new" in shop.ingest().warnings[0]
    shop.land("c.csv", "id,who,when,sum\nC1,c,2025-01-02,1\n")
    assert "column note is missing" in shop.ingest().warnings[0]
    shop.land("d.csv", "id,who,when,sum,remark\nD1,c,2025-01-02,1,x\n")
    result = shop.ingest()
    assert (result.accepted, result.quarantined) == (0, 1)
    assert shop.bad("failure_type") == [("file_renamed_column",)]


def test_a_link_out_of_landing_is_not_followed(shop, tmp_path):
    (tmp_path / "secret.csv").write_text(HEAD + row(1))
    shop.land("good.csv", HEAD + row(2))
    (shop.paths.landing / "sales" / "link.csv").symlink_to(tmp_path / "secret.csv")
    assert shop.ingest().accepted == 1
    assert shop.bad() == [(None, "file_link")]


@pytest.mark.parametrize("pattern", ["sales/*", "sales/**/*.csv"])
def test_a_link_to_a_folder_out_of_landing_is_told(shop, tmp_path, pattern):
    shop.path = pattern
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.csv").write_text(HEAD + row(1))
    shop.land("a/good.csv", HEAD + row(2))
    shop.land("good.csv", HEAD + row(3))
    sales = shop.paths.landing / "sales"
    (sales / "more").symlink_to(tmp_path / "outside")
    (sales / "latest").symlink_to(sales / "a")  # within: its files are found where they lie
    result = shop.ingest()
    assert result.accepted == (1 if pattern == "sales/*" else 2)
    assert shop.bad("file, failure_type, reason") == [
        ("sales/more", "file_link", "a link that leaves the landing zone")
    ]
    assert shop.ingest().files == 0


@pytest.mark.parametrize("name", ["BZhang", "PAR1", "GIF8", "%PDF", "SQLite format 3"])
def test_a_header_may_begin_as_other_formats_do(shop, name):
    shop.land("a.csv", f"{name},{HEAD}" + f"z,{row(1)}")
    assert shop.ingest().accepted == 1


def test_what_gzip_gave_before_it_broke_is_counted_without_its_header(shop):
    data = gzip.compress((HEAD + row(1) + row(2)).encode())
    shop.land("a.csv.gz", data + b"garbage")
    result = shop.ingest()
    assert (result.records_in, result.quarantined) == (2, 2)
    assert shop.bad() == [(None, "file_damaged")]


def test_a_folder_is_no_column(shop):
    shop.form, shop.path = "parquet", "sales/*/*/*.parquet"
    record = {"id": "A1", "who": "c", "when": "2025-01-02", "sum": 1.5, "note": "x"}
    pq.write_table(pa.Table.from_pylist([record]), shop.land("sum=9/note=hive/a.parquet", b""))
    shop.ingest()
    assert shop.raw("total, attributes") == [(Decimal("1.5"), '{"note":"x"}')]


def test_a_missing_file_says_where_it_was_looked_for(shop):
    with pytest.raises(SourceError, match=r"sales\.odcs\.yaml.*sales/\*.*Put the files there"):
        shop.ingest()
    shop.path = "package:no_such_package/x.csv"
    with pytest.raises(SourceError, match=r"no_such_package.*not installed"):
        shop.ingest()


def test_jsonl(shop):
    shop.form = "jsonl"
    shop.properties = shop.properties.replace("physicalName: who", "physicalName: user.id")
    good = {
        "id": "A1",
        "user": {"id": "c1"},
        "when": "2025-01-02T00:00:00+08:00",
        "sum": 2.5,
        "note": "a b",
    }
    lines = [
        json.dumps(good),
        '{"id": "A2", "user"',
        "[1]",
        "",
        json.dumps({**good, "id": None}),
        " " + json.dumps({**good, "id": "A5"}),
    ]
    shop.land("a.jsonl", "\n".join(lines))
    result = shop.ingest()
    assert (result.records_in, result.accepted, result.quarantined) == (5, 2, 3)
    assert shop.bad() == [(2, "json"), (3, "json"), (4, "required")]
    assert str(shop.raw("ordered_at")[0][0]) == "2025-01-01 16:00:00"
    assert shop.bad("record")[2] == (
        '{"id":null,"user.id":"'
        + shop.raw("customer_id")[0][0]
        + '","when":"2025-01-02T00:00:00+08:00","sum":"2.5","note":"a b"}',
    )


def test_text_with_a_head(shop):
    shop.form = "text"
    shop.custom = "  - {property: habitus.skipLines, value: 1}\n"
    shop.properties = """
      - {name: order_id, transformLogic: "'L' || _row_number", primaryKey: true}
      - {name: ordered_at, transformLogic: "line[1:8]", logicalType: timestamp,
         logicalTypeOptions: {format: "%Y%m%d"}}
"""
    shop.land("a.txt", "day\n20250102 a\n20250103 b\n\n2025 c\n")
    result = shop.ingest()
    assert (result.records_in, result.accepted, result.quarantined) == (3, 2, 1)


def test_parquet(shop):
    shop.form = "parquet"
    with duckdb.connect() as con:
        target = shop.land("a.parquet", b"")
        con.execute(
            f"copy (select 'A' || i as id, 17850.0 + i as who, timestamp '2025-01-02' as when, "
            f"i * 0.5 as sum, null as note from range(3) t(i)) to '{target}'"
        )
    shop.land("b.parquet", target.read_bytes()[:-30])
    shop.land("c.parquet", b"not parquet")
    result = shop.ingest()
    assert (result.records_in, result.accepted) == (3, 3)
    assert sorted(shop.bad("failure_type")) == [("file_magic",), ("file_truncated",)]
    assert shop.raw("customer_id")[0][0] == tokenise(["17850"], "customer", KEY.token)[0]
