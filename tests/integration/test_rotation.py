"""A new token key: after it and one more run, every table is what it was but for the tokens.

Two runs of the whole line on a small shop.
"""

import hashlib
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ingestion import ledger_totals
from orchestration.config import settings
from orchestration.lib.secrets import vault
from privacy.rotate import Rename

REPO = Path(__file__).resolve().parents[2]
#: Files that may still name old tokens until they are made anew: readers' pinned versions, kept
#: for days, and the vault's own map from old to new, which is sealed.
KEPT = ("warehouse",)
KEYS = re.compile(r"[cs]_[0-9a-f]{32}")


def command(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "habitus.cli", *arguments], cwd=REPO, check=True)


def tables(folder: Path) -> dict[str, pa.Table]:
    return {
        str(path.relative_to(folder)): pq.read_table(path, partitioning=None)
        for path in sorted(folder.rglob("*.parquet"))
    }


def renamed(table: pa.Table, new: Callable[[str], str]) -> Iterator[list[object]]:
    """Columns of a table, with every text put through a function."""
    for column in table.columns:
        values = column.to_pylist()
        yield [new(value) if isinstance(value, str) else value for value in values]


def content(table: pa.Table, new: Callable[[str], str] = str) -> str:
    """A hash of a table's rows, whatever their order."""
    rows = sorted(map(repr, zip(*renamed(table, new), strict=True)))
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()


def keys(table: pa.Table, by: list[str], key: str, new: Callable[[str], str]) -> dict[str, str]:
    """What identifies a row, its tokens renamed -> its key."""
    rows = table.select([*by, key]).to_pylist()
    return {
        repr([new(row[name]) if isinstance(row[name], str) else row[name] for name in by]): row[key]
        for row in rows
        if row[key] is not None
    }


def one_to_one(before: dict[str, str], after: dict[str, str]) -> dict[str, str]:
    """Old key -> new key, over what identifies both."""
    assert before.keys() == after.keys()
    pairs = {(before[name], after[name]) for name in before}
    new_of = dict(pairs)
    assert len(new_of) == len(pairs) == len(set(new_of.values()))
    return new_of


def successor(
    before: dict[str, pa.Table], after: dict[str, pa.Table], tokens: dict[str, str]
) -> Callable[[str], str]:
    """What an old text is called after the rotation: tokens, then the keys that come of them."""
    rename = Rename(tokens, 2)
    name, by = "behaviour/customer_id_map.parquet", ["id_type", "id_value"]
    new_of = one_to_one(
        keys(before[name], by, "customer", rename.text), keys(after[name], by, "customer", str)
    )

    def text(old: str) -> str:
        return KEYS.sub(lambda match: new_of.get(match[0], match[0]), rename.text(old))

    name = "behaviour/sessions.parquet"
    by = ["customer", "anonymous_customer_id", "started_at", "ended_at", "landing_page"]
    sessions = keys(before[name], by, "session_id", text), keys(after[name], by, "session_id", str)
    new_of |= one_to_one(*sessions)
    return text


def old_tokens(home: Path) -> list[str]:
    """Files, beside those that are kept as they are, in which a token of the first key stands."""
    found = []
    for path in sorted(home.rglob("*")):
        if not path.is_file() or path.is_symlink() or path.parts[len(home.parts)] in KEPT:
            continue
        if path.suffix == ".parquet":
            content = repr([c.to_pylist() for c in pq.read_table(path, partitioning=None).columns])
        else:
            content = path.read_bytes().decode("latin-1")
        if "tok_v1_" in content:
            found.append(str(path.relative_to(home)))
    return found


@pytest.mark.hours
def test_only_tokens_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HABITUS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HABITUS_CONTRACTS", "shop")
    command("simulate", "--customers", "300", "--days", "200", "--events-per-day", "300")
    command("run")
    command("export", str(tmp_path / "before"))
    home, totals = settings().deployment_home, ledger_totals(settings().ledger)
    assert old_tokens(home)  # the search sees what is there

    command("keys", "rotate")
    assert not old_tokens(home)
    command("run")
    command("export", str(tmp_path / "after"))

    assert ledger_totals(settings().ledger) == totals  # nothing is read a second time
    before, after = tables(tmp_path / "before"), tables(tmp_path / "after")
    assert before.keys() == after.keys()
    new = successor(before, after, vault(settings()).renames())
    assert not [name for name in before if content(before[name], new) != content(after[name])]
    identities = "behaviour/customer_id_map.parquet"
    assert content(before[identities]) != content(after[identities])
    scores = after["marts/customer_360.parquet"]["churn_score"]
    assert len(scores) > scores.null_count
