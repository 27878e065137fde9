"""Settings: the only module that reads or sets the environment.

What does not belong here: anything that does work. A setting that only one part needs is still
read here and passed on as an argument.

Public interface: `HABITUS_HOME`, `HABITUS_CONTRACTS`, `HABITUS_TARGET`. The rest are knobs with
defaults that fit two cores and a laptop's memory.
"""

import json
import os
import re
import resource
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from pathlib import Path

import duckdb

from privacy.keys import ENVIRONMENT_PREFIX, PURPOSES

REPO = Path(__file__).resolve().parents[1]
CONTRACTS = REPO / "expectations" / "contracts"
DEFAULT_DEPLOYMENT = "shop"

# Libraries that phone home unless told otherwise; set for this process and all its children.
TELEMETRY_OFF = {
    "DO_NOT_TRACK": "1",
    "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    "GX_ANALYTICS_ENABLED": "false",
    "DAGSTER_DISABLE_TELEMETRY": "1",
}

# With 614 MB for two threads, bringing the stream forward by a million events ran out of memory at
# nine million; one thread built all of it anew (python -m benchmarks.spikes --cgroup).
THREAD_BYTES = 500e6


class SettingsError(ValueError):
    """A setting is wrong; the message says which, why, and what to write instead."""


@dataclass(frozen=True)
class Settings:
    """Everything that comes from outside, resolved to absolute paths.

    Attributes:
        home: the data home, common to all deployments.
        contracts: the folder of contracts; its name is the deployment's name.
        target: the dbt target.
        memory_limit: for each DuckDB instance, in DuckDB's spelling, for instance `4GB`.
        threads: for each DuckDB instance.
        postgres_dsn: libpq connection string for contracts with a `postgresql` server; credentials
            stay out of contracts.
        keep_versions_days: how long published versions stay readable after the next one; the
            published one and the one before it always do.
        as_of: rebuild, or read, what was known at the end of this day; None is the present.
        k: smallest count of people that a published aggregate may show.
        reader_memory_gib: address space of the process that parses one source's files.
        reader_minutes: how long that process may take.
        given_keys: (purpose, key) of the keys that the environment holds, for `privacy.keys`.
    """

    home: Path
    contracts: Path
    target: str
    memory_limit: str
    threads: int
    postgres_dsn: str | None
    keep_versions_days: float = 2
    as_of: date | None = None
    given_keys: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    k: int = 10
    reader_memory_gib: int = 16
    reader_minutes: int = 180

    @property
    def deployment(self) -> str:
        """The deployment's name."""
        return self.contracts.name

    @property
    def deployment_home(self) -> Path:
        """Everything that belongs to this deployment alone."""
        return self.home / self.deployment

    @property
    def version_home(self) -> Path:
        """Everything that is built from raw: of the present, or of a rebuild as of a day.

        A rebuild of the past has tables, models and a pointer of its own, so that nothing which
        reads or continues the present can meet it.
        """
        if self.as_of is None:
            return self.deployment_home
        return self.deployment_home / "as_of" / self.as_of.isoformat()

    @property
    def landing(self) -> Path:
        """Source files as they came, a folder for each source."""
        return self.deployment_home / "landing"

    @property
    def lake(self) -> Path:
        """Raw batches, quarantine and ML outputs."""
        return self.version_home / "lake"

    @property
    def ledger(self) -> Path:
        """The ingestion ledger."""
        return self.deployment_home / "ledger.sqlite"

    @property
    def models(self) -> Path:
        """Trained models with their manifests."""
        return self.version_home / "models"

    @property
    def truth(self) -> Path:
        """The simulated shop's truth; only evaluation may read it (a test enforces that)."""
        return self.deployment_home / "truth"

    @property
    def published(self) -> Path:
        """The pointer to the published snapshot, swapped as a whole."""
        return self.version_home / "published.json"

    @property
    def writer_lock(self) -> Path:
        """Held by whoever writes to the warehouse."""
        return self.version_home / "warehouse.lock"

    @property
    def warehouse(self) -> Path:
        """The DuckLake: its catalogue and its data files."""
        return self.version_home / "warehouse"

    @property
    def run_lock(self) -> Path:
        """Held by a run from its first step to its last."""
        return self.deployment_home / "run.lock"

    @property
    def dbt_home(self) -> Path:
        """dbt's target and logs."""
        return self.deployment_home / "dbt"

    @property
    def docs(self) -> Path:
        """Data Docs of the expectations."""
        return self.version_home / "docs"

    @property
    def dagster_home(self) -> Path:
        """Dagster's instance."""
        return self.deployment_home / "dagster"

    @property
    def reports(self) -> Path:
        """Reports of all deployments, a folder for each run, and `latest`."""
        return self.home / "reports"

    @property
    def vault(self) -> Path:
        """The vault: the clear values behind tokens, sealed."""
        return self.deployment_home / "vault"

    @property
    def keys(self) -> Path:
        """Keys, readable by their owner only."""
        return self.home / "keys"

    def child_environment(self) -> dict[str, str]:
        """The environment of a child that needs no key, which dbt does not."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(ENVIRONMENT_PREFIX)}
        return {**kept, **self.environment()}

    def environment(self) -> dict[str, str]:
        """What child processes need to see the same settings."""
        return {
            **TELEMETRY_OFF,
            "HABITUS_HOME": str(self.home),
            "HABITUS_CONTRACTS": str(self.contracts),
            "HABITUS_TARGET": self.target,
            "HABITUS_MEMORY_LIMIT": self.memory_limit,
            "HABITUS_THREADS": str(self.threads),
            "HABITUS_KEEP_VERSIONS_DAYS": str(self.keep_versions_days),
            "HABITUS_K": str(self.k),
            "HABITUS_READER_MEMORY_GIB": str(self.reader_memory_gib),
            "HABITUS_READER_MINUTES": str(self.reader_minutes),
            "HABITUS_DEPLOYMENT_HOME": str(self.version_home),
            "DAGSTER_HOME": str(self.dagster_home),
            # What a run plans is some 200 events; they are stored at once.
            "DAGSTER_EVENT_BATCH_SIZE": "1000",
            "DBT_TARGET_PATH": str(self.dbt_home / "target"),
            "DBT_LOG_PATH": str(self.dbt_home / "logs"),
        }


def _contracts_folder(value: str) -> Path:
    """A folder of the user's, or the name of a deployment that comes with habitus."""
    shipped = CONTRACTS / value
    folder = shipped if value and shipped.is_dir() else Path(value).expanduser().resolve()
    if not any(folder.glob("*.odcs.yaml")):
        names = ", ".join(sorted(p.name for p in CONTRACTS.iterdir() if p.is_dir()))
        raise SettingsError(
            f"no contracts (*.odcs.yaml) in {folder}. Set HABITUS_CONTRACTS or --deployment to a "
            f"folder of contracts, or to one of: {names}. "
            "`habitus contracts init FILE...` drafts contracts from files."
        )
    return folder


