"""A small shop whose records arrive by day, out of order, twice, and with people found out later.

What does NOT belong here: assertions.
"""

import json
import os
import random
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import datetime, timedelta
from typing import Any

import dbt_fixture as fixture
import duckdb

from orchestration.config import Settings
from orchestration.lib.dbt_server import PROJECT_DIR, DbtServer
from orchestration.lib.lake import attach
from orchestration.lib.warehouse import latest_snapshot, table_hash

START = datetime(2024, 3, 1)
PAGES = ("page_viewed", "product_viewed", "product_added", "heartbeat", "order_completed")
TABLES = (
    ("intermediate", "int_sessions__all"),
    ("behaviour", "customer_id_map"),
    ("behaviour", "customer_stream"),
    ("behaviour", "sessions"),
    ("behaviour", "sessions_quarantined"),
    ("behaviour", "customer_days_known"),
    ("behaviour", "customer_days"),
    ("behaviour", "dim_customers"),
)
Batch = dict[str, list[dict[str, Any]]]


def _visit(rng: random.Random, day: int, number: int) -> Iterator[dict[str, Any]]:
    """The events of one visit: now and then late, without a device, on a shared one, or long."""
    late = rng.choice([0, 0, 0, 0, 1, 3, 9])
    at = START + timedelta(days=max(day - late, 0), minutes=rng.randrange(24 * 60))
    person = rng.choice([None, None, 0, 1, 2, 3])
    device = rng.choice([None, f"a{rng.randrange(5)}", f"a{rng.randrange(5)}", "kiosk"])
    step = rng.choice([1, 7, 29, 30, 31])
    for n in range(rng.randrange(1, 6)):
        ts = at + timedelta(minutes=step * n)
        knows = person is not None and rng.random() < 0.5
        yield {
            "event_id": f"e{day}_{number}_{n}",
            "event": rng.choice(PAGES),
            "original_timestamp": ts,
            "customer_id": f"c{person}" if knows and rng.random() < 0.6 else None,
            "login": f"l{person}" if knows and rng.random() < 0.4 else None,
            "email": f"m{person}" if knows and rng.random() < 0.3 else None,
            "anonymous_id": device,
            "device_id": rng.choice([None, device, "d1"]),
            "url": f"/{n}",
            "product_id": rng.choice([None, "x1", "x2"]),
            "order_id": f"o{rng.randrange(12)}",
            "utm_medium": rng.choice([None, "cpc"]),
            "_known_at": START + timedelta(days=day, hours=23, minutes=rng.randrange(50)),
        }


