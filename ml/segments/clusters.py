"""Behavioural clusters of the newest day, labelled as in the run before (behaviour_clusters).

What does not belong here: rule-based segments, features.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from ml.churn.data import days, numeric_features
from ml.contracts import MlContext, MlResult, conform, empty
from ml.evaluation.analysis import Row, suppress
from ml.evaluation.plots import segments_png
from ml.models import ModelMissingError, load_model, save_model
from ml.segments.model import (
    Choice,
    FloatArray,
    IntArray,
    Scaler,
    assign,
    choose_number,
    fit_centres,
    fit_scaler,
    match,
)
from ml.segments.naming import DIMENSIONS, floors, name_cluster
from ml.segments.tables import BEHAVIOUR_CLUSTERS

FOLDER = "behaviour_clusters"
MIN_CUSTOMERS = 50
EVERYBODY = "all_customers"
# Warm-started centres may cost this much more than fresh ones before the number is chosen anew.
_WORN_OUT = 1.10


@dataclass(frozen=True)
class Clusters:
    """Centres with their numbers and names, and every name ever used."""

    columns: tuple[str, ...]
    scaler: Scaler
    centres: FloatArray
    numbers: tuple[int, ...]
    labels: tuple[str, ...]
    retired: tuple[str, ...]
    how: str

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            "columns": list(self.columns),
            "centre": self.scaler.centre.tolist(),
            "spread": self.scaler.spread.tolist(),
            "centres": self.centres.tolist(),
            "numbers": list(self.numbers),
            "labels": list(self.labels),
            "retired": list(self.retired),
            "how": self.how,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Clusters:
        """Inverse of `as_dict`."""
        return cls(
            columns=tuple(values["columns"]),
            scaler=Scaler(np.array(values["centre"]), np.array(values["spread"])),
            centres=np.array(values["centres"], dtype=np.float64),
            numbers=tuple(values["numbers"]),
            labels=tuple(values["labels"]),
            retired=tuple(values["retired"]),
            how=str(values["how"]),
        )


def run(inputs: Mapping[str, pd.DataFrame], context: MlContext) -> MlResult:
    """Cluster the customers of the newest as_of in marts.ml_features.

    Equal data give the stored clusters unchanged; new data move the stored centres, and their
    numbers and names stay. Fewer than 50 customers are one cluster, `all_customers`.

    Raises:
        ModelTamperedError: the stored clusters are not what was signed.
    """
    features = inputs["marts.ml_features"]
    if features.empty:
        reason = "no eligible customer"
        return MlResult({FOLDER: empty(BEHAVIOUR_CLUSTERS)}, {"labels": {}, "reason": reason})
    as_of = days(features["as_of"])
    rows = numeric_features(features[as_of == as_of.max()])
    if len(rows) < MIN_CUSTOMERS:
        return _one_cluster(rows, f"fewer than {MIN_CUSTOMERS} customers", context.k)
    previous, digest = _previous(context)
    columns = _columns(rows, previous)
    logs = _logs(rows, columns)
    own_digest = hashlib.sha256(np.ascontiguousarray(logs).tobytes()).hexdigest()
    found = previous
    if previous is None or previous.columns != columns or digest != own_digest:
        found = _find(rows, columns, logs, previous, context.seed)
    if found is None:
        return _one_cluster(rows, "customers are too much alike to be told apart", context.k)
    manifest = {"output": FOLDER, "seed": context.seed, "data_sha256": own_digest}
    manifest |= {"clusters": found.as_dict()}
    version = save_model(context.models_dir / FOLDER, {}, manifest, context.model_key)
    nearest, distance = assign(found.scaler.apply(logs), found.centres)
    frame = rows[["customer", "as_of"]].assign(
        cluster=np.array(found.numbers)[nearest],
        label=np.array(found.labels, dtype=object)[nearest],
        distance=distance,
    )
    sizes = frame["label"].value_counts()
    shown = _shown(sizes, context.k)
    metrics = {
        "labels": shown,
        "number": len(found.numbers),
        "how": found.how,
        "model_version": version,
        "profiles": [p for p in _profiles(rows, frame["label"], columns) if p["label"] in shown],
    }
    plots = {"clusters": segments_png(sizes.rename("customers").reset_index(), context.k)}
    return MlResult({FOLDER: conform(frame, BEHAVIOUR_CLUSTERS)}, metrics, plots)


def _shown(sizes: pd.Series, k: int) -> dict[str, int]:
    """Customers by label, without those that are too few to be shown."""
    rows: list[Row] = [(str(label), int(n), ()) for label, n in sizes.items()]
    segments = sorted(suppress("", (), rows, k).segments, key=lambda s: s.label)
    return {s.label: s.customers for s in segments if s.customers is not None}


def _one_cluster(rows: pd.DataFrame, reason: str, k: int) -> MlResult:
    frame = rows[["customer", "as_of"]].assign(cluster=0, label=EVERYBODY, distance=0.0)
    labels = _shown(frame["label"].value_counts(), k)
    metrics = {"labels": labels, "number": 1, "how": reason, "reason": reason}
    return MlResult({FOLDER: conform(frame, BEHAVIOUR_CLUSTERS)}, metrics)


def _previous(context: MlContext) -> tuple[Clusters | None, str]:
    try:
        stored = load_model(context.models_dir / FOLDER, context.model_key)
    except ModelMissingError:
        return None, ""
    clusters = Clusters.from_dict(stored.manifest["clusters"])
    return clusters, str(stored.manifest["data_sha256"])


def _columns(rows: pd.DataFrame, previous: Clusters | None) -> tuple[str, ...]:
    """The stored clusters' features while all are there, else every dimension that varies."""
    if previous is not None and all(c in rows.columns for c in previous.columns):
        return previous.columns
    present = [d.column for d in DIMENSIONS if d.column in rows.columns]
    return tuple(c for c in present if rows[c].min() < rows[c].max())


