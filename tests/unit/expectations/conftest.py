"""One good shop, and one import of the library, for all tests of expectations."""

from collections.abc import Iterator

import duckdb
import pytest
from good_shop import good_shop, write_deployment

from expectations.contract import Deployment, load_entities
from expectations.registry import all_suites
from expectations.suite import Suite


@pytest.fixture(scope="session")
def shop() -> Iterator[duckdb.DuckDBPyConnection]:
    con = good_shop()
    yield con
    con.close()


@pytest.fixture(scope="session")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    return write_deployment(tmp_path_factory.mktemp("contracts") / "test")


@pytest.fixture(scope="session")
def suites(deployment: Deployment) -> dict[str, Suite]:
    return {s.name: s for s in all_suites(deployment, load_entities())}
