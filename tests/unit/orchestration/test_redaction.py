"""What leaves a failing step, and that every step has it.

What does not belong here: the whole line with planted values (tests/privacy/test_canaries.py).
"""

import errno
import os
import resource
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from habitus import cli
from ingestion.results import IngestError
from orchestration.config import activate, settings
from orchestration.definitions import defs
from orchestration.defs.automation import lost_runs, new_files, summary_of_failed_runs
from orchestration.lib.publication import read_pointer
from orchestration.lib.redaction import StepFailedError, redacted

NAME, MAIL = "Quillonia Zwerthfeder", "quill@canaria.example"


def _cast() -> None:
    duckdb.connect().execute("select cast(? as date)", [NAME])


def _chained() -> None:
    try:
        _cast()
    except duckdb.Error as error:
        raise KeyError(NAME) from error


def _ours() -> None:
    raise IngestError(f"till.odcs.yaml: {MAIL}.csv has no header line")


def _full() -> None:
    raise OSError(errno.ENOSPC, "No space left on device", f"/landing/{MAIL}.csv")


@pytest.mark.parametrize(
    ("fails", "says"),
    [
        (_cast, "ConversionException"),
        (_chained, "KeyError\nafter: ConversionException"),
        (_ours, "IngestError: till.odcs.yaml: ‹email› has no header line"),
        (_full, "OSError: No space left on device"),
    ],
)
@pytest.mark.parametrize("is_generator", [False, True])
def test_a_step_tells_no_value(fails: Callable[[], None], says: str, is_generator: bool) -> None:
    def stream() -> Iterator[int]:
        yield 1
        fails()

    step = redacted(stream) if is_generator else redacted(fails)
    with pytest.raises(StepFailedError) as caught:
        list(step())  # type: ignore[call-overload]
    assert says in str(caught.value)
    whole = "".join(traceback.format_exception(caught.value))
    assert NAME not in whole
    assert MAIL not in whole


def test_what_failed_can_be_found() -> None:
    with pytest.raises(StepFailedError, match=r"at orchestration/lib/publication.py:\d+ read_p"):
        redacted(read_pointer)(None)  # type: ignore[arg-type]


def test_dagster_stores_no_value() -> None:
    @dg.asset
    @redacted
    def leaky(context: dg.AssetExecutionContext) -> None:
        _chained()

    instance = dg.DagsterInstance.ephemeral()
    result = dg.materialize([leaky], instance=instance, raise_on_error=False)
    stored = "".join(map(repr, instance.all_logs(result.run_id)))
    assert "KeyError" in stored
    assert NAME not in stored


def test_every_step_and_sensor_is_redacted() -> None:
    loaded = defs()
    steps = {
        found.op.name: found.op.compute_fn.decorated_fn
        for found in [*(loaded.assets or ()), *(loaded.asset_checks or ())]
        if isinstance(found, dg.AssetsDefinition)
    }
    assert len(steps) > 15
    bare = [name for name, step in steps.items() if not hasattr(step, "is_redacted")]
    assert not bare, f"{bare}: `@redacted` belongs under Dagster's decorator"
    for sensor in (new_files, lost_runs):
        assert hasattr(sensor._raw_fn, "is_redacted")
    assert summary_of_failed_runs._run_status_sensor_fn.is_redacted


@pytest.mark.parametrize("asked", [False, True])
def test_a_command_tells_no_value_unless_asked(
    asked: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: object) -> None:
        raise KeyError(NAME)

    monkeypatch.setattr(cli, "settings", fail)
    monkeypatch.setattr("sys.argv", ["habitus", *(["--traceback"] if asked else []), "status"])
    with pytest.raises(KeyError if asked else SystemExit):
        cli.main()
    said = capsys.readouterr()
    assert NAME not in said.out + said.err
    assert ("KeyError (at habitus/cli.py" in said.err.replace("\n", "")) is not asked


def test_no_core_is_dumped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = resource.getrlimit(resource.RLIMIT_CORE)
    monkeypatch.setattr("os.environ", {**os.environ, "HABITUS_HOME": str(tmp_path)})
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (before[1], before[1]))
        activate(settings())
        assert resource.getrlimit(resource.RLIMIT_CORE) == (0, before[1])
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, before)
