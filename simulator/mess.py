"""Writing files in the mess of life: duplicates, malformed records, odd encodings, and the count.

Does not belong here: what the records say (orders.py, sources.py, events.py).
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
from numpy.typing import ArrayLike, NDArray

from simulator.world import Ints

EPOCH_DAY = 86_400


@dataclass
class Count:
    """Records of one source as written; accepted = records - malformed - duplicates."""

    records: int = 0
    malformed: int = 0
    duplicates: int = 0
    late: int = 0
    files: int = 0
    reasons: dict[str, int] = field(default_factory=dict)

    def as_dict(self) -> dict[str, object]:
        """JSON-able, with what a perfect reader accepts."""
        return {
            "files": self.files,
            "records_in": self.records,
            "accepted": self.records - self.malformed - self.duplicates,
            "malformed": self.malformed,
            "duplicates": self.duplicates,
            "late": self.late,
            "malformed_by_reason": dict(sorted(self.reasons.items())),
        }


@dataclass(frozen=True)
class Flaw:
    """One way in which a record can be wrong: `column` gets `value`."""

    column: str
    value: object
    reason: str


class Landing:
    """The landing folder: writes source files and counts what it wrote."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.counts: dict[str, Count] = {}

    def count(self, source: str) -> Count:
        """Counter of one source."""
        return self.counts.setdefault(source, Count())

    def write(self, source: str, name: str, data: bytes, records: int) -> None:
        """Write one file of `records` records."""
        path = self.root / source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        count = self.count(source)
        count.files += 1
        count.records += records

    def csv(
        self, source: str, name: str, frame: pd.DataFrame, *, delimiter: str = ",",
        encoding: str = "utf-8",
    ) -> None:  # fmt: skip
        """Write a frame of texts as CSV; None is an empty field."""
        table = pa.Table.from_pandas(frame, preserve_index=False)
        sink = io.BytesIO()
        options = pc.WriteOptions(delimiter=delimiter, quoting_style="needed")
        pc.write_csv(table, sink, write_options=options)
        data = sink.getvalue()
        if encoding != "utf-8":
            data = data.decode("utf-8").encode(encoding)
        self.write(source, name, data, len(frame))

    def parquet(self, source: str, name: str, table: pa.Table) -> None:
        """Write a table as Parquet with fixed settings."""
        sink = io.BytesIO()
        pq.write_table(table, sink, compression="zstd", version="2.6", use_dictionary=True)
        self.write(source, name, sink.getvalue(), table.num_rows)

    def jsonl(self, source: str, name: str, lines: Sequence[str]) -> None:
        """Write gzipped JSON lines, byte-stable (no time in the header)."""
        text = "".join(f"{line}\n" for line in lines).encode("utf-8")
        self.write(source, name, gzip.compress(text, 3, mtime=0), len(lines))


def spoil(
    landing: Landing, source: str, frame: pd.DataFrame, key: str, *,
    flaws: Sequence[Flaw], shares: tuple[float, float], rng: np.random.Generator,
) -> pd.DataFrame:  # fmt: skip
    """Add exact duplicates and malformed records to `frame`, beside their originals.

    A malformed record is a copy of a good one under a key of its own, with one flaw: so nothing
    true is lost, and a perfect reader ends with exactly the good rows.

    Args:
        landing: counts what is added.
        source: name of the source.
        frame: good records in file order.
        key: column that gets a new value in malformed copies.
        flaws: ways to be wrong, used in turn.
        shares: duplicates and malformed records as shares of the good ones.
        rng: source of chance.

    Returns:
        The records with the additions, in file order.
    """
    n = len(frame)
    if not n:
        return frame
    twice = np.sort(rng.choice(n, min(n, round(n * shares[0]) + 1), replace=False))
    wrong = np.sort(rng.choice(n, min(n, max(round(n * shares[1]), len(flaws))), replace=False))
    bad = frame.iloc[wrong].copy()
    bad[key] = [f"X{i:05d}-{k}" for i, k in enumerate(bad[key])]
    count = landing.count(source)
    for k, flaw in enumerate(flaws):
        cells = bad[flaw.column].tolist()
        for i in range(k, len(bad), len(flaws)):
            cells[i] = flaw.value
            count.reasons[flaw.reason] = count.reasons.get(flaw.reason, 0) + 1
        bad[flaw.column] = pd.Series(cells, index=bad.index)
    count.duplicates += len(twice)
    count.malformed += len(bad)
    rank = np.concatenate([np.arange(n), twice + 0.3, wrong + 0.6])
    mixed = pd.concat([frame, frame.iloc[twice], bad], ignore_index=True)
    return mixed.iloc[np.argsort(rank, kind="stable")].reset_index(drop=True)


def pick(mask: ArrayLike, values: ArrayLike) -> NDArray[np.object_]:
    """`values` where `mask` holds, else None; arrays of one length."""
    out = np.asarray(values, dtype=object).copy()
    out[~np.asarray(mask, dtype=bool)] = None
    return out


def stamp(seconds: Ints, pattern: str = "%Y-%m-%dT%H:%M:%SZ", shift: int = 0) -> pd.Series:
    """Format UTC seconds; negative means none. `shift` in hours makes it a local time."""
    values = np.asarray(seconds)
    if pattern == "%Y-%m-%dT%H:%M:%SZ":
        text = np.datetime_as_string((values + shift * 3600).astype("datetime64[s]"))
        out = pd.Series(text.astype(object)) + "Z"
    else:
        moments = pd.to_datetime(np.where(values < 0, 0, values) + shift * 3600, unit="s")
        out = pd.Series(moments.strftime(pattern).to_numpy(), dtype=object)
    return out.astype(object).where(pd.Series(values >= 0), None)


def months(seconds: Ints) -> pd.Series:
    """Month of UTC seconds as YYYY-MM."""
    text = np.datetime_as_string(np.asarray(seconds).astype("datetime64[s]"), unit="M")
    return pd.Series(text)
