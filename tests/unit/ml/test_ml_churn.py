"""Churn end to end on a small shop: no look ahead, determinism, guards, reasons."""

import json
import shutil
from dataclasses import replace
from datetime import date
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from ml.churn import boosted, fitting, score, train
from ml.churn.backtest import backtest
from ml.churn.boosted import sample_rows
from ml.churn.data import add_bgnbd, assemble, numeric_features
from ml.churn.rules import fit_logistic, shift_to_rate
from ml.contracts import ContractMismatchError, validate
from ml.models import ModelTamperedError
from ml.registry import OUTPUTS, run_output
from ml.value.bgnbd import fit

EVALUATION = next(o for o in OUTPUTS if o.name == "churn_evaluation")
SCORES = next(o for o in OUTPUTS if o.name == "churn_scores")


@pytest.fixture(scope="module")
def trained(marts, tmp_path_factory):
    from ml.contracts import MlContext

    home = tmp_path_factory.mktemp("models")
    context = MlContext(date(2024, 12, 31), 11, home, b"a key for tests only")
    return context, run_output(EVALUATION, marts.inputs, context)


@pytest.fixture(scope="module")
def data(marts):
    return assemble(*marts)


def test_line_end_to_end(marts, trained) -> None:
    context, result = trained
    metrics = result.metrics
    json.dumps(metrics, allow_nan=False)
    assert metrics["horizon_days"] == 30
    assert len(metrics["cutoffs"]) == 3
    newest = metrics["cutoffs"][-1]
    assert set(newest["models"]) == {
        "recency",
        "frequency",
        "logistic_rfm",
        "bgnbd",
        "lightgbm",
        "blend",
    }
    assert newest["models"]["blend"]["auc"] > 0.7
    assert metrics["gate"]["reasons"]
    scores = run_output(SCORES, marts.inputs, context).frame
    assert len(set(scores["as_of"])) == 1
    assert (scores["model"] == metrics["shipped"]).all()
    assert (scores["model_version"] == metrics["model_version"]).all()
    assert scores["rank"].tolist() == list(range(1, len(scores) + 1))
    assert scores["score"].is_monotonic_decreasing


def test_every_rule_ranks_in_the_right_direction(trained) -> None:
    _, result = trained
    frame = result.frames["churn_evaluation"]
    aucs = frame[frame["metric"] == "auc"]
    assert (aucs["value"] > 0.5).all()
    assert ((aucs["low"] <= aucs["value"]) & (aucs["value"] <= aucs["high"])).all()


def test_training_labels_end_by_the_cutoff(data) -> None:
    for cutoff in data.tests:
        rows = data.training(cutoff)
        assert len(rows)
        assert rows["as_of"].max() + pd.Timedelta(days=data.horizon) <= cutoff


def test_labels_after_the_cutoff_move_no_prediction(marts, data) -> None:
    """Tripwire: turning every label that ends after a cutoff leaves its predictions alone."""
    cutoff = data.tests[0]
    last = (cutoff - pd.Timedelta(days=data.horizon)).date()
    later = marts.labels["as_of"] > last
    turned = marts.labels.assign(churned=marts.labels["churned"] ^ later)
    one = replace(data, tests=(cutoff,))
    other = replace(assemble(marts.cutoffs, marts.features, turned), tests=(cutoff,))
    keys = ["customer", "model", "p"]
    pd.testing.assert_frame_equal(backtest(one, 11)[keys], backtest(other, 11)[keys])
    # And it can trip: labels before the cutoff do move them.
    before = marts.labels.assign(churned=marts.labels["churned"] ^ ~later)
    moved = replace(assemble(marts.cutoffs, marts.features, before), tests=(cutoff,))
    assert not backtest(one, 11)["p"].equals(backtest(moved, 11)["p"])


def test_bgnbd_features_know_only_their_own_day(marts, data) -> None:
    frame = numeric_features(marts.features)
    day = sorted(data.fits)[2]
    rows = frame[frame["as_of"] == day]
    alone = fit(rows["frequency"], rows["t_x_days"] / 7, rows["tenure_days"] / 7)
    assert data.fits[day] == alone
    _, single = add_bgnbd(rows.reset_index(drop=True), 30)
    assert single[day] == alone


