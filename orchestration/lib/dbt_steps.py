"""Factory: a selection of dbt models -> one Dagster step, with row counts and column schemas.

What does not belong here: SQL, or any list of models (dbt's manifest has it).
"""

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
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

from orchestration.config import Settings
from orchestration.lib.column_lineage import LineageCache
from orchestration.lib.dbt_server import (
    PROJECT_DIR,
    DbtError,
    is_warm,
    newest_source,
    parse_arguments,
    warm_dbt,
)
from orchestration.lib.publication import writer
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
    manifest = habitus.dbt_home / "target" / "manifest.json"
    if manifest.exists() and manifest.stat().st_mtime >= newest_source():
        return manifest
    if is_warm(habitus):
        warm_dbt(habitus).wait()
    else:
        done = subprocess.run(
            [dbt_executable(), *parse_arguments(habitus)],
            env={**os.environ, **habitus.environment()},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise DbtError(f"dbt parse failed:\n{done.stdout}\n{done.stderr}")
    os.utime(manifest)
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
    server = warm_dbt(habitus)
    server.wait()
    executable, *flags = server.command()
    return LeanDbtCliResource(
        project_dir=str(PROJECT_DIR),
        profiles_dir=str(PROJECT_DIR),
        target=habitus.target,
        dbt_executable=executable,
        global_config_flags=flags,
    )


def run_dbt(habitus: Settings, arguments: list[str]) -> int:
    """Run dbt as a data engineer would, under the writer's lock; its exit code."""
    write_run_parameters(habitus, "by-hand")
    command = [dbt_executable(), *arguments, "--project-dir", str(PROJECT_DIR)]
    with writer(habitus.writer_lock):
        return subprocess.run(
            [*command, "--profiles-dir", str(PROJECT_DIR)],
            env={**os.environ, **habitus.environment()},
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

    def __init__(self, habitus: Settings, target: Path, stack: ExitStack) -> None:
        manifest = load_manifest(habitus.dbt_home / "target" / "manifest.json")
        self.nodes = {
            (n["schema"], n["name"]): n for n in manifest["nodes"].values() if "schema" in n
        }
        self.lineages = LineageCache(
            habitus.dbt_home / "lineage", manifest, source_columns(habitus)
        )
        self.habitus = habitus
        self.compiled = target / "compiled"
        self.stack = stack

    @cached_property
    def lake(self) -> duckdb.DuckDBPyConnection:
        """Opened when the first table is there: a new lake has no catalogue before."""
        return self.stack.enter_context(reader(self.habitus))

    def of(self, key: dg.AssetKey) -> dict[str, Any]:
        """Metadata of one model."""
        node = self.nodes[key.path[0], key.path[1]]
        found: dict[str, Any] = {}
        if node["config"]["materialized"] == "table":
            facts = table_facts(self.lake, node["schema"], node["name"])
            found["dagster/row_count"] = facts.rows
            found["dagster/column_schema"] = _described(facts.columns, node)
        try:
            lineage = self.lineages.of_model(
                self.compiled / node["package_name"] / node["original_file_path"]
            )
        except SqlglotError as error:
            # The table is built and right; only the picture of its columns is missing.
            get_dagster_logger().warning(f"no column lineage for {node['name']}: {error}")
        else:
            if lineage is not None:
                found["dagster/column_lineage"] = lineage
        return found


def _with_facts(
    events: Iterator[Any], context: AssetExecutionContext, habitus: Settings, target: Path
) -> Iterator[Any]:
    """Add facts to each model as dbt reports it built."""
    with ExitStack() as stack:
        facts = _Facts(habitus, target, stack)
        for event in events:
            if isinstance(event, dg.Output):
                key = context.asset_key_for_output(event.output_name)
                context.add_output_metadata(facts.of(key), output_name=event.output_name)
            yield event


def dbt_step(name: str, select: str, manifest: Path, project: DbtProject) -> AssetsDefinition:
    """One dbt invocation: `dbt build` of a selection, under the writer's lock."""

    @dbt_assets(
        manifest=manifest,
        select=select,
        name=name,
        project=project,
        pool="warehouse",
        dagster_dbt_translator=LayerTranslator(),
    )
    def build(context: AssetExecutionContext, habitus: ResourceParam[Settings]) -> Iterator[Any]:
        write_run_parameters(habitus, context.run_id)
        with writer(habitus.writer_lock):
            invocation = warm_client(habitus).cli(
                [
                    *("build", "--exclude-resource-type", "unit_test"),
                    # A test runs in the step in which the last of its tables is built.
                    *("--indirect-selection", "buildable"),
                ],
                context=context,
            )
            yield from _with_facts(invocation.stream(), context, habitus, invocation.target_path)
        # Kept where dbt failed, to be looked at; each is as large as the manifest.
        shutil.rmtree(invocation.target_path)

    return build
