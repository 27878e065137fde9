"""Columns that a source names as ingestion names its own: they are columns like any other."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from shops import NOW, PROPERTIES, Shop

from expectations.contract import ContractError, load_contract
from ingestion.draft import draft_contracts

FORMS = ("csv", "jsonl", "parquet")
#: Names that the readers and the statements give to columns of their own, or once gave.
OURS = (
    "_file_idx",
    "_row_number",
    "_byte_offset",
    "_bad",
    "_raw",
    "_content",
    "_known_at",
    "_path_known_at",
    "_hash",
    "_reason",
    "_habitus_bad",
    "reason",
    "v_note",
    "s_note",
    "_BAD",
    "_Content",
    "_ROW_NUMBER",
)
#: Of these, names that a contract may not declare.
RESERVED = ("_row_number", "_ROW_NUMBER", "_habitus_bad")
#: Names that one contract may declare together, as no two differ in case alone.
DECLARED = (
    *("_file_idx", "_byte_offset", "_raw", "_known_at", "_path_known_at", "_known_text", "_hash"),
    *("_reason", "_shown", "_sha256", "reason", "record", "kind", "line", "j", "part", "src"),
    *("text", "clock", "t_note", "v_note", "k_who", "s_note", "s__bad", "_BAD", "_Content"),
)
SECRET = "anna.smith@example.org"


def sale(i: int, **more: str | None) -> dict[str, str | None]:
    record = {"id": f"A{i}", "who": f"c{i}", "when": "2025-01-02T03:04:05", "sum": "1.5"}
    return {**record, "note": "x", **more}


def land(shop: Shop, *records: dict[str, str | None]) -> None:
    """One file of the shop's format with these records."""
    if shop.form == "parquet":
        pq.write_table(pa.Table.from_pylist(list(records)), shop.land("a.parquet", b""))
    elif shop.form == "jsonl":
        shop.land("a.jsonl", "".join(json.dumps(record) + "\n" for record in records))
    else:
        rows = [list(records[0]), *(list(record.values()) for record in records)]
        shop.land("a.csv", "".join(",".join(text or "" for text in row) + "\n" for row in rows))


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("form", FORMS)
def test_an_undeclared_column_is_part_of_the_record_and_of_nothing_else(tmp_path, form, name):
    shop = Shop(tmp_path, form)
    one, other = sale(1, **{name: "same"}), sale(1, **{name: SECRET})
    land(shop, one, sale(2, **{name: "same"}), other, one, sale(5, when="soon", **{name: SECRET}))
    result = shop.ingest()
    assert (result.accepted, result.quarantined, result.duplicates) == (3, 1, 1)
    assert shop.raw("order_id, _row_number") == [("A1", 1), ("A2", 2), ("A1", 3)]
    assert shop.bad() == [(5, "type")]
    assert SECRET not in str(shop.bad("*"))
    assert f"column {name} is new" in result.warnings[0]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("reads", ["physicalName: '{}'", """transformLogic: 'trim("{}")'"""])
def test_a_declared_column_is_read_as_the_source_wrote_it(tmp_path, form, reads):
    extras = [
        f"      - {{name: extra{i}, {reads.format(name)}}}\n" for i, name in enumerate(DECLARED)
    ]
    shop = Shop(tmp_path, form, properties=PROPERTIES + "".join(extras))
    values = {name: f"of {name}" for name in DECLARED}
    land(shop, sale(1, **values), sale(2, when="soon", **dict.fromkeys(DECLARED, SECRET)))
    result = shop.ingest()
    assert (result.accepted, result.quarantined) == (1, 1)
    ((attributes,),) = shop.raw("attributes")
    wanted = {f"extra{i}": f"of {name}" for i, name in enumerate(DECLARED)}
    assert json.loads(attributes) == {"note": "x", **wanted}
    ((number, failure, reason, record),) = shop.bad("row_number, failure_type, reason, record")
    assert (number, failure) == (2, "type")
    assert reason.startswith("type: ordered_at")
    assert {json.loads(record)[name] for name in DECLARED} == {"‹email›"}
    assert SECRET not in str(shop.bad("*"))


@pytest.mark.parametrize("name", ["_known_at", "_hash", "t_note", "_BAD"])
@pytest.mark.parametrize("form", FORMS)
def test_a_moment_of_knowing_and_an_identity_may_have_such_names(tmp_path, form, name):
    custom = f"  - {{property: habitus.knownAt, value: {{column: '{name}'}}}}\n"
    properties = PROPERTIES.replace("physicalName: who", "physicalName: k_who")
    shop = Shop(tmp_path, form, custom=custom, properties=properties)
    more = {name: "2025-01-05T00:00:00Z", "k_who": "K1"}
    land(shop, sale(1, **more), sale(2, when="soon", **more))
    result = shop.ingest()
    assert (result.accepted, result.quarantined) == (1, 1)
    ((known, token),) = shop.raw("_known_at::varchar, customer_id")
    ((record,),) = shop.bad("record")
    assert known == "2025-01-05 00:00:00"
    assert json.loads(record)["k_who"] == token != "K1"


@pytest.mark.parametrize("name", RESERVED)
def test_a_contract_may_not_declare_a_reserved_name(tmp_path, name):
    quoted = f"'\"{name}\" || 1'"
    known = f"  - {{property: habitus.knownAt, value: {{column: {name}}}}}\n"
    shops = [Shop(tmp_path / "known", custom=known)]
    for reads in (f"physicalName: {name}", f"transformLogic: {quoted}"):
        if "transform" in reads and name.lower() == "_row_number":
            continue  # in a transform it is the record's number
        properties = f"{PROPERTIES}      - {{name: extra, {reads}}}\n"
        shops.append(Shop(tmp_path / reads[0], properties=properties))
    for shop in shops:
        with pytest.raises(ContractError, match=rf"sales\.odcs\.yaml.*{name}.*another name"):
            shop.contract()


@pytest.mark.parametrize("name", ["_row_number", "_ROW_NUMBER"])
def test_a_transform_means_the_number_of_the_record(tmp_path, name):
    key = "physicalName: id, primaryKey"
    properties = PROPERTIES.replace(key, f"transformLogic: \"'L' || {name}\", primaryKey")
    shop = Shop(tmp_path, properties=properties)
    land(shop, sale(1, _row_number="9"), sale(2, _row_number="9"))
    assert shop.ingest().accepted == 2
    assert shop.raw("order_id") == [("L1",), ("L2",)]


@pytest.mark.parametrize("form", FORMS)
def test_a_draft_leaves_reserved_names_out(tmp_path, form):
    shop = Shop(tmp_path, form)
    land(shop, *(sale(i, _row_number=str(i), _bad="b") for i in range(9)))
    (file,) = (shop.paths.landing / "sales").iterdir()
    drafted = draft_contracts([file], tmp_path / "out", "d", now=NOW)
    contract = load_contract(Path(drafted[0]))
    columns = {column for prop in contract.properties for column in prop.columns}
    assert "_bad" in columns
    assert "_row_number" not in columns
    assert any("_row_number" in note for note in drafted.notes)
