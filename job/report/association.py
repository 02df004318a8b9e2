"""How columns hang together: phi_k for any mixture of numbers and words, variance inflation for numbers.

Written out here because the library `phik` needs pandas, scipy and joblib: the scoring image has none of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Counts = NDArray[np.int64]
    Numbers = NDArray[np.float64]

REACH: Final = 5.0  # phi_k cuts off the normal distribution at five standard deviations
STEPS: Final = 60
# Gauss-Legendre nodes and weights on -1..1, three points: Abramowitz and Stegun (1964), table 25.4.
NODES: Final = ((-math.sqrt(0.6), 5 / 9), (0.0, 8 / 9), (math.sqrt(0.6), 5 / 9))
SINGULAR: Final = 1e-10


def chi_square(table: ArrayLike) -> float:
    """Return Pearson's chi-square of a contingency table against independence; empty rows and columns add nothing."""
    counts = _filled(table)
    expected = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / counts.sum()
    return float(((counts - expected) ** 2 / expected).sum())


def phi_k(table: ArrayLike) -> float:
    """Return phi_k (0: independent, or one row or column; 1: one follows from the other) of a contingency table.

    The correlation of a bivariate normal distribution, cut into as many bins, that has the same chi-square; chi-square
    up to its expected noise (the degrees of freedom) counts as none. Baak, Koopman, Snoek and Klous, "A new correlation
    coefficient between categorical, ordinal and interval variables with Pearson characteristics", Computational
    Statistics & Data Analysis 152 (2020), section 3. Agrees with the authors' library to four decimals; tables of
    two by two differ a little, because there the library takes Yates' correction first.

    `table`: counts, rows x columns, at least one customer; empty rows and columns are left out.
    """
    counts = _filled(table)
    fewer, more = sorted(counts.shape)
    if fewer < 2:  # noqa: PLR2004 - one value cannot vary with another
        return 0.0
    pedestal = (fewer - 1) * (more - 1)
    highest = int(counts.sum()) * (fewer - 1)
    statistic = chi_square(counts)
    if statistic <= pedestal:
        return 0.0
    if statistic >= highest or highest <= pedestal:
        return 1.0
    root = math.sqrt((statistic - pedestal) / (highest - pedestal))
    return math.sin(np.interp(root, _chi_square_roots(fewer, more), np.linspace(0, math.pi / 2, STEPS + 1)))


def _filled(table: ArrayLike) -> Counts:
    """Return a table without its empty rows and columns."""
    counts: Counts = np.asarray(table)
    return counts[counts.any(axis=1)][:, counts.any(axis=0)]


@lru_cache(maxsize=256)
def _chi_square_roots(rows: int, columns: int) -> Numbers:
    """Return sqrt(chi-square / its value at correlation 1) of the binned normal at correlation sin(0 ... 90 degrees).

    The distribution function at correlation r is Phi(h) Phi(k) + 1/(2 pi) times the integral of
    exp(-(h^2 + k^2 - 2 h k sin t) / (2 cos^2 t)) for t from 0 to arcsin r (Drezner and Wesolowsky, Journal of
    Statistical Computation and Simulation 35, 1990): one sweep over t gives all correlations. Roots, because they are
    nearly a straight line in the angle.
    """
    edges = [np.linspace(-REACH, REACH, bins + 1) for bins in (rows, columns)]
    independent = np.outer(*(np.diff([math.erfc(-edge / math.sqrt(2)) / 2 for edge in of_bins]) for of_bins in edges))
    width = math.pi / 2 / STEPS
    nodes, weights = np.array(NODES).T[..., None, None]
    angles = (np.arange(STEPS)[:, None, None, None] + (nodes + 1) / 2) * width
    h, k = edges[0][:, None], edges[1]
    exponents = (h * h + k * k - 2 * h * k * np.sin(angles)) / (2 * np.cos(angles) ** 2)
    gained = (np.exp(-exponents) * weights).sum(axis=1).cumsum(axis=0) * (width / 2 / (2 * math.pi))
    cells = np.diff(np.diff(gained, axis=1), axis=2)
    chi_squares = (cells**2 / independent).sum(axis=(1, 2))
    return np.sqrt([0.0, *(chi_squares / chi_squares[-1])])


def variance_inflation(correlations: Sequence[Sequence[float]]) -> list[float | None]:
    """Return each column's variance inflation factor: the diagonal of the inverse correlation matrix (Pearson's).

    1 / (1 - R^2) of a column regressed on all others: Belsley, Kuh and Welsch, "Regression Diagnostics" (1980), 3.2.
    None for all where a column follows exactly from others, as no inverse exists.
    """
    size = len(correlations)
    scales, directions = np.linalg.eigh(np.reshape(correlations, (size, size)))
    if scales.min(initial=1.0) < SINGULAR:
        return [None] * size
    factors: list[float | None] = (directions**2 / scales).sum(axis=1).tolist()
    return factors
