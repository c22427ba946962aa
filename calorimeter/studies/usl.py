"""The Universal Scalability Law: throughput against size, its three parameters, and how sure they are.

X(N) = γ·N / (1 + α·(N − 1) + β·N·(N − 1))   (Gunther, Guerrilla Capacity Planning, 2007)

γ is the throughput of one alone, α the share of work that waits for its turn (contention), β the cost of
agreement of each pair (coherency). Fitted by least squares with α, β ≥ 0, from several starts
(Levenberg–Marquardt).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from calorimeter.core.statistics import Floats
from calorimeter.core.toml import Model

FEWEST_FOR_LAW = 3
"""Different sizes below which three parameters have no fit: many laws go through two points."""

FEWEST_SIZES = 6
"""Different sizes below which three parameters leave too little to judge the fit by: no intervals then."""

CONFIDENCE = 0.95


class Bounded(Model):
    """A parameter or a prediction with its interval; None if there are too few sizes for one."""

    value: float
    low: float | None = None
    high: float | None = None

    def wider(self, by: float) -> Bounded:
        """The same with an interval that reaches `by` further on both sides."""
        if self.low is None or self.high is None:
            return self
        return Bounded(value=self.value, low=max(0.0, self.low - by), high=self.high + by)


class Law(Model):
    """A fitted law. `peak` is the size at which throughput is greatest, None if it only grows.

    `residual` is the standard error of the residuals, in the unit of throughput. `sizes` is the number
    of different sizes it was fitted to.
    """

    gamma: Bounded
    alpha: Bounded
    beta: Bounded
    residual: float | None
    sizes: int
    points: int
    covariance: tuple[tuple[float, ...], ...] | None = None
    """Of γ, α and β; in the directions that are at their bound of 0, nothing."""

    @property
    def peak(self) -> float | None:
        """√((1 − α) / β)."""
        alpha, beta = self.alpha.value, self.beta.value
        return math.sqrt((1 - alpha) / beta) if beta > 0 and alpha < 1 else None

    def at(self, size: float) -> Bounded:
        """The prediction for one more measurement at a size, with its interval.

        The delta method: the law's own uncertainty and the scatter of a single measurement together.
        """
        theta = np.array([self.gamma.value, self.alpha.value, self.beta.value])
        value = float(throughput(theta, np.array([float(size)]))[0])
        if self.covariance is None or self.residual is None:
            return Bounded(value=value)
        slope = gradient(theta, np.array([float(size)]))[0]
        spread = math.sqrt(max(0.0, float(slope @ np.array(self.covariance) @ slope)) + self.residual**2)
        reach = student(self.points - 3, CONFIDENCE) * spread
        return Bounded(value=value, low=max(0.0, value - reach), high=value + reach)

    def efficiency(self, size: float) -> float:
        """X(N) / (N·X(1)): the share of a perfect scaling that is left."""
        return self.at(size).value / (size * self.gamma.value)


def throughput(theta: Floats, sizes: Floats) -> Floats:
    """X(N) for γ, α, β."""
    gamma, alpha, beta = theta
    return np.asarray(gamma * sizes / (1 + alpha * (sizes - 1) + beta * sizes * (sizes - 1)))


def gradient(theta: Floats, sizes: Floats) -> Floats:
    """∂X/∂(γ, α, β), one row per size."""
    gamma, alpha, beta = theta
    below = 1 + alpha * (sizes - 1) + beta * sizes * (sizes - 1)
    shared = -gamma * sizes / below**2
    return np.stack([sizes / below, shared * (sizes - 1), shared * sizes * (sizes - 1)], axis=1)


def fit(sizes: Sequence[float], values: Sequence[float]) -> Law:
    """Fit the law to throughputs at sizes; several values at one size are allowed.

    Raises ValueError for fewer than `FEWEST_FOR_LAW` different sizes. With fewer than `FEWEST_SIZES` the
    curve is given without intervals; intervals are those of least squares (Student's t with n − 3 degrees
    of freedom), cut at 0 where a parameter cannot be negative.
    """
    at = np.asarray(sizes, dtype=np.float64)
    found = np.asarray(values, dtype=np.float64)
    different = len(np.unique(at))
    if different < FEWEST_FOR_LAW:
        raise ValueError(f"a law of size needs at least {FEWEST_FOR_LAW} sizes")
    starts = [(found.max() / at.max(), 0.0, 0.0), (float((found / at).max()), 0.05, 0.001)]
    starts.append((float((found / at).max()), 0.5, 0.0))
    fits = [_least_squares(np.array(start), at, found) for start in starts]
    theta = min(fits, key=lambda each: float(((throughput(each, at) - found) ** 2).sum()))
    return _law(theta, at, found, different)


def _least_squares(theta: Floats, at: Floats, found: Floats) -> Floats:
    """Levenberg–Marquardt with α and β kept at or above 0, with each parameter scaled by its curvature."""
    damping, loss = 1e-3, _loss(theta, at, found)
    for _ in range(500):
        slope, missed = gradient(theta, at), found - throughput(theta, at)
        free = np.array([True, *(theta[i] > 0 or (slope[:, i] @ missed) > 0 for i in (1, 2))])
        normal = slope[:, free].T @ slope[:, free]
        scale = np.diag(np.diag(normal) + 1e-300)
        step = np.zeros(3)
        step[free] = np.linalg.lstsq(normal + damping * scale, slope[:, free].T @ missed, rcond=None)[0]
        tried = np.maximum(theta + step, [1e-12, 0.0, 0.0])
        better = _loss(tried, at, found)
        if better <= loss:
            done = loss - better <= 1e-13 * loss and damping < 1e3
            theta, loss, damping = tried, better, max(damping / 5, 1e-12)
            if done:
                break
        else:
            damping *= 4
            if damping > 1e12:
                break
    return theta


def _loss(theta: Floats, at: Floats, found: Floats) -> float:
    missed = found - throughput(theta, at)
    return float(missed @ missed)


def _law(theta: Floats, at: Floats, found: Floats, different: int) -> Law:
    left = len(at) - 3
    residual = math.sqrt(_loss(theta, at, found) / left) if left > 0 else None
    bounded = [Bounded(value=float(each)) for each in theta]
    covariance = None
    if different >= FEWEST_SIZES and residual is not None:
        slope = gradient(theta, at)
        # A parameter at its bound is still uncertain upwards: it is kept in the covariance.
        found_covariance = residual**2 * np.linalg.pinv(slope.T @ slope)
        reach = student(left, CONFIDENCE) * np.sqrt(np.diag(found_covariance))
        bounded = [
            Bounded(value=float(v), low=float(max(0.0, v - r)), high=float(v + r))
            for v, r in zip(theta, reach, strict=True)
        ]
        covariance = tuple(tuple(float(each) for each in row) for row in found_covariance)
    gamma, alpha, beta = bounded
    return Law(gamma=gamma, alpha=alpha, beta=beta, residual=residual, sizes=different, points=len(at),
               covariance=covariance)  # fmt: skip


def student(freedom: int, confidence: float) -> float:
    """The two-sided quantile of Student's t: |T| stays below it with probability `confidence`.

    By bisection of the distribution function, which for t is the regularised incomplete beta function;
    here a finite sum (Abramowitz and Stegun 26.7.3 and 26.7.4).
    """
    return _bisected(lambda t: _between(t, freedom) - confidence, 0.0, 1e6)


def _between(t: float, freedom: int) -> float:
    """P(|T| < t)."""
    angle = math.atan(t / math.sqrt(freedom))
    sine, cosine = math.sin(angle), math.cos(angle)
    if freedom == 1:
        return 2 * angle / math.pi
    term, total = 1.0, 1.0
    if freedom % 2:
        term = total = cosine
        for k in range(3, freedom - 1, 2):
            term *= cosine**2 * (k - 1) / k
            total += term
        return 2 / math.pi * (angle + sine * total)
    for k in range(2, freedom - 1, 2):
        term *= cosine**2 * (k - 1) / k
        total += term
    return sine * total


def _bisected(rises: Callable[[float], float], low: float, high: float) -> float:
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if rises(middle) < 0 else (low, middle)
    return (low + high) / 2