def _whole(name: str, value: str) -> int:
    """A whole number from 1 from the environment."""
    if not value.isdigit() or int(value) < 1:
        raise SettingsError(f"{name} is {value!r}; write a whole number from 1")
    return int(value)


def _days(name: str, value: str) -> float:
    """A number of days from the environment."""
    try:
        days = float(value)
    except ValueError:
        days = -1
    if not 0 <= days < float("inf"):
        raise SettingsError(f"{name} is {value!r}; write a number of days from 0")
    return days


def _bytes(amount: str) -> float:
    """What DuckDB says of memory, `1.5 GiB` for instance, in bytes."""
    said = re.fullmatch(r"([\d.]+) (bytes?|[KMGT]iB)", amount)
    if said is None:
        raise SettingsError(f"DuckDB's limit is {amount!r}; set HABITUS_MEMORY_LIMIT")
    power = "KMGT".index(said[2][0]) + 1 if said[2].endswith("iB") else 0
    return float(said[1]) * 1024.0**power


def default_memory_limit(four_fifths: str) -> str:
    """4 GB, or where a machine or its control group gives little, a third of that.

    Python, dbt and what DuckDB does not count need the rest: in 2 GB, with a limit of 1 GB, dbt
    grew to 1.6 GB and was killed.

    Args:
        four_fifths: what DuckDB takes of it unless told otherwise, as it says it: `1.5 GiB`.

    Raises:
        SettingsError: that says no amount.
    """
    return f"{int(min(0.4 * _bytes(four_fifths), 4e9) / 1e6)}MB"