def test_row_order_and_types_change_nothing(marts, trained, context) -> None:
    _, first = trained
    rng = np.random.default_rng(3)
    shuffled = {
        name: frame.iloc[rng.permutation(len(frame))] for name, frame in marts.inputs.items()
    }
    features = shuffled["marts.ml_features"]
    money = features["monetary"].map(lambda v: Decimal(repr(float(v))))
    shuffled["marts.ml_features"] = features.assign(
        monetary=money.astype(object), as_of=pd.to_datetime(features["as_of"])
    )
    second = run_output(EVALUATION, shuffled, context)
    assert second.metrics == first.metrics
    for name, frame in first.frames.items():
        pd.testing.assert_frame_equal(frame, second.frames[name])


def test_reasons_for_the_highest_risk_only(marts, trained) -> None:
    context, _ = trained
    scores = run_output(SCORES, marts.inputs, context).frame
    explained = scores["reasons"].notna()
    top = int(np.ceil(0.05 * len(scores)))
    assert explained.sum() == top
    assert explained.iloc[:top].all()
    for text in scores.loc[explained, "reasons"]:
        items = json.loads(text)
        assert 1 <= len(items) <= 3
        assert all({"feature", "value", "contribution"} <= set(item) for item in items)


def test_contributions_add_up_to_the_score(data) -> None:
    model = boosted.fit_boosted(data.training(data.tests[-1]), data.features, data.horizon, 1)
    rows = data.at(data.tests[-1]).head(50)
    bare = replace(model, shift=0.0)
    rest = bare.logits(rows) - model.contributions(rows).sum(axis=1)
    assert np.ptp(rest) < 1e-6


def test_every_kind_of_model_explains_itself(data) -> None:
    models = fitting.fit_all(data.training(data.tests[-1]), data, 1, learn=True)
    rows = data.at(data.tests[-1])
    for name, model in models.items():
        frame = score.scored(model, rows)
        first = json.loads(frame["reasons"].iloc[0])
        assert ("rule" in first[0]) == (name in ("recency", "frequency", "logistic_rfm", "bgnbd"))


@pytest.mark.parametrize("shipped", ["recency", "bgnbd", "logistic_rfm", "lightgbm", "blend"])
def test_stored_model_scores_as_before(data, shipped: str) -> None:
    from ml.churn.store import pack, unpack

    model = fitting.fit_all(data.training(data.tests[-1]), data, 1, learn=True)[shipped]
    files, parameters = pack(model)
    back = unpack(shipped, json.loads(json.dumps(parameters)), files)
    rows = data.at(data.tests[-1])
    assert np.array_equal(model.logits(rows), back.logits(rows))


def test_tampered_model_is_not_used(marts, trained, tmp_path) -> None:
    context, result = trained
    home = shutil.copytree(context.models_dir, tmp_path / "copy")
    copied = replace(context, models_dir=home)
    assert len(run_output(SCORES, marts.inputs, copied).frame)
    manifest = home / "churn" / result.metrics["model_version"] / "manifest.json"
    manifest.write_text(manifest.read_text().replace("horizon", "horizom"))
    with pytest.raises(ModelTamperedError):
        run_output(SCORES, marts.inputs, copied)


def test_without_a_model_scores_are_empty_with_a_reason(marts, context) -> None:
    result = run_output(SCORES, marts.inputs, context)
    assert result.frame.empty
    assert "train first" in result.metrics["reason"]


def test_lost_feature_is_an_error_that_says_what_to_do(marts, trained) -> None:
    context, _ = trained
    inputs = {"marts.ml_features": marts.features.drop(columns="revenue_84d")}
    with pytest.raises(ContractMismatchError, match=r"revenue_84d.*train again"):
        run_output(SCORES, inputs, context)


def _tiny(make_marts, kind: str):
    marts = make_marts(30 if kind != "none" else 5)
    features, labels = marts.features, marts.labels
    numbers = [c for c in features.columns if c not in ("customer", "as_of")]
    if kind == "none":
        features, labels = features.iloc[:0], labels.iloc[:0]
    elif kind == "identical":
        features = features.assign(**{c: 10.0 for c in numbers if c != "nps_last"})
        features = features.assign(t_x_days=5.0, frequency=1.0)
    elif kind == "one purchase each":
        features = features.assign(frequency=0, t_x_days=0)
        features["recency_days"] = features["tenure_days"]
    elif kind == "unknown":
        features = features.assign(frequency=np.nan)
    elif kind == "all churned":
        labels = labels.assign(churned=True)
    elif kind == "no labels":
        labels = labels.iloc[:0]
    return marts._replace(features=features, labels=labels)


