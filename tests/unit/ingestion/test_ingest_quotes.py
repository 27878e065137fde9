"""CSV whose quotes, header or first record mislead: one bad record costs no other."""

from __future__ import annotations

import pytest
from shops import Shop

from expectations.contract import Source
from ingestion.readers.delimited import record_spans

HEAD = "id,who,when,sum,note\n"
WHEN = "2025-03-04T10:20:30Z"
NO_HEADER = "  - {property: habitus.csv, value: {header: false}}\n"
POSITIONS = """
      - {name: order_id, physicalName: column0, primaryKey: true}
      - {name: customer_id, physicalName: column1}
      - {name: ordered_at, physicalName: column2, logicalType: timestamp}
      - {name: total, physicalName: column3, logicalType: number}
      - {name: note, physicalName: column4, logicalType: string}
"""


def row(number: int, note: str = "ok", who: str = "K") -> str:
    return f"R{number},{who},{WHEN},5,{note}\n"


def rows(low: int, high: int) -> str:
    return "".join(map(row, range(low, high)))


@pytest.fixture
def shop(tmp_path):
    return Shop(tmp_path)


@pytest.fixture
def headless(tmp_path):
    return Shop(tmp_path, properties=POSITIONS, custom=NO_HEADER)


def counts(result):
    return result.records_in, result.accepted, result.quarantined, result.duplicates


@pytest.mark.parametrize("swallowed", [2, 5, 57, 700])
def test_a_stray_quote_that_a_later_one_closes_costs_its_record_only(shop, swallowed):
    close = 3 + swallowed
    text = rows(0, 2) + row(2, '"open') + rows(3, close) + row(close, '24"') + rows(close + 1, 100)
    shop.land("a.csv", HEAD + text)
    assert counts(shop.ingest()) == (max(100, close + 1), max(99, close), 1, 0)
    assert shop.bad() == [(3, "unclosed_quote")]


@pytest.mark.parametrize("closing", ['a,"b', '24"', 'a,b,c,d,24"'])
def test_a_stray_quote_far_behind_takes_no_records_with_it(shop, closing):
    shop.land("a.csv", HEAD + row(0, '"open') + rows(1, 900) + f"{closing}\n" + rows(900, 950))
    result = shop.ingest()
    assert result.accepted == 949
    assert [number for number, _kind in shop.bad()] == [1, 901]


@pytest.mark.parametrize("line", ["a log", "GET /a?b, 200", 'x, y, z, ""u"", v', ""])
def test_a_value_of_very_many_lines_is_one_record(shop, line):
    note = '"' + "first\n" + f"{line}\n" * 3000 + 'last"'
    shop.land("a.csv", HEAD + rows(0, 3) + row(3, note) + rows(4, 9))
    assert counts(shop.ingest()) == (9, 9, 0, 0)


def test_a_value_of_very_many_lines_that_is_too_long_is_one_record_too(shop):
    note = '"' + f"{'x' * 99}\n" * 12_000 + '"'
    shop.land("a.csv", HEAD + rows(0, 3) + row(3, note) + rows(4, 9))
    assert counts(shop.ingest()) == (9, 8, 1, 0)
    assert shop.bad() == [(4, "oversized")]


@pytest.mark.parametrize(
    "line",
    [
        "It was late, so we left",
        "no comma at all",
        "Main Street 5, Flat 3, 10115, Berlin, Germany",
        'he said ""no"", twice',
    ],
)
def test_a_long_quoted_text_stays_one_record(shop, line):
    text = "\n".join(line if i % 3 else "a line between" for i in range(300))
    every = "\n".join([line] * 300)
    shop.land("a.csv", HEAD + row(1, f'"{text}"') + row(2, f'"{every}"') + rows(3, 5))
    assert counts(shop.ingest()) == (4, 4, 0, 0)


def test_a_table_in_a_quoted_value_in_the_middle_stays_one_record(shop):
    table = "\n".join(["a,b,c,d,e"] * 50)
    shop.land("a.csv", HEAD + row(1, who=f'"{table}"') + rows(2, 4))
    assert counts(shop.ingest()) == (3, 3, 0, 0)


def test_a_list_of_places_in_a_narrow_table_stays_one_record():
    data = b'1,"' + b"Berlin, Germany\n" * 40 + b'Paris, France"\n2,x\n'
    starts, _ends, bad, _many = record_spans(data, Source("local", format="csv"), 2, 0)
    assert (starts.size, bad) == (2, {})


def test_a_blank_header_cell_gets_a_name_that_is_free(shop):
    shop.land("good.csv", HEAD + row(0))
    shop.land("z.csv", HEAD.replace("note", "note,column6,,Column8") + row(1, "ok,1,2,3"))
    assert counts(shop.ingest()) == (2, 2, 0, 0)


@pytest.mark.parametrize(
    ("note", "bad"),
    [
        ('"' + ("x" * 1000 + "\r\n") * 200 + '"', []),
        ('"' + ("x" * 10_000 + "\n") * 300 + '"', [(1, "oversized")]),
        ("x" * 150_000 + '"', []),
    ],
    ids=["200 KB", "3 MB", "a line with an inch mark"],
)
def test_a_long_value_is_one_record(shop, note, bad):
    shop.land("a.csv", HEAD + row(1, note) + rows(2, 4))
    assert counts(shop.ingest()) == (3, 3 - len(bad), len(bad), 0)
    assert shop.bad() == bad


@pytest.mark.parametrize(
    ("first", "bad"),
    [
        (row(0, "x,y"), [(1, "field_count")]),
        (f"R0,K,{WHEN},5\n", [(1, "field_count")]),
        (row(0, "\0"), [(1, "nul")]),
        (row(0, '"open'), [(1, "unclosed_quote")]),
        (row(0, '"two\nlines"'), []),
        (row(0, '"' + "prose, and more\n" * 300 + '"'), []),
        (row(0, who='"two\nlines"'), []),
        (row(0, '"' + "x" * 3_000_000 + '"'), [(1, "oversized")]),
        (row(0, '"' + ("x" * 10_000 + "\n") * 300 + '"'), [(1, "oversized")]),
    ],
    ids=["more", "fewer", "nul", "open", "two lines", "prose", "middle", "3 MB", "3 MB lines"],
)
def test_without_a_header_the_first_record_is_as_any_other(headless, first, bad):
    headless.land("a.csv", first + rows(1, 50))
    assert counts(headless.ingest()) == (50, 50 - len(bad), len(bad), 0)
    assert headless.bad() == bad


def test_without_a_header_every_record_may_run_over_lines(headless):
    headless.land("a.csv", "".join(row(i, who='"two\nlines"') for i in range(20)))
    assert counts(headless.ingest()) == (20, 20, 0, 0)


def test_one_bad_record_changes_no_other(shop):
    text = row(0) + row(1, '"open', 'x"y') + row(2, "z" * 200_000) + row(3, '"a" b')
    shop.land("a.csv", HEAD + text)
    assert counts(shop.ingest()) == (4, 3, 1, 0)
    assert shop.bad() == [(2, "unclosed_quote")]


def test_a_quote_open_at_the_very_end_is_told(shop):
    shop.land("a.csv", HEAD + rows(1, 3) + row(3, '"open', 'x"y'))
    assert counts(shop.ingest()) == (3, 2, 1, 0)
    assert shop.bad() == [(3, "unclosed_quote")]
