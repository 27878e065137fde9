"""A disk that is full in the middle of a write leaves what was there before, and no halves.

A limit on the size of files stands for the full disk: it needs no root.
"""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from small_lake import build, deployment, publish, versions

from orchestration.lib.maintenance import maintain
from orchestration.lib.publication import read_pointer, swap_pointer
from orchestration.lib.recovery import what_is_wrong

HERE = Path(__file__).parent
START = f"""
import resource, sys
sys.path.insert(0, {str(HERE)!r})
from pathlib import Path
import small_lake
from orchestration.lib.ml_assets import _store
from orchestration.lib.publication import swap_pointer
from orchestration.lib.run_parameters import write_run_parameters
from test_full_disk import frame, TABLE
habitus = small_lake.deployment(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
"""


def frame(rows: int) -> pd.DataFrame:
    """A frame of the smallest ML table."""
    customers = [f"c{i:09d}" for i in range(rows)]
    day = pd.Timestamp("2024-05-01").as_unit("us")
    return pd.DataFrame(
        {
            "customer": customers, "as_of": day, "cluster": 1,
            "label": [f"label {i * 7919 % 10007}" for i in range(rows)], "distance": 0.5,
        }
    )  # fmt: skip


def _table() -> object:
    from ml.registry import TABLES

    return next(table for table in TABLES if table.name == "behaviour_clusters")


TABLE = _table()


def on_a_full_disk(home: Path, limit: int, code: str) -> subprocess.CompletedProcess[str]:
    """Run code where no file may grow beyond `limit` bytes."""
    return subprocess.run(
        [sys.executable, "-c", START + code, str(home), str(limit)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_the_pointer(tmp_path: Path) -> None:
    habitus = deployment(tmp_path)
    before = swap_pointer(habitus.published, snapshot=1, run_id="r", as_of=None)
    done = on_a_full_disk(
        tmp_path, 16, "swap_pointer(habitus.published, snapshot=2, run_id='s', as_of=None)"
    )
    assert done.returncode != 0
    assert "File too large" in done.stderr
    assert read_pointer(habitus.published) == before
    assert [p.name for p in habitus.published.parent.iterdir()] == ["published.json"]


def test_the_parameters(tmp_path: Path) -> None:
    done = on_a_full_disk(tmp_path, 16, "write_run_parameters(habitus, 'r')")
    assert "File too large" in done.stderr
    assert not list(deployment(tmp_path).lake.iterdir())


def test_an_ml_table(tmp_path: Path) -> None:
    done = on_a_full_disk(tmp_path, 10_000_000, "_store(habitus, TABLE, frame(10), '2024-05-01')")
    assert done.returncode == 0, done.stderr
    (part,) = (deployment(tmp_path).lake / "ml").rglob("*.*")
    before = part.read_bytes()
    done = on_a_full_disk(tmp_path, 4096, "_store(habitus, TABLE, frame(20000), '2024-05-01')")
    assert "File too large" in done.stderr
    assert [p.read_bytes() for p in part.parent.iterdir()] == [before]
    assert pq.read_table(part).num_rows == 10


@pytest.mark.parametrize("limit", [20_000, 100_000])
def test_the_warehouse(tmp_path: Path, limit: int) -> None:
    """Data files fit or do not, the catalogue fits or does not: what is published stays."""
    habitus = deployment(tmp_path)
    build(habitus, 1)
    before = publish(habitus)
    done = on_a_full_disk(tmp_path, limit, "small_lake.build(habitus, 2)")
    assert done.returncode != 0
    assert read_pointer(habitus.published) == before
    assert what_is_wrong(habitus) is None
    assert versions(habitus, before.snapshot) == {1}
    build(habitus, 3)
    published = publish(habitus)
    maintain(habitus)
    assert versions(habitus, published.snapshot) == {3}
    assert versions(habitus, before.snapshot) == {1}
