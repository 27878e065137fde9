"""A slice of the fault matrix, and the proof that the harness sees what it is there to see."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from harness import Stage
from matrix import Matrix

from orchestration.config import activate, settings
from orchestration.lib.dbt_server import _stop, warm_dbt
from simulator.shop import simulate


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Matrix]:
    """A small shop, run once without a fault."""
    home = tmp_path_factory.mktemp("faults")
    before = dict(os.environ)
    os.environ["HABITUS_HOME"] = str(home)
    habitus = activate(settings("shop"))
    warm_dbt(habitus)
    simulate(habitus.landing, habitus.truth, customers=120, days=150, seed=11)

    from orchestration.definitions import defs

    loaded = defs()
    template = home / "template"
    shutil.copytree(habitus.deployment_home, template, symlinks=True)
    yield Matrix(Stage(habitus, template), loaded, home / "victims.log")
    _stop()
    os.environ.clear()
    os.environ.update(before)


def test_a_run_killed_while_it_builds_is_made_good(matrix: Matrix) -> None:
    assert matrix.cell("dbt", "killed in the middle", 0).problems == ()


def _batch(matrix: Matrix, entity: str) -> Path:
    folder = matrix.habitus.lake / "raw" / entity
    return next(f for f in sorted(folder.glob("*.parquet")) if f.name != "_schema.parquet")


def test_the_harness_sees_a_loss(matrix: Matrix) -> None:
    batch = _batch(matrix, "orders")
    kept = batch.read_bytes()
    batch.unlink()
    try:
        # The run itself may see it first: a test of dbt misses the orders of what was sold.
        assert matrix.recovered()
    finally:
        batch.write_bytes(kept)


def test_the_harness_sees_a_double(matrix: Matrix) -> None:
    # Under other ids: the same ones would be versions of one record, and the latest wins.
    batch = _batch(matrix, "feedback")
    twin = batch.with_name("twin.parquet")
    rows = pq.ParquetFile(batch).read()
    ids = pc.binary_join_element_wise(rows["feedback_id"].cast("string"), "twin", "-")
    pq.write_table(
        rows.set_column(rows.schema.get_field_index("feedback_id"), "feedback_id", ids), twin
    )
    try:
        problems = matrix.recovered()
        assert any("fct_feedback" in problem for problem in problems), problems
    finally:
        twin.unlink()
