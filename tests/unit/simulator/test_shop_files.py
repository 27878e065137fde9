"""Files: byte-stable, counted, as the contracts say, and with the mess that was promised."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
from pathlib import Path

import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest
from shop_observables import Written

from expectations.contract import Contract, load_deployment
from simulator.shop import SOURCES, simulate
from simulator.truth import TRUTH_FILES

CONTRACTS = Path(__file__).parents[3] / "expectations" / "contracts" / "shop"


def digest(root: Path) -> dict[str, str]:
    """sha256 of every file below a folder."""
    files = sorted(p for p in root.rglob("*") if p.is_file())
    return {str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_same_arguments_same_bytes(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        root = tmp_path / name
        simulate(root / "landing", root / "truth", customers=150, days=100, seed=seed)
    assert digest(tmp_path / "a") == digest(tmp_path / "b")
    assert digest(tmp_path / "a") != digest(tmp_path / "c")


def test_too_small_a_shop_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="customers"):
        simulate(tmp_path / "l", tmp_path / "t", customers=10)
    with pytest.raises(ValueError, match="days"):
        simulate(tmp_path / "l", tmp_path / "t", days=20)


def test_a_strange_folder_is_left_alone(tmp_path: Path) -> None:
    kept = tmp_path / "l" / "thesis.txt"
    kept.parent.mkdir()
    kept.write_text("mine")
    with pytest.raises(ValueError, match="thesis"):
        simulate(tmp_path / "l", tmp_path / "t", customers=100, days=90)
    assert kept.read_text() == "mine"


def records(path: Path) -> list[bytes]:
    """The records of a file, counted without the writer."""
    if path.suffix == ".parquet":
        return [repr(row).encode() for row in pq.read_table(path).to_pylist()]
    if path.suffix == ".gz":
        return gzip.decompress(path.read_bytes()).splitlines()
    return path.read_bytes().split(b"\n")[1:-1]


def test_expected_counts_are_what_is_in_the_files(written: Written) -> None:
    expected = json.loads((written.truth / "expected.json").read_text(encoding="utf-8"))
    assert sorted(expected) == sorted(p.name for p in written.landing.iterdir())
    for source, count in expected.items():
        paths = sorted(p for p in (written.landing / source).rglob("*") if p.is_file())
        rows = [r for p in paths for r in records(p)]
        assert len(paths) == count["files"]
        assert len(rows) == count["records_in"], source
        assert count["accepted"] + count["malformed"] + count["duplicates"] == len(rows)
        assert len(rows) - len(set(rows)) == count["duplicates"], source
        assert sum(count["malformed_by_reason"].values()) == count["malformed"]


@pytest.mark.parametrize("source", ["web_events", "app_events", "reviews", "nps"])
def test_broken_lines_are_broken(written: Written, source: str) -> None:
    expected = json.loads((written.truth / "expected.json").read_text(encoding="utf-8"))[source]
    broken = 0
    for path in (written.landing / source).rglob("*.gz"):
        for line in records(path):
            try:
                json.loads(line)
            except json.JSONDecodeError:
                broken += 1
    assert broken == expected["malformed_by_reason"]["broken JSON"] > 0


def columns(contract: Contract, landing: Path) -> set[str]:
    """Column names (dotted paths for JSON lines) that the files of a source show."""
    seen: set[str] = set()
    for path in sorted(landing.glob(contract.source.path or "")):
        if contract.source.format == "parquet":
            seen |= set(pq.read_schema(path).names)
        elif contract.source.format == "csv":
            text = path.read_bytes().decode(contract.source.encoding).encode()
            options = pc.ParseOptions(delimiter=contract.source.delimiter)
            seen |= set(pc.read_csv(io.BytesIO(text), parse_options=options).column_names)
        else:
            for line in records(path):
                try:
                    _paths(json.loads(line), "", seen)
                except json.JSONDecodeError:
                    continue
    return seen


def _paths(value: object, prefix: str, into: set[str]) -> None:
    if isinstance(value, dict):
        for key, child in value.items():
            _paths(child, f"{prefix}.{key}" if prefix else key, into)
    else:
        into.add(prefix)


def test_contracts_and_files_agree(written: Written) -> None:
    contracts = load_deployment(CONTRACTS).contracts
    assert sorted(c.name for c in contracts) == sorted(SOURCES)
    assert sorted(p.name for p in written.truth.iterdir()) == sorted(TRUTH_FILES)
    assert {c.name for c in contracts} == {p.name for p in written.landing.iterdir()}
    for contract in contracts:
        declared = {column for prop in contract.properties for column in prop.columns}
        seen = columns(contract, written.landing)
        assert declared <= seen, (contract.name, declared - seen)
        # nothing in the files that no contract knows (empty JSON objects show no path)
        assert seen - declared <= {"properties", "props", "score"}, (contract.name, seen - declared)
        assert all(prop.description for prop in contract.properties)
        assert contract.freshness_hours
        assert contract.description["purpose"]
        files = {str(p) for p in (written.landing / contract.name).rglob("*") if p.is_file()}
        matched = {str(p) for p in written.landing.glob(contract.source.path or "")}
        assert files == matched


def test_register_is_gb18030_with_chinese_names(written: Written) -> None:
    data = b"".join(p.read_bytes() for p in sorted((written.landing / "crm").iterdir()))
    assert "会员号" in data.decode("gb18030")
    with pytest.raises(UnicodeDecodeError):
        data.decode("utf-8")


def test_nothing_is_known_after_the_last_day(written: Written) -> None:
    end = "2025-12-31"
    for path in (written.landing / "orders").iterdir():
        assert str(max(pq.read_table(path)["UpdatedAt"].to_pylist()))[:10] <= end
    days = [p.parent.name[3:] for p in (written.landing / "web_events").rglob("hour=*.gz")]
    assert max(days) == end
    assert len(set(days)) == 14
