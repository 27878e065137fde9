"""Clusters: found, named, and the same from run to run."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from ml.models import ModelTamperedError
from ml.registry import OUTPUTS, run_output
from ml.segments.model import choose_number, fit_centres, match
from ml.segments.naming import name_cluster

OUTPUT = next(o for o in OUTPUTS if o.name == "behaviour_clusters")
TYPES = {
    "regular": (5, 300, 20, 60.0),
    "lapsing": (200, 220, 0, 40.0),
    "new": (10, 15, 0, 50.0),
    "big": (30, 310, 6, 900.0),
}


def _features(each: int = 80, seed: int = 1, as_of: str = "2024-12-31") -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    parts = []
    for kind, (recency, tenure, frequency, monetary) in TYPES.items():
        wobble = lambda mean: mean * rng.lognormal(0, 0.15, each)  # noqa: E731
        repeats = np.round(wobble(frequency))
        parts.append(
            pd.DataFrame(
                {
                    "customer": [f"{kind}_{i:04d}" for i in range(each)],
                    "as_of": pd.Timestamp(as_of).date(),
                    "recency_days": np.round(wobble(recency)),
                    "frequency": repeats,
                    "t_x_days": np.where(repeats > 0, 10.0, 0.0),
                    "tenure_days": np.round(wobble(tenure)),
                    "monetary": (money := wobble(monetary)),
                    "revenue_365d": money * (repeats + 1),
                    "sessions_84d": np.nan,
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def _run(features: pd.DataFrame, context):
    return run_output(OUTPUT, {"marts.ml_features": features}, context)


def test_metrics_tell_of_no_group_below_k(context) -> None:
    features = _features()
    sizes = _run(features, context).frame["label"].value_counts()
    few = replace(context, k=int(sizes.iloc[-1]) + 1)
    metrics = _run(features, few).metrics
    assert set(metrics["labels"]) < set(sizes.index)
    assert {profile["label"] for profile in metrics["profiles"]} == set(metrics["labels"])
    assert _run(features.head(8), context).metrics["labels"] == {}


def test_finds_and_names_the_types(context) -> None:
    result = _run(_features(), context)
    frame = result.frame.assign(kind=result.frame["customer"].str.split("_").str[0])
    table = pd.crosstab(frame["kind"], frame["label"])
    assert table.shape == (4, 4)
    assert (table.max(axis=1) / table.sum(axis=1) > 0.9).all()
    best = table.idxmax(axis=1)
    assert "one-time" in best["lapsing"]
    assert "one-time" in best["new"]
    assert "frequent" in best["regular"]
    assert best.is_unique
    assert sum(result.metrics["labels"].values()) == len(frame)
    assert "silhouette" in result.metrics["how"]


def test_rerun_and_row_order_change_nothing(context, tmp_path) -> None:
    features = _features()
    first = _run(features, context)
    again = _run(features, context)
    pd.testing.assert_frame_equal(first.frame, again.frame)
    assert first.metrics == again.metrics
    fresh = replace(context, models_dir=tmp_path / "other")
    shuffled = _run(features.sample(frac=1, random_state=1), fresh)
    pd.testing.assert_frame_equal(first.frame, shuffled.frame)


def test_labels_last_on_new_days(context) -> None:
    first = _run(_features(), context).frame
    features = _features(seed=2, as_of="2025-01-07")
    features["recency_days"] += 3
    second = _run(pd.concat([_features(), features]), context).frame
    assert set(second["as_of"]) == {pd.Timestamp("2025-01-07")}
    both = first.merge(second, on="customer", suffixes=("", "_new"))
    assert (both["label"] == both["label_new"]).mean() > 0.95
    assert (both["cluster"] == both["cluster_new"]).mean() > 0.95


def test_new_behaviour_gets_a_new_number_and_name(context) -> None:
    first = _run(_features(), context).frame
    changed = _features(as_of="2025-06-30")
    new = changed["customer"].str.startswith("new")
    changed.loc[new, ["recency_days", "frequency", "t_x_days"]] = [1.0, 200.0, 10.0]
    changed.loc[new, ["tenure_days", "monetary", "revenue_365d"]] = [300.0, 2.0, 400.0]
    second = _run(changed, context).frame
    arrived = set(second["label"]) - set(first["label"])
    assert len(arrived) == 1
    numbers = second.loc[second["label"].isin(arrived), "cluster"].unique()
    assert numbers.min() > first["cluster"].max()


def test_few_or_equal_customers_are_one_cluster(context) -> None:
    few = _run(_features(each=10), context)
    assert set(few.frame["label"]) == {"all_customers"}
    assert "fewer than 50" in few.metrics["reason"]
    equal = _features().assign(
        recency_days=5, frequency=0, t_x_days=0, tenure_days=5, monetary=1.0, revenue_365d=1.0
    )
    alike = _run(equal, context)
    assert set(alike.frame["label"]) == {"all_customers"}
    assert "alike" in alike.metrics["reason"]
    empty = _run(_features().iloc[:0], context)
    assert empty.frame.empty


def test_tampered_centres_are_refused(context) -> None:
    version = _run(_features(), context).metrics["model_version"]
    path = context.models_dir / "behaviour_clusters" / version / "manifest.json"
    path.write_text(path.read_text().replace("lapsing", "loyal"))
    with pytest.raises(ModelTamperedError):
        _run(_features(), context)


def test_number_of_clear_groups_is_found() -> None:
    rng = np.random.default_rng(1)
    middle = np.array([[0, 0], [6, 0], [0, 6], [6, 6], [3, 12]])
    z = np.concatenate([m + rng.normal(0, 0.4, (150, 2)) for m in middle])
    choice = choose_number(z, 3)
    assert choice.number == 5
    assert choice.stability[5] > 0.99


def test_matching_is_one_to_one_and_near() -> None:
    old = np.array([[0.0, 0], [10, 0], [0, 10]])
    assert match(old[[2, 0, 1]] + 0.1, old) == {0: 2, 1: 0, 2: 1}
    assert match(np.array([[50.0, 50]]), old) == {}
    assert match(old, np.zeros((0, 2))) == {}


def test_centres_given_as_start_come_back() -> None:
    z = np.random.default_rng(2).normal(size=(400, 3))
    centres, cost = fit_centres(z, 4, seed=1)
    again, same = fit_centres(z, 4, seed=1, start=centres)
    assert np.allclose(centres, again, atol=1e-8)
    assert same == pytest.approx(cost)


def test_names_are_unique() -> None:
    columns = ("recency_days", "frequency")
    taken: list[str] = []
    for _ in range(6):
        taken.append(name_cluster(columns, np.array([1.0, -1.0]), 0.0, taken))
    assert len(set(taken)) == 6
    assert taken[0] == "lapsing occasional buyers"
    assert name_cluster(columns, np.zeros(2), 0.0, []) == "typical buyers"
