"""habitus: the public face, for notebooks and dashboards.

>>> import habitus
>>> con = habitus.connect()          # read-only, pinned to the published snapshot
>>> con.sql("select segment, count(*) from marts.rfm group by segment").df()

What does not belong here: anything that another part could do; this package only offers it.
"""

from dataclasses import replace

import duckdb

from orchestration.config import settings
from orchestration.lib.run_parameters import as_of_day
from orchestration.lib.warehouse import published_connection

__all__ = ["connect"]


def connect(
    deployment: str | None = None, *, as_of: str | None = None
) -> duckdb.DuckDBPyConnection:
    """Open the published tables.

    The connection sees one published version for as long as it lives, whatever runs meanwhile.
    Schemas: `behaviour` and `marts`.

    Args:
        deployment: a shipped deployment's name or a folder of contracts; by default what
            `HABITUS_CONTRACTS` says, else the simulated shop.
        as_of: what `habitus run --as-of` rebuilt for a day, YYYY-MM-DD, instead of the present.

    Raises:
        NothingPublishedError: no run has published yet.
        AsOfError: `as_of` is no day that has ended.
    """
    day = as_of_day(as_of) if as_of else None
    return published_connection(replace(settings(deployment), as_of=day))
