"""BG/NBD: how often customers buy while they are customers, and whether they still are.

Source: Fader, Hardie, Lee (2005), "Counting Your Customers" the Easy Way. While alive a customer
buys at rate lambda ~ Gamma(r, rate alpha); after each repeat purchase he leaves with probability
p ~ Beta(a, b). Data of a customer: `x` repeat purchases, the last `t_x` after the first purchase,
observed for `age` (T in the paper); all in one unit of time.
What does not belong here: labels, churn decisions, money.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import eigh_tridiagonal
from scipy.optimize import minimize
from scipy.special import expit, gammaln, psi
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

FloatArray = NDArray[np.float64]

# Log-parameters stay inside; touching an edge means that the data do not determine the parameter.
_BOUND = 12.0
# Prior of the fallback fit: log-parameters around the start with this spread.
_PRIOR_SD = 2.0
_NODES = 32
_START_GROUPS = 5_000


@dataclass(frozen=True)
class BgNbd:
    """Parameters, `alpha` in the unit of time of the data; all > 0."""

    r: float
    alpha: float
    a: float
    b: float

    def _log_odds_dead(self, x: FloatArray, t_x: FloatArray, age: FloatArray) -> FloatArray:
        """Log P(left by age) / P(alive); -inf where x = 0: nobody leaves before a repeat."""
        repeated = x > 0
        safe = np.where(repeated, x, 1.0)
        odds = np.log(self.a) - np.log(self.b + safe - 1.0)
        odds = odds + (self.r + safe) * (np.log(self.alpha + age) - np.log(self.alpha + t_x))
        return np.where(repeated, odds, -np.inf)

    def p_alive(self, x: ArrayLike, t_x: ArrayLike, age: ArrayLike) -> FloatArray:
        """P(still a customer at `age`). 1 for every x = 0: never a churn score by itself."""
        return np.asarray(expit(-self._log_odds_dead(*_arrays(x, t_x, age))))

    def p_zero(self, x: ArrayLike, t_x: ArrayLike, age: ArrayLike, horizon: float) -> FloatArray:
        """P(no purchase in (age, age + horizon]), valid for every x >= 0.

        Either the customer has left, or is alive and waits. Given alive at `age`, lambda is
        Gamma(r + x, alpha + age), and as one leaves only after a purchase, no purchase means no
        first event of the Poisson process, whatever p:
        P(0) = 1 - P(alive) * (1 - ((alpha + age) / (alpha + age + horizon)) ** (r + x)).
        """
        counts, last, ages = _arrays(x, t_x, age)
        waits = -(self.r + counts) * np.log1p(horizon / (self.alpha + ages))
        return np.asarray(1.0 + self.p_alive(counts, last, ages) * np.expm1(waits))

    def expected_purchases(
        self, x: ArrayLike, t_x: ArrayLike, age: ArrayLike, horizon: float
    ) -> FloatArray:
        """Expected purchases in (age, age + horizon].

        Given alive, lambda and p: (1 - exp(-lambda p h)) / p. Lambda integrates in closed form, p
        over Beta(a, b + x) by Gauss quadrature: equals the paper's 2F1 form, but is stable for
        large x and for a near 1.
        """
        counts, last, ages = _arrays(x, t_x, age)
        result = np.empty(len(counts))
        values, which = np.unique(counts, return_inverse=True)
        order = np.argsort(which, kind="stable")
        for value, rows in zip(
            values, np.split(order, np.cumsum(np.bincount(which))[:-1]), strict=True
        ):
            nodes, weights = _beta_quadrature(self.a, self.b + value)
            step = np.log1p(nodes[None, :] * horizon / (self.alpha + ages[rows, None]))
            result[rows] = (-np.expm1(-(self.r + value) * step) * (weights / nodes)).sum(axis=1)
        return result * self.p_alive(counts, last, ages)

    def as_dict(self) -> dict[str, float]:
        """The parameters by name."""
        return asdict(self)


@dataclass(frozen=True)
class BgNbdFit:
    """A fit and how it went.

    Attributes:
        model: the parameters.
        log_likelihood: at the parameters, of the data in their own unit of time.
        converged: gradient is zero and no parameter stands at its bound. When False, `message`
            says why, and the parameters are those of the weakly penalised fit.
        customers: rows given. groups: distinct (x, t_x, age).
    """

    model: BgNbd
    log_likelihood: float
    converged: bool
    message: str
    customers: int
    groups: int

    def as_dict(self) -> dict[str, float | int | bool | str]:
        """Flat and JSON-able."""
        return {
            **self.model.as_dict(),
            "log_likelihood": self.log_likelihood,
            "converged": self.converged,
            "message": self.message,
            "customers": self.customers,
        }


def _arrays(x: ArrayLike, t_x: ArrayLike, age: ArrayLike) -> tuple[FloatArray, ...]:
    return tuple(np.atleast_1d(np.asarray(v, dtype=np.float64)) for v in (x, t_x, age))


def _total(weights: NDArray[Any], values: NDArray[Any]) -> float:
    """Weighted sum without BLAS.

    BLAS threads made the fit 20 times slower on shared cores, and their number moves the last bit.
    """
    return float(np.sum(weights * values))


def _beta_quadrature(a: float, b: float) -> tuple[FloatArray, FloatArray]:
    """Gauss nodes in (0, 1) and weights (sum 1) of the Beta(a, b) density (Golub, Welsch)."""
    left, right = b - 1.0, a - 1.0
    k = np.arange(1, _NODES, dtype=np.float64)
    total = 2.0 * k + left + right
    diagonal = np.empty(_NODES)
    diagonal[0] = (right - left) / (left + right + 2.0)
    diagonal[1:] = (right**2 - left**2) / (total * (total + 2.0))
    off = 4.0 * k * (k + left) * (k + right) * (k + left + right)
    # k = 1 apart: its general form is 0/0 when a + b = 1.
    with np.errstate(invalid="ignore", divide="ignore"):
        off = off / (total**2 * (total**2 - 1.0))
    off[0] = 4.0 * (1 + left) * (1 + right) / ((2 + left + right) ** 2 * (3 + left + right))
    nodes, vectors = eigh_tridiagonal(diagonal, np.sqrt(off))
    return np.maximum((1.0 + nodes) / 2.0, 1e-300), vectors[0] ** 2


class _Grouped:
    """Equal customers counted once; likelihood and gradient over the groups."""

    def __init__(self, x: FloatArray, t_x: FloatArray, age: FloatArray) -> None:
        frame = pd.DataFrame({"x": x, "t_x": t_x, "age": age})
        counted = frame.groupby(["x", "t_x", "age"], sort=True).size()
        index = counted.index.to_frame(index=False)
        self.x, self.t_x, self.age = (index[c].to_numpy(float) for c in ("x", "t_x", "age"))
        self.weight = counted.to_numpy(float)
        self._prepare()

    def _prepare(self) -> None:
        self.customers = float(self.weight.sum())
        # Gamma functions depend on x alone, which has few values: they are weighed once.
        self.values, which = np.unique(self.x, return_inverse=True)
        self.value_weight = np.bincount(which, weights=self.weight).astype(np.float64)
        self.repeated = self.x > 0
        self.safe_x = np.where(self.repeated, self.x, 1.0)

    def thinned(self, limit: int) -> _Grouped:
        """Every k-th group, so that at most about `limit` are left; itself when it has no more."""
        step = -(-len(self.weight) // limit)
        if step <= 1:
            return self
        part = object.__new__(_Grouped)
        for name in ("x", "t_x", "age", "weight"):
            setattr(part, name, getattr(self, name)[::step])
        part._prepare()
        return part

    def value_and_gradient(self, log_parameters: FloatArray) -> tuple[float, FloatArray]:
        """Log-likelihood and its gradient by the log-parameters."""
        r, alpha, a, b = np.exp(log_parameters)
        n, w, v, vw = self.customers, self.weight, self.values, self.value_weight
        log_age, log_last = np.log(alpha + self.age), np.log(alpha + self.t_x)
        odds = np.log(a) - np.log(b + self.safe_x - 1.0) + (r + self.x) * (log_age - log_last)
        softplus = np.where(self.repeated, np.logaddexp(0.0, odds), 0.0)
        dead = np.where(self.repeated, expit(odds), 0.0)
        value = _total(vw, gammaln(r + v) + gammaln(b + v) - gammaln(a + b + v))
        value += n * (r * np.log(alpha) - gammaln(r) - gammaln(b) + gammaln(a + b))
        value += _total(w, softplus - (r + self.x) * log_age)
        psi_sum = _total(vw, psi(a + b + v))
        by_r = _total(vw, psi(r + v)) + n * (np.log(alpha) - psi(r))
        by_r += _total(w, dead * (log_age - log_last) - log_age)
        inverse_age, inverse_last = 1.0 / (alpha + self.age), 1.0 / (alpha + self.t_x)
        by_alpha = n * r / alpha
        waiting = dead * (inverse_age - inverse_last) - inverse_age
        by_alpha += _total(w, (r + self.x) * waiting)
        by_a = n * psi(a + b) - psi_sum + _total(w, dead) / a
        by_b = _total(vw, psi(b + v)) - psi_sum + n * (psi(a + b) - psi(b))
        by_b -= _total(w, dead / (b + self.safe_x - 1.0))
        return float(value), np.array([by_r * r, by_alpha * alpha, by_a * a, by_b * b])


def log_likelihood(model: BgNbd, x: ArrayLike, t_x: ArrayLike, age: ArrayLike) -> float:
    """Log-likelihood of customers (shape (n,) each) under a model."""
    grouped = _Grouped(*_arrays(x, t_x, age))
    return grouped.value_and_gradient(np.log([model.r, model.alpha, model.a, model.b]))[0]


def gradient(model: BgNbd, x: ArrayLike, t_x: ArrayLike, age: ArrayLike) -> FloatArray:
    """Gradient of `log_likelihood` by (log r, log alpha, log a, log b), shape (4,)."""
    grouped = _Grouped(*_arrays(x, t_x, age))
    return grouped.value_and_gradient(np.log([model.r, model.alpha, model.a, model.b]))[1]


def _check(x: FloatArray, t_x: FloatArray, age: FloatArray) -> None:
    if not len(x) == len(t_x) == len(age):
        raise ValueError("x, t_x and age must have one length")
    if not all(np.isfinite(v).all() for v in (x, t_x, age)):
        raise ValueError("x, t_x and age must be finite")
    if (x < 0).any() or (t_x < 0).any() or (t_x > age).any():
        raise ValueError("need x >= 0 and 0 <= t_x <= age")
    if ((x == 0) & (t_x > 0)).any():
        raise ValueError("t_x must be 0 where there was no repeat purchase")


def _climb(
    grouped: _Grouped, start: FloatArray, prior: FloatArray | None
) -> tuple[float, FloatArray, FloatArray]:
    """Best (value, log-parameters, gradient) from one start; penalised when a prior is given."""

    def loss(point: FloatArray) -> tuple[float, FloatArray]:
        value, slope = grouped.value_and_gradient(point)
        if prior is not None:
            away = (point - prior) / _PRIOR_SD
            value, slope = value - 0.5 * float(away @ away), slope - away / _PRIOR_SD
        return -value / grouped.customers, -slope / grouped.customers

    found = minimize(
        loss,
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=[(-_BOUND, _BOUND)] * 4,
        options={"ftol": 1e-14, "gtol": 1e-9, "maxiter": 500, "maxls": 50},
    )
    point = _polish(loss, np.asarray(found.x))
    value, slope = loss(point)
    return -value, point, slope


def _polish(loss, point: FloatArray) -> FloatArray:  # type: ignore[no-untyped-def]
    """Newton steps on the gradient's differences: the likelihood is flat, the gradient is not."""
    for _ in range(3):
        value, slope = loss(point)
        if np.abs(slope).max() < 1e-12 or np.abs(point).max() > _BOUND - 1e-6:
            break
        step = 1e-5
        rows = [
            (loss(point + step * e)[1] - loss(point - step * e)[1]) / (2 * step) for e in np.eye(4)
        ]
        curvature = (np.array(rows) + np.array(rows).T) / 2
        if np.linalg.eigvalsh(curvature).min() <= 0:
            break
        candidate = point - np.linalg.solve(curvature, slope)
        new_value, new_slope = loss(candidate)
        if new_value > value + 1e-13 or np.abs(new_slope).max() >= np.abs(slope).max():
            break
        point = candidate
    return point


