"""Factory: the contracts that feed an entity -> one raw asset with its conservation check.

What does not belong here: reading or checking records (ingestion/), or any rule about a source
(its contract).
"""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime

import dagster as dg
from dagster import AssetExecutionContext, AssetsDefinition, MaterializeResult, ResourceParam

from expectations.contract import Contract, Entity
from ingestion import Limits, Paths, SourceResult, ingest_entity
from orchestration.config import Settings
from orchestration.lib.redaction import redacted
from orchestration.lib.secrets import ingest_keys
from orchestration.lib.warehouse import raw_columns, raw_row_count

CONSERVATION = "conservation"


def ingestion_paths(habitus: Settings) -> Paths:
    """Where ingestion finds and leaves its files."""
    return Paths(
        landing=habitus.landing,
        lake=habitus.lake,
        ledger=habitus.ledger,
        quarantine=habitus.lake / "quarantine",
    )


def reader_limits(habitus: Settings) -> Limits:
    """What the process that parses one source's files may use."""
    seconds = habitus.reader_minutes * 60
    return Limits(
        address_space=habitus.reader_memory_gib << 30,
        cpu_seconds=seconds * habitus.threads,
        wall_seconds=seconds,
    )


def _description(entity: Entity, contracts: Sequence[Contract]) -> str:
    if not contracts:
        return f"{entity.description}\n\nNo contract of this deployment feeds it: always empty."
    sources = "\n".join(f"- `{c.name}`: {c.description.get('purpose', '')}" for c in contracts)
    return f"{entity.description} Grain: {entity.grain}.\n\nSources:\n{sources}"


def _conservation(results: Sequence[SourceResult], key: dg.AssetKey) -> dg.AssetCheckResult:
    """records in = accepted + quarantined + duplicates, for each source of this run."""
    off = [r.source for r in results if r.records_in != r.accepted + r.quarantined + r.duplicates]
    return dg.AssetCheckResult(
        passed=not off,
        asset_key=key,
        check_name=CONSERVATION,
        metadata={"sources_off": off, "sources": len(results)},
    )


def _figures(result: SourceResult) -> dict[str, object]:
    """A result as JSON holds it: moments as ISO 8601."""
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in asdict(result).items()
    }


def raw_asset(
    entity: Entity, contracts: Sequence[Contract], partitions: dg.PartitionsDefinition
) -> AssetsDefinition:
    """One raw asset for an entity, fed by any number of contracts (also by none).

    A partition is a day on which records became known. Ingestion is exactly-once by content, so
    it takes whatever has landed and is not in the ledger, whichever partitions are asked for; a
    range of days is one run.
    """
    key = dg.AssetKey(["raw", entity.name])

    @dg.asset(
        key=key,
        group_name="raw",
        kinds={"parquet", "contract"},
        owners=["team:data-engineering"],
        description=_description(entity, contracts),
        metadata={
            "dagster/column_schema": dg.TableSchema(
                columns=[
                    dg.TableColumn(name, dtype, description=text)
                    for name, dtype, text in raw_columns(entity)
                ]
            ),
            "contracts": [c.name for c in contracts],
        },
        partitions_def=partitions,
        backfill_policy=dg.BackfillPolicy.single_run(),
        check_specs=[
            dg.AssetCheckSpec(
                CONSERVATION,
                asset=key,
                blocking=True,
                description="records in = accepted + quarantined + exact duplicates, by source",
            )
        ],
    )
    @redacted
    def ingest(
        context: AssetExecutionContext, habitus: ResourceParam[Settings]
    ) -> MaterializeResult:
        results = ingest_entity(
            entity,
            contracts,
            ingestion_paths(habitus),
            ingest_keys(habitus),
            run_id=context.run_id,
            now=datetime.now(UTC),
            con_settings={
                "memory_limit": habitus.memory_limit,
                "threads": habitus.threads,
                "postgres_dsn": habitus.postgres_dsn or "",
            },
            limits=reader_limits(habitus),
        )
        for result in results:
            for warning in result.warnings:
                context.log.warning(f"{result.source}: {warning}")
        return MaterializeResult(
            metadata={
                "dagster/row_count": raw_row_count(habitus.lake, entity.name),
                "sources": dg.MetadataValue.json({r.source: _figures(r) for r in results}),
            },
            check_results=[_conservation(results, key)],
        )

    return ingest
