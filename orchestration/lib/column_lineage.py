"""Column lineage of dbt models, from their compiled SQL and the columns dbt has documented.

dagster-dbt's own `fetch_column_metadata` reopens the profile's path, which here is ":memory:".

What does not belong here: asset lineage; Dagster derives that from dbt's graph.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import dagster as dg
from sqlglot import exp, parse_one
from sqlglot.lineage import Node, lineage
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import build_scope
from sqlglot.schema import MappingSchema

DIALECT = "duckdb"

# column -> [(layer, table, column of it)]
Columns = dict[str, list[tuple[str, str, str]]]


def known_schema(
    manifest: Mapping[str, Any], inputs: Mapping[tuple[str, str], Iterable[str]]
) -> MappingSchema:
    """Columns of every model, as dbt has them documented, and of every source.

    Args:
        manifest: dbt's manifest.
        inputs: (schema, name) -> columns of what dbt reads but does not make.
    """
    schema = MappingSchema(dialect=DIALECT)
    for node in [*manifest["nodes"].values(), *manifest["sources"].values()]:
        own = inputs.get((node.get("schema", ""), node["name"]), node.get("columns", {}))
        columns = dict.fromkeys(own, "varchar")
        if columns and node.get("relation_name"):
            schema.add_table(node["relation_name"], columns, dialect=DIALECT)
    return schema


def _leaves(node: Node) -> set[tuple[str, str, str]]:
    """The table columns at the end of a lineage tree."""
    found = set()
    for each in node.walk():
        if isinstance(each.expression, exp.Table) and not each.downstream:
            column = each.name.rsplit(".", 1)[-1].strip('"')
            found.add((each.expression.db, each.expression.name, column))
    return found


def of_query(sql: str, schema: MappingSchema) -> Columns:
    """For each output column of a query, the table columns it is made of, sorted."""
    query = qualify(
        parse_one(sql, dialect=DIALECT),
        schema=schema,
        dialect=DIALECT,
        validate_qualify_columns=False,
    )
    columns = lineage(
        None,
        query,
        schema=schema,
        dialect=DIALECT,
        scope=build_scope(query),
        trim_selects=False,
        copy=False,
    )
    return {name: sorted(_leaves(node)) for name, node in columns.items() if name != "*"}


class LineageCache:
    """Lineage by hash of the compiled SQL, which seldom changes from run to run.

    A model that is brought forward reads changes, and its own past: where its columns come from is
    what it says when it is built anew.

    Args:
        folder: where the results are kept between runs.
        manifest: dbt's manifest.
        inputs: columns of the sources, see `known_schema`.
    """

    def __init__(
        self,
        folder: Path,
        manifest: Mapping[str, Any],
        inputs: Mapping[tuple[str, str], Iterable[str]],
    ) -> None:
        self.folder = folder
        self.manifest = manifest
        self.inputs = inputs

    @cached_property
    def schema(self) -> MappingSchema:
        """Columns of everything that a model may read."""
        return known_schema(self.manifest, self.inputs)

    def _columns(self, compiled: Path, forward: bool) -> Mapping[str, list[Any]] | None:
        last = self.folder / f"{compiled.stem}.last.json"
        if forward:
            return json.loads(last.read_text()) if last.exists() else None
        if not compiled.exists():
            return None
        sql = compiled.read_text()
        kept = self.folder / f"{hashlib.sha256(sql.encode()).hexdigest()[:24]}.json"
        if not kept.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            kept.write_text(json.dumps(of_query(sql, self.schema)))
        text = kept.read_text()
        last.write_text(text)
        return json.loads(text)

    def of_model(self, compiled: Path, forward: bool = False) -> dg.TableColumnLineage | None:
        """Lineage of one model; None where it is not known.

        Args:
            compiled: its SQL as dbt compiled it.
            forward: whether that SQL brings tables forward.
        """
        columns = self._columns(compiled, forward)
        if columns is None:
            return None
        return dg.TableColumnLineage(
            {
                name: [
                    dg.TableColumnDep(asset_key=dg.AssetKey([layer, table]), column_name=column)
                    for layer, table, column in deps
                ]
                for name, deps in columns.items()
            }
        )