def default_threads(limit: str, cores: int) -> int:
    """All cores, but no more than the memory can serve: each thread holds its own part of a join.

    Args:
        limit: DuckDB's memory limit, as it says it: `586.0 MiB`.
        cores: of the machine.

    Raises:
        SettingsError: the limit says no amount.
    """
    return max(1, min(cores, int(_bytes(limit) / THREAD_BYTES)))


@cache
def _limit(given: str | None) -> str:
    """DuckDB's memory limit as it understands it; without one, its own choice."""
    with duckdb.connect() as con:
        if given is not None:
            try:
                con.execute("set memory_limit = ?", [given])
            except duckdb.Error as error:
                raise SettingsError(
                    f"HABITUS_MEMORY_LIMIT is {given!r}; write an amount, 4GB for instance: {error}"
                ) from error
        (found,) = con.execute("select current_setting('memory_limit')").fetchall()
    return str(found[0])


def settings(deployment: str | None = None) -> Settings:
    """Read the environment.

    Args:
        deployment: a folder of contracts or a shipped deployment's name; wins over
            `HABITUS_CONTRACTS`.

    Raises:
        SettingsError: a folder without contracts, or a number that is none.
    """
    env = os.environ
    memory_limit = env.get("HABITUS_MEMORY_LIMIT") or default_memory_limit(_limit(None))
    threads = default_threads(_limit(memory_limit), os.cpu_count() or 2)
    return Settings(
        home=Path(env.get("HABITUS_HOME") or REPO / ".habitus").expanduser().resolve(),
        contracts=_contracts_folder(
            deployment or env.get("HABITUS_CONTRACTS") or DEFAULT_DEPLOYMENT
        ),
        target=env.get("HABITUS_TARGET") or "lake",
        memory_limit=memory_limit,
        threads=_whole("HABITUS_THREADS", env.get("HABITUS_THREADS") or str(threads)),
        k=_whole("HABITUS_K", env.get("HABITUS_K") or "10"),
        postgres_dsn=env.get("HABITUS_POSTGRES_DSN") or None,
        keep_versions_days=_days(
            "HABITUS_KEEP_VERSIONS_DAYS", env.get("HABITUS_KEEP_VERSIONS_DAYS") or "2"
        ),
        reader_memory_gib=_whole(
            "HABITUS_READER_MEMORY_GIB", env.get("HABITUS_READER_MEMORY_GIB") or "16"
        ),
        reader_minutes=_whole("HABITUS_READER_MINUTES", env.get("HABITUS_READER_MINUTES") or "180"),
        given_keys=tuple(
            (purpose, text)
            for purpose in PURPOSES
            if (text := env.get(ENVIRONMENT_PREFIX + purpose.upper()))
        ),
    )


def activate(chosen: Settings) -> Settings:
    """Make these settings those of this process and its children, and lay out the home.

    Dagster reads `DAGSTER_HOME` and code locations are loaded in child processes, so the choice
    made on the command line must reach the environment.
    """
    os.environ.update(chosen.environment())
    # A core dump holds keys, and what the vault or a database has just given in clear.
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    for folder in (chosen.landing, chosen.lake, chosen.models, chosen.docs, chosen.reports):
        folder.mkdir(parents=True, exist_ok=True)
    chosen.dagster_home.mkdir(parents=True, exist_ok=True)
    events = json.dumps(str(chosen.dagster_home / "history" / "runs"))
    instance = (REPO / "dagster.yaml").read_text().replace("$DAGSTER_HOME/history/runs", events)
    (chosen.dagster_home / "dagster.yaml").write_text(instance)
    return chosen
