"""`make bench-erasure`: erase 100 people of 20,000, read every source file again, look for them.

What does not belong here: assertions about time, how anything is removed (orchestration/).
"""

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from benchmarks.process import measure
from ingestion.sql import ident
from orchestration.config import Settings, settings
from orchestration.lib.rights import find_people
from orchestration.lib.rights_verify import search_traces
from orchestration.lib.secrets import vault
from orchestration.lib.warehouse import published_connection
from privacy.erasure import Plan


@dataclass(frozen=True)
class Gone:
    """People who are to be erased: the customer numbers by which it is asked for, and all of them.

    Attributes:
        numbers: customer numbers, in clear.
        texts: tokens and keys that must not be found afterwards.
        clear: clear values, by token.
    """

    numbers: list[str]
    texts: list[str]
    clear: Mapping[str, str]


def changed_for_others(before: Path, after: Path, gone: Sequence[str]) -> list[str]:
    """Behaviour tables whose rows of other customers are not what they were, and in what.

    Args:
        before: folder of exported tables (`habitus export`).
        after: the same, later.
        gone: customer keys that were erased.
    """
    found = []
    with closing(duckdb.connect()) as con:
        for path in sorted((before / "behaviour").glob("*.parquet")):
            columns = pq.read_schema(path).names
            other = after / "behaviour" / path.name
            if not _differ(con, path, other, gone, columns):
                continue
            alone = [
                column
                for column in columns
                if not _differ(con, path, other, gone, [c for c in columns if c != column])
            ]
            found.append(f"behaviour.{path.stem}" + "".join(f" ({c} alone)" for c in alone))
    return found


def _differ(
    con: duckdb.DuckDBPyConnection, old: Path, new: Path, gone: Sequence[str], columns: list[str]
) -> bool:
    """Whether the rows of others differ in these columns."""
    keep = "coalesce(customer not in (select unnest($gone)), true)"
    keep = keep if "customer" in pq.read_schema(old).names else "$gone is not null"
    picked = ", ".join(ident(column) for column in columns)
    was = f"select {picked} from '{old}' where {keep}"
    stands = f"select {picked} from '{new}'"
    row = con.execute(
        f"select count(*) from (({was} except all {stands}) union all ({stands} except all {was}))",
        {"gone": list(gone)},
    ).fetchone()
    return row is None or row[0] > 0


def _chosen(habitus: Settings, people: int) -> Gone:
    """Evenly spread over all customers who have a number."""
    with closing(published_connection(habitus)) as con:
        tokens = [
            row[0]
            for row in con.execute(
                "select min(id_value) from lake.behaviour.customer_id_map "
                "where id_type = 'customer' group by customer order by customer"
            ).fetchall()
        ]
    chosen = tokens[:: len(tokens) // people][:people]
    own: list[str] = []
    keys: set[str] = set()
    for person in find_people(habitus, chosen):
        own += [token for _, token in person.own]
        keys |= set(person.keys)
    opened = vault(habitus)
    numbers = opened.clear_of(chosen)
    return Gone([numbers[t] for t in chosen], sorted({*own, *keys}), opened.clear_of(own))


def _look(habitus: Settings, gone: Gone, when: str) -> None:
    found = search_traces(habitus, Plan("bench", [], "", gone=gone.texts), gone.clear)
    print(f"{when}: {len(found['traces'])} traces of {found['searched_for']}", flush=True)
    for trace in found["traces"][:20]:
        print(f"  {trace}")


def main() -> None:
    """Build, erase, look, read everything again, look again; others' rows before and after."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="an empty data home")
    parser.add_argument("--customers", type=int, default=20_000)
    parser.add_argument("--people", type=int, default=100, help="how many are erased")
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--events-per-day", type=int, default=8_000)
    options = parser.parse_args()
    home: Path = options.home
    home.mkdir(parents=True, exist_ok=True)
    os.environ["HABITUS_HOME"] = str(home.resolve())
    os.environ["HABITUS_CONTRACTS"] = "shop"

    def run(*arguments: str) -> float:
        command = [sys.executable, "-m", "habitus.cli", *arguments]
        return measure(command, os.environ, home / f"{arguments[0]}.log").seconds

    size = ["--customers", str(options.customers), "--days", str(options.days)]
    run("simulate", *size, "--events-per-day", str(options.events_per_day))
    print(f"all of it: {run('run'):.0f} s", flush=True)
    run("export", str(home / "before"))
    habitus = settings()
    gone = _chosen(habitus, options.people)
    (home / "subjects.txt").write_text("\n".join(gone.numbers) + "\n")
    print(
        f"erasing {len(gone.numbers)}: {run('erase', '--file', str(home / 'subjects.txt')):.0f} s"
    )
    (path,) = habitus.reports.glob("erasures/*/certificate.json")
    removed = json.loads(path.read_text())["removed"]
    for name, figures in removed.items():
        print(f"  {name}: {figures}")
    run("export", str(home / "after"))
    changed = changed_for_others(home / "before", home / "after", gone.texts)
    print(f"others' rows differ in: {changed or 'no table'}", flush=True)

    for ledger in habitus.deployment_home.glob("ledger.sqlite*"):
        ledger.unlink()
    print(f"every file read again, everything built anew: {run('run'):.0f} s", flush=True)
    _look(habitus, gone, "after it")
    run("export", str(home / "again"))
    changed = changed_for_others(home / "before", home / "again", gone.texts)
    print(f"others' rows differ in: {changed or 'no table'}")


if __name__ == "__main__":
    main()
