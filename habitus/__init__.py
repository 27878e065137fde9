"""habitus: the public face, for notebooks and dashboards.

>>> import habitus
>>> con = habitus.connect()          # read-only, pinned to the published snapshot
>>> con.sql("select segment, count(*) from marts.rfm group by segment").df()

What does not belong here: anything that another part could do; this package only offers it.
"""

from dataclasses import replace

import duckdb

from orchestration.config import settings
from orchestration.lib.audit import note_read
from orchestration.lib.run_parameters import as_of_day
from orchestration.lib.warehouse import published_connection

__all__ = ["connect"]


def connect(
    deployment: str | None = None, *, as_of: str | None = None, purpose: str | None = None
) -> duckdb.DuckDBPyConnection:
    """Open the published tables.

    The connection sees one published version for as long as it lives, whatever runs meanwhile.
    Schemas: `behaviour` and `marts`.

    Args:
        deployment: a shipped deployment's name or a folder of contracts; by default what
            `HABITUS_CONTRACTS` says, else the simulated shop.
        as_of: what `habitus run --as-of` rebuilt for a day, YYYY-MM-DD, instead of the present.
        purpose: what the tables are opened for, in a few words; goes into the audit trail.

    Raises:
        NothingPublishedError: no run has published yet.
        AsOfError: `as_of` is no day that has ended.
        ValueError: the purpose holds an address or a long number.
    """
    day = as_of_day(as_of) if as_of else None
    habitus = settings(deployment)
    con = published_connection(replace(habitus, as_of=day))
    note_read(habitus, "connect", purpose=purpose)
    return con
