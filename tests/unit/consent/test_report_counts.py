"""The report says who was left out of what, and no count under ten can be read or worked out."""

import pandas as pd
import pytest

from ml.evaluation.consent import uses
from ml.evaluation.report import build_report, report_json
from ml.evaluation.report_data import ReportData

SUMMARY = {"run_id": "r", "deployment": "shop", "status": "success"}


def data(**counts: tuple[str, int, int, int]) -> ReportData:
    """Counts by purpose: basis, permitted, refused, no answer."""
    rows = [
        {"purpose": p, "basis": b, "customers": y + n + s, "permitted": y, "refused": n,
         "no_answer": s}
        for p, (b, y, n, s) in counts.items()
    ]  # fmt: skip
    return ReportData(summary=SUMMARY, consent=pd.DataFrame(rows))


def test_small_counts_and_what_would_tell_them_are_hidden() -> None:
    (use,) = uses(data(marketing=("consent", 812, 7, 61)).consent)
    assert use.counts == {"permitted": 812, "refused": None, "no_answer": None}
    assert use.hidden == {"refused": "small", "no_answer": "kept"}
    assert use.customers == 880


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_page_shows_counts_and_hides_small_ones(lang: str) -> None:
    page = build_report(data(marketing=("consent", 812, 7, 61)), lang)
    section = page[page.index('id="consent"') :].split("</section>")[0]
    assert "812" in section
    assert "&lt;10" in section
    assert "<td>7</td>" not in section
    assert "<td>61</td>" not in section


def test_page_warns_where_nothing_is_enforced() -> None:
    warning = "nothing is enforced, and every customer is used"
    assert warning in build_report(data(analytics=("not_stated", 50, 0, 0)), "en")
    assert warning not in build_report(data(analytics=("contract", 50, 0, 0)), "en")
    assert "were not handed over" in build_report(ReportData(summary=SUMMARY), "en")


def test_json_has_the_same_counts() -> None:
    found = report_json(data(analytics=("consent", 90, 12, 0), marketing=("consent", 30, 3, 40)))
    assert found["consent"]["analytics"] == {
        "basis": "consent", "customers": 102, "permitted": 90, "refused": 12, "no_answer": 0,
        "hidden": {},
    }  # fmt: skip
    marketing = found["consent"]["marketing"]
    assert (marketing["refused"], marketing["permitted"]) == (None, None)