@pytest.mark.parametrize(
    "kind",
    [
        "few",
        "none",
        "identical",
        "one purchase each",
        "unknown",
        "all churned",
        "no labels",
    ],
)
def test_tiny_data_go_through(make_marts, context, kind: str) -> None:
    marts = _tiny(make_marts, kind)
    result = run_output(EVALUATION, marts.inputs, context)
    gate = result.metrics["gate"]
    assert gate["passed"] is False
    assert gate["reasons"]
    json.dumps(result.metrics, allow_nan=False)
    scores = run_output(SCORES, marts.inputs, context).frame
    assert scores.empty == (kind == "none")
    assert result.metrics["shipped"] in ((None,) if kind == "none" else ("recency", "bgnbd"))
    assert scores["score"].between(0, 1).all()


def test_no_cutoffs_at_all(marts, context) -> None:
    inputs = {name: frame.iloc[:0] for name, frame in marts.inputs.items()}
    result = run_output(EVALUATION, inputs, context)
    assert result.metrics["shipped"] is None
    for table in EVALUATION.tables:
        validate(result.frames[table.name], table)


def test_guards_count_customers_not_rows(make_marts, context) -> None:
    data = assemble(*make_marts(60))
    rows = data.training(data.tests[-1])
    assert (rows["churned"] == 1).sum() > 100
    why = fitting.guard_reasons(data, data.tests[-1])
    assert any("customers churned, 100 are needed" in reason for reason in why)
    short = replace(data, history_days=80)
    assert any("shorter than 3 horizons" in r for r in fitting.guard_reasons(short, data.tests[-1]))


def test_bad_inputs_are_refused(marts) -> None:
    text = marts.features.assign(city="x")
    with pytest.raises(ContractMismatchError, match="city: is not numeric"):
        numeric_features(text)
    with pytest.raises(ContractMismatchError, match="missing columns"):
        numeric_features(marts.features.drop(columns="t_x_days"))
    with pytest.raises(ContractMismatchError, match="not unique"):
        numeric_features(pd.concat([marts.features, marts.features.head(1)]))
    with pytest.raises(ContractMismatchError, match="not unique"):
        assemble(marts.cutoffs, marts.features, pd.concat([marts.labels, marts.labels.head(1)]))


def test_sampling_keeps_whole_customers_whatever_the_order(marts) -> None:
    frame = numeric_features(marts.features)
    kept = sample_rows(frame, 5, limit=len(frame) // 2)
    assert 0.35 < len(kept) / len(frame) < 0.65
    assert not set(kept["customer"]) & set(frame.drop(kept.index)["customer"])
    assert set(sample_rows(frame[::-1], 5, len(frame) // 2)["customer"]) == set(kept["customer"])
    assert set(sample_rows(frame, 6, len(frame) // 2)["customer"]) != set(kept["customer"])


def test_recency_keeps_its_direction_against_the_data() -> None:
    days = np.arange(1.0, 201.0)
    frame = pd.DataFrame({"recency_days": days, "churned": (days < 60).astype(float)})
    model = fit_logistic("recency", ("recency_days",), frame, signs=(1,))
    assert np.all(np.diff(model.logits(frame)) > 0)
    logits = model.logits(frame)
    assert (1 / (1 + np.exp(-logits))).mean() == pytest.approx(frame["churned"].mean(), abs=1e-6)
    assert abs(shift_to_rate(np.zeros(10), 0.5)) < 1e-9


def test_published_table_has_no_clock(trained) -> None:
    context, result = trained
    home = context.models_dir / "churn" / result.metrics["model_version"]
    assert "run_id" not in (home / "manifest.json").read_text()
    manifest = json.loads((home / "manifest.json").read_text())
    assert manifest["features"][-2:] == ["bgnbd_p0", "bgnbd_expected"]
    assert train.cutoff_metrics(result.frames["churn_evaluation"]) == result.metrics["cutoffs"]
