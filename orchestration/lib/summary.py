"""The summary of a run: built from Dagster's own record of it, so that nothing is told twice.

The shape is public interface; docs/summary.md describes it. What does not belong here: drawing
the report (ml/evaluation) or printing tables (habitus/).
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import dagster as dg

from orchestration.config import Settings
from orchestration.lib.publication import write_atomically
from orchestration.lib.run_parameters import AS_OF_TAG
from privacy.aggregates import is_small

SOURCE_COUNTS = ("records_in", "accepted", "quarantined", "duplicates")
CHURN = ("shipped", "horizon_days", "cutoffs", "gate")
# How many materializations to look through for one that is not a rebuild of the past.
LOOK_BACK = 50
EXPECTATION_COUNTS = ("passed", "failed", "errored")


def _value(metadata: Mapping[str, dg.MetadataValue], name: str) -> Any:
    entry = metadata.get(name)
    return None if entry is None else entry.value


def _events(
    instance: dg.DagsterInstance, run_id: str, kinds: Iterable[dg.DagsterEventType]
) -> list[dg.DagsterEvent]:
    entries = instance.all_logs(run_id, of_type=set(kinds))
    return [e.dagster_event for e in entries if e.dagster_event is not None]


def _materializations(
    instance: dg.DagsterInstance, run_id: str
) -> dict[tuple[str, ...], Mapping[str, dg.MetadataValue]]:
    found = {}
    for event in _events(instance, run_id, [dg.DagsterEventType.ASSET_MATERIALIZATION]):
        materialization = event.step_materialization_data.materialization
        found[tuple(materialization.asset_key.path)] = materialization.metadata
    return found


def _latest(
    instance: dg.DagsterInstance,
    habitus: Settings,
    found: Mapping[tuple[str, ...], Mapping[str, dg.MetadataValue]],
    key: tuple[str, ...],
) -> Mapping[str, dg.MetadataValue]:
    """Metadata of this run's materialization, else of the last one before it.

    Rebuilds of the past are no part of the present's history, nor the other way round.
    """
    if key in found:
        return found[key]
    if habitus.as_of is not None:
        return {}
    records = instance.fetch_materializations(dg.AssetKey(list(key)), limit=LOOK_BACK).records
    for record in records:
        run = instance.get_run_by_id(record.run_id)
        if record.asset_materialization and (run is None or AS_OF_TAG not in run.tags):
            return record.asset_materialization.metadata
    return {}


def _expectations(instance: dg.DagsterInstance, run_id: str) -> dict[str, int]:
    counts = dict.fromkeys(EXPECTATION_COUNTS, 0)
    for event in _events(instance, run_id, [dg.DagsterEventType.ASSET_CHECK_EVALUATION]):
        metadata = event.asset_check_evaluation_data.metadata
        for name in EXPECTATION_COUNTS:
            counts[name] += int(_value(metadata, name) or 0)
    return counts


def _seconds(instance: dg.DagsterInstance, run_id: str) -> dict[str, float]:
    events = _events(instance, run_id, [dg.DagsterEventType.STEP_SUCCESS])
    return {str(e.step_key): round(e.step_success_data.duration_ms / 1000, 2) for e in events}


def tells_few(cutoff: Mapping[str, Any], k: int) -> bool:
    """Whether a cutoff's customers and their rate of churn give a small group away."""
    churned = round(cutoff["n"] * cutoff["base_rate"])
    return is_small(churned, k) or is_small(cutoff["n"] - churned, k)


def collect(
    instance: dg.DagsterInstance, habitus: Settings, run_id: str, status: str
) -> dict[str, Any]:
    """The summary of one run.

    Args:
        instance: where the run was recorded.
        habitus: the deployment's settings.
        run_id: Dagster's run id.
        status: `success` or `failure`.
    """
    found = _materializations(instance, run_id)
    sources: dict[str, dict[str, int]] = {}
    for key, metadata in found.items():
        if key[0] == "raw":
            for name, counts in (_value(metadata, "sources") or {}).items():
                sources[name] = {c: counts[c] for c in SOURCE_COUNTS}
    published = _value(found.get(("publication", "snapshot"), {}), "tables")
    segments = _value(_latest(instance, habitus, found, ("publication", "snapshot")), "segments")
    training = (
        _value(_latest(instance, habitus, found, ("ml", "churn_evaluation")), "metrics") or {}
    )
    shown = {name: training[name] for name in CHURN if name in training}
    if "cutoffs" in shown:
        shown["cutoffs"] = [c for c in shown["cutoffs"] if not tells_few(c, habitus.k)]
    return {
        "run_id": run_id,
        "deployment": habitus.deployment,
        "status": status,
        "sources": dict(sorted(sources.items())),
        "tables": published or {},
        "expectations": _expectations(instance, run_id),
        "segments": segments or {},
        "churn": shown,
        "seconds": _seconds(instance, run_id),
    }


def write_summary(habitus: Settings, summary: Mapping[str, Any]) -> None:
    """Write `reports/<run_id>/summary.json` and point `reports/latest` at it.

    A rebuild of the past is not the latest of anything.
    """
    folder = habitus.reports / str(summary["run_id"])
    text = json.dumps(summary, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    write_atomically(folder / "summary.json", text)
    if habitus.as_of is not None:
        return
    pointer = habitus.reports / f".latest.{summary['run_id']}"
    pointer.unlink(missing_ok=True)
    pointer.symlink_to(folder.name, target_is_directory=True)
    pointer.replace(habitus.reports / "latest")
