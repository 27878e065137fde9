"""The page: whole, in both languages, well-formed, escaped, the same bytes twice."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from ml.evaluation.report import build_report, report_json
from ml.evaluation.report_data import ReportData

VOID = {"meta", "br", "img", "hr", "input", "link"}
ENGLISH = re.compile(r"[A-Za-z]{2,}(?:[ ,;:]+[A-Za-z]{2,}){2,}")


class Page(HTMLParser):
    """Checks that tags balance, and keeps ids, links, labels and text by language."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.stack: list[tuple[str, bool]] = []
        self.texts: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []
        self.unlabelled_pictures = 0
        self.feed(text)
        self.close()
        assert not self.stack, f"left open: {self.stack}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.tags.append(tag)
        self.ids += [str(values["id"])] if "id" in values else []
        self.links += [str(values[k]) for k in ("href", "src") if k in values]
        if tag == "svg" and not values.get("aria-label"):
            self.unlabelled_pictures += 1
        if values.get("aria-label"):
            self.texts.append(str(values["aria-label"]))
        skip = tag in {"code", "style"} or values.get("lang") == "und"
        if tag not in VOID:
            self.stack.append((tag, skip))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.stack, f"</{tag}> closes nothing"
        assert self.stack[-1][0] == tag, f"</{tag}> closes <{self.stack[-1][0]}>"
        self.stack.pop()

    def handle_data(self, data: str) -> None:
        if not any(skip for _, skip in self.stack):
            self.texts.append(data)


def words(page: Page) -> str:
    return " ".join(" ".join(page.texts).split())


def test_the_parser_notices_unbalanced_tags() -> None:
    with pytest.raises(AssertionError):
        Page("<p><b>x</p></b>")


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("which", ["full", "bare"])
def test_builds_well_formed_and_self_contained(
    which: str, lang: str, request: pytest.FixtureRequest
) -> None:
    page = Page(build_report(request.getfixturevalue(which), lang))
    assert len(page.ids) == len(set(page.ids))
    assert page.links, "there is a table of contents"
    assert all(link.startswith("#") and link[1:] in page.ids for link in page.links)
    assert not {"script", "link", "iframe", "img"} & set(page.tags)
    assert page.unlabelled_pictures == 0
    assert page.tags.count("h1") == 1
    assert ("svg" in page.tags) == (which == "full"), "no empty plot"


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_same_data_same_bytes(full: ReportData, lang: str) -> None:
    assert build_report(full, lang) == build_report(full, lang)
    shuffled = replace(full, backtest=full.backtest.sample(frac=1, random_state=1))  # type: ignore[union-attr]
    assert build_report(shuffled, lang) == build_report(full, lang)


def test_unknown_language_is_refused(bare: ReportData) -> None:
    with pytest.raises(ValueError, match="not one of en, zh"):
        build_report(bare, "de")


@pytest.mark.parametrize("which", ["full", "bare"])
def test_no_english_sentence_in_the_chinese_page(
    which: str, request: pytest.FixtureRequest
) -> None:
    page = Page(build_report(request.getfixturevalue(which), "zh"))
    leaks = [m.group() for text in page.texts for m in [ENGLISH.search(text)] if m]
    assert leaks == []


def test_the_leak_detector_sees_english(full: ReportData) -> None:
    page = Page(build_report(full, "en"))
    assert sum(bool(ENGLISH.search(text)) for text in page.texts) > 50


def test_hostile_values_are_escaped(full: ReportData) -> None:
    evil = '"><script>alert(1)</script>'
    summary = json.loads(json.dumps(full.summary, default=str))
    summary["sources"][evil] = summary["sources"]["orders"]
    summary["deployment"] = evil
    summary["segments"]["rfm"][evil] = 400
    summary["churn"]["gate"]["reasons"] = [evil]
    text = build_report(replace(full, summary=summary, warnings=[evil]), "en")
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    Page(text)


def test_broken_conservation_is_the_verdict(full: ReportData) -> None:
    assert "Do not use" not in words(Page(build_report(full, "en")))
    summary = json.loads(json.dumps(full.summary, default=str))
    summary["sources"]["orders"]["accepted"] -= 12
    broken = replace(full, summary=summary)
    text = words(Page(build_report(broken, "en")))
    assert "Do not use this run: records are unaccounted for in orders." in text
    assert "✗ off by 12" in text
    assert "✗ 相差 12" in words(Page(build_report(broken, "zh")))
    source = report_json(broken)["sources"]["orders"]
    assert (source["residual"], source["holds"]) == (12, False)


