"""Words, curves, suppression, cautions and thumbnails, each on its own."""

from __future__ import annotations

import re
import string
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from ml.churn.gate import decide
from ml.evaluation.analysis import RULES, analyse, suppress
from ml.evaluation.cautions import cautions
from ml.evaluation.curves import calibration_bins, difference, lift_points, pr_points, roc_points
from ml.evaluation.i18n import (
    LANGUAGES,
    MESSAGES,
    TEMPLATES,
    Translator,
    compact,
    decimal,
    integer,
    percent,
)
from ml.evaluation.metrics import auc
from ml.evaluation.plots import churn_png, segments_png
from ml.evaluation.report_data import ReportData

# ids that are put together from a prefix and a value of the data
BUILT = (
    "model",
    "basis",
    "purpose",
    "segment",
    "set",
    "status",
    "failure",
    "feature",
    "truth",
    "exam",
)
CALLED = re.compile(r"\bt(?:ranslate)?\(\s*\"([a-z_.0-9]+)\"")
CAUTION = re.compile(r"\"(not\.[a-z_]+)\"")


def sources() -> str:
    files = [*TEMPLATES.glob("*.j2"), *TEMPLATES.parent.glob("*.py")]
    return "\n".join(f.read_text(encoding="utf-8") for f in files)


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_both_languages_have_every_message_with_the_same_fields() -> None:
    for key, texts in MESSAGES.items():
        assert set(texts) == set(LANGUAGES), key
        assert all(texts.values()), key
        assert fields(texts["en"]) == fields(texts["zh"]), key


def test_every_message_used_exists() -> None:
    used = set(CALLED.findall(sources())) | set(CAUTION.findall(sources()))
    used = {key for key in used if not key.endswith(".")}
    assert len(used) > 100
    assert used - set(MESSAGES) == set()


def test_every_message_is_used() -> None:
    text = sources()
    quoted = set(re.findall(r"[\"']([a-z_.0-9]+)[\"']", text))
    # "h." ~ id, f"plot.{kind}_x", t("known." ~ …): the prefix stands in the source
    prefixes = set(re.findall(r"\"([a-z]+\.)\" ~", text)) | set(
        re.findall(r"f\"([a-z]+\.)\{", text)
    )
    built = tuple(prefixes | {f"{kind}." for kind in BUILT} | {"metric.", "not.known_"})
    assert [k for k in MESSAGES if k not in quoted and not k.startswith(built)] == []


def test_known_names_are_translated() -> None:
    t = Translator("zh")
    rfm = ("hibernating", "at_risk", "cant_lose", "about_to_sleep", "need_attention", "loyal",
           "promising", "new", "potential_loyalist", "champions", "prospect")  # fmt: skip
    life = ("prospect", "new", "active", "growing", "at_risk", "dormant", "reactivated", "churned")
    assert all(t.knows("segment", name) for name in rfm + life)
    assert all(t.knows("model", name) for name in (*RULES, "logistic_rfm", "lightgbm", "blend"))
    assert t.html("segment", "<own>") == '<span lang="und">&lt;own&gt;</span>'


@pytest.mark.parametrize("bias", [0.0, 0.3])
def test_what_the_gate_says_is_translated(full: ReportData, bias: float) -> None:
    backtest = full.backtest.query("customer < 'c_00600'")  # type: ignore[union-attr]
    shifted = (backtest["p"] + bias * (backtest["model"] == "lightgbm")).clip(0.01, 0.99)
    predictions = backtest.assign(p=shifted)
    groups = pd.DataFrame({"tenure": "newcomer"}, index=predictions["customer"].unique())
    decision = decide(predictions, ["lightgbm"], RULES, groups=groups)
    assert decision.passed == (bias == 0)
    for reason in decision.reasons:
        assert "lang=" not in Translator("zh").phrase(reason), f"no Chinese for: {reason}"
        assert Translator("en").phrase(reason) == reason


def test_numbers() -> None:
    assert (decimal(0.86749), decimal(-0.0001), decimal(0.02, sign=True)) == (
        "0.867", "0.000", "+0.020",
    )  # fmt: skip
    assert (integer(1234567), percent(0.1234), decimal(float("nan"))) == ("1,234,567", "12.3%", "–")
    assert [compact(v) for v in (4.0, 0.125, 12.34, 123.4, None)] == [
        "4",
        "0.12",
        "12.3",
        "123",
        "–",
    ]


