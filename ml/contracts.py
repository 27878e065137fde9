"""What every ML output looks like, and what goes into and out of one.

What does not belong here: how an output is computed, or where it is stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import pyarrow as pa

Dtype = Literal["string", "date", "double", "integer", "boolean", "json"]

_ARROW: dict[str, pa.DataType] = {
    "string": pa.string(),
    "json": pa.string(),
    "date": pa.date32(),
    "double": pa.float64(),
    "integer": pa.int64(),
    "boolean": pa.bool_(),
}


class ContractMismatchError(ValueError):
    """A frame does not match its table; the message names table, column and reason."""


@dataclass(frozen=True)
class Column:
    """One column of an output. `json` is text that holds JSON."""

    name: str
    dtype: Dtype
    description: str
    nullable: bool = False


@dataclass(frozen=True)
class Table:
    """One stored table: its grain in words, its key, its columns in order."""

    name: str
    grain: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]

    @property
    def names(self) -> list[str]:
        """Column names in order."""
        return [c.name for c in self.columns]


@dataclass(frozen=True)
class MlContext:
    """What a run knows beside its inputs.

    Attributes:
        as_of: the day on whose knowledge the run stands.
        seed: of everything random.
        models_dir: root below which each output keeps `<output>/<version>/`.
        model_key: key of the digest that guards stored models.
        previous: this output's frame of the run before, if any.
        run_id: for logs only; never part of a result, so that reruns are equal.
        k: smallest group of customers of which metrics and plots may tell.
    """

    as_of: date
    seed: int
    models_dir: Path
    model_key: bytes
    previous: pd.DataFrame | None = None
    run_id: str = ""
    k: int = 10


@dataclass(frozen=True)
class MlResult:
    """What a run gives: a frame for each of the output's tables, metrics, plots.

    Attributes:
        frames: table name -> frame that matches the table.
        metrics: JSON-able, goes to the run's summary.
        plots: title -> PNG bytes.
    """

    frames: Mapping[str, pd.DataFrame]
    metrics: Mapping[str, Any] = field(default_factory=dict)
    plots: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def frame(self) -> pd.DataFrame:
        """The first table's frame."""
        return next(iter(self.frames.values()))


def arrow_schema(table: Table) -> pa.Schema:
    """The table's schema as Parquet shall have it."""
    return pa.schema(
        [pa.field(c.name, _ARROW[c.dtype], nullable=c.nullable) for c in table.columns]
    )


def empty(table: Table) -> pd.DataFrame:
    """A frame of zero rows that matches the table."""
    return conform(pd.DataFrame({c.name: [] for c in table.columns}), table)


def conform(frame: pd.DataFrame, table: Table) -> pd.DataFrame:
    """Order and cast a frame's columns to the table's; days become midnight timestamps.

    Raises:
        ContractMismatchError: a column is missing or cannot be cast.
    """
    missing = [c for c in table.names if c not in frame.columns]
    if missing:
        raise ContractMismatchError(f"{table.name}: missing columns {missing}")
    out: dict[str, pd.Series] = {}
    for column in table.columns:
        values = frame[column.name]
        try:
            out[column.name] = _cast(values, column)
        except (TypeError, ValueError) as error:
            raise ContractMismatchError(
                f"{table.name}.{column.name}: cannot be cast to {column.dtype}"
            ) from error
    return pd.DataFrame(out).reset_index(drop=True)


def _cast(values: pd.Series, column: Column) -> pd.Series:
    if column.dtype == "date":
        return pd.to_datetime(values).astype("datetime64[us]").dt.normalize()
    if column.dtype == "double":
        return values.astype("float64")
    if column.dtype == "integer":
        return values.astype("Int64" if column.nullable else "int64")
    if column.dtype == "boolean":
        return values.astype("boolean" if column.nullable else "bool")
    return values.astype("str")


def validate(frame: pd.DataFrame, table: Table) -> None:
    """Check columns, types, nulls and the key.

    Raises:
        ContractMismatchError: names the table, the column and what is wrong.
    """
    if list(frame.columns) != table.names:
        raise ContractMismatchError(
            f"{table.name}: columns are {list(frame.columns)}, expected {table.names}"
        )
    for column in table.columns:
        values = frame[column.name]
        if not _has_dtype(values, column.dtype):
            raise ContractMismatchError(
                f"{table.name}.{column.name}: type is {values.dtype}, expected {column.dtype}"
            )
        if not column.nullable and bool(values.isna().any()):
            raise ContractMismatchError(
                f"{table.name}.{column.name}: {int(values.isna().sum())} nulls, none allowed"
            )
    doubled = int(frame.duplicated(list(table.key)).sum())
    if doubled:
        raise ContractMismatchError(f"{table.name}: {doubled} rows repeat the key {table.key}")


def _has_dtype(values: pd.Series, dtype: Dtype) -> bool:
    checks = {
        "date": pd.api.types.is_datetime64_any_dtype,
        "double": pd.api.types.is_float_dtype,
        "integer": pd.api.types.is_integer_dtype,
        "boolean": pd.api.types.is_bool_dtype,
    }
    return bool(checks.get(dtype, pd.api.types.is_string_dtype)(values))


def to_arrow(frame: pd.DataFrame, table: Table) -> pa.Table:
    """The validated frame as an Arrow table with `arrow_schema`, ready for Parquet.

    Raises:
        ContractMismatchError: the frame does not match the table.
    """
    validate(frame, table)
    return pa.Table.from_pandas(frame, schema=arrow_schema(table), preserve_index=False)