def test_failed_run_is_the_verdict(full: ReportData) -> None:
    broken = replace(full, summary={**full.summary, "status": "failed"})
    assert "Do not use this run" in build_report(broken, "en")


def test_missing_parts_say_so(bare: ReportData) -> None:
    text = words(Page(build_report(replace(bare, not_trained="only 12 customers churned"), "en")))
    for sentence in (
        "No churn model was trained",
        "Why: only 12 customers churned",
        "The run made no segments.",
        "The run names no sources.",
        "no curve can be drawn",
        "The gate was not asked",
        "No expectation ran.",
    ):
        assert sentence in text
    assert "Against the known truth" not in text


def test_empty_frames_are_like_missing_ones(full: ReportData) -> None:
    empty = replace(
        full,
        summary={"run_id": "r", "churn": {"shipped": "recency", "cutoffs": [], "gate": {}}},
        evaluation=full.evaluation.iloc[:0],  # type: ignore[union-attr]
        backtest=full.backtest.iloc[:0],  # type: ignore[union-attr]
        importance=full.importance.iloc[:0],  # type: ignore[union-attr]
        profiles=full.profiles.iloc[:0],  # type: ignore[union-attr]
        cutoffs=full.cutoffs.iloc[:0],  # type: ignore[union-attr]
    )
    for lang in ("en", "zh"):
        Page(build_report(empty, lang))
    assert "Recency scores, untested" in build_report(empty, "en")


def test_one_class_and_unknown_metrics_do_not_break(full: ReportData) -> None:
    backtest = full.backtest.assign(churned=True)  # type: ignore[union-attr]
    evaluation = full.evaluation.assign(value=float("nan"), low=float("nan"))  # type: ignore[union-attr]
    data = replace(full, backtest=backtest, evaluation=evaluation)
    assert "no curve can be drawn" in build_report(data, "en")
    assert report_json(data)["churn"]["cutoffs"][0]["models"]["bgnbd"]["auc"]["value"] is None


def test_no_customer_is_shown(full: ReportData) -> None:
    customers = set(full.backtest["customer"])  # type: ignore[union-attr]
    for text in (build_report(full, "en"), json.dumps(report_json(full))):
        assert not customers & set(re.findall(r"c_\d{5}", text))


def test_json_twin_holds_the_figures(full: ReportData) -> None:
    twin = report_json(full)
    json.dumps(twin, allow_nan=False)
    newest = twin["churn"]["cutoffs"][-1]
    row = full.evaluation.query("model == 'lightgbm' and metric == 'auc'").iloc[-1]  # type: ignore[union-attr]
    assert newest["models"]["lightgbm"]["auc"]["value"] == pytest.approx(row["value"])
    assert newest["best_rule"] == "bgnbd"
    assert "bgnbd" not in newest["auc_minus_best_rule"]
    assert twin["as_of"] == "2024-12-28"
    assert {c["id"] for c in twin["cautions"]} >= {"cutoffs", "base_rate", "known_ts", "simulated"}
    later = replace(full, summary={**full.summary, "run_id": "other", "seconds": {"ml": 1.0}})
    same = report_json(later)["reproducibility"]["figures"]
    assert same == twin["reproducibility"]["figures"]
    changed = replace(full, truth=None)
    assert report_json(changed)["reproducibility"]["figures"] != same


def test_the_page_stays_small(full: ReportData) -> None:
    assert len(build_report(full, "en").encode()) < 150_000


def test_dates_may_be_of_any_kind(full: ReportData) -> None:
    as_text = replace(
        full,
        evaluation=full.evaluation.assign(cutoff=lambda f: f["cutoff"].dt.strftime("%Y-%m-%d")),  # type: ignore[union-attr]
        backtest=full.backtest.assign(cutoff=lambda f: f["cutoff"].dt.date),  # type: ignore[union-attr]
        cutoffs=full.cutoffs.assign(as_of=lambda f: f["as_of"].dt.date),  # type: ignore[union-attr]
    )
    assert build_report(as_text, "en") == build_report(full, "en")
