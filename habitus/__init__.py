"""habitus: the public face, for notebooks and dashboards.

>>> import habitus
>>> con = habitus.connect()          # read-only, pinned to the published snapshot
>>> con.sql("select segment, count(*) from marts.rfm group by segment").df()

What does not belong here: anything that another part could do; this package only offers it.
"""

import duckdb

from orchestration.config import settings
from orchestration.lib.warehouse import published_connection

__all__ = ["connect"]


def connect(deployment: str | None = None) -> duckdb.DuckDBPyConnection:
    """Open the published tables.

    The connection sees one published version for as long as it lives, whatever runs meanwhile.
    Schemas: `behaviour` and `marts`.

    Args:
        deployment: a shipped deployment's name or a folder of contracts; by default what
            `HABITUS_CONTRACTS` says, else the simulated shop.

    Raises:
        NothingPublishedError: no run has published yet.
    """
    return published_connection(settings(deployment))
