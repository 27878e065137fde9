"""Names, footers, keys and values in bytes that somebody else got wrong: the rest loads."""

from __future__ import annotations

import errno
import io
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from shops import Shop

from ingestion.readers.parquet import footer
from ingestion.worker import Limits

TIME = "2025-03-04T10:20:30Z"
HEAD = "id,who,when,sum,note\n"


@pytest.fixture
def shop(tmp_path):
    return Shop(tmp_path, form="parquet")


def parquet(*ids, **columns):
    rows = len(ids)
    whole = {"who": ["K"] * rows, "when": [TIME] * rows, "sum": [1.5] * rows, "note": ["a"] * rows}
    out = io.BytesIO()
    table = pa.table({"id": list(ids), **whole, **columns})
    # Neither compressed nor repeated in an Arrow schema, so that bytes can be replaced.
    pq.write_table(table, out, store_schema=False, compression="none", use_dictionary=False)
    return out.getvalue()


def counts(result):
    return result.records_in, result.accepted, result.quarantined, result.duplicates


@pytest.mark.parametrize("limits", [None, Limits()], ids=["here", "confined"])
def test_a_name_that_is_a_glob_means_its_own_file(shop, limits):
    shop.limits = limits
    names = ["orders1", "orders[1]", "orders*", "orders?"]
    for number, name in enumerate(names):
        shop.land(f"{name}.parquet", parquet(f"A{number}", f"B{number}"))
    assert counts(shop.ingest()) == (8, 8, 0, 0)
    assert sorted(row[0] for row in shop.raw("order_id")) == [
        f"{letter}{number}" for letter in "AB" for number in range(4)
    ]


@pytest.mark.parametrize("limits", [None, Limits()], ids=["here", "confined"])
@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_file_name_that_is_not_utf8(shop, form, limits):
    shop.form, shop.limits = form, limits
    for number, odd in enumerate((b"\xff", b"\xfe")):
        record = f"A{number},K,{TIME},1,a\n"
        data = HEAD + record if form == "csv" else parquet(f"A{number}")
        shop.land(os.fsdecode(b"a" + odd) + f".{form}", data)
    assert counts(shop.ingest()) == (2, 2, 0, 0)
    assert counts(shop.ingest()) == (0, 0, 0, 0)


@pytest.mark.parametrize(
    ("name", "reason"),
    [("发票".encode("gbk") + b"x", "is not UTF-8"), (b"ext\0a", "is empty or holds NUL")],
)
def test_a_column_name_that_is_none_damages_its_file_only(shop, name, reason):
    shop.land("a.parquet", parquet("A"))
    shop.land("b.parquet", parquet("B", extra=["x"]).replace(b"extra", name))
    assert shop.ingest().accepted == 1
    assert shop.bad("failure_type, reason") == [("file_damaged", f"a column's name {reason}")]


@pytest.mark.parametrize("groups", [False, True], ids=["whole", "group"])
@pytest.mark.parametrize("stated", [24, 56])
def test_a_footer_that_states_another_number_of_records(shop, stated, groups):
    data = bytearray(parquet(*(f"B{number}" for number in range(40))))
    # 40 as Thrift writes an i64: first the file's rows, last its only row group's.
    footer = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    places = [data.index(b"\x16\x50", footer)] + [data.rindex(b"\x16\x50")] * groups
    for place in places:
        data[place + 1] = stated * 2
    shop.land("a.parquet", parquet("A"))
    shop.land("b.parquet", bytes(data))
    assert shop.ingest().accepted == 1
    reason = f"the Parquet footer states {stated} records where the file holds 40"
    assert shop.bad("failure_type, reason") == [("file_damaged", reason)]


def test_one_text_that_is_not_utf8_fails_alone(shop):
    notes = [f"note{number:02}" for number in range(40)]
    data = parquet(*(f"A{number}" for number in range(40)), note=notes, dear=[True] * 40)
    shop.land("a.parquet", data.replace(b"note07", b"note\xff7"))
    assert counts(shop.ingest()) == (40, 39, 1, 0)
    assert shop.bad() == [(8, "encoding")]
    assert shop.raw("_row_number, attributes")[7] == (9, '{"note":"note08"}')


def test_one_binary_value_that_is_no_text_fails_alone(shop):
    notes, pictures = [b"ok", b"\xff", None], [b"\xff", b"\xfe", b"\xfd"]
    shop.land("a.parquet", parquet("A", "B", "C", note=notes, picture=pictures))
    assert counts(shop.ingest()) == (3, 2, 1, 0)
    assert shop.bad() == [(2, "encoding")]


def test_a_json_key_with_half_a_character(shop):
    shop.form = "jsonl"
    line = '{"id":"%s","when":"2025-03-04T10:20:30Z","sum":1%s}\n'
    shop.land("a.jsonl", line % ("A", ""))
    shop.land("b.jsonl", line % ("B", ',"\\ud800x":1'))
    assert counts(shop.ingest()) == (2, 1, 1, 0)
    assert shop.bad() == [(1, "json")]


def test_identifiers_that_a_spreadsheet_rounded(shop):
    shop.form = "csv"
    rounded = ["1.38E+10", "+8.61E+12", "８.６１Ｅ+１２", "1.38 E+10", "8e3"]
    honest = ["+8613800000000", "12 E5", "K1", "E12"]
    rows = [f"A{i},{who},{TIME},1,a\n" for i, who in enumerate(rounded + honest)]
    shop.land("a.csv", HEAD + "".join(rows))
    assert counts(shop.ingest()) == (9, 4, 5, 0)
    assert shop.bad("reason") == [("type: customer_id was rounded to powers of ten",)] * 5


def test_an_error_of_the_machine_says_nothing_of_the_file(tmp_path, monkeypatch):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"a": ["x"]}), path)

    def failing(_handle):
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr("ingestion.readers.parquet.pq.read_metadata", failing)
    with pytest.raises(OSError, match="Too many open files"):
        footer(path)


@pytest.mark.parametrize("column", ["who", "by.who"])
def test_a_json_number_in_powers_of_ten_is_no_identifier(tmp_path, column):
    shop = Shop(tmp_path, "jsonl")
    shop.properties = shop.properties.replace("physicalName: who", f"physicalName: {column}")
    numbers = ["1.38E+10", "138e8", "13800000000.0", "13800000000", '"13800000000.0"']
    lines = [
        f'"id": "A{i}", "when": "2025-01-02", "sum": 1E2, "who" : {n}'
        for i, n in enumerate(numbers)
    ]
    if column != "who":
        lines = [line.replace('"who"', '"by": {"who"') + "}" for line in lines]
    shop.land("a.jsonl", "".join(f"{{{line}}}\n" for line in lines))
    shop.ingest()
    assert shop.bad("row_number, reason") == [
        (number, "type: customer_id was rounded to powers of ten") for number in (1, 2)
    ]
