"""Settings: what is chosen where nobody says anything."""

import pytest

from orchestration.config import SettingsError, default_memory_limit, default_threads, settings


@pytest.mark.parametrize(
    ("four_fifths", "limit"),
    [("1.5 GiB", "644MB"), ("900.0 MiB", "377MB"), ("18.8 GiB", "4000MB"), ("1.2 TiB", "4000MB")],
)
def test_little_memory_is_shared_with_what_duckdb_does_not_count(
    four_fifths: str, limit: str
) -> None:
    assert default_memory_limit(four_fifths) == limit


def test_an_amount_that_is_none_is_no_limit() -> None:
    with pytest.raises(SettingsError, match="HABITUS_MEMORY_LIMIT"):
        default_memory_limit("80%")


def test_who_sets_a_limit_gets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HABITUS_MEMORY_LIMIT", "3GB")
    assert settings("cdnow").memory_limit == "3GB"
    monkeypatch.delenv("HABITUS_MEMORY_LIMIT")
    assert settings("cdnow").memory_limit.endswith("MB")


@pytest.mark.parametrize(
    ("limit", "cores", "threads"),
    [("585.5 MiB", 2, 1), ("3.7 GiB", 2, 2), ("953.6 MiB", 4, 1), ("95.3 MiB", 4, 1)],
)
def test_little_memory_is_not_cut_up_among_threads(limit: str, cores: int, threads: int) -> None:
    assert default_threads(limit, cores) == threads


def test_a_limit_that_is_none_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HABITUS_MEMORY_LIMIT", "lots")
    with pytest.raises(SettingsError, match="HABITUS_MEMORY_LIMIT is 'lots'"):
        settings("cdnow")
    monkeypatch.setenv("HABITUS_MEMORY_LIMIT", "800MB")
    monkeypatch.delenv("HABITUS_THREADS", raising=False)
    assert settings("cdnow").threads == 1
