"""The 56 bad inputs: each gets exactly what it must, and the good beside it loads.

F: the file is quarantined. Q: the row is. A: accepted. D: deduplicated. H: held.
"""

import gzip
import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bad_inputs import GOOD, HEAD, PROPERTIES, RECORD, Till, line, lines, parquet


@pytest.fixture
def till(tmp_path: Path) -> Till:
    return Till(tmp_path)


def zipped(name: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, GOOD)
    return buffer.getvalue()


def damaged(data: bytes) -> bytes:
    """Parquet with its first page spoilt."""
    return data[:40] + bytes(byte ^ 0xFF for byte in data[40:140]) + data[140:]


@dataclass(frozen=True)
class WholeFile:
    """A file that is quarantined whole."""

    name: str
    data: bytes | str
    failure: str
    form: str = "csv"
    records: int = 0


WHOLE = {
    "01-empty": WholeFile("x.csv", b"", "file_empty"),
    "01-empty-gzip": WholeFile("x.csv.gz", gzip.compress(b""), "file_empty"),
    "01-empty-jsonl": WholeFile("x.jsonl", b"\n \n", "file_empty", "jsonl"),
    "03-truncated-gzip": WholeFile(
        "x.csv.gz", gzip.compress(lines(1, 900).encode())[:-9], "file_truncated", records=899
    ),
    "04-truncated-parquet": WholeFile("x.parquet", parquet()[:-40], "file_truncated", "parquet"),
    "05-corrupt-page": WholeFile(
        "x.parquet", damaged(parquet()), "file_damaged", "parquet", records=400
    ),
    "06-wrong-magic": WholeFile("x.csv", b"\x89PNG\r\n\x1a\n" + bytes(90), "file_magic"),
    "06-wrong-magic-jsonl": WholeFile("x.jsonl", b"\x01\x02\x03\x00" * 90, "file_magic", "jsonl"),
    "06-wrong-magic-parquet": WholeFile("x.parquet", GOOD, "file_magic", "parquet"),
    "07-zip-bomb": WholeFile("x.csv.gz", gzip.compress(b"R" * (12 << 20)), "file_bomb"),
    "08-zip-with-dots": WholeFile("x.csv", zipped("../../out.csv"), "file_magic"),
    "08-zip-with-dots-parquet": WholeFile("x.parquet", zipped("../p"), "file_magic", "parquet"),
    "28-delimiter": WholeFile("x.csv", GOOD.replace(",", "|"), "file_missing_column", records=3),
    "30-column-removed": WholeFile(
        "x.csv",
        "Receipt,Card,At,Units,Remark\nR9,K,2025-03-04,1,x\n",
        "file_missing_column",
        records=1,
    ),
    "31-column-renamed": WholeFile(
        "x.csv", GOOD.replace("Remark", "Notice"), "file_renamed_column", records=3
    ),
    "34-duplicate-header": WholeFile(
        "x.csv", GOOD.replace("Remark", "paid"), "file_duplicate_header", records=3
    ),
    "35-retyped-above": WholeFile(
        "x.csv",
        HEAD + lines(1, 90) + "".join(line(f"T{i}", paid="twelve") for i in range(6)),
        "file_retyped_column",
        records=96,
    ),
}


@pytest.mark.parametrize("case", WHOLE.values(), ids=WHOLE.keys())
def test_the_file_is_quarantined(till: Till, case: WholeFile) -> None:
    till.form = case.form
    good = {"csv": GOOD, "jsonl": json.dumps(RECORD), "parquet": parquet(3)}[case.form]
    till.land("a_good", good)
    till.land(case.name, case.data)
    result = till.ingest()
    assert till.bad("failure_type, row_number") == [(case.failure, None)]
    assert result.quarantined == case.records
    assert result.accepted == result.records_in - case.records > 0
    assert till.ingest().files == 0


def test_30_removed_from_json(till: Till) -> None:
    till.form = "jsonl"
    rows = [{k: v for k, v in RECORD.items() if k != "Paid"} | {"Receipt": f"J{i}"} for i in (8, 9)]
    till.land("a.jsonl", json.dumps(RECORD))
    till.land("b.jsonl", "\n".join(json.dumps(row) for row in rows))
    result = till.ingest()
    assert (result.accepted, result.quarantined) == (1, 2)
    assert till.bad("failure_type") == [("file_missing_column",)]


def test_09_a_link_out_of_landing(till: Till, tmp_path: Path) -> None:
    till.land("a.csv", GOOD)
    (tmp_path / "secret.csv").write_text(HEAD + lines(7, 8))
    (till.paths.landing / "till" / "b.csv").symlink_to(tmp_path / "secret.csv")
    (till.paths.landing / "till" / "c.csv").symlink_to(tmp_path / "nothing.csv")
    assert till.ingest().accepted == 3
    assert till.bad("failure_type") == [("file_link",)] * 2


