"""What identifies somebody by its form leaves raw, ledger, quarantine and what is said, wherever.

What does not belong here: the whole line (test_canaries.py), which forms there are (test_masking).
"""

import io
import json
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from search import Search

sys.path.append(str(Path(__file__).parents[1] / "faults"))
from bad_inputs import KEY, NOW, Till

from ingestion import ingest_entity

SECRETS = {
    "e-mail": "zoe.quarrel77@canaria-post.example",
    "telephone": "+49 151 73104471",
    "mobile": "13873104471",
    "resident id": "110105194912310021",
    "card": "4539 1488 0343 6467",
    "IBAN": "DE89370400440532013000",
    "address": "上海市浦东新区世纪大道7731号",
}
TEXT = ", ".join(SECRETS.values())
HEAD = "Beleg,Karte,Zeit,Summe,Bemerkung,Seite\n"
MOMENT = "2025-03-04T10:20:30Z"
PROPERTIES = """
      - {name: order_id, physicalName: Beleg, primaryKey: true}
      - {name: customer_id, physicalName: Karte}
      - {name: ordered_at, physicalName: Zeit, logicalType: timestamp, required: true}
      - {name: total, physicalName: Summe, logicalType: number, required: true}
      - {name: bemerkung, physicalName: Bemerkung, logicalType: string}
      - {name: store_id, physicalName: Seite, logicalType: string}
"""


def record(remark: object = "ok", at: str = MOMENT, receipt: str = "B1") -> dict[str, object]:
    """A record of the till."""
    values = (receipt, "K1", at, 1.5, remark, "s")
    return dict(zip(HEAD.strip().split(","), values, strict=True))


def csv_of(*records: dict[str, object]) -> bytes:
    """Records as CSV, each value in quotes."""
    rows = [",".join(f'"{value}"' for value in row.values()) for row in records]
    return (HEAD + "\n".join(rows) + "\n").encode()


def jsonl_of(*records: dict[str, object]) -> bytes:
    """Records as JSON, one a line."""
    return "\n".join(map(json.dumps, records)).encode()


def parquet_of(*records: dict[str, object]) -> bytes:
    """Records as Parquet."""
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(list(records)), buffer)
    return buffer.getvalue()


NESTED = {"who": [{"mail": SECRETS["e-mail"], "all": TEXT}], "tel": list(SECRETS.values())}
FAILS = record(TEXT, at="never", receipt="B2")
#: Name of the file and what is in it -> a good record, and mostly one that fails.
FILES = {
    "text in a column of its own": ("a.csv", csv_of(record(TEXT), FAILS)),
    "UTF-16": ("a.csv", csv_of(record(TEXT), FAILS).decode().encode("utf-16")),
    "nested JSON": (
        "a.jsonl",
        jsonl_of(record(NESTED), record(NESTED, at="never", receipt="B2")),
    ),
    "Parquet": ("a.parquet", parquet_of(record(TEXT), FAILS)),
    "nested Parquet": ("a.parquet", parquet_of(record(NESTED))),
    **{
        f"{kind} alone": ("a.csv", csv_of(record(value), record(value, at="never", receipt="B2")))
        for kind, value in SECRETS.items()
    },
    **{
        f"{kind} as a file's name": (f"of_{value}.csv", csv_of(record(), FAILS))
        for kind, value in SECRETS.items()
    },
    **{
        f"{kind} as a header": (
            "a.csv",
            f'{HEAD.strip()},"{value}"\nB1,K1,{MOMENT},1,ok,s,x\n'.encode(),
        )
        for kind, value in SECRETS.items()
    },
    "first record as a header": ("a.csv", csv_of(record(TEXT)).removeprefix(HEAD.encode())),
}


def search_of(home: Path, said: str) -> list[str]:
    """What is found of the secrets in all that ingestion left and said."""
    search = Search(SECRETS)
    search.folder(home, without=[home / "landing", home / "contracts"])
    search.text(said, "said")
    return sorted({f"{leak.label} in {leak.where}" for leak in search.leaks})


@pytest.mark.parametrize("case", FILES)
def test_nothing_of_a_known_form_is_kept_or_said(tmp_path: Path, case: str) -> None:
    name, data = FILES[case]
    till = Till(tmp_path, form=name.rpartition(".")[2], properties=PROPERTIES)
    till.land(name, data)
    contract = till.contract()
    (result,) = ingest_entity(contract.entity, [contract], till.paths, KEY, run_id="r", now=NOW)
    assert result.files == 1
    assert not search_of(tmp_path, " ".join(result.warnings))
