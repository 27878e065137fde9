"""A slice of `make faults`, in a process of its own: it forks, and binds definitions to a home."""

import subprocess
import sys
from pathlib import Path

FAULTS = Path(__file__).parent


def test_a_run_killed_while_it_builds_is_made_good(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-W", "ignore", str(FAULTS), "--home", str(tmp_path)),
            *("--seeds", "1", "--kills", "0", "--only", "dbt/killed in the middle"),
        ],
        cwd=FAULTS.parents[1],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "a loss done on purpose is seen" in done.stdout
    assert "a double done on purpose is seen" in done.stdout
    assert "dbt / killed in the middle / 0: ok" in done.stdout
