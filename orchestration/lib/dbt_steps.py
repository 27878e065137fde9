"""Factory: a selection of dbt models -> one Dagster step, with row counts and column schemas.

What does not belong here: SQL, or any list of models (dbt's manifest has it).
"""

import importlib.metadata
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
from dagster import (
    AssetExecutionContext,
    AssetsDefinition,
    ResourceParam,
    get_dagster_logger,
)
from dagster_dbt import (
    DagsterDbtTranslator,
    DagsterDbtTranslatorSettings,
    DbtCliResource,
    DbtProject,
    dbt_assets,
)
from packaging.version import Version
from sqlglot.errors import SqlglotError

from expectations.contract import load_deployment
from ingestion import refresh_held
from orchestration.config import Settings
from orchestration.lib.column_lineage import LineageCache
from orchestration.lib.completeness import require_all
from orchestration.lib.dbt_server import (
    PROJECT_DIR,
    DbtError,
    DbtServer,
    is_parsed,
    is_warm,
    manifest_path,
    warm_dbt,
)
from orchestration.lib.increments import ENTITY, Plan, note_building, note_built, plan
from orchestration.lib.publication import writer
from orchestration.lib.raw_assets import ingestion_paths
from orchestration.lib.recovery import set_aside_if_broken
from orchestration.lib.redaction import redacted
from orchestration.lib.run_parameters import write_run_parameters
from orchestration.lib.warehouse import reader, source_columns, table_facts


def dbt_executable() -> str:
    """dbt of the environment that runs us, whatever the PATH says."""
    beside = Path(sys.executable).with_name("dbt")
    found = str(beside) if beside.exists() else shutil.which("dbt")
    if found is None:
        raise DbtError("dbt is not installed beside this Python: run `make install`")
    return found


def ensure_manifest(habitus: Settings) -> Path:
    """Parse the project if it changed since the last parse; the path of its manifest.

    Definitions cannot load without a manifest, in the UI's code server too, and parsing takes
    seconds: so it is done once per change of the project, not once per process.

    Raises:
        DbtError: dbt does not understand the project; the message is dbt's.
    """
    manifest = manifest_path(habitus)
    if not is_parsed(manifest):
        if is_warm(habitus):
            warm_dbt(habitus).wait()
        else:
            server = DbtServer(habitus)
            server.wait()
            server.stop()
    return manifest


@cache
def load_manifest(path: Path) -> Mapping[str, Any]:
    """The manifest as dbt wrote it."""
    manifest: Mapping[str, Any] = json.loads(path.read_text())
    return manifest


def segment_sets(manifest: Mapping[str, Any]) -> dict[str, str]:
    """Sets of segments: columns of `customer_360` whose `meta` names one in `segment_set`."""
    model = next(n for n in manifest["nodes"].values() if n["name"] == "customer_360")
    columns = model["columns"].values()
    return {
        meta["segment_set"]: column["name"]
        for column in columns
        if "segment_set" in (meta := column.get("config", {}).get("meta") or column.get("meta", {}))
    }


def dbt_project(habitus: Settings) -> DbtProject:
    """The project with its target folder in the deployment's home."""
    return DbtProject(
        project_dir=PROJECT_DIR,
        target_path=habitus.dbt_home / "target",
        profiles_dir=PROJECT_DIR,
        target=habitus.target,
    )


class LeanDbtCliResource(DbtCliResource):
    """The command line client of dbt, without a second dbt in our own process.

    dagster-dbt opens an adapter for its own row counts, which do not work here (see `_Facts`), and
    runs `dbt --version` first: 13.7 s of a profiled run (python -m cProfile -m habitus.cli run).
    """

    def _initialize_dbt_core_adapter(self, args: Sequence[str]) -> Any:
        return None

    @cached_property
    def _cli_version(self) -> Version:
        return Version(importlib.metadata.version("dbt-core"))


def warm_client(habitus: Settings) -> DbtCliResource:
    """The command line client of this process's warm dbt."""
    # The project is the same for any day: only where its tables lie is told to each invocation.
    server = warm_dbt(replace(habitus, as_of=None))
    server.wait()
    home = f"HABITUS_DEPLOYMENT_HOME={habitus.version_home}"
    executable, *flags = ["env", home, *server.command()]
    return LeanDbtCliResource(
        project_dir=str(PROJECT_DIR),
        profiles_dir=str(PROJECT_DIR),
        target=habitus.target,
        dbt_executable=executable,
        # Nobody reads what dbt would write of itself after each step: a second of each. Its log
        # comes to us, into the run's own; a second one in a file would cost as much again.
        global_config_flags=[*flags, "--no-write-json", "--log-level-file", "none"],
    )


def _prepare(habitus: Settings, run_id: str) -> None:
    """Write what dbt reads beside raw: the run's parameters, and which records must wait."""
    write_run_parameters(habitus, run_id)
    for contract in load_deployment(habitus.contracts).contracts:
        refresh_held(contract, ingestion_paths(habitus))


def _plan_increment(context: AssetExecutionContext, habitus: Settings) -> Plan:
    """Tell dbt from where to bring the tables of events forward, if that is possible."""
    chosen = plan(habitus)
    if chosen.since is None:
        context.log.info(f"tables of events are built anew: {chosen.why}")
    else:
        context.log.info(
            f"tables of events are brought forward from snapshot {chosen.since}: {chosen.why}"
        )
    write_run_parameters(habitus, context.run_id, chosen.since, chosen.files)
    return chosen


