"""When two records are the same: the names and texts of all their values, and nothing less."""

from __future__ import annotations

import datetime as dt
import random
import shutil
import sqlite3

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from shops import NOW, Shop

from ingestion.content import content
from ingestion.readers.base import own
from ingestion.results import IngestError

PROPERTIES = """
      - {name: order_id, physicalName: id, primaryKey: true}
      - {name: ordered_at, logicalType: timestamp, transformLogic: "'2025-01-02'"}
      - {name: customer_id, physicalName: who}
      - {name: alpha, logicalType: string}
      - {name: beta, logicalType: string}
"""
LATER = NOW + dt.timedelta(days=1)


@pytest.fixture
def shop(tmp_path):
    return Shop(tmp_path, properties=PROPERTIES)


def parquet(shop: Shop, name: str, *records: dict[str, str | None]) -> None:
    pq.write_table(pa.Table.from_pylist(list(records)), shop.land(name, b""))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("id,who,alpha\nA1,c,x\n", "id,who,beta\nA1,c,x\n"),  # another optional column is lacking
        ("id,who,alpha,beta,m\nA1,c,,,x\n", "id,who,alpha,beta,n\nA1,c,,,x\n"),  # undeclared ones
        ("id,alpha,beta\nA1,x,\n", "id,alpha,beta\nA1,,x\n"),
        ("id,alpha,beta\nA1,x\x1fy,z\n", "id,alpha,beta\nA1,x,y\x1fz\n"),
        ("id,alpha\nA1,x\x1fbeta\x1fy\n", "id,alpha,beta\nA1,x,y\n"),
    ],
)
def test_records_that_differ_in_names_or_values_are_two(shop, one, other):
    shop.land("a.csv", one)
    assert shop.ingest().accepted == 1
    shop.land("b.csv", other)
    assert shop.ingest(LATER).accepted == 1


def test_a_value_that_once_stood_for_none_is_a_value(tmp_path):
    shop = Shop(tmp_path, "parquet", properties=PROPERTIES)
    parquet(shop, "a.parquet", {"id": "A1", "alpha": "\x18", "beta": "y"})
    assert shop.ingest().accepted == 1
    parquet(shop, "b.parquet", {"id": "A1", "alpha": None, "beta": "y"})
    assert shop.ingest(LATER).accepted == 1


def test_a_nul_in_parquet_cannot_pass_for_two_values(tmp_path):
    shop = Shop(tmp_path, "parquet", properties=PROPERTIES)
    parquet(shop, "a.parquet", {"id": "A1", "alpha": "x\0beta\0y"}, {"id": "A2", "alpha": "x"})
    result = shop.ingest()
    assert (result.accepted, result.quarantined) == (1, 1)
    assert shop.bad("failure_type") == [("nul",)]


@pytest.mark.parametrize(
    "again",
    [
        "beta,id,alpha,who\ny,A1,,c\n",  # another order
        "id,who,beta\nA1,c,y\n",  # the column that was empty is lacking
        "id,who,alpha,beta,note,extra\nA1,c,,y,,\n",  # empty columns more
    ],
)
def test_order_and_empty_columns_make_no_other_record(shop, again):
    shop.land("a.csv", "id,who,alpha,beta\nA1,c,,y\n")
    assert shop.ingest().accepted == 1
    shop.land("b.csv", again)
    assert shop.ingest(LATER).duplicates == 1


def test_null_and_empty_are_the_same_in_parquet(tmp_path):
    shop = Shop(tmp_path, "parquet", properties=PROPERTIES)
    parquet(shop, "a.parquet", {"id": "A1", "alpha": None, "beta": "y"})
    parquet(shop, "b.parquet", {"id": "A1", "alpha": "", "beta": "y"})
    assert shop.ingest().duplicates == 1


@pytest.mark.parametrize("seed", range(5))
def test_contents_are_equal_only_where_names_and_values_are(seed):
    rng = random.Random(seed)

    def text() -> str:
        return "".join(rng.choice("ab=\x01\x1e\x1f\x18'\"\u0100") for _ in range(rng.randint(1, 3)))

    names = sorted({text() for _ in range(6)})
    meanings: dict[str, frozenset] = {}
    with duckdb.connect() as con:
        for _ in range(300):
            record = {name: rng.choice([None, "", text(), text()]) for name in names}
            columns = rng.sample(names, rng.randint(1, len(names)))
            con.register("rows", pa.table({own(n): pa.array([record[n]]) for n in columns}))
            row = con.execute(f"select {content(columns)}::varchar from rows").fetchone()
            meaning = frozenset((name, record[name]) for name in columns if record[name])
            assert row is not None
            assert meanings.setdefault(row[0], meaning) == meaning
    assert len(set(meanings.values())) == len(meanings)


def test_a_ledger_of_another_form_is_refused_with_the_way_out(shop):
    shop.land("a.csv", "id,alpha\nA1,x\n")
    shop.ingest()
    with sqlite3.connect(shop.paths.ledger) as db:
        db.execute("pragma user_version = 0")
    shop.land("b.csv", "id,alpha\nA2,x\n")
    with pytest.raises(IngestError, match=r"Read all files again: remove ledger\.sqlite") as said:
        shop.ingest()
    assert len(shop.raw()) == 1
    for named in ("lake/raw", "lake/quarantine", "lake/held"):
        assert named in str(said.value)
        shutil.rmtree(shop.home / named, ignore_errors=True)
    for path in shop.home.glob("ledger.sqlite*"):
        path.unlink()
    assert shop.ingest().accepted == 2
