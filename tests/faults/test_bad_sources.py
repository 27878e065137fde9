"""The bad inputs whose outcome shows over several files, runs or contracts; see test_bad_inputs."""

import json
import socket
import unicodedata
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest
from bad_inputs import GOOD, HEAD, KEY, NOW, PROPERTIES, RECORD, Till, line, lines, parquet

from expectations.contract import ContractError, load_contract
from ingestion import SourceError, ingest_entity
from ingestion.files import open_files
from ingestion.find import find_files
from ingestion.held import held_path


@pytest.fixture
def till(tmp_path: Path) -> Till:
    return Till(tmp_path)


def test_02_a_header_alone(till: Till) -> None:
    till.land("a.csv", HEAD)
    till.land("b.csv", GOOD)
    result = till.ingest()
    assert (result.files, result.accepted, result.quarantined) == (2, 3, 0)
    assert any("a.csv: holds no record" in text for text in till.warnings)


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_10_still_growing(till: Till, form: str) -> None:
    till.form = form
    till.land("good", GOOD if form == "csv" else parquet(3))
    whole = (HEAD + lines(11, 20)).encode() if form == "csv" else parquet(10)
    path = till.land("grows", b"")
    with path.open("wb") as writer:
        writer.write(whole[: len(whole) // 2])
        writer.flush()
        result = till.ingest()
        assert (result.files, result.accepted, result.quarantined, result.held) == (1, 3, 0, 1)
        assert any("grows: held, a writer still has it open" in text for text in till.warnings)
        writer.write(whole[len(whole) // 2 :])
    assert till.ingest().accepted == (10 if form == "csv" else 7)
    assert not till.bad("1")


def test_10_changed_between_two_looks(till: Till, monkeypatch) -> None:
    path = till.land("grows.csv", HEAD + lines(11, 12))
    (found,) = find_files(till.contract(), till.paths.landing)
    path.write_text(HEAD + lines(11, 14))
    (opened,) = open_files([found], False, set().__contains__)
    assert (opened.held, opened.data) == ("it changes while it is looked at", None)
    read = Path.read_bytes

    def grow(self: Path) -> bytes:
        data = read(self)
        path.write_text(HEAD + lines(11, 16))
        return data

    (found,) = find_files(till.contract(), till.paths.landing)
    monkeypatch.setattr(Path, "read_bytes", grow)
    (opened,) = open_files([found], False, set().__contains__)
    assert opened.held == "it changed while it was read"


def test_10_a_time_of_rest_and_a_name(till: Till) -> None:
    till.custom = "  - {property: habitus.settleSeconds, value: 3600}\n"
    till.land("a.csv", GOOD)
    assert till.ingest().held == 1
    till.custom = ""
    till.land("b.csv.part", HEAD + lines(5, 6))
    result = till.ingest()
    assert (result.accepted, result.held) == (3, 1)


def test_11_same_bytes_under_a_new_name(till: Till) -> None:
    till.land("a.csv", GOOD)
    till.ingest()
    till.land("b.csv", GOOD)
    till.land("c.csv", HEAD + lines(7, 7))
    result = till.ingest()
    assert (result.files, result.records_in) == (1, 1)
    assert "till/b.csv: not read, its bytes are those of till/a.csv (sha256 " in result.warnings[0]
    assert not till.ingest().warnings


def test_12_new_bytes_under_the_same_name(till: Till) -> None:
    till.land("a.csv", GOOD)
    till.ingest()
    till.land("a.csv", GOOD.replace("R1,K1", "R1,K5"))
    result = till.ingest(NOW + timedelta(hours=1))
    assert (result.files, result.accepted, result.duplicates) == (1, 1, 2)
    assert len(till.raw("1")) == 4


def test_29_an_added_key_of_json(till: Till) -> None:
    till.form = "jsonl"
    till.land("a.jsonl", json.dumps(RECORD))
    till.ingest()
    till.land("b.jsonl", json.dumps(RECORD | {"Receipt": "J2", "Gift": "yes"}))
    assert till.ingest().accepted == 1
    assert "Gift is new" in till.warnings[0]


def test_31_a_second_renamed_file_is_quarantined_too(till: Till) -> None:
    for name, first in (("a", 1), ("b", 4)):
        till.land(f"{name}.csv", HEAD.replace("Remark", "Notice") + lines(first, first + 2))
    till.land("c.csv", HEAD + lines(7, 9))
    assert till.ingest().accepted == 3
    assert till.bad("failure_type") == [("file_renamed_column",)] * 2


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York"])
def test_43_clock_changes(till: Till, zone: str) -> None:
    gap, twice = {
        "Europe/Berlin": ("2025-03-30 02:30:00", "2024-10-27 02:30:00"),
        "America/New_York": ("2025-03-09T02:00:00", "2024-11-03 01:59:59"),
    }[zone]
    till.custom = f"  - {{property: habitus.timezone, value: {zone}}}\n"
    times = [gap, twice, gap.replace("02:", "04:"), twice + "+00:00", "2025-07-01 02:30:00"]
    till.land("a.csv", HEAD + "".join(line(f"R{i}", at=t) for i, t in enumerate(times)))
    assert till.ingest().accepted == 5
    assert "ordered_at: 2 records have a local time" in till.warnings[0]
    flags = [json.loads(text).get("dst_ambiguous") for (text,) in till.raw("attributes")]
    assert flags == [["ordered_at"]] * 2 + [None] * 3


@pytest.mark.parametrize("declared", ["contract", "property", "date", "offset"])
def test_44_a_zone_or_a_mere_day_is_enough(till: Till, declared: str) -> None:
    at = {"date": "2025-03-04", "offset": "2025-03-04T10:20:30+0800"}.get(
        declared, "2025-03-04 10:20"
    )
    if declared == "contract":
        till.custom = "  - {property: habitus.timezone, value: Asia/Tokyo}\n"
    if declared == "property":
        till.properties = PROPERTIES.replace(
            "logicalType: timestamp,",
            "logicalType: timestamp, "
            'logicalTypeOptions: {format: "%Y-%m-%d %H:%M", timezone: UTC},',
        )
    till.land("a.csv", HEAD + line(at=at))
    assert till.ingest().accepted == 1


def test_44_with_a_format(till: Till) -> None:
    till.properties = PROPERTIES.replace(
        "logicalType: timestamp,",
        'logicalType: timestamp, logicalTypeOptions: {format: ["%d.%m.%Y %H:%M", "%d.%m.%Y"]},',
    )
    till.land("a.csv", HEAD + line("R1", at="04.03.2025 10:20") + line("R2", at="04.03.2025"))
    assert till.ingest().accepted == 1
    assert till.bad("failure_type") == [("timezone",)]


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_47_two_forms_of_one_id(till: Till, form: str) -> None:
    till.form = form
    ids = [unicodedata.normalize(kind, "Zoé") for kind in ("NFC", "NFD")]
    if form == "csv":
        data = HEAD + "".join(line(f"R{i}", card=card) for i, card in enumerate(ids))
        data += "".join(line(card + "9", at="2025-04-01") for card in ids)
    else:
        rows = [RECORD | {"Receipt": f"J{i}", "Card": card} for i, card in enumerate(ids)]
        data = "\n".join(
            json.dumps(row) for row in [*rows, *(RECORD | {"Receipt": i + "9"} for i in ids)]
        )
    till.land("a", data)
    assert till.ingest().accepted == 4
    assert [len({row[i] for row in till.raw("customer_id, order_id")}) for i in (0, 1)] == [
        2,
        3,
    ]


def test_48_identical_rows(till: Till) -> None:
    till.land("a.csv", GOOD + lines(2, 3))
    result = till.ingest()
    assert (result.accepted, result.duplicates, result.quarantined) == (3, 2, 0)


def test_49_one_key_and_two_contents(till: Till) -> None:
    till.land("a.csv", GOOD + line("R2", paid="99"))
    assert till.ingest().accepted == 2
    assert till.bad("failure_type, row_number") == [("conflict", 2), ("conflict", 4)]


def test_50_late(till: Till) -> None:
    till.land("a.csv", GOOD)
    till.ingest()
    till.land("b.csv", HEAD + line("R9", at="2024-01-01T00:00:00Z"))
    result = till.ingest(NOW + timedelta(days=5))
    assert (result.accepted, str(result.known_from)) == (1, "2025-09-06 09:30:00")


def test_52_an_orphan(till: Till, tmp_path: Path) -> None:
    items = Till(tmp_path, entity="order_items", source="items")
    items.properties = """
      - {name: order_id, physicalName: Receipt, relationships: [{to: orders.order_id}]}
      - {name: line_number, physicalName: Units, logicalType: integer}
      - {name: product_id, physicalName: Card}
"""
    items.land("a.csv", HEAD + line("R1") + line("R9"))
    till.land("a.csv", GOOD)
    till.ingest()
    result = items.ingest()
    assert (result.records_in, result.accepted) == (2, 2)
    assert result.warnings[1:] == ["1 records are held: what they refer to has not arrived"]
    with duckdb.connect() as con:
        columns = "_row_number, source, reason, length(file_sha256)"
        held = f"read_parquet('{held_path(items.paths.lake, 'items')}')"
        assert con.execute(f"select {columns} from {held}").fetchall() == [
            (2, "items", "orphan: order_id is no orders.order_id that has arrived", 64)
        ]
    till.land("b.csv", HEAD + line("R9"))
    till.ingest()
    assert not items.ingest().warnings


def test_52_a_reference_that_cannot_be(till: Till) -> None:
    for to in ("orders", "order.order_id", "orders.nothing", "orders.total"):
        till.properties = PROPERTIES.replace(
            "physicalName: Receipt", f"physicalName: Receipt, relationships: [{{to: {to}}}]"
        )
        with pytest.raises(ContractError, match=r"till\.odcs\.yaml:\d+"):
            till.contract()


@pytest.mark.parametrize("name", ["x; drop table raw", "x' or '1'='1", 'x"--'])
def test_54_sql_in_a_name(till: Till, name: str) -> None:
    text = till.contract().path.read_text()
    path = till.home / "contracts" / f"{name}.odcs.yaml"
    path.write_text(text.replace("name: till", f"name: {json.dumps(name)}"))
    with pytest.raises(ContractError, match="cannot be a source's name"):
        load_contract(path)


def test_54_sql_in_a_column(till: Till) -> None:
    column = "Remark'); drop table typed; --"
    till.properties = PROPERTIES.replace(
        "physicalName: Remark", f"physicalName: {json.dumps(column)}"
    )
    till.land("a.csv", GOOD.replace("Remark", column))
    assert till.ingest().accepted == 3


@pytest.mark.parametrize(
    "server",
    [
        "type: api, location: 'http://169.254.169.254/latest'",
        "type: https, path: 'https://example.org/x.csv', format: csv",
        "type: local, path: 'http://169.254.169.254/x.csv', format: csv",
        "type: local, path: 'S3://bucket/x.csv', format: csv",
        "type: local, path: '//169.254.169.254/x.csv', format: csv",
        "type: postgresql, host: 169.254.169.254, database: d",
        "type: postgresql, host: '[fe80::1]', database: d",
        "type: postgresql, host: '2852039166', database: d",
        "type: postgresql, host: 'db.example,::ffff:169.254.1.1', database: d",
    ],
)
def test_55_remote_sources_are_refused(till: Till, server: str) -> None:
    path = till.contract().path
    head, _, tail = path.read_text().partition("servers:\n")
    schema = tail[tail.index("schema:") :]
    path.write_text(f"{head}servers:\n  - {{server: s, {server}}}\n{schema}")
    with pytest.raises(ContractError, match=r"only local files and PostgreSQL|link-local"):
        load_contract(path)


def test_55_a_name_of_a_link_local_address(till: Till, monkeypatch) -> None:
    path = till.contract().path
    head, _, tail = path.read_text().partition("servers:\n")
    schema = tail[tail.index("schema:") :]
    server = "type: postgresql, host: db.example, database: d"
    path.write_text(f"{head}servers:\n  - {{server: s, {server}}}\n{schema}")
    contract = load_contract(path)
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("169.254.169.254", 5432))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_kwargs: found)
    for dsn in ("", "host=db.example dbname=d", "postgresql://u@db.example:5432/d"):
        with pytest.raises(SourceError, match="link-local"):
            ingest_entity(
                contract.entity,
                [contract],
                till.paths,
                KEY,
                run_id="r",
                now=NOW,
                con_settings={"postgres_dsn": dsn},
            )


def test_56_personal_data_in_free_text(till: Till) -> None:
    till.entity = "feedback"
    till.properties = """
      - {name: feedback_id, physicalName: Receipt, primaryKey: true}
      - {name: customer_id, physicalName: Card}
      - {name: submitted_at, physicalName: At, logicalType: timestamp}
      - {name: kind, transformLogic: "'review'"}
      - {name: body, physicalName: Remark}
"""
    till.land("a.csv", HEAD + line(remark="ring 13812345678 or ann@example.com"))
    assert till.ingest().accepted == 1
    assert till.raw("body") == [("ring ‹phone› or ‹email›",)]
