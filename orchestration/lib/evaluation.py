"""Gathers what the evaluation report shows, and is the only part of the line to read the truth.

What does not belong here: metrics, wording, drawing (ml/evaluation).
"""

import importlib.metadata
import json
import subprocess
from collections.abc import Mapping
from typing import Any

import pandas as pd

from expectations.contract import load_deployment
from ingestion import ledger_totals, quarantine_counts
from ml.evaluation.report_data import ReportData, SourceNote
from ml.evaluation.truth import identity_quality, oracle_comparison
from orchestration.config import REPO, Settings
from orchestration.lib.aggregates import Aggregates, shown_labels
from orchestration.lib.ml_assets import SEED, latest_frame
from orchestration.lib.secrets import keyring
from orchestration.lib.warehouse import reader, run_clock
from privacy.keys import TOKEN
from privacy.tokens import TokenKey, tokenise
from simulator.oracle import p_no_purchase

# Columns of customer_360 whose medians describe a segment.
FIGURES = ("recency_days", "frequency", "monetary", "churn_score")
PACKAGES = ("dagster", "dbt-core", "duckdb", "great-expectations", "lightgbm", "pandas")


def source_notes(habitus: Settings) -> dict[str, SourceNote]:
    """How each source tells when its records became known."""
    return {
        c.name: SourceNote(
            known_at=c.known_at.kind,
            detail=c.known_at.value or "",
            entity=c.entity.name,
            purpose=c.description.get("purpose", ""),
        )
        for c in load_deployment(habitus.contracts).contracts
    }


def _commit() -> str:
    """The commit that ran, for reproducing; a copy without git says so."""
    done = subprocess.run(
        ["git", "-C", str(REPO), "rev-parse", "--short", "HEAD"],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or "not a git checkout"


def versions() -> dict[str, str]:
    """Commit and packages."""
    return {"git": _commit(), **{p: importlib.metadata.version(p) for p in PACKAGES}}


def profiles(customers: pd.DataFrame, sets: Mapping[str, str], k: int) -> pd.DataFrame:
    """Medians of customer_360's figures by segment, of groups of at least k customers.

    Args:
        customers: `marts.customer_360`, with the labels under which segments are shown.
        sets: set of segments -> its column.
        k: smallest group that may be shown.

    Returns:
        Columns set, label, customers, then a column for each figure.
    """
    figures = [c for c in FIGURES if c in customers.columns]
    parts = []
    for name, column in sets.items():
        sizes = customers[column].value_counts()
        groups = customers[customers[column].isin(sizes.index[sizes >= k])].groupby(column)
        part = groups[figures].median(numeric_only=False).reset_index(names="label")
        part.insert(0, "set", name)
        part.insert(2, "customers", groups.size().to_numpy())
        parts.append(part)
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _people(habitus: Settings) -> pd.DataFrame:
    """Identifiers of registered people that belong to one person alone, as tokens: id, person.

    Kiosks, families' tablets and junk values have no one owner, so no right answer: they can only
    do harm, and harm shows as two people in one customer. What no record links stays in and counts
    against recall.
    """
    truth = pd.read_parquet(habitus.truth / "identities.parquet")
    truth = truth[truth["registered"] & ~(truth["is_kiosk"] | truth["is_junk"])]
    truth = truth.drop_duplicates(["id_type", "id_value", "person"])
    truth = truth.drop_duplicates(["id_type", "id_value"], keep=False)
    key = TokenKey.of(keyring(habitus).current(TOKEN))
    parts = []
    for id_type, rows in truth.groupby("id_type", sort=True):
        tokens = tokenise(rows["id_value"].tolist(), str(id_type), key)
        parts.append(rows.assign(id=pd.Series(tokens, index=rows.index))[["id", "person"]])
    # Spellings of one address are one token.
    return pd.concat(parts, ignore_index=True).drop_duplicates("id")


# Identifiers that a record can give a person.
_OF_PEOPLE = "id_type in ('customer', 'email', 'phone', 'login', 'device')"


def against_truth(
    habitus: Settings, backtest: pd.DataFrame | None, horizon_days: int | None
) -> dict[str, Any] | None:
    """The simulated shop's comparison with what really was; None for real data."""
    if not (habitus.truth / "identities.parquet").exists():
        return None
    people = _people(habitus)
    with reader(habitus) as con:
        con.register("people", people[["id"]])
        ids = con.execute(
            "select id_value as id, customer from lake.behaviour.customer_id_map "
            f"semi join people on id_value = id where {_OF_PEOPLE}"
        ).df()
        counted = con.execute(
            f"select count(*) from lake.behaviour.customer_id_map where {_OF_PEOPLE}"
        ).fetchone()
    predicted = ids.merge(people[["id"]], on="id", how="outer")
    predicted["customer"] = predicted["customer"].fillna("missed:" + predicted["id"])
    quality = identity_quality(predicted, people)
    # Most identifiers are nobody's whom the truth knows: devices without a name.
    others = (counted[0] if counted else 0) - len(ids)
    quality = quality._replace(unmatched=quality.unmatched + others)
    found: dict[str, Any] = {
        "identity": quality._asdict(),
        "exam": json.loads((habitus.truth / "exam.json").read_text()),
    }
    if backtest is not None and len(backtest) and horizon_days is not None:
        # Sorted, as of two persons taken for one customer the first stands for it.
        owners = ids.merge(people, on="id").sort_values("id").drop_duplicates("customer")
        oracle = pd.concat(
            p_no_purchase(habitus.truth, cutoff.date(), horizon_days)
            .merge(owners, on="person")
            .assign(cutoff=cutoff)
            for cutoff in sorted(backtest["cutoff"].unique())
        )
        compared = oracle_comparison(backtest, oracle).drop_duplicates("cutoff")
        cutoffs = pd.to_datetime(compared["cutoff"]).dt.strftime("%Y-%m-%d")
        found["oracle_auc"] = dict(zip(cutoffs, compared["oracle_auc"], strict=True))
    return found


def report_data(
    habitus: Settings, summary: Mapping[str, Any], sets: Mapping[str, str], shown: Aggregates
) -> ReportData:
    """Everything that a run's report shows; of people only groups that may be shown."""
    with reader(habitus) as con:
        customers = con.table("lake.marts.customer_360").df()
        cutoffs = con.table("lake.marts.ml_cutoffs").df()
        consent = con.table("lake.marts.consent_counts").df()
        history = con.execute(
            "select min(ts)::date, max(ts)::date from lake.behaviour.customer_stream"
        ).fetchone()
    backtest = latest_frame(habitus, "churn_backtest")
    churn = summary["churn"]
    first, last = history if history else (None, None)
    return ReportData(
        # The report is about the data that stands, not only about what this run brought.
        summary={**summary, "sources": ledger_totals(habitus.ledger)},
        as_of=run_clock(habitus),
        evaluation=latest_frame(habitus, "churn_evaluation"),
        backtest=backtest,
        importance=latest_frame(habitus, "churn_importance"),
        profiles=profiles(shown_labels(shown, customers, sets), sets, habitus.k),
        small_cell=habitus.k,
        cutoffs=cutoffs,
        consent=consent,
        history_from=first,
        history_to=last,
        source_notes=source_notes(habitus),
        quarantine=quarantine_counts(habitus.lake / "quarantine"),
        truth=against_truth(habitus, backtest, churn.get("horizon_days")),
        versions=versions(),
        seed=SEED,
    )
