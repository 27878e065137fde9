"""No personal value leaves the landing zone and the vault, whatever fails; and the search sees.

What does not belong here: planting values (canaries.py), decoding files (search.py).
"""

import base64
import bz2
import gzip
import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import traceback
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import canaries
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from search import Search

REPO = Path(__file__).resolve().parents[2]
SECONDS = 600
#: Where what fails passes our code: the file that calls it.
WHERE = {
    canaries.INGEST: "orchestration/lib/raw_assets.py",
    canaries.SUITES: "orchestration/lib/gates.py",
    canaries.DBT: "orchestration/lib/dbt_steps.py",
    canaries.OUTPUT: "orchestration/lib/ml_assets.py",
}


@dataclass(frozen=True)
class Line:
    """A home in which the whole line has run, and all that its commands have said.

    Attributes:
        root: holds the home, the contracts, exports and temporary files.
        values: what was planted, by label.
        statuses: of the runs, by the step that failed.
        codes: exit codes, by command.
        said: all that was printed.
        steps: of the main job.
        failed: those of them that failed in some run.
    """

    root: Path
    values: dict[str, str]
    statuses: dict[str, str]
    codes: dict[str, int]
    said: str
    steps: set[str]
    failed: set[str]


def _commands(root: Path) -> list[list[str]]:
    """What an operator types after failed runs."""
    exports = root / "exports"
    listed = [["quarantine", "show", source, "--limit", "100"] for source in canaries.CONTRACTS]
    forms = ("csv", "parquet", "jsonl")
    listed += [
        ["quarantine", "export", source, str(exports / f"{source}.{form}")]
        for form, source in [(forms[0], "crm"), (forms[2], "crm")]
        + [(forms[1], source) for source in canaries.CONTRACTS]
    ]
    return [
        ["replay", "crm", str(root / "home" / "tiny" / "mended" / "i.csv")],
        ["quarantine", "list"],
        *listed,
        ["export", str(exports / "tables")],
        ["release", str(exports / "release"), "--epsilon", "0.5", "--budget", "1"],
        *(["status"], ["hashes"], ["contracts", "check"], ["verify-audit"]),
    ]


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    root = tmp_path_factory.mktemp("canaries")
    (root / "tmp").mkdir()
    canaries.write_contracts(root / "tiny")
    values = canaries.land(root / "home" / "tiny" / "landing").values
    done = subprocess.run(
        [sys.executable, str(REPO / "tests" / "privacy" / "canaries.py"), str(root / "tiny")],
        cwd=REPO,
        env=dict(os.environ)
        | {
            "HABITUS_HOME": str(root / "home"),
            "HABITUS_CONTRACTS": str(root / "tiny"),
            "TMPDIR": str(root / "tmp"),
        },
        input=json.dumps({"planted": values, "commands": _commands(root)}),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    said = done.stdout + done.stderr
    found = [text for text in done.stdout.splitlines() if text.startswith("TOLD ")]
    assert found, said
    told = json.loads(found[0].removeprefix("TOLD "))
    print(told["seconds"])
    steps, failed = set(told["steps"]), set(told["failed"])
    yield Line(root, values, told["statuses"], told["codes"], said, steps, failed)
    shutil.rmtree(root, ignore_errors=True)


def test_the_line_ran_and_failed_where_it_should(line: Line) -> None:
    expected = dict.fromkeys((*canaries.FAULTS, "dbt's own"), "failure") | {"good": "success"}
    assert line.statuses == expected, line.said
    assert line.failed == line.steps
    refused = {command: code for command, code in line.codes.items() if code}
    assert not refused, (refused, line.said)
    failures = {
        row["failure_type"]
        for path in (line.root / "exports").glob("*.parquet")
        for row in pq.read_table(path).to_pylist()
    }
    assert failures >= {"type", "required", "range", "enum", "conflict", "unique", "field_count"}
    assert len(list((line.root / "exports" / "tables").rglob("*.parquet"))) > 10


def test_failures_say_where_they_arose(line: Line) -> None:
    """What is left of an error is of use: each fault's class, its cause and our own line."""
    for step in canaries.FAULTS:
        where = WHERE.get(canaries.FAULTS[step][0], "orchestration/defs/publication/assets.py")
        assert f"KeyError (at {where}" in line.said.replace("\n", ""), step
    assert "ConversionException" in line.said


def test_nothing_leaks(line: Line) -> None:
    search = Search(line.values)
    home = line.root / "home" / "tiny"
    search.folder(
        line.root,
        without=[*(home / name for name in ("landing", "vault", "mended")), line.root / "tiny"],
    )
    search.text(line.said, "said by the runs and commands")
    for kind in ("Parquet column", "Parquet footer", "SQLite table"):
        assert search.seen.get(kind), f"no {kind} was looked into"
    leaks = sorted(f"{leak.label}: {leak.how} in {leak.where}" for leak in search.leaks)
    assert not leaks, "\n".join(leaks)


def test_faults_without_redaction_would_leak() -> None:
    """Positive control: what is raised in the steps has all four values in it."""
    planted = canaries.Planted()
    values = {kind: planted("fault", kind) for kind in canaries.KINDS}
    try:
        canaries.failing(values)()
    except KeyError:
        search = Search(planted.values)
        search.text(traceback.format_exc(), "traceback")
        assert {leak.label for leak in search.leaks} == set(planted.values)
    else:
        pytest.fail("nothing was raised")


# ---- positive control: the same search finds what was put there on purpose

VALUE = "Quillonia Zwerthfeder 欧阳 +49 151 7310137"


def _parquet(path: Path, data: bytes) -> None:
    rows = ["x"] * 5000 + [data.decode()]
    pq.write_table(pa.table({"a": rows}), path, compression="zstd", write_statistics=False)


def _statistics(path: Path, data: bytes) -> None:
    pq.write_table(pa.table({"a": [data.decode()]}), path, compression="gzip")


def _nested(path: Path, data: bytes) -> None:
    pq.write_table(pa.table({"a": [[{"b": data.decode()}]]}), path, compression="zstd")


def _sqlite(path: Path, data: bytes, *, blob: bool = False) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("create table t (a)")
        db.execute("insert into t values (?)", [gzip.compress(data) if blob else data.decode()])


def _wal(path: Path, data: bytes) -> None:
    """Left in the log, as by a process that was killed."""
    beside = path.with_name("beside.sqlite")
    db = sqlite3.connect(beside, isolation_level=None)
    db.execute("pragma journal_mode = wal")
    db.execute("create table t (a)")
    db.execute("insert into t values (?)", [data.decode()])
    for ending in ("", "-wal"):
        shutil.copy(f"{beside}{ending}", f"{path}{ending}")
    db.close()
    beside.unlink()


def _duckdb(path: Path, data: bytes) -> None:
    with closing(duckdb.connect(path)) as con:
        con.execute("create table t as select repeat('y', 100) as a from range(10000)")
        con.execute("insert into t values (?)", [data.decode()])


def _zip(path: Path, data: bytes) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", gzip.compress(data))


def _written(change: Callable[[bytes], bytes]) -> Callable[[Path, bytes], None]:
    return lambda path, data: path.write_bytes(b"before " + change(data) + b" after") and None


CONTROLS: dict[str, Callable[[Path, bytes], None]] = {
    "plain": _written(lambda data: data),
    "upper case": _written(lambda data: data.decode().upper().encode()),
    "hex": _written(lambda data: data.hex().encode()),
    "UTF-16": _written(lambda data: data.decode().encode("utf-16-be")),
    "GBK": _written(lambda data: data.decode().encode("gbk")),
    "URL": _written(lambda data: quote(data.decode()).encode()),
    "JSON": _written(lambda data: json.dumps(data.decode()).encode()),
    "base64 in JSON 0": _written(lambda data: b'{"a": "' + base64.b64encode(data) + b'"}'),
    "base64 in JSON 1": _written(lambda data: base64.b64encode(b"1" + data)),
    "base64 in JSON 2": _written(lambda data: base64.urlsafe_b64encode(b"12" + data)),
    "MD5": _written(lambda data: hashlib.md5(data).hexdigest().encode()),
    "SHA-1": _written(lambda data: hashlib.sha1(data).digest()),
    "SHA-256 in base64": _written(lambda data: base64.b64encode(hashlib.sha256(data).digest())),
    "SHA-256 of what it normalises to": _written(
        lambda data: hashlib.sha256(data.lower().replace(b" ", b"")).hexdigest().encode()
    ),
    "log in gzip": lambda path, data: path.write_bytes(gzip.compress(b"x" * 9999 + data)) and None,
    "zip of gzip": _zip,
    "Parquet column": _parquet,
    "Parquet statistics": _statistics,
    "Parquet nested": _nested,
    "SQLite": _sqlite,
    "SQLite blob": lambda path, data: _sqlite(path, data, blob=True),
    "SQLite log": _wal,
    "DuckDB": _duckdb,
    "zstd": lambda path, data: (
        path.write_bytes(pa.compress(b"x" * 9999 + data, codec="zstd", asbytes=True)) and None
    ),
}


@pytest.mark.parametrize("control", CONTROLS)
def test_the_search_finds_what_is_planted(tmp_path: Path, control: str) -> None:
    path = tmp_path / "deep" / "file.bin"
    path.parent.mkdir()
    CONTROLS[control](path, VALUE.encode())
    assert {leak.label for leak in Search({"planted": VALUE}).folder(tmp_path)} == {"planted"}
    assert not Search({"other": "Quillonia Zwertkfeder 欧阳 +49 151 7310138"}).folder(tmp_path)


@pytest.mark.parametrize("head", [b"BZhang,", b"BZh91AY&SY", bz2.compress(b"cut off")[:-5]])
def test_the_search_goes_on_behind_what_looks_packed(tmp_path: Path, head: bytes) -> None:
    (tmp_path / "a.csv").write_bytes(head + b"\n" + VALUE.encode())
    (tmp_path / "b.csv").write_bytes(VALUE.encode())
    found = {leak.where for leak in Search({"planted": VALUE}).folder(tmp_path)}
    assert found == {"a.csv", "b.csv"}


@pytest.mark.parametrize(
    "written", ["49 (151) 731-01 37 99", "+491517310137 99", "49.151.7310137.99"]
)
def test_the_search_finds_numbers_however_separated(tmp_path: Path, written: str) -> None:
    (tmp_path / "a").write_text(f"x {written} y")
    assert Search({"planted": "+49 151 7310137 99"}).folder(tmp_path)


@pytest.mark.parametrize("value", ["C1007978", "437262745", "C1007978-437262745"])
def test_a_short_value_is_found_where_it_stands_alone(tmp_path: Path, value: str) -> None:
    (tmp_path / "a").write_text(f"customer_id,name\n{value},x\n")
    (tmp_path / "b").write_bytes(base64.b64encode(f"the customer {value}, again".encode()))
    found = Search({"planted": value}).folder(tmp_path)
    assert {leak.where for leak in found} == {"a", "b"}


@pytest.mark.parametrize("value", ["C1007978", "437262745"])
def test_by_chance_it_is_part_of_other_identifiers(tmp_path: Path, value: str) -> None:
    (tmp_path / "a").write_text(f"event_id\nwfe{value.lower()}ae9651da\n")
    assert not Search({"planted": value}).folder(tmp_path)


def test_the_search_finds_names_of_files(tmp_path: Path) -> None:
    (tmp_path / "of_quill@canaria.example.csv").touch()
    assert Search({"planted": "quill@canaria.example"}).folder(tmp_path)


def test_what_is_left_out_is_not_looked_at(tmp_path: Path) -> None:
    for folder in ("vault", "lake"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a").write_text(VALUE)
    found = Search({"planted": VALUE}).folder(tmp_path, without=[tmp_path / "vault"])
    assert {leak.where for leak in found} == {"lake/a"}
