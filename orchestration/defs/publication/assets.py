"""Publication as one act, and the report that follows it.

What does not belong here: what is in the tables, or what the report says.
"""

import json

import dagster as dg
from dagster import AssetExecutionContext, MaterializeResult, MetadataValue, ResourceParam

from orchestration.config import Settings, settings
from orchestration.defs.transform.assets import after_ml, behaviour, marts
from orchestration.lib.dbt_steps import ensure_manifest, load_manifest, segment_sets
from orchestration.lib.publication import LANGUAGES, swap_pointer, write_atomically, writer
from orchestration.lib.summary import collect, write_summary
from orchestration.lib.warehouse import (
    PUBLISHED_LAYERS,
    latest_snapshot,
    reader,
    row_counts,
    run_clock,
    segment_sizes,
)

_sets = segment_sets(load_manifest(ensure_manifest(settings())))
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
def snapshot(context: AssetExecutionContext, habitus: ResourceParam[Settings]) -> MaterializeResult:
    """The pointer that every reader pins: from here on they see this run's tables, all at once."""
    as_of = run_clock(habitus)
    with writer(habitus.writer_lock), reader(habitus) as con:
        number = latest_snapshot(con)
        tables = row_counts(con)
        segments = segment_sizes(con, _sets)
        published = swap_pointer(
            habitus.published,
            snapshot=number,
            run_id=context.run_id,
            as_of=as_of.isoformat() if as_of else None,
        )
    return MaterializeResult(
        metadata={
            "snapshot": number,
            "as_of": published.as_of,
            "dagster/row_count": sum(tables.values()),
            "tables": MetadataValue.json(tables),
            "segments": MetadataValue.json(segments),
        }
    )


@dg.asset(
    key=["publication", "report"],
    deps=[snapshot],
    group_name="publication",
    kinds={"html"},
    owners=["team:data-science"],
    automation_condition=dg.AutomationCondition.eager(),
)
def report(context: AssetExecutionContext, habitus: ResourceParam[Settings]) -> MaterializeResult:
    """The evaluation report of the run, in English and Chinese, and its JSON."""
    # What draws takes seconds to import, which who only loads the definitions need not wait for.
    from ml.evaluation.report import build_report, report_json  # noqa: PLC0415
    from orchestration.lib.evaluation import report_data  # noqa: PLC0415

    summary = collect(context.instance, habitus, context.run_id, "success")
    write_summary(habitus, summary)
    data = report_data(habitus, summary, _sets)
    folder = habitus.reports / context.run_id
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