def fit(x: ArrayLike, t_x: ArrayLike, age: ArrayLike) -> BgNbdFit:
    """Maximum likelihood from three starts, on time scaled to a mean age of 1.

    The starts compete on at most about 5,000 groups; the best end is then climbed on all of them.

    Args:
        x: repeat purchases (n,).
        t_x: time of the last one since the first purchase (n,), 0 where x = 0.
        age: time since the first purchase (n,), in the same unit.

    Raises:
        ValueError: no rows, lengths differ, or values out of range.
    """
    counts, last, ages = _arrays(x, t_x, age)
    _check(counts, last, ages)
    if not len(counts):
        raise ValueError("no customers to fit")
    scale = float(ages.mean()) or 1.0
    grouped = _Grouped(counts, last / scale, ages / scale)
    total = float(counts.sum())
    rate = max(total / len(counts), 1e-3)
    starts = [
        np.log([r, r / rate, a, b])
        for r, a, b in ((0.5, 0.6, 2.0), (1.5, 1.0, 6.0), (0.2, 0.8, 2.5))
    ]
    # One thread: L-BFGS-B hands 4 x 4 matrices to BLAS, whose threads then take 2/3 of the time.
    with threadpool_limits(limits=1):
        few = grouped.thinned(_START_GROUPS)
        results = [_climb(few, start, None) for start in starts]
        if few is not grouped:
            results = [_climb(grouped, max(results, key=lambda found: found[0])[1], None)]
    _, point, slope = max(results, key=lambda found: found[0])
    problem = ""
    if not total:
        problem = "no customer has a repeat purchase"
    elif np.abs(point).max() > _BOUND - 1e-3:
        problem = "a parameter runs to its bound: the data do not determine it"
    elif np.abs(slope).max() > 1e-6:
        problem = f"gradient {np.abs(slope).max():.1e} is not zero"
    if problem:
        with threadpool_limits(limits=1):
            results = [_climb(grouped, start, starts[0]) for start in starts]
        _, point, _ = max(results, key=lambda found: found[0])
    r, alpha, a, b = (float(v) for v in np.exp(point))
    # Scaling time by s multiplies the density of x purchase times by s ** x.
    truth = grouped.value_and_gradient(point)[0] - total * float(np.log(scale))
    return BgNbdFit(
        model=BgNbd(r, alpha * scale, a, b),
        log_likelihood=truth,
        converged=not problem,
        message=f"{problem}; weakly penalised instead" if problem else "converged",
        customers=len(counts),
        groups=len(grouped.weight),
    )