def run_dbt(habitus: Settings, arguments: list[str]) -> int:
    """Run dbt as a data engineer would, under the writer's lock; its exit code."""
    command = [dbt_executable(), *arguments, "--project-dir", str(PROJECT_DIR)]
    # Not amid a run, which would publish what is changed here among its own tables.
    with writer(habitus.run_lock), writer(habitus.writer_lock):
        _prepare(habitus, "by-hand")
        return subprocess.run(
            [*command, "--profiles-dir", str(PROJECT_DIR)],
            env=habitus.child_environment(),
            check=False,
        ).returncode


class LayerTranslator(DagsterDbtTranslator):
    """Groups are layers; owners come from the models' own `meta`."""

    def __init__(self) -> None:
        super().__init__(settings=DagsterDbtTranslatorSettings(enable_asset_checks=True))

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str | None:
        """The folder under `models/` is the layer."""
        return str(dbt_resource_props["fqn"][1])


def _described(columns: list[tuple[str, str]], node: Mapping[str, Any]) -> dg.TableSchema:
    """Types as the lake has them, descriptions as dbt has them."""
    said = node.get("columns", {})
    return dg.TableSchema(
        columns=[
            dg.TableColumn(name, dtype, description=said.get(name, {}).get("description"))
            for name, dtype in columns
        ]
    )


class _Facts:
    """Row counts, columns and column lineage of models as dbt reports them built.

    dagster-dbt's own `fetch_row_counts` reopens the profile's path, which here is ":memory:".
    One connection serves the whole step: opening the lake takes longer than counting.
    """

    def __init__(self, habitus: Settings, target: Path, stack: ExitStack, forward: bool) -> None:
        manifest = load_manifest(manifest_path(habitus))
        self.nodes = {
            (n["schema"], n["name"]): n for n in manifest["nodes"].values() if "schema" in n
        }
        self.lineages = LineageCache(
            habitus.dbt_home / "lineage", manifest, source_columns(habitus)
        )
        self.habitus = habitus
        self.compiled = target / "compiled"
        self.stack = stack
        self.forward = forward

    @cached_property
    def lake(self) -> duckdb.DuckDBPyConnection:
        """Opened when the first table is there: a new lake has no catalogue before."""
        return self.stack.enter_context(reader(self.habitus))

    def of(self, key: dg.AssetKey) -> dict[str, Any]:
        """Metadata of one model."""
        node = self.nodes[key.path[0], key.path[1]]
        found: dict[str, Any] = {}
        if node["config"]["materialized"] != "view":
            facts = table_facts(self.lake, node["schema"], node["name"])
            found["dagster/row_count"] = facts.rows
            found["dagster/column_schema"] = _described(facts.columns, node)
        try:
            lineage = self.lineages.of_model(
                self.compiled / node["package_name"] / node["original_file_path"], self.forward
            )
        except SqlglotError as error:
            # The table is built and right; only the picture of its columns is missing.
            get_dagster_logger().warning(f"no column lineage for {node['name']}: {error}")
        else:
            if lineage is not None:
                found["dagster/column_lineage"] = lineage
        return found


def _with_facts(
    events: Iterator[Any],
    context: AssetExecutionContext,
    habitus: Settings,
    target: Path,
    forward: bool = False,
) -> Iterator[Any]:
    """Add facts to each model as dbt reports it built; fail if it is silent about one."""
    made = set()
    with ExitStack() as stack:
        facts = _Facts(habitus, target, stack, forward)
        for event in events:
            if isinstance(event, dg.Output):
                key = context.asset_key_for_output(event.output_name)
                made.add(key)
                context.add_output_metadata(facts.of(key), output_name=event.output_name)
            yield event
    require_all(context.selected_asset_keys, made, "What depends on it was not built.")


def _recover(context: AssetExecutionContext, habitus: Settings) -> None:
    """Set a broken warehouse aside and, for a step that is not the first, build what it stands on.

    The caller holds the writer's lock.
    """
    found = set_aside_if_broken(habitus)
    if found is None:
        return
    context.log.warning(f"the warehouse was broken: {found}")
    # With the step's own models, as what one stands on may stand on another of them; and as one
    # argument, as dagster-dbt takes a flag to have one value.
    upstream = " ".join(sorted(f"+{key.path[-1]}" for key in context.selected_asset_keys))
    warm_client(habitus).cli(["run", "--select", upstream]).wait()


def dbt_step(name: str, select: str, manifest: Path, project: DbtProject) -> AssetsDefinition:
    """One dbt invocation: `dbt build` of a selection, under the writer's lock."""
    events = dg.AssetKey(["staging", f"stg_{ENTITY}"])

    @dbt_assets(
        manifest=manifest,
        select=select,
        name=name,
        project=project,
        pool="warehouse",
        dagster_dbt_translator=LayerTranslator(),
    )
    @redacted
    def build(context: AssetExecutionContext, habitus: ResourceParam[Settings]) -> Iterator[Any]:
        builds_events = events in context.selected_asset_keys
        with writer(habitus.writer_lock):
            _prepare(habitus, context.run_id)
            _recover(context, habitus)
            if builds_events:
                note_building(habitus)
            # Of a part of the tables nobody could say later what they were built from.
            whole = builds_events and context.selected_asset_keys == context.assets_def.keys
            chosen = _plan_increment(context, habitus) if whole else None
            invocation = warm_client(habitus).cli(
                [
                    *("build", "--exclude-resource-type", "unit_test"),
                    # A test runs in the step in which the last of its tables is built.
                    *("--indirect-selection", "buildable"),
                ],
                context=context,
            )
            yield from _with_facts(
                invocation.stream(),
                context,
                habitus,
                invocation.target_path,
                forward=chosen is not None and chosen.since is not None,
            )
            if chosen is not None:
                note_built(habitus, chosen)
        # Kept where dbt failed, to be looked at; each is as large as the manifest.
        shutil.rmtree(invocation.target_path)

    return build
