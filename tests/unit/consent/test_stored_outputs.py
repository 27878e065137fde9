"""Stored scores of earlier days forget who refused since."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
from fakes import tables

from orchestration.config import Settings, settings
from orchestration.lib.consent import keep_permitted, permitted_customers
from orchestration.lib.lake import attach
from orchestration.lib.warehouse import new_connection


def lake(home: Path) -> Settings:
    """A deployment with the tables of `fakes` and three days of scores."""
    habitus = replace(settings("cdnow"), home=home, threads=1, memory_limit="512MB")
    with closing(new_connection(habitus)) as con:
        attach(con, habitus.version_home, read_only=False)
        tables(con)
    for day in ("2024-01-01", "2024-02-01"):
        rows = pd.DataFrame({"customer": ["c_yes", "c_no", "c_gone"], "score": [0.1, 0.2, 0.3]})
        part(habitus, "churn_scores", day).parent.mkdir(parents=True)
        rows.to_parquet(part(habitus, "churn_scores", day))
    part(habitus, "churn_evaluation", "2024-01-01").parent.mkdir(parents=True)
    pd.DataFrame({"model": ["m"]}).to_parquet(part(habitus, "churn_evaluation", "2024-01-01"))
    return habitus


def part(habitus: Settings, table: str, day: str) -> Path:
    """The file of one day."""
    return habitus.lake / "ml" / table / f"as_of={day}" / "part.parquet"


def test_rows_of_who_may_not_be_used_leave_every_day(tmp_path: Path) -> None:
    habitus = lake(tmp_path)
    before = pq.read_schema(part(habitus, "churn_scores", "2024-01-01"))
    names = ("churn_scores", "churn_evaluation")
    assert keep_permitted(habitus, names, ["marketing"]) == 4
    for day in ("2024-01-01", "2024-02-01"):
        path = part(habitus, "churn_scores", day)
        assert pq.ParquetFile(path).read().column("customer").to_pylist() == ["c_yes"]
        assert [p.name for p in path.parent.iterdir()] == ["part.parquet"]
    assert pq.read_schema(part(habitus, "churn_scores", "2024-01-01")).equals(before)
    written = part(habitus, "churn_scores", "2024-01-01").stat().st_mtime_ns
    assert keep_permitted(habitus, names, ["marketing"]) == 0
    assert part(habitus, "churn_scores", "2024-01-01").stat().st_mtime_ns == written


def test_several_purposes_must_all_be_permitted(tmp_path: Path) -> None:
    habitus = lake(tmp_path)
    assert permitted_customers(habitus, ["analytics"]).to_pylist() == ["c_no"]
    assert permitted_customers(habitus, ["analytics", "marketing"]).to_pylist() == []
    assert permitted_customers(habitus, []).to_pylist() == []
