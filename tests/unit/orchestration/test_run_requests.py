"""New files ask for one run; again, with patience, where runs ended without taking them in."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from ingestion import PendingFile
from orchestration.lib.run_requests import LONGEST_WAIT_SECONDS, request_run

A, B = PendingFile("crm", "a.csv", "a" * 64, 0), PendingFile("crm", "b.csv", "b" * 64, 0)
FAILED, SUCCESS = dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.SUCCESS


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as made:
        yield made


@dg.job
def nothing() -> None:
    """A job without a step."""


def ask(
    instance: dg.DagsterInstance, *files: PendingFile, later: float = 0
) -> dg.RunRequest | dg.SkipReason:
    now = datetime.now(UTC) + timedelta(seconds=later)
    return request_run(instance, files, "2025-01-01", now)


def launch(
    instance: dg.DagsterInstance, request: object, status: dg.DagsterRunStatus
) -> dg.RunRequest:
    """As the daemon does with a request, up to a status."""
    assert isinstance(request, dg.RunRequest)
    instance.create_run_for_job(nothing, tags=dict(request.tags), status=status)
    return request


def test_other_files_are_another_run(instance: dg.DagsterInstance) -> None:
    first = launch(instance, ask(instance, A), SUCCESS)
    both = launch(instance, ask(instance, A, B), SUCCESS)
    assert first.run_key != both.run_key
    mended = PendingFile("crm", "a.csv", "c" * 64, 1)
    assert isinstance(ask(instance, mended), dg.RunRequest)


def test_while_it_is_under_way_nothing_is_asked(instance: dg.DagsterInstance) -> None:
    launch(instance, ask(instance, A, B), dg.DagsterRunStatus.STARTED)
    said = ask(instance, B, A, later=9999)
    assert isinstance(said, dg.SkipReason)
    assert "under way" in str(said.skip_message)


@pytest.mark.parametrize("status", [FAILED, SUCCESS])
def test_what_was_not_taken_in_is_asked_for_again(
    instance: dg.DagsterInstance, status: dg.DagsterRunStatus
) -> None:
    """A run failed, or a file was let in again after one that succeeded."""
    keys = [launch(instance, ask(instance, A), status).run_key]
    assert isinstance(ask(instance, A, later=50), dg.SkipReason)
    for _ in range(8):
        request = ask(instance, A, later=LONGEST_WAIT_SECONDS + 1)
        keys.append(launch(instance, request, status).run_key)
    assert len(set(keys)) == 9
    said = ask(instance, A, later=LONGEST_WAIT_SECONDS - 60)
    assert isinstance(said, dg.SkipReason)
    assert "9 runs for 1 files" in str(said.skip_message)