def test_curves_agree_with_the_metric() -> None:
    rng = np.random.default_rng(3)
    y = (rng.random(4_000) < 0.4).astype(float)
    p = np.round(0.3 * y + rng.random(4_000), 2)  # with ties
    roc = roc_points(y, p)
    assert len(roc) <= 200
    assert roc[0].tolist() == [0, 0]
    assert roc[-1].tolist() == [1, 1]
    assert np.trapezoid(roc[:, 1], roc[:, 0]) == pytest.approx(auc(y, p), abs=0.003)
    assert pr_points(y, p)[-1].tolist() == [1, pytest.approx(y.mean())]
    assert lift_points(y, p)[-1].tolist() == [1, pytest.approx(1)]
    assert lift_points(y, np.zeros(4_000))[:, 1] == pytest.approx(1), "all tied: no lift"
    bins = calibration_bins(y, p)
    assert bins[:, 4].sum() == 4_000
    assert ((bins[:, 2] <= bins[:, 1]) & (bins[:, 1] <= bins[:, 3])).all()


def test_paired_difference() -> None:
    rng = np.random.default_rng(4)
    y = (rng.random(2_000) < 0.5).astype(float)
    good, noise = y + rng.normal(size=2_000), rng.normal(size=2_000)
    gap = difference(y, good, noise)
    assert gap is not None
    assert gap.low > 0
    same = difference(y, good, good)
    assert same is not None
    assert (same.low, same.value, same.high) == (0, 0, 0)
    assert difference(np.ones(5), good[:5], noise[:5]) is None


@pytest.mark.parametrize(
    ("counts", "hidden", "total"),
    [
        ([100, 50, 30], {}, 180),
        ([100, 50, 0], {}, 150),
        ([100, 50, 7], {2: "small", 1: "kept"}, 157),
        ([100, 50, 7, 5], {2: "small", 3: "small"}, 162),
        ([100, 50, 3, 2], {2: "small", 3: "small", 1: "kept"}, 155),
        ([7], {0: "small"}, None),
        ([3, 4], {0: "small", 1: "small"}, None),
    ],
)
def test_small_cells_are_hidden(
    counts: list[int], hidden: dict[int, str], total: int | None
) -> None:
    rows = [(f"s{i}", n, (1.5,)) for i, n in enumerate(counts)]
    group = suppress("x", ("f",), rows)
    assert group.total == total
    assert {int(s.label[1:]): s.hidden for s in group.segments if s.hidden} == hidden
    for segment in group.segments:
        if segment.hidden:
            assert (segment.customers, segment.share, segment.medians) == (None, None, (None,))


def test_cautions_follow_from_the_facts(full: ReportData, bare: ReportData) -> None:
    keys = {c.key for c in cautions(analyse(full))}
    assert {"not.gap_small", "not.cutoffs", "not.season", "not.known_ts"} <= keys
    assert not keys & {"not.windows", "not.history", "not.overlap", "not.small_n"}
    assert cautions(analyse(bare)) == []
    alike = full.backtest.assign(  # type: ignore[union-attr]
        p=lambda f: f["p"].where(f["model"] != "lightgbm", f["p"].to_numpy()[::-1])
    )
    keys = {c.key for c in cautions(analyse(replace(full, backtest=alike)))}
    assert "not.gap_lost" in keys
    keys = {c.key for c in cautions(analyse(replace(full, backtest=None)))}
    assert not any(key.startswith("not.gap") for key in keys)


def test_thumbnails(full: ReportData) -> None:
    png = b"\x89PNG"
    first = churn_png(full.evaluation, full.backtest)
    assert first.startswith(png)
    assert first == churn_png(full.evaluation, full.backtest)
    assert segments_png(full.profiles, 10) == segments_png(full.profiles, 10)
    for nothing in (
        churn_png(None, None),
        segments_png(None, 10),
        churn_png(full.evaluation, None),
    ):
        assert nothing.startswith(png)
