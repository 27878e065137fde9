"""Access, correction and erasure on a small shop that went through the whole line.

One run of the line serves all tests, in the order in which they stand.
"""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from benchmarks.erasure import changed_for_others
from expectations.contract import load_deployment, load_entities
from ingestion import ingest_entity
from orchestration.config import Settings, settings
from orchestration.lib.raw_assets import ingestion_paths
from orchestration.lib.rights import RightsError, find_person
from orchestration.lib.rights_correct import parse_fields
from orchestration.lib.rights_registry import UnregisteredTableError, require_registered
from orchestration.lib.rights_verify import search_traces
from orchestration.lib.secrets import ingest_keys, vault
from orchestration.lib.warehouse import export_published, published_connection
from privacy.erasure import Plan

REPO = Path(__file__).resolve().parents[2]
#: What sums over all customers, and changes when some of them go.
OVER_ALL = {"behaviour.dim_products"}
KILLED = """
import os, sys
from orchestration.lib import rights_erase
steps = dict(rights_erase.STEPS)
steps["{step}"] = lambda *_: os._exit(9)
rights_erase.STEPS = steps
from habitus.cli import app
app(sys.argv[1:])
"""


def command(*arguments: str, code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "habitus.cli", *arguments],
        cwd=REPO,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout + done.stderr


@dataclass
class Shop:
    """A shop, and three people of it: two who share a device, and one more.

    Attributes:
        habitus: its settings.
        people: a customer token of each.
        other: of somebody who shares a device with the first, and stays.
        before: folder of the published tables.
        gone: every token and key of the people.
        clear: their clear values.
    """

    habitus: Settings
    people: list[str]
    other: str
    before: Path
    gone: list[str]
    clear: dict[str, str]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    home = tmp_path_factory.mktemp("rights")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HABITUS_HOME", str(home / "home"))
        patch.setenv("HABITUS_CONTRACTS", "shop")
        command("simulate", "--customers", "120", "--days", "120", "--events-per-day", "60")
        command("run")
        habitus = settings()
        list(export_published(habitus, home / "before"))
        sharing, single = _people(habitus)
        people, other = [sharing[0], *single], sharing[1]
        persons = [find_person(habitus, token) for token in people]
        own = [token for person in persons for _, token in person.own]
        gone = sorted({*own, *(key for person in persons for key in person.keys)})
        yield Shop(habitus, people, other, home / "before", gone, vault(habitus).clear_of(own))


def _people(habitus: Settings) -> tuple[list[str], list[str]]:
    """Customer tokens of two people on one device, and of two others."""
    with closing(published_connection(habitus)) as con:
        sharing = con.execute(
            "select list(distinct e.left_id order by e.left_id) from "
            "lake.intermediate.int_identity__edges as e "
            "join lake.behaviour.customer_id_map as d on d.id_type = 'device' "
            "and d.id_value = e.right_id and d.rule = 'shared_device' "
            "join lake.behaviour.customer_id_map as c on c.id_type = 'customer' "
            "and c.id_value = e.left_id "
            "group by e.right_id having count(distinct c.customer) = 2 order by 1 limit 1"
        ).fetchall()
        assert sharing, "the shop has no device that two people share: the test proves nothing"
        single = con.execute(
            "select any_value(id_value) from lake.behaviour.customer_id_map "
            "where id_type = 'customer' and customer not in (select customer from "
            "lake.behaviour.customer_id_map where id_value in (select unnest(?))) "
            "group by customer order by customer limit 2",
            [sharing[0][0]],
        ).fetchall()
    return sharing[0][0], [row[0] for row in single]


def traces(shop: Shop) -> list[str]:
    found = search_traces(shop.habitus, Plan("x", [], "", gone=shop.gone), shop.clear)
    assert found["looked into"]["Parquet column"] > 100
    return found["traces"]


