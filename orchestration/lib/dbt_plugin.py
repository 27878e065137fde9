"""dbt's door to the lake: attaches it before dbt connects, and shows dbt its sources.

What does not belong here: how the lake is attached (lake.py, which readers import without dbt).
"""

from pathlib import Path
from typing import Any

import duckdb
from dbt.adapters.duckdb.credentials import DuckDBCredentials
from dbt.adapters.duckdb.plugins import BasePlugin

from orchestration.lib.lake import UNSIGNED, LakeError, attach, create_input_views


class Plugin(BasePlugin):
    """dbt-duckdb plugin, named in `profiles.yml` with the deployment's folder as `home`."""

    def initialize(self, plugin_config: dict[str, Any]) -> None:
        """Keep the deployment's folder.

        Args:
            plugin_config: The plugin's `config` in the profile.

        Raises:
            LakeError: `home` is missing.
        """
        if not plugin_config.get("home"):
            msg = "profiles.yml: the plugin orchestration.lib.dbt_plugin needs config.home"
            raise LakeError(msg)
        self.home = Path(plugin_config["home"])

    def update_connection_config(self, creds: DuckDBCredentials, config: dict[str, Any]) -> None:
        """Forbid downloads before the connection exists.

        Args:
            creds: dbt's credentials, unused.
            config: Changed in place; goes to `duckdb.connect`.
        """
        config.update(autoinstall_known_extensions=False, **UNSIGNED)

    def configure_connection(self, conn: duckdb.DuckDBPyConnection) -> None:
        """Attach the lake for writing and create the views over its inputs.

        The profile names the same attachment once more, so that dbt knows it is a DuckLake;
        dbt's `attach if not exists` then finds it done.

        Args:
            conn: dbt's connection.
        """
        # DuckDB creates its spill folder, but not the parents of it.
        (self.home / "dbt").mkdir(parents=True, exist_ok=True)
        attach(conn, self.home, read_only=False)
        create_input_views(conn, self.home)