def bad_row(**values: str) -> str:
    return line("R2", **values)


ROWS: dict[str, tuple[str | bytes, str]] = {
    "16-gbk-in-utf8": (bad_row(remark="发票").encode("gbk"), "encoding"),
    "17-bad-utf8": (bad_row(remark="?").encode().replace(b"?", b"\xc3\x28"), "encoding"),
    "18-nul": (bad_row(remark="a\0b"), "nul"),
    "22-unclosed-quote": (bad_row(remark='"never closed'), "unclosed_quote"),
    "23-extra-field": (bad_row(remark="x,y"), "field_count"),
    "24-missing-field": ("R2,K1,2025-03-04T10:20:30Z,1.00,2\n", "field_count"),
    "25-wide-field": (bad_row(remark="z" * (3 << 20)), "oversized"),
    "35-retyped": (bad_row(paid="twelve"), "type"),
    "36-nan": (bad_row(paid="NaN"), "type"),
    "36-inf": (bad_row(paid="-Infinity"), "type"),
    "37-negative": (bad_row(units="-3"), "range"),
    "39-overflow": (bad_row(paid="123456789012345678901"), "type"),
    "39-overflow-integer": (bad_row(units="99999999999999999999"), "type"),
    "40-future": (bad_row(at="2026-01-01T00:00:00Z"), "future"),
    "41-sentinel": (bad_row(at="1970-01-01T00:00:00Z"), "sentinel"),
    "41-sentinel-end": (bad_row(at="9999-12-31"), "sentinel"),
    "42-29-feb": (bad_row(at="2023-02-29"), "type"),
    "44-no-zone": (bad_row(at="2025-03-04 10:20:30"), "timezone"),
    "46-power-of-ten": (bad_row(card="1.38E+10"), "type"),
}