def digests(folder: Path) -> dict[str, str]:
    """A hash of every file that is not SQLite's own bookkeeping."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith(("-shm", "-wal", ".lock"))
    }


def test_the_registry_covers_every_table(shop: Shop) -> None:
    manifest = json.loads((shop.habitus.dbt_home / "target" / "manifest.json").read_text())
    assert require_registered(shop.habitus, manifest) > 40


def test_a_table_that_nobody_registered_fails(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "orchestration.lib.rights_registry.lake_tables", lambda _: {"marts.mine": ("day",)}
    )
    with pytest.raises(UnregisteredTableError, match=r"marts\.mine"):
        require_registered(shop.habitus, {"nodes": {}})


def test_a_shared_device_names_nobody(shop: Shop) -> None:
    person = find_person(shop.habitus, shop.people[0])
    assert person.shared
    device = next(token for kind, token in person.shared if kind == "device")
    with pytest.raises(RightsError, match="several people"):
        find_person(shop.habitus, device, "device")
    with pytest.raises(RightsError, match="nothing is held"):
        find_person(shop.habitus, "nobody@example.org")


def test_access_gives_all_of_one_person_and_nobody_elses(shop: Shop, tmp_path: Path) -> None:
    person = find_person(shop.habitus, shop.people[0])
    email = next(shop.clear[token] for kind, token in person.own if kind == "email")
    command("access", email, "--type", "email", "--out", str(tmp_path))
    said = json.loads((tmp_path / "held.json").read_text())
    assert said["subject"] == person.digest
    assert {row["source"] for row in said["purposes_and_sources"]} >= {"crm", "consents"}
    assert said["published_tables"]["behaviour.dim_consents"]
    assert email in {i["clear"] for i in said["identifiers"]["own"]}
    others = find_person(shop.habitus, shop.other)
    text = (tmp_path / "held.json").read_text() + (tmp_path / "held.html").read_text()
    assert not [token for kind, token in others.own if "+" not in token and token in text]
    assert not [key for key in others.keys if key in text]
    assert (tmp_path / "held.json").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("field", "why"),
    [
        ("events.url=/x", "habitus replay"),
        ("customers.customer_id=7", "record's key"),
        ("customers.colour=red", "has no 'colour'"),
        ("city=Shanghai", "ENTITY.COLUMN=VALUE"),
    ],
)
def test_what_cannot_be_corrected_is_refused(field: str, why: str) -> None:
    with pytest.raises(RightsError, match=why):
        parse_fields([field])


def test_a_correction_wins_and_survives_its_file_coming_again(shop: Shop) -> None:
    who = shop.other
    fields = ("--field", "customers.city=Correctville", "--field", "customers.email=x@new.org")
    command("correct", who, "--type", "token", *fields)
    command("correct", who, "--field", "customers.birth_date=never", code=2)
    replayed(shop)
    with closing(duckdb.connect()) as con:
        rows = con.execute(
            "select city, email, _source, _batch_id from read_parquet(?, union_by_name = true) "
            "where customer_id = ? order by _known_at",
            [str(shop.habitus.lake / "raw" / "customers" / "*.parquet"), who],
        ).fetchall()
    assert rows[-1][0] == "Correctville"
    assert rows[-1][2] == "crm"
    assert rows[-1][3].startswith("correction-")
    assert vault(shop.habitus).clear_of([rows[-1][1]]) == {rows[-1][1]: "x@new.org"}


def replayed(shop: Shop) -> dict[str, int]:
    """Read every source file again with a ledger that knows none; records that were kept out."""
    habitus = shop.habitus
    for path in habitus.deployment_home.glob("ledger.sqlite*"):
        path.unlink()
    contracts = load_deployment(habitus.contracts).contracts
    found = {}
    for entity in load_entities().values():
        for result in ingest_entity(
            entity, contracts, ingestion_paths(habitus), ingest_keys(habitus),
            run_id="replay", now=datetime.now(UTC), limits=None,
        ):  # fmt: skip
            total = result.accepted + result.quarantined + result.duplicates
            assert result.records_in == total
            found[result.source] = result.quarantined
    return found


def test_a_dry_run_changes_nothing(shop: Shop) -> None:
    before = digests(shop.habitus.home)
    said = command("erase", "--dry-run", *shop.people)
    assert "raw.customers" in said
    assert digests(shop.habitus.home) == before


def test_before_erasing_the_search_finds_them(shop: Shop) -> None:
    found = traces(shop)
    assert any(text.startswith("lake:") for text in found)
    assert any("catalog.sqlite" in text for text in found)


def test_killed_midway_the_same_command_finishes(shop: Shop, tmp_path: Path) -> None:
    for step in ("quarantine", "warehouse", "vault"):
        done = subprocess.run(
            [sys.executable, "-c", KILLED.format(step=step), "erase", *shop.people],
            cwd=REPO,
            env=dict(os.environ),
            check=False,
            capture_output=True,
        )
        assert done.returncode == 9, done.stderr[-2000:]
        assert list((shop.habitus.deployment_home / "erasures").glob("*.plan.json"))
    said = command("erase", *shop.people)
    assert said.count("certificate: ") == 1
    assert not list((shop.habitus.deployment_home / "erasures").glob("*.plan.json"))


def test_nothing_is_found_of_them(shop: Shop) -> None:
    assert traces(shop) == []
    assert vault(shop.habitus).clear_of(shop.gone) == {}


def test_the_published_version_is_whole_and_others_rows_are_the_same(
    shop: Shop, tmp_path: Path
) -> None:
    list(export_published(shop.habitus, tmp_path))
    assert changed_for_others(shop.before, tmp_path, shop.gone) == []


def test_the_certificate_is_complete_and_names_nobody(shop: Shop) -> None:
    (path,) = shop.habitus.reports.glob("erasures/*/certificate.json")
    said = json.loads(path.read_text())
    assert len(said["subjects"]) == 3
    assert said["removed"]["raw"]["rows"] > 0
    assert said["removed"]["warehouse"]["rows"] > 0
    assert said["removed"]["warehouse"]["bytes_written"] > 0
    assert said["removed"]["vault"]["found_afterwards"] == 0
    assert said["verified"]["traces"] == []
    assert said["verified"]["control"] is True
    assert said["verified"]["searched_for"]["clear_values"] > 3
    assert said["landing_files_unchanged"]
    assert said["identifiers"]["others_have_too"] >= 1
    assert path.with_suffix(".html").exists()


def test_every_file_read_again_brings_nobody_back(shop: Shop) -> None:
    kept_out = replayed(shop)
    assert kept_out["crm"] >= len(shop.people)
    assert kept_out["order_lines"] > 0
    assert traces(shop) == []
    assert vault(shop.habitus).clear_of(shop.gone) == {}
    quarantine = [
        row
        for path in (shop.habitus.lake / "quarantine").glob("*/*.parquet")
        for row in pq.read_table(path).to_pylist()
        if row["failure_type"] == "suppressed"
    ]
    assert quarantine
    assert all(row["record"] is None for row in quarantine)


def test_a_file_that_was_forgotten_is_found(shop: Shop) -> None:
    path = shop.habitus.lake / "ml" / "forgotten.txt"
    path.write_text(shop.gone[0])
    try:
        assert traces(shop)
    finally:
        path.unlink()


@pytest.mark.hours
def test_the_next_run_leaves_others_as_they_were(shop: Shop, tmp_path: Path) -> None:
    command("run")
    assert traces(shop) == []
    list(export_published(shop.habitus, tmp_path))
    changed = changed_for_others(shop.before, tmp_path, shop.gone)
    # The correction changed one person's row, and their new address joins their identifiers.
    expected = OVER_ALL | {"behaviour.dim_customers", "behaviour.customer_id_map"}
    assert {table.partition(" ")[0] for table in changed} <= expected
