"""A synthetic run with every part of the report, small and seeded."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest

from ml.evaluation.metrics import evaluate
from ml.evaluation.report_data import ReportData, SourceNote

CUTOFFS = ("2024-07-01", "2024-08-30", "2024-10-29")
# how much of the true hazard each score sees; the rest is noise
SIGHT = {
    "recency": 0.55,
    "frequency": 0.5,
    "bgnbd": 0.7,
    "logistic_rfm": 0.75,
    "lightgbm": 1.2,
    "blend": 1.15,
}


def _backtest(n: int) -> pd.DataFrame:
    rng = np.random.default_rng(7)
    frames = []
    for i, cutoff in enumerate(CUTOFFS):
        hazard = rng.normal(size=n)
        churned = rng.random(n) < 1 / (1 + np.exp(-(1.6 * hazard + 0.25 * i - 0.4)))
        for model, sight in SIGHT.items():
            seen = sight * hazard + rng.normal(size=n) * 0.8
            frames.append(
                pd.DataFrame(
                    {
                        "cutoff": pd.Timestamp(cutoff),
                        "customer": [f"c_{k:05d}" for k in range(n)],
                        "model": model,
                        "p": 1 / (1 + np.exp(-seen * 1.3)),
                        "churned": churned,
                    }
                )
            )
    return pd.concat(frames, ignore_index=True)


def _evaluation(backtest: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for (cutoff, model), part in backtest.groupby(["cutoff", "model"]):
        for metric, estimate in evaluate(part["churned"], part["p"]).items():
            rows.append((cutoff, model, metric, *estimate, len(part)))
    return pd.DataFrame(rows, columns=["cutoff", "model", "metric", "value", "low", "high", "n"])


def _summary(evaluation: pd.DataFrame, backtest: pd.DataFrame) -> dict[str, object]:
    cutoffs = []
    for cutoff, part in evaluation.groupby("cutoff"):
        models = {
            str(m): dict(zip(p["metric"], p["value"], strict=True))
            for m, p in part.groupby("model")
        }
        rate = backtest.loc[backtest["cutoff"] == cutoff, "churned"].mean()
        cutoffs.append(
            {
                "cutoff": str(cutoff)[:10],
                "n": int(part["n"].iloc[0]),
                "base_rate": rate,
                "models": models,
            }
        )

    def source(i: int, a: int, q: int, d: int) -> dict[str, int]:
        return {"records_in": i, "accepted": a, "quarantined": q, "duplicates": d}

    return {
        "run_id": "20250101T000000Z-4f2a",
        "deployment": "shop",
        "status": "success",
        "sources": {
            "crm_customers": source(20_431, 20_012, 402, 17),
            "orders": source(148_220, 148_011, 9, 200),
            "web_events": source(2_041_774, 2_040_002, 1_500, 272),
            "tickets": source(0, 0, 0, 0),
        },
        "tables": {"customer_stream": 2_188_004, "sessions": 401_223, "customer_360": 19_876},
        "expectations": {"passed": 141, "failed": 1, "errored": 0},
        "segments": {
            "rfm": {"champions": 2_412, "loyal": 3_102, "hibernating": 4_988, "cant_lose": 7},
            "lifecycle": {"new": 812, "active": 9_001, "dormant": 2_208, "churned": 5_120},
        },
        "churn": {
            "shipped": "lightgbm",
            "horizon_days": 60,
            "cutoffs": cutoffs,
            "gate": {
                "passed": True,
                "reasons": [
                    "lightgbm has AUC 0.759 over 3 cutoffs, bgnbd 0.711; at the newest it is "
                    "+0.055 from bgnbd",
                    "lightgbm predicts 0.494 on average, 0.516 churned",
                    "4 groups were large enough to be judged for fairness",
                ],
            },
        },
        "seconds": {"ingest": 41.2, "dbt": 33.0, "expectations": 12.4, "ml": 21.9, "report": 0.6},
    }


@pytest.fixture(scope="session")
def full() -> ReportData:
    """Everything the report can show."""
    backtest = _backtest(1_000)
    evaluation = _evaluation(backtest)
    cutoffs = [("train", d) for d in pd.date_range("2023-12-01", "2024-08-27", freq="30D")]
    cutoffs += [("test", pd.Timestamp(c)) for c in CUTOFFS] + [
        ("score", pd.Timestamp("2024-12-28"))
    ]
    frame = pd.DataFrame(cutoffs, columns=["role", "as_of"])
    frame["horizon_days"] = 60
    frame["label_ends_on"] = frame["as_of"] + pd.Timedelta(days=60)
    features = [
        "recency_over_gap",
        "recency_days",
        "purchase_days_84d",
        "delay_days_168d",
        "bad_tickets_168d",
        "price_index_84d",
        "sessions_28d",
        "my_own_feature",
    ]
    return ReportData(
        summary=_summary(evaluation, backtest),
        as_of=date(2024, 12, 28),
        evaluation=evaluation,
        backtest=backtest,
        importance=pd.DataFrame(
            {"feature": features, "gain_share": [0.31, 0.22, 0.14, 0.11, 0.09, 0.06, 0.04, 0.03]}
        ),
        profiles=pd.DataFrame(
            {
                "set": "behaviour_clusters",
                "label": ["evening browsers", "<b>bulk & rare</b>", "deal seekers", "one-timers"],
                "customers": [8_120, 4_310, 2_950, 4_496],
                "recency_days": [12.0, 44.5, 23.0, 161.0],
                "frequency": [11.0, 3.0, 6.0, 0.0],
                "monetary": [48.25, 310.9, 31.4, 52.75],
                "discount_share_365d": [0.04, 0.02, 0.31, 0.08],
            }
        ),
        cutoffs=frame,
        history_from=date(2023, 1, 1),
        history_to=date(2024, 12, 28),
        source_notes={
            "crm_customers": SourceNote("landing", "", "customers"),
            "orders": SourceNote("ts", "", "orders"),
            "web_events": SourceNote("column", "received_at", "events"),
            "tickets": SourceNote("path", "dt=YYYY-MM-DD", "tickets"),
        },
        quarantine={
            "crm_customers": {"type": 300, "encoding": 102},
            "orders": {"range": 9},
            "web_events": {"json": 1_200, "odd_thing": 300},
        },
        checks=[
            {
                "suite": "sessions",
                "table": "sessions",
                "expectation": "row count",
                "column": "",
                "status": "failed",
                "blocking": False,
                "detail": "below the band",
            }
        ],
        warnings=["orders: column extra was not in the contract"],
        truth={
            "oracle_auc": dict(zip(CUTOFFS, [0.842, 0.851, 0.846], strict=True)),
            "identity": {"precision": 0.9964, "recall": 0.9713},
            "exam": {"oracle": 0.846, "best_rule": "recency", "base_rate": 0.448, "fair": True},
        },
        versions={"git": "4f2a9c1", "duckdb": "1.5.5", "lightgbm": "4.7.0", "pandas": "3.1.1"},
        seed=20250101,
        digest="9b1e0d7c2f3a4b5c",
    )


@pytest.fixture(scope="session")
def bare() -> ReportData:
    """A run that has nothing but its name."""
    return ReportData(summary={"run_id": "r", "deployment": "cdnow", "status": "success"})