def _logs(rows: pd.DataFrame, columns: tuple[str, ...]) -> FloatArray:
    values = rows[list(columns)].to_numpy(float)
    return np.asarray(np.sign(values) * np.log1p(np.abs(values)))


def _find(
    rows: pd.DataFrame,
    columns: tuple[str, ...],
    logs: FloatArray,
    previous: Clusters | None,
    seed: int,
) -> Clusters | None:
    """Clusters, as near to the previous ones as the data allow; None if there are none."""
    if not columns:
        return None
    kept = previous if previous is not None and previous.columns == columns else None
    scaler = kept.scaler if kept is not None else fit_scaler(logs, floors(columns))
    z = scaler.apply(logs)
    if kept is not None:
        number = len(kept.centres)
        centres, cost = fit_centres(z, number, seed, start=kept.centres)
        fresh_cost = fit_centres(z, number, seed)[1]
        if cost <= _WORN_OUT * fresh_cost:
            start = replace(kept, centres=centres)
            return _labelled(rows, z, start, kept)
    choice: Choice = choose_number(z, seed)
    if choice.number < 2:
        return None
    centres, _ = fit_centres(z, choice.number, seed)
    how = (
        f"{choice.number} clusters: {choice.how}; stability {choice.stability}, "
        f"silhouette {choice.silhouette}"
    )
    start = Clusters(columns, scaler, centres, (), (), (), how)
    return _labelled(rows, z, start, previous)


def _labelled(
    rows: pd.DataFrame, z: FloatArray, found: Clusters, previous: Clusters | None
) -> Clusters:
    """Numbers and names for `found`: those of the matched previous centre, else new ones."""
    columns, centres = found.columns, found.centres
    comparable = previous is not None and previous.columns == columns
    pairs = match(centres, previous.centres) if previous is not None and comparable else {}
    used = [] if previous is None else [*previous.labels, *previous.retired]
    next_number = 0 if previous is None else max(previous.numbers, default=-1) + 1
    nearest: IntArray = assign(z, centres)[0]
    one_time = rows["frequency"].to_numpy(float) < 1
    sizes = np.bincount(nearest, minlength=len(centres))
    numbers, labels = [0] * len(centres), [""] * len(centres)
    for i in sorted(range(len(centres)), key=lambda c: (-int(sizes[c]), c)):
        if previous is not None and i in pairs:
            numbers[i], labels[i] = previous.numbers[pairs[i]], previous.labels[pairs[i]]
            continue
        share = float(one_time[nearest == i].mean()) if sizes[i] else 0.0
        labels[i] = name_cluster(columns, centres[i] - z.mean(axis=0), share, used)
        used.append(labels[i])
        numbers[i], next_number = next_number, next_number + 1
    retired = tuple(sorted(set(used) - set(labels)))
    return replace(found, numbers=tuple(numbers), labels=tuple(labels), retired=retired)


def _profiles(
    rows: pd.DataFrame, labels: pd.Series, columns: tuple[str, ...]
) -> list[dict[str, Any]]:
    """Size and medians of each cluster's features in their own units."""
    result = []
    for label, part in rows.groupby(labels.to_numpy(), sort=True):
        medians = part[list(columns)].median()
        values = {c: None if np.isnan(v) else round(float(v), 4) for c, v in medians.items()}
        result.append({"label": str(label), "customers": len(part), "medians": values})
    return result
