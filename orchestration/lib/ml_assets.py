"""Factory: an ML output -> the assets of its tables.

What does not belong here: features, models, metrics (ml/).
"""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import dagster as dg
import pandas as pd
import pyarrow.parquet as pq
from dagster import AssetExecutionContext, AssetsDefinition, MetadataValue, ResourceParam

from ml.contracts import MlContext, MlResult, Table, empty, to_arrow
from ml.registry import OUTPUTS, Output, run_output
from orchestration.config import Settings
from orchestration.lib.consent import keep_permitted, purposes_of
from orchestration.lib.dbt_steps import ensure_manifest, load_manifest
from orchestration.lib.metadata import png_markdown
from orchestration.lib.redaction import redacted
from orchestration.lib.secrets import keyring
from orchestration.lib.warehouse import reader, run_clock
from privacy.keys import MODEL

SEED = 20240229
# The day on which outputs of a deployment without a single event are filed.
NO_DATA = date(1970, 1, 1)


def output_keys(output: Output) -> list[dg.AssetKey]:
    """Asset keys of an output's tables."""
    return [dg.AssetKey(["ml", table.name]) for table in output.tables]


def _folder(habitus: Settings, table: Table) -> Path:
    return habitus.lake / "ml" / table.name


def ensure_ml_schemas(habitus: Settings) -> None:
    """Leave a file of zero rows for every ML table, so that dbt can read what is not there yet."""
    for output in OUTPUTS:
        for table in output.tables:
            folder = _folder(habitus, table)
            folder.mkdir(parents=True, exist_ok=True)
            pq.write_table(to_arrow(empty(table), table), folder / "_schema.parquet")


def latest_frame(habitus: Settings, name: str) -> pd.DataFrame | None:
    """The newest frame of an ML table; None before the first."""
    parts = sorted((habitus.lake / "ml" / name).glob("as_of=*/part.parquet"))
    return pq.ParquetFile(parts[-1]).read().to_pandas(date_as_object=False) if parts else None


def _inputs(habitus: Settings, output: Output) -> dict[str, pd.DataFrame]:
    """An output's inputs: tables of the warehouse as this run left them, or other ML tables."""
    frames = {}
    with reader(habitus) as con:
        for name in output.inputs:
            layer, _, table = name.partition(".")
            if layer == "ml":
                frame = latest_frame(habitus, table)
                if frame is None:
                    raise LookupError(f"{output.name} needs {name}, which was never materialised")
            else:
                frame = con.table(f"lake.{layer}.{table}").df()
            frames[name] = frame
    return frames


def _store(habitus: Settings, table: Table, frame: pd.DataFrame, as_of: str) -> None:
    folder = _folder(habitus, table) / f"as_of={as_of}"
    folder.mkdir(parents=True, exist_ok=True)
    # Not named *.parquet: DuckDB's glob takes hidden files too, so that what a killed run left
    # half-written would be read by the next.
    temporary = folder / "part.parquet.unfinished"
    try:
        pq.write_table(to_arrow(frame, table), temporary)
        temporary.replace(folder / "part.parquet")
    finally:
        temporary.unlink(missing_ok=True)


def _metadata(result: MlResult, frame: pd.DataFrame, table: Table) -> dict[str, MetadataValue]:
    metadata: dict[str, MetadataValue] = {
        "dagster/row_count": MetadataValue.int(len(frame)),
        "dagster/column_schema": MetadataValue.table_schema(
            dg.TableSchema(
                columns=[
                    dg.TableColumn(c.name, c.dtype, description=c.description)
                    for c in table.columns
                ]
            )
        ),
    }
    if result.metrics:
        metadata["metrics"] = MetadataValue.json(dict(result.metrics))
    for title, png in result.plots.items():
        metadata[title] = MetadataValue.md(png_markdown(title, png))
    return metadata


def _forget_refusals(habitus: Settings, output: Output) -> int:
    """Take who refused since out of what was stored; gives the rows removed.

    Also out of the outputs that this one comes after: those that train do not run every day, and
    none but this one may be writing them now.
    """
    before = [table for o in OUTPUTS if o.name in output.after for table in o.tables]
    tables = [table.name for table in (*output.tables, *before)]
    purposes = purposes_of(load_manifest(ensure_manifest(habitus)), output.inputs)
    return keep_permitted(habitus, tables, purposes) if purposes else 0


def ml_asset(output: Output) -> AssetsDefinition:
    """One step that computes an output and stores its tables."""
    keys = {table.name: dg.AssetKey(["ml", table.name]) for table in output.tables}
    deps = [dg.AssetKey(name.split(".")) for name in output.inputs]
    deps += [dg.AssetKey(["ml", name]) for name in output.after]

    @dg.multi_asset(
        name=output.name,
        specs=[
            dg.AssetSpec(
                keys[table.name],
                deps=deps,
                group_name="ml",
                kinds={"python", *output.kinds},
                owners=["team:data-science"],
                description=f"{output.description} Grain: {table.grain}.",
                automation_condition=None if output.trains else dg.AutomationCondition.eager(),
            )
            for table in output.tables
        ],
    )
    @redacted
    def compute(
        context: AssetExecutionContext, habitus: ResourceParam[Settings]
    ) -> Iterator[dg.MaterializeResult]:
        as_of = run_clock(habitus) or NO_DATA
        result = run_output(
            output,
            _inputs(habitus, output),
            MlContext(
                as_of=as_of,
                seed=SEED,
                models_dir=habitus.models,
                model_key=keyring(habitus).current(MODEL).secret,
                previous=latest_frame(habitus, output.tables[0].name),
                run_id=context.run_id,
                k=habitus.k,
            ),
        )
        if removed := _forget_refusals(habitus, output):
            context.log.info(f"{removed} rows of who refused were removed from earlier days")
        for table in output.tables:
            frame = result.frames[table.name]
            _store(habitus, table, frame, as_of.isoformat())
            yield dg.MaterializeResult(
                asset_key=keys[table.name], metadata=_metadata(result, frame, table)
            )

    return compute
