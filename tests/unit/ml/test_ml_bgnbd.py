"""BG/NBD against published figures, finite differences and simulation."""

import importlib.util
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import hyp2f1

from ml.value.bgnbd import BgNbd, fit, gradient, log_likelihood

PUBLISHED = BgNbd(0.243, 4.414, 0.793, 2.426)
SHARED = Path(__file__).parents[4] / "shared/data/cdnow/CDNOW_sample.txt"


def _packaged(name: str) -> Path | None:
    spec = importlib.util.find_spec("lifetimes")
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / "datasets" / name
    return path if path.is_file() else None


def _history(path: Path, columns: list[str], skip: int, end: str) -> tuple[np.ndarray, ...]:
    orders = pd.read_csv(path, sep=r"\s+", header=None, names=columns, skiprows=skip)
    orders["day"] = pd.to_datetime(orders["day"].astype(str), format="%Y%m%d")
    orders = orders[orders["day"] <= end].drop_duplicates(["customer", "day"])
    grouped = orders.groupby("customer")["day"].agg(["min", "max", "size"])
    t_x = (grouped["max"] - grouped["min"]).dt.days.to_numpy() / 7
    age = (pd.Timestamp(end) - grouped["min"]).dt.days.to_numpy() / 7
    return grouped["size"].to_numpy() - 1, t_x, age


def _simulate(model: BgNbd, age: np.ndarray, horizon: float, seed: int) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    n = len(age)
    rate, leave = rng.gamma(model.r, 1 / model.alpha, n), rng.beta(model.a, model.b, n)
    x, t_x, clock = np.zeros(n), np.zeros(n), np.zeros(n)
    later, alive = np.zeros(n, dtype=bool), np.ones(n, dtype=bool)
    while alive.any():
        with np.errstate(divide="ignore", over="ignore"):
            clock = np.where(alive, clock + rng.exponential(1, n) / rate, clock)
        inside = alive & (clock <= age)
        later |= alive & (clock > age) & (clock <= age + horizon)
        x, t_x = x + inside, np.where(inside, clock, t_x)
        alive = inside & (rng.random(n) > leave)
    return x, t_x, later


def test_published_sample() -> None:
    path = SHARED if SHARED.is_file() else _packaged("CDNOW_sample.txt")
    if path is None:
        pytest.skip("neither ../shared/data nor the package lifetimes has CDNOW_sample.txt")
    columns = ["master", "customer", "day", "units", "value"]
    found = fit(*_history(path, columns, 0, "1997-09-30"))
    assert found.converged
    assert found.log_likelihood == pytest.approx(-9582.43, abs=0.01)
    for name, value in PUBLISHED.as_dict().items():
        assert found.model.as_dict()[name] == pytest.approx(value, rel=0.01)
    assert found.groups < found.customers == 2357


def test_all_of_cdnow() -> None:
    path = _packaged("CDNOW_master.txt")
    if path is None:
        pytest.skip("the package lifetimes, which carries all of CDNOW, is not installed")
    found = fit(*_history(path, ["customer", "day", "units", "value"], 1, "1998-06-30"))
    assert found.log_likelihood == pytest.approx(-173425.9163, rel=1e-9)
    wanted = {"r": 0.26713, "alpha": 5.98649, "a": 0.48352, "b": 2.11161}
    assert found.model.as_dict() == pytest.approx(wanted, abs=1e-4)


def test_published_conditional_expectation() -> None:
    # The worked customer of the authors' spreadsheet note: 1.226 purchases in 39 weeks.
    assert PUBLISHED.expected_purchases(2, 30.43, 38.86, 39)[0] == pytest.approx(1.226, abs=5e-4)


def test_expectation_equals_the_paper_s_form() -> None:
    m, t = BgNbd(0.6, 5.0, 1.7, 3.0), 20.0
    x, t_x, age = np.array([0.0, 1, 5, 20]), np.array([0.0, 3, 25, 29]), np.full(4, 30.0)
    inner = ((m.alpha + age) / (m.alpha + age + t)) ** (m.r + x)
    inner = inner * hyp2f1(m.r + x, m.b + x, m.a + m.b + x - 1, t / (m.alpha + age + t))
    paper = (m.a + m.b + x - 1) / (m.a - 1) * (1 - inner) * m.p_alive(x, t_x, age)
    assert m.expected_purchases(x, t_x, age, t) == pytest.approx(paper, rel=1e-9)


