"""Lists go out with consent or not at all: who is on one, who is not, and what the file is like."""

import stat
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import duckdb
import pytest
from fakes import tables, write_raw_consents

from expectations.contract import load_deployment
from habitus.activation import (
    Activation,
    ActivationError,
    activation,
    require_basis,
    segment_column,
    write_list,
)

REPO = Path(__file__).resolve().parents[3]
SETS = {"rfm": "rfm_segment"}


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    """The lake of `fakes`."""
    with duckdb.connect() as found:
        found.execute("attach ':memory:' as lake")
        tables(found)
        yield found


def champions(
    con: duckdb.DuckDBPyConnection, raw: Path, today: date = date(2025, 6, 1), **what: str
) -> Activation:
    """The list of the champions."""
    purpose = what.get("purpose", "marketing")
    label = what.get("label", "champions")
    return activation(con, "rfm_segment", label, purpose=purpose, raw_consents=raw, today=today)


def test_only_who_consents_is_listed_with_every_id(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    found = champions(con, tmp_path)
    assert found.rows == (
        ("=tok_soon_over", "c_soon_over"), ("tok_since", "c_since"), ("tok_two_a", "c_two"),
        ("tok_two_b", "c_two"), ("tok_yes", "c_yes"),
    )  # fmt: skip
    left_out = (found.refused, found.no_answer, found.no_id)
    assert (found.customers, *left_out) == (4, 1, 1, 1)
    assert found.customers + sum(left_out) == 7


def test_consent_that_ran_out_since_the_publication_does_not_count(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    found = champions(con, tmp_path, today=date(2026, 1, 1))
    assert "c_soon_over" not in {customer for _, customer in found.rows}
    assert found.no_answer == 2


def test_refusal_that_was_ingested_but_not_published_counts(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    raw = tmp_path / "consents"
    write_raw_consents(raw, [
        ("tok_since", "Marketing ", "granted", "2024-01-01"),
        ("tok_since", "marketing", "withdrawn", "2025-01-01"),
        ("tok_two_a", "marketing", "withdrawn", "2024-01-01"),
        ("tok_two_a", "marketing", "granted", "2025-01-01"),
        ("tok_yes", "analytics", "withdrawn", "2025-01-01"),
    ])  # fmt: skip
    found = champions(con, raw)
    assert {customer for _, customer in found.rows} == {"c_two", "c_yes", "c_soon_over"}
    assert found.refused == 2


def test_a_grant_that_has_not_begun_takes_no_refusal_back(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    raw = tmp_path / "consents"
    write_raw_consents(raw, [
        ("tok_yes", "marketing", "granted", "2024-01-01"),
        ("tok_yes", "marketing", "withdrawn", "2025-05-31"),
        ("tok_yes", "marketing", "granted", "2026-01-01"),
    ])  # fmt: skip
    assert "c_yes" not in {customer for _, customer in champions(con, raw).rows}


def test_a_purpose_or_label_that_does_not_occur_is_an_error_and_no_empty_list(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    with pytest.raises(ActivationError, match=r"purpose 'marketng'; there are: analytics, mark"):
        champions(con, tmp_path, purpose="marketng")
    with pytest.raises(ActivationError, match=r"label 'champs'; there are: champions, loyal"):
        champions(con, tmp_path, label="champs")
    con.execute("drop table lake.behaviour.dim_consents")
    with pytest.raises(ActivationError, match="publish anew"):
        champions(con, tmp_path)


def test_segment_is_named_by_set_and_label() -> None:
    assert segment_column(SETS, "rfm:at_risk") == ("rfm_segment", "at_risk")
    for wrong in ("champions", "rfm:", "rfm_segment:at_risk"):
        with pytest.raises(ActivationError, match=r"SET:LABEL with one of rfm:"):
            segment_column(SETS, wrong)


def test_without_consents_and_without_a_stated_basis_there_is_no_list() -> None:
    folder = REPO / "expectations" / "contracts"
    unstated = load_deployment(folder / "cdnow").contracts
    for purpose in ("marketing", "analytics"):
        with pytest.raises(ActivationError, match=r"nothing says.*habitus.legalBasis"):
            require_basis(unstated, purpose)
    require_basis(load_deployment(folder / "shop").contracts, "marketing")


def test_list_is_private_whole_and_no_formula(tmp_path: Path) -> None:
    out = tmp_path / "lists" / "a.csv"
    write_list(Activation((("=1+1", "c_a"), ("tok", "c_b")), 2, 0, 0, 0), out)
    assert out.read_text() == "customer_id,customer\n'=1+1,c_a\ntok,c_b\n"
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert [p.name for p in out.parent.iterdir()] == ["a.csv"]
