"""Publication as one act, and the report that follows it.

What does not belong here: what is in the tables, or what the report says.
"""

import json
from datetime import datetime

import dagster as dg
import duckdb
from dagster import AssetExecutionContext, MaterializeResult, MetadataValue, ResourceParam

from orchestration.config import Settings, settings
from orchestration.defs.transform.assets import after_ml, behaviour, marts
from orchestration.lib.aggregates import aggregate, read_people, write_aggregates
from orchestration.lib.audit import record
from orchestration.lib.completeness import require_no_halves, require_planned
from orchestration.lib.dbt_steps import ensure_manifest, load_manifest, segment_sets
from orchestration.lib.increments import note_published
from orchestration.lib.maintenance import maintain
from orchestration.lib.publication import (
    LANGUAGES,
    NothingPublishedError,
    read_pointer,
    swap_pointer,
    write_atomically,
    writer,
)
from orchestration.lib.redaction import described, redacted
from orchestration.lib.rights_registry import require_registered
from orchestration.lib.secrets import tidy_vault
from orchestration.lib.summary import collect, write_summary
from orchestration.lib.warehouse import (
    PUBLISHED_LAYERS,
    latest_snapshot,
    reader,
    row_counts,
    run_clock,
)
from privacy.keys import KeyringError
from privacy.sealing import SealError

_sets = segment_sets(load_manifest(ensure_manifest(settings())))
_steps = {step.op.name for step in (behaviour, marts, after_ml)}
_published = [
    spec.key
    for step in (behaviour, marts, after_ml)
    for spec in step.specs
    if spec.key.path[0] in PUBLISHED_LAYERS
]


@dg.asset(
    key=["publication", "snapshot"],
    deps=_published,
    group_name="publication",
    kinds={"ducklake"},
    owners=["team:data-engineering"],
    pool="warehouse",
    automation_condition=dg.AutomationCondition.eager(),
)
@redacted
def snapshot(context: AssetExecutionContext, habitus: ResourceParam[Settings]) -> MaterializeResult:
    """The pointer that every reader pins: from here on they see this run's tables, all at once."""
    _require_whole(context, habitus)
    as_of = run_clock(habitus)
    with writer(habitus.writer_lock):
        with reader(habitus) as con:
            number = latest_snapshot(con)
            tables = row_counts(con)
            segments = aggregate(read_people(con, _sets), habitus.k).segments
        record(habitus, "publish", tables=sorted(tables), run_id=context.run_id, snapshot=number)
        published = swap_pointer(
            habitus.published,
            snapshot=number,
            run_id=context.run_id,
            as_of=as_of.isoformat() if as_of else None,
            keep_days=habitus.keep_versions_days,
        )
        _maintain(context, habitus)
    return MaterializeResult(
        metadata={
            "snapshot": number,
            "as_of": published.as_of,
            "dagster/row_count": sum(tables.values()),
            "tables": MetadataValue.json(tables),
            "segments": MetadataValue.json(dict(segments)),
        }
    )


def _require_whole(context: AssetExecutionContext, habitus: Settings) -> None:
    """Fail unless all that this run planned is made, and nothing of a failed run is left.

    And unless people can be erased from every table.
    """
    instance, run = context.instance, context.run
    graph = context.job_def.asset_layer.asset_graph
    require_planned(instance, run.run_id, graph.get_ancestor_asset_keys(context.asset_key))
    try:
        since = datetime.fromisoformat(read_pointer(habitus.published).published_at)
    except NothingPublishedError:
        since = None
    require_no_halves(instance, run, since=since, steps=_steps, tables=_published)
    require_registered(habitus, load_manifest(ensure_manifest(habitus)))


def _maintain(context: AssetExecutionContext, habitus: Settings) -> None:
    """Clean up after a publication, which stands whether this succeeds or not."""
    try:
        done = maintain(habitus)
        note_published(habitus)
        tidy_vault(habitus)
    except (duckdb.Error, OSError, SealError, KeyringError) as error:
        context.log.warning(f"published, but old versions were not cleaned up: {described(error)}")
    else:
        context.log.info(
            f"removed {done.versions} snapshots with {done.files} files, and {done.orphans} "
            "files that killed runs left"
        )


@dg.asset(
    key=["publication", "report"],
    deps=[snapshot],
    group_name="publication",
    kinds={"html"},
    owners=["team:data-science"],
    automation_condition=dg.AutomationCondition.eager(),
)
@redacted
def report(context: AssetExecutionContext, habitus: ResourceParam[Settings]) -> MaterializeResult:
    """The evaluation report of the run, in English and Chinese, and its JSON."""
    # What draws takes seconds to import, which who only loads the definitions need not wait for.
    from ml.evaluation.report import build_report, report_json  # noqa: PLC0415
    from orchestration.lib.evaluation import report_data  # noqa: PLC0415

    summary = collect(context.instance, habitus, context.run_id, "success")
    write_summary(habitus, summary)
    with reader(habitus) as con:
        shown = aggregate(read_people(con, _sets), habitus.k)
    data = report_data(habitus, summary, _sets, shown)
    folder = habitus.reports / context.run_id
    write_aggregates(folder / "aggregates", shown)
    for lang, name in LANGUAGES.items():
        write_atomically(folder / name, build_report(data, lang))
    write_atomically(
        folder / "evaluation.json",
        json.dumps(report_json(data), indent=2, ensure_ascii=False) + "\n",
    )
    return MaterializeResult(
        metadata={
            lang: MetadataValue.url((folder / name).as_uri()) for lang, name in LANGUAGES.items()
        }
    )