@pytest.mark.parametrize("model", [PUBLISHED, BgNbd(2.0, 9.0, 0.05, 40.0), BgNbd(0.1, 1.0, 3, 1)])
def test_gradient_is_that_of_the_likelihood(model: BgNbd) -> None:
    x, t_x, age = np.array([0, 0, 1, 4, 60]), np.array([0, 0, 5, 20.0, 29.5]), np.full(5, 30.0)
    start = np.log(list(model.as_dict().values()))
    numeric = []
    for unit in np.eye(4) * 1e-5:
        up, down = (BgNbd(*np.exp(start + s * unit)) for s in (1, -1))
        numeric.append((log_likelihood(up, x, t_x, age) - log_likelihood(down, x, t_x, age)) / 2e-5)
    assert gradient(model, x, t_x, age) == pytest.approx(numeric, rel=1e-5, abs=1e-6)


def test_likelihood_is_the_sum_over_customers() -> None:
    x, t_x, age = np.array([0, 3, 3, 1]), np.array([0, 9.0, 9.0, 2]), np.array([12, 20.0, 20, 12])
    single = [log_likelihood(PUBLISHED, *(v[i : i + 1] for v in (x, t_x, age))) for i in range(4)]
    assert log_likelihood(PUBLISHED, x, t_x, age) == pytest.approx(sum(single), rel=1e-12)


def test_p_zero_is_what_simulated_customers_do() -> None:
    model, horizon = BgNbd(0.7, 6.0, 0.8, 2.5), 12.0
    age = np.random.default_rng(0).uniform(10, 40, 150_000)
    x, t_x, later = _simulate(model, age, horizon, seed=3)
    p = model.p_zero(x, t_x, age, horizon)
    late = t_x > age / 2
    for rows in (x == 0, (x == 1) & late, (x == 1) & ~late, (x >= 3) & late, (x >= 3) & ~late):
        error = np.sqrt((p[rows] * (1 - p[rows])).sum()) / rows.sum()
        assert abs(p[rows].mean() - (~later[rows]).mean()) < 4 * error
        # The test has teeth: taking everybody for alive would be seen.
    alive_only = 1 + np.expm1(-(model.r + x) * np.log1p(horizon / (model.alpha + age)))
    assert abs(alive_only[x >= 3].mean() - (~later[x >= 3]).mean()) > 0.02


def test_p_zero_holds_at_the_edges() -> None:
    x, t_x, age = np.array([0, 0, 5000, 5000]), np.array([0, 0, 10.0, 999]), np.full(4, 1000.0)
    p = PUBLISHED.p_zero(x, t_x, age, 13)
    assert np.isfinite(p).all()
    assert ((p >= 0) & (p <= 1)).all()
    assert p[2] > 0.999
    assert p[3] < 0.3
    assert PUBLISHED.p_zero(0, 0, 5, 0.0)[0] == 1.0
    assert PUBLISHED.p_alive(0, 0, 500)[0] == 1.0


def test_recovers_simulated_parameters_whatever_the_order() -> None:
    model = BgNbd(0.8, 7.0, 0.9, 3.0)
    age = np.random.default_rng(5).integers(20, 60, 40_000).astype(float)
    x, t_x, _ = _simulate(model, age, 1.0, seed=6)
    found = fit(x, t_x, age)
    assert found.converged
    assert found.model.as_dict() == pytest.approx(model.as_dict(), rel=0.15)
    order = np.random.default_rng(7).permutation(len(x))
    assert fit(x[order], t_x[order], age[order]) == found


@pytest.mark.parametrize(
    ("x", "t_x", "why"),
    [
        (np.zeros(30), np.zeros(30), "no customer has a repeat"),
        (np.full(30, 4.0), np.full(30, 9.0), "bound|gradient"),
    ],
)
def test_undetermined_fits_say_so(x: np.ndarray, t_x: np.ndarray, why: str) -> None:
    found = fit(x, t_x, np.full(30, 10.0))
    assert not found.converged
    assert re.search(why, found.message)
    assert np.isfinite(list(found.model.as_dict().values())).all()
    assert np.isfinite(found.model.p_zero(x, t_x, np.full(30, 10.0), 5.0)).all()


@pytest.mark.parametrize(
    ("x", "t_x", "age"),
    [([], [], []), ([1], [5], [4]), ([-1], [0], [4]), ([0], [2], [4]), ([1], [np.nan], [4])],
)
def test_impossible_histories_are_refused(x: list, t_x: list, age: list) -> None:
    with pytest.raises(ValueError, match=r"need|finite|no customers|must be"):
        fit(x, t_x, age)