@pytest.mark.parametrize(("row", "failure"), ROWS.values(), ids=ROWS.keys())
def test_the_row_is_quarantined(till: Till, row: str | bytes, failure: str) -> None:
    till.properties = PROPERTIES.replace(
        "logicalType: integer}", "logicalType: integer, logicalTypeOptions: {minimum: 0}}"
    )
    before = (HEAD + line("R1")).encode()
    data = before + (row.encode() if isinstance(row, str) else row) + lines(3, 5).encode()
    till.land("a.csv", data)
    result = till.ingest()
    assert (result.records_in, result.accepted, result.quarantined) == (5, 4, 1)
    assert till.bad("failure_type, row_number, byte_offset") == [(failure, 2, len(before))]
    assert [receipt for (receipt,) in till.raw("order_id")] == ["R1", "R3", "R4", "R5"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_16_utf8_in_a_gbk_file(till: Till, end: str) -> None:
    till.server = "    encoding: gbk\n"
    good = (HEAD + line("R1", remark="发票已开")).replace("\n", end).encode("gbk")
    bad = "".join(line(f"R{i}", remark=text) for i, text in ((2, "发票已开"), (3, "中a")))
    after = line("R4", remark="联通，收据").replace("\n", end).encode("gbk")
    till.land("a.csv", good + bad.replace("\n", end).encode() + after)
    assert till.ingest().accepted == 2
    assert till.bad("failure_type, row_number") == [("encoding", 2), ("encoding", 3)]
    assert till.bad("byte_offset")[0] == (len(good),)
    assert [json.loads(text)["remark"] for (text,) in till.raw("attributes")] == [
        "发票已开",
        "联通，收据",
    ]


@pytest.mark.parametrize("end", ["", "\n"])
def test_26_an_oversized_last_row(till: Till, end: str) -> None:
    till.land("a.csv", GOOD + line("R9", remark="z" * (2 << 20)).rstrip("\n") + end)
    assert till.ingest().accepted == 3
    assert till.bad("failure_type, row_number, byte_offset") == [("oversized", 4, len(GOOD))]


def test_25_and_18_in_json_and_parquet(till: Till) -> None:
    till.form = "jsonl"
    wide, nul = (
        RECORD | {"Receipt": f"J{i}", "Remark": v} for i, v in ((2, "z" * (3 << 20)), (3, "a\0b"))
    )
    till.land(
        "a.jsonl", "\n".join(map(json.dumps, [RECORD, wide, nul, RECORD | {"Receipt": "J4"}]))
    )
    assert till.ingest().accepted == 2
    assert till.bad("failure_type, row_number") == [("oversized", 2), ("nul", 3)]


def test_25_in_parquet(till: Till) -> None:
    till.form = "parquet"
    rows = [
        RECORD,
        RECORD | {"Receipt": "J2", "Remark": "z" * (3 << 20)},
        RECORD | {"Receipt": "J3", "Remark": "a\0"},
    ]
    pq.write_table(pa.Table.from_pylist(rows), till.land("a.parquet", b""))
    assert till.ingest().accepted == 1
    assert till.bad("failure_type, row_number") == [("oversized", 2), ("nul", 3)]


def test_35_up_to_five_percent_rows_fail(till: Till) -> None:
    bad = "".join(line(f"T{i}", paid="twelve") for i in range(5))
    till.land("a.csv", HEAD + lines(1, 95) + bad)
    assert (till.ingest().accepted, len(till.bad("1"))) == (95, 5)


def test_35_counts_over_the_parts_of_a_large_file(till: Till, monkeypatch) -> None:
    monkeypatch.setattr("ingestion.run.CHUNK_RECORDS", 30)
    till.form = "parquet"
    for name, share in (("a", 4), ("b", 7)):
        paid = ["twelve" if i < share else f"{i}.5" for i in range(100)]
        table = pq.read_table(io.BytesIO(parquet(100)))
        receipts = pa.array([f"{name}{i}" for i in range(100)])
        table = table.set_column(0, "Receipt", receipts).set_column(3, "Paid", pa.array(paid))
        pq.write_table(table, till.land(f"{name}.parquet", b""))
    result = till.ingest()
    assert (result.accepted, result.quarantined) == (96, 104)
    assert len(till.bad("1")) == 4 + 1


@pytest.mark.parametrize(("form", "other"), [("epoch_s", 1000), ("epoch_ms", 0.001)])
def test_45_seconds_and_milliseconds(till: Till, form: str, other: float) -> None:
    till.properties = PROPERTIES.replace(
        "logicalType: timestamp,",
        f"logicalType: timestamp, logicalTypeOptions: {{format: {form}}},",
    )
    usual = 1741083630 * (1 if form == "epoch_s" else 1000)
    times = [usual, int(usual * other), usual + 1, int(usual * other) + 1]
    till.land("a.csv", HEAD + "".join(line(f"R{i}", at=str(t)) for i, t in enumerate(times)))
    assert till.ingest().accepted == 2
    assert till.bad("failure_type, row_number") == [("type", 2), ("type", 4)]


def test_45_in_a_transform(till: Till) -> None:
    till.properties = PROPERTIES.replace(
        "physicalName: At, logicalType: timestamp",
        "logicalType: timestamp, "
        'transformLogic: "strftime(make_timestamp(\\"At\\"::bigint * 1000), '
        "'%Y-%m-%d %H:%M:%SZ')\"",
    )
    till.land("a.csv", HEAD + line("R1", at="1741083630000") + line("R2", at="1741083630"))
    assert till.ingest().accepted == 1
    assert till.bad("failure_type, row_number") == [("sentinel", 2)]


FORMS: dict[str, tuple[bytes, str]] = {
    "13-utf16": (GOOD.encode("utf-16"), ""),
    "13-utf16-be": (b"\xfe\xff" + GOOD.encode("utf-16-be"), ""),
    "13-utf16-without-mark": (GOOD.encode("utf-16-le"), ""),
    "13-utf16-declared": (GOOD.encode("utf-16-be"), "    encoding: utf-16-be\n"),
    "14-bom": (GOOD.encode("utf-8-sig"), ""),
    "15-gbk": (GOOD.replace("ok", "发票").encode("gbk"), "    encoding: gbk\n"),
    "19-cr-only": (GOOD.replace("\n", "\r").encode(), ""),
    "20-mixed-ends": (GOOD.replace("\n", "\r\n", 2).encode(), ""),
    "21-crlf-in-quotes": (GOOD.replace("ok", '"a\r\nb"', 1).encode(), ""),
    "27-no-final-newline": (GOOD.rstrip("\n").encode(), ""),
    "29-added-column": (GOOD.replace("\n", ",more\n").encode(), ""),
    "32-reordered": (
        "".join(",".join(r.split(",")[::-1]) + "\n" for r in GOOD.split()).encode(),
        "",
    ),
    "33-swapped": (GOOD.replace("Receipt,Card", "Card,Receipt").encode(), ""),
    "38-numbers": (GOOD.replace("12.50", '"１,２３４．５０"').encode(), ""),
    "51-out-of-order": ((HEAD + lines(3, 3) + lines(1, 2)).encode(), ""),
    "53-formula": (GOOD.replace("ok", "=cmd|' /C calc'!A0").encode(), ""),
}


@pytest.mark.parametrize(("data", "server"), FORMS.values(), ids=FORMS.keys())
def test_accepted(till: Till, data: bytes, server: str, request) -> None:
    till.server = server
    till.land("a.csv", data)
    result = till.ingest()
    assert (result.records_in, result.accepted) == (3, 3)
    case = request.node.callspec.id[:2]
    ids = {receipt for (receipt,) in till.raw("order_id")}
    assert ids == ({"K1", "K2", "K3"} if case == "33" else {"R1", "R2", "R3"})
    assert bool(till.warnings) == (case == "29")
    assert {str(total) for (total,) in till.raw("total")} == {
        "1234.5000" if case == "38" else "12.5000"
    }
