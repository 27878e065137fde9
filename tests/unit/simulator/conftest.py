"""One small shop on disk and one in memory, made once."""

from __future__ import annotations

import pytest
from shop_observables import Written

from simulator.shop import Generated, generate, simulate, streams


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """400 people, 150 days."""
    root = tmp_path_factory.mktemp("shop")
    summary = simulate(root / "landing", root / "truth", customers=400, days=150, seed=3)
    return Written(root / "landing", root / "truth", summary)


@pytest.fixture(scope="session")
def generated() -> Generated:
    """3,000 people, 450 days, in memory."""
    return generate(3000, 450, None, streams(5))
