"""PostgreSQL tables, read through DuckDB's postgres_scanner, from a watermark on.

What does NOT belong here: credentials. They come from libpq (PGPASSFILE, ~/.pgpass, service files),
or in a connection string given as a setting; a contract names host, port and database at most.

With a watermark, only rows beyond the last value are read: the column must grow with each change,
and a row committed late under an earlier value is missed, so use a column that the database sets at
commit order (or leave the watermark out: then the whole table is read, and what is known already is
counted as duplicate). An unchanged table is nothing new.
"""

from __future__ import annotations

import hashlib
import re

import duckdb
import pyarrow as pa
from duckdb_extensions import import_extension

from expectations.contract import Contract
from expectations.contract.addresses import resolve
from ingestion.content import content
from ingestion.readers.base import own
from ingestion.readers.parquet import text_of
from ingestion.results import SourceError
from ingestion.sql import ident, literal

_ALIAS = "pg_source"
#: Hosts in a connection string: of `host=a` and `hostaddr=a`, and of `postgresql://user@a:5432/db`.
_HOSTS = re.compile(
    r"(?:(?:^|[\s?&])host(?:addr)?\s*=\s*'?|://(?:[^/@\s]*@)?\[?)([^'\s,/?&\]@]+)(?![^/\s]*@)"
)


def _quoted(value: object) -> str:
    """A value of a connection string: quoted, so that it cannot bring in further settings."""
    text = str(value).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{text}'"


def _dsn(contract: Contract, given: str) -> str:
    """The connection string, with every host's address fixed after it was looked at.

    Raises:
        SourceError: If a host is a link-local or metadata address, or a name of one.
    """
    source = contract.source
    if given:
        for host in _HOSTS.findall(given):
            _addresses(contract, host.split(":")[0] if host.count(":") == 1 else host, 5432)
        return given
    parts: dict[str, object | None] = {
        "host": source.host,
        "port": source.port,
        "dbname": source.database,
    }
    if source.host:
        hosts = source.host.split(",")
        found = [_addresses(contract, host, source.port or 5432)[:1] for host in hosts]
        # Resolved once, here: a name that answers otherwise a moment later changes nothing.
        if any(found):
            parts["hostaddr"] = ",".join(address for first in found for address in first or [""])
    return " ".join(f"{name}={_quoted(value)}" for name, value in parts.items() if value)


def _addresses(contract: Contract, host: str, port: int) -> list[str]:
    if not host or host.startswith(("/", "@")):  # a socket in the file system
        return []
    try:
        return resolve(host, port)
    except PermissionError:
        raise SourceError(
            f"{contract.path.name}: source `{contract.name}`: the database's host is a link-local "
            "or metadata address, or a name of one, and is not connected to. Write the server's "
            "own name or address as servers.host"
        ) from None
    except OSError:
        # Not left to libpq: it would ask again, and could be answered otherwise.
        raise SourceError(
            f"{contract.path.name}: source `{contract.name}`: the database's host {host!r} has no "
            "address. Mend servers.host, or see whether the name server can be reached"
        ) from None


def attach(con: duckdb.DuckDBPyConnection, contract: Contract, dsn: str) -> None:
    """Attach the source's database, read-only.

    Raises:
        SourceError: If it cannot be reached; the message holds no part of the connection string.
    """
    source = contract.source
    try:
        import_extension("postgres_scanner", con=con)
        con.execute("load postgres_scanner")
        con.execute(
            f"attach {literal(_dsn(contract, dsn))} as {ident(_ALIAS)} (type postgres, read_only)"
        )
    except duckdb.Error as error:
        raise SourceError(
            f"{contract.path.name}: source `{contract.name}` cannot reach the database "
            f"`{source.database}` on {source.host or 'the default host'} "
            f"({type(error).__name__}). Check that the server runs, and that libpq finds the "
            "password (~/.pgpass), or give the connection string as the setting postgres_dsn"
        ) from None


def read_table(
    con: duckdb.DuckDBPyConnection, contract: Contract, dsn: str, watermark: tuple[str, str] | None
) -> tuple[pa.Table, int, tuple[str, str] | None, str]:
    """New rows of a table as text columns.

    Args:
        con: A connection.
        contract: The source's contract.
        dsn: Connection string, or '' for the contract's host, port and database.
        watermark: (value as text, type) up to which the table has been read.

    Returns:
        The records as readers give them; how many the server itself counts; the new watermark; a
        sha256 of the contents that does not depend on their order.

    Raises:
        SourceError: If the server, the table or the watermark column is not there.
    """
    source = contract.source
    attach(con, contract, dsn)
    table = f"{ident(_ALIAS)}.{ident(source.schema)}.{ident(source.table or '')}"
    try:
        described = con.execute(f"describe select * from {table}").fetchall()
        kinds = {row[0]: row[1] for row in described}
        column = contract.watermark
        if column is not None and column not in kinds:
            raise SourceError(
                f"{contract.path.name}: habitus.watermark `{column}` is no column of "
                f"{source.schema}.{source.table}. Columns there: {', '.join(kinds)}"
            )
        con.execute("begin transaction")
        where, mark = "", None
        if column is not None:
            high = con.execute(f"select max({ident(column)})::varchar from {table}").fetchone()
            mark = (high[0], kinds[column]) if high and high[0] is not None else watermark
            if mark is None:
                where = " where false"
            else:
                where = f" where {ident(column)} <= {literal(mark[0])}::{kinds[column]}"
                if watermark is not None:
                    where += f" and {ident(column)} > {literal(watermark[0])}::{kinds[column]}"
        counted = con.execute(f"select count(*) from {table}{where}").fetchone()
        columns = ", ".join(
            f"{text_of(name, kind)} as {ident(own(name))}" for name, kind in kinds.items()
        )
        rows = con.execute(
            "select 0::integer as _file_idx, row_number() over () as _row_number, "
            "null::bigint as _byte_offset, null::varchar as _bad, null::varchar as _raw, "
            f"{columns} from {table}{where}"
        ).to_arrow_table()
        con.execute("commit")
    except duckdb.Error as error:
        missing = isinstance(error, duckdb.CatalogException)
        raise SourceError(
            f"{contract.path.name}: source `{contract.name}`: reading "
            f"{source.schema}.{source.table} failed ({type(error).__name__}). "
            + ("There is no such table: mend schema.physicalName" if missing else "Try again")
        ) from None
    finally:
        con.execute(f"detach database if exists {ident(_ALIAS)}")
    return rows, int(counted[0]) if counted else 0, mark, _digest(con, rows, list(kinds))


def _digest(con: duckdb.DuckDBPyConnection, rows: pa.Table, columns: list[str]) -> str:
    con.register("pg_rows", rows)
    found = con.execute(
        f"select md5({content(columns)}) as h from pg_rows order by h"
    ).to_arrow_table()
    con.unregister("pg_rows")
    digest = hashlib.sha256("\n".join(columns).encode())
    for batch in found.column("h").chunks:
        digest.update("".join(batch.to_pylist()).encode())
    return digest.hexdigest()