def batches(seed: int, days: int) -> list[Batch]:
    """What arrives on each day."""
    rng = random.Random(seed)
    found: list[Batch] = []
    told: list[dict[str, Any]] = []
    for day in range(days):
        known = START + timedelta(days=day, hours=22)
        events = [e for v in range(rng.randrange(0, 7)) for e in _visit(rng, day, v)]
        # An event that is sent again, with another page or of another moment.
        for event in rng.sample(told, min(len(told), rng.randrange(3))):
            moved = timedelta(minutes=rng.choice([0, 0, 45, 60 * 24]))
            # Some at the very moment of the first: nothing but what they hold says which stands.
            again = known + timedelta(hours=rng.choice([-30, 0, 1]))
            events.append(
                event
                | {
                    "url": rng.choice(["/again", "/a", "/z"]),
                    "original_timestamp": event["original_timestamp"] + moved,
                    "_known_at": rng.choice([again, event["_known_at"]]),
                }
            )
        told += events
        batch: Batch = {"events": events}
        if day == 0 or rng.random() < 0.4:
            batch["customers"] = [
                {
                    "customer_id": f"c{n}",
                    "email": f"m{n}",
                    "login": f"l{n}",
                    "name": f"n{n}",
                    "registered_at": START,
                    "_known_at": known,
                }
                for n in rng.sample(range(5), rng.randrange(1, 4))
            ]
        if rng.random() < 0.4:
            batch["devices"] = [
                {
                    "device_id": rng.choice([f"a{rng.randrange(5)}", "d1"]),
                    "customer_id": f"c{rng.randrange(5)}",
                    "first_seen_at": known,
                    "_known_at": known,
                }
            ]
        if rng.random() < 0.6:
            batch["orders"] = [
                {
                    "order_id": f"o{rng.randrange(12)}",
                    "customer_id": rng.choice([None, f"c{rng.randrange(5)}"]),
                    "email": rng.choice([None, f"m{rng.randrange(6)}"]),
                    "device_id": rng.choice([None, f"a{rng.randrange(5)}"]),
                    "name": f"n{rng.randrange(5)}",
                    "ordered_at": known - timedelta(minutes=rng.randrange(60 * 40)),
                    "status": rng.choice(["completed", "completed", "refunded", "cancelled"]),
                    "revenue": rng.randrange(1, 90),
                    "currency": "EUR",
                    "_known_at": known + timedelta(minutes=n // 3),
                }
                for n in range(rng.randrange(1, 4))
            ]
        if rng.random() < 0.3:
            batch["tickets"] = [
                {
                    "ticket_id": f"t{rng.randrange(4)}",
                    "customer_id": f"c{rng.randrange(5)}",
                    "opened_at": known - timedelta(hours=rng.randrange(50)),
                    "satisfaction": rng.choice([None, 1, 4]),
                    "status": "open",
                    "_known_at": known,
                }
            ]
        found.append(batch)
    return found


def otherwise(arrived: Sequence[Batch], seed: int) -> list[Batch]:
    """The same records, shuffled, and split into other batches."""
    rng = random.Random(seed)
    found: list[Batch] = [{} for _ in range(rng.randrange(1, 4))]
    for batch in arrived:
        for entity, records in batch.items():
            for record in records:
                found[rng.randrange(len(found))].setdefault(entity, []).append(record)
    for batch in found:
        for records in batch.values():
            rng.shuffle(records)
    return found


class Line:
    """A deployment whose behaviour tables are built by a warm dbt.

    Args:
        habitus: whose home.
        server: parses once for all lines.
        environment: of dbt, beside the settings'.
    """

    def __init__(self, habitus: Settings, server: DbtServer, **environment: str) -> None:
        self.environment = {**os.environ, **habitus.environment(), **environment}
        self.home = habitus.version_home
        self.server = server
        fixture.write_empty_lake(self.home)

    def land(self, batch: Batch, name: str) -> list[str]:
        """Write a batch to raw; gives the new files of events."""
        for entity, records in batch.items():
            fixture.write_records(self.home, entity, records, batch=name)
        return [f"{name}.parquet"] if "events" in batch else []

    def plan(self, since: int | None = None, fresh: Sequence[str] = ()) -> None:
        """Say from where the next dbt brings the tables forward."""
        run = {"run_id": "test", "as_of": None, "churn": {}}
        run["increment"] = {"since": since, "events": list(fresh)}
        (self.home / "lake" / "run.json").write_text(json.dumps(run))

    def build(self, since: int | None = None, fresh: Sequence[str] = ()) -> int:
        """Build the tables anew, or bring them forward; gives the snapshot they stand at."""
        self.plan(since, fresh)
        done = self.dbt("run", *(f"+{name}" for _, name in TABLES))
        if done.returncode:
            raise RuntimeError(done.stdout[-5000:] + done.stderr[-2000:])
        with closing(self.connect()) as con:
            return latest_snapshot(con)

    def dbt(self, command: str, *select: str) -> subprocess.CompletedProcess[str]:
        """Run dbt on a selection."""
        return subprocess.run(
            [*self.server.command(), command, "--select", *select],
            env=self.environment,
            cwd=PROJECT_DIR,
            capture_output=True,
            text=True,
            check=False,
        )

    def connect(self) -> duckdb.DuckDBPyConnection:
        """A reader of the lake as it stands."""
        con = duckdb.connect()
        attach(con, self.home)
        return con

    def hashes(self) -> dict[str, str]:
        """An order-free hash of every table."""
        with closing(self.connect()) as con:
            return {name: table_hash(con, layer, name) for layer, name in TABLES}

    def rows(self, layer: str, name: str) -> list[tuple[Any, ...]]:
        """All rows of a table, sorted."""
        with closing(self.connect()) as con:
            return con.execute(f"select * from lake.{layer}.{name} order by all").fetchall()
