"""Who reads through `habitus.connect()` while runs build, publish and clean up never notices."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import dbt_fixture as fixture
import pytest

from orchestration.config import Settings, settings
from orchestration.lib.dbt_server import PROJECT_DIR, DbtServer
from orchestration.lib.lake import attach
from orchestration.lib.maintenance import maintain
from orchestration.lib.publication import swap_pointer, writer
from orchestration.lib.warehouse import (
    latest_snapshot,
    new_connection,
    published_hashes,
    reader,
)

# A version that was replaced stays for so long: a reader on a busy machine needs seconds, and here
# one version follows the other within one.
KEPT_SECONDS = 5

# Polls until its standard input ends, then tells what it saw: states, and errors.
POLLER = """
import json, select, sys
import habitus
from orchestration.lib.warehouse import published_tables, table_hash
seen, errors, polls = [], [], 0
while True:
    try:
        con = habitus.connect(sys.argv[1])
        state = {f"{s}.{t}": table_hash(con, s, t) for s, t in published_tables(con)}
        con.close()
        if state not in seen:
            seen.append(state)
    except Exception as error:
        errors.append(repr(error))
    polls += 1
    if polls == 1:
        print("polling", flush=True)
    if select.select([sys.stdin], [], [], 0)[0]:
        break
print(json.dumps({"seen": seen, "errors": errors, "polls": polls}))
"""


@pytest.fixture
def habitus(tmp_path: Path) -> Settings:
    """A deployment of its own."""
    return replace(settings("cdnow"), home=tmp_path, memory_limit="1GB")


def publish(habitus: Settings) -> dict[str, str]:
    """Publish what was built, clean up what readers may no longer have, and tell the hashes."""
    with writer(habitus.writer_lock):
        with reader(habitus) as con:
            number = latest_snapshot(con)
        swap_pointer(
            habitus.published,
            snapshot=number,
            run_id="r",
            as_of=None,
            keep_days=KEPT_SECONDS / 86_400,
        )
        maintain(habitus)
    return published_hashes(habitus)


@contextmanager
def polling(habitus: Settings, seen: dict[str, object]) -> Iterator[None]:
    """A reader in a process of its own; what it saw is put into `seen` at the end."""
    with subprocess.Popen(
        [sys.executable, "-c", POLLER, habitus.deployment],
        env={**os.environ, "HABITUS_HOME": str(habitus.home), "HABITUS_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "polling\n"
        yield
        said, _ = process.communicate()
        seen.update(json.loads(said))


def command(*arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "habitus.cli", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


@pytest.mark.hours
def test_twenty_runs_of_the_whole_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HABITUS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HABITUS_CONTRACTS", "shop")
    monkeypatch.setenv("HABITUS_KEEP_VERSIONS_DAYS", "0")
    command("simulate", "--customers", "120", "--days", "150", "--events-per-day", "100")
    habitus = settings()
    days = [
        day
        for source in ("web_events", "app_events")
        for day in sorted((habitus.landing / source).glob("dt=????-??-??"))[-10:]
    ]
    for number, day in enumerate(days):
        shutil.move(day, tmp_path / str(number))
    command("run")
    published, seen = [published_hashes(habitus)], dict[str, object]()
    with polling(habitus, seen):
        for number, day in enumerate(days):
            shutil.move(tmp_path / str(number), day)
            command("run")
            published.append(published_hashes(habitus))
    assert seen["errors"] == []
    assert isinstance(seen["seen"], list)
    assert all(state in published for state in seen["seen"])
    assert len(seen["seen"]) == len(days) + 1
    print(f"{seen['polls']} polls")


def build(habitus: Settings, version: int) -> None:
    """Rebuild six tables as dbt does, a commit each."""
    with closing(new_connection(habitus)) as con:
        attach(con, habitus.version_home, read_only=False)
        for schema in ("behaviour", "marts"):
            con.execute(f"create schema if not exists lake.{schema}")
            for name in ("a", "b", "c"):
                con.execute(
                    f"create or replace table lake.{schema}.{name} as "
                    f"select {version} as version, range as n from range(20000)"
                )


def test_many_publications(habitus: Settings) -> None:
    build(habitus, 0)
    published = [publish(habitus)]
    seen: dict[str, object] = {}
    with polling(habitus, seen):
        for version in range(1, 13):
            build(habitus, version)
            published.append(publish(habitus))
    assert seen["errors"] == []
    assert isinstance(seen["seen"], list)
    assert all(state in published for state in seen["seen"])
    assert len(seen["seen"]) >= 2


def dbt(server: DbtServer, habitus: Settings) -> None:
    """Build tables and all that they stand on."""
    folders = ["--project-dir", str(PROJECT_DIR), "--profiles-dir", str(PROJECT_DIR)]
    done = subprocess.run(
        [
            *server.command(),
            "run",
            "-s",
            "+dim_products",
            "+fct_tickets",
            "--target",
            "lake",
            *folders,
        ],
        env={**os.environ, **habitus.environment()},
        cwd=PROJECT_DIR,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]


def test_a_build_by_dbt(habitus: Settings) -> None:
    fixture.write_shop(habitus.deployment_home)
    server = DbtServer(habitus)
    server.wait()
    try:
        dbt(server, habitus)
        with closing(new_connection(habitus)) as con:
            # Readers begin in it, and no mart is built here.
            attach(con, habitus.version_home, read_only=False)
            con.execute("create schema if not exists lake.marts")
        before = publish(habitus)
        raw = habitus.lake / "raw" / "tickets"
        next(raw.glob("b1.parquet")).unlink()
        seen: dict[str, object] = {}
        with polling(habitus, seen):
            dbt(server, habitus)
            after = publish(habitus)
    finally:
        server.stop()
    assert before != after
    assert seen["errors"] == []
    assert isinstance(seen["seen"], list)
    assert before in seen["seen"]
    assert all(state in (before, after) for state in seen["seen"])
