"""How columns hang together: phi_k for any mixture of numbers and words, variance inflation for numbers.

Written out here because the library `phik` needs pandas, scipy and joblib: the scoring image has none of them.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Table = list[list[int]]
Matrix = list[list[float]]

REACH: Final = 5.0  # phi_k cutoffs the normal distribution at five standard deviations
STEPS: Final = 60
# Gauss-Legendre nodes and weights on -1..1, three points: Abramowitz and Stegun (1964), table 25.4.
NODES: Final = ((-math.sqrt(0.6), 5 / 9), (0.0, 8 / 9), (math.sqrt(0.6), 5 / 9))
SINGULAR: Final = 1e-10


def chi_square(table: Table) -> float:
    """Return Pearson's chi-square of a contingency table against independence; empty rows and columns add nothing."""
    rows = [sum(row) for row in table]
    columns = [sum(column) for column in zip(*table, strict=True)]
    total = sum(rows)
    return math.fsum(
        (count - row * column / total) ** 2 / (row * column / total)
        for row, counts in zip(rows, table, strict=True)
        for column, count in zip(columns, counts, strict=True)
        if row and column
    )


def phi_k(table: Table) -> float:
    """Return phi_k (0: independent, or one row or column; 1: one follows from the other) of a contingency table.

    The correlation of a bivariate normal distribution, cut into as many bins, that has the same chi-square; chi-square
    up to its expected noise (the degrees of freedom) counts as none. Baak, Koopman, Snoek and Klous, "A new correlation
    coefficient between categorical, ordinal and interval variables with Pearson characteristics", Computational
    Statistics & Data Analysis 152 (2020), section 3. Agrees with the authors' library to four decimals; tables of
    two by two differ a little, because there the library takes Yates' correction first.

    Args:
        table: counts, rows x columns, at least one customer. Empty rows and columns are left out.
    """
    filled = [row for row in table if any(row)]
    filled = [list(column) for column in zip(*filled, strict=True) if any(column)]
    rows, columns = len(filled), len(filled[0])
    if min(rows, columns) < 2:  # noqa: PLR2004 - one value cannot vary with another
        return 0.0
    total = sum(map(sum, filled))
    pedestal = (rows - 1) * (columns - 1)
    highest = total * (min(rows, columns) - 1)
    statistic = chi_square(filled)
    if statistic <= pedestal:
        return 0.0
    if statistic >= highest or highest <= pedestal:
        return 1.0
    return _correlation_with((statistic - pedestal) / (highest - pedestal), rows, columns)


def _correlation_with(share: float, rows: int, columns: int) -> float:
    """Return the correlation at which the binned normal has this share of its chi-square at correlation 1."""
    roots = _chi_square_roots(min(rows, columns), max(rows, columns))
    root = math.sqrt(share)
    above = min(max(bisect_left(roots, root), 1), len(roots) - 1)
    low, high = roots[above - 1], roots[above]
    angle = (above - 1 + (root - low) / (high - low)) * (math.pi / 2 / STEPS)
    return min(1.0, math.sin(angle))


@lru_cache(maxsize=256)
def _chi_square_roots(rows: int, columns: int) -> tuple[float, ...]:
    """Return sqrt(chi-square / its value at correlation 1) of the binned normal at correlation sin(0 ... 90 degrees).

    The distribution function at correlation r is Phi(h) Phi(k) + 1/(2 pi) times the integral of
    exp(-(h^2 + k^2 - 2 h k sin t) / (2 cos^2 t)) for t from 0 to arcsin r (Drezner and Wesolowsky, Journal of
    Statistical Computation and Simulation 35, 1990): one sweep over t gives all correlations. Roots, because they are
    nearly a straight line in the angle.
    """
    # Cell (i, j) has as much as (rows - 1 - i, columns - 1 - j): the upper half of the rows tells all.
    across, down = _edges(rows)[: (rows + 1) // 2 + 1], _edges(columns)
    twice = [1 if 2 * row + 1 == rows else 2 for row in range((rows + 1) // 2) for _ in range(columns)]
    start = [[_normal(h) * _normal(k) for k in down] for h in across]
    independent = _cells(start)
    moved = [0.0] * (len(across) * len(down))
    chi_squares = [0.0]
    for step in _sweep(across, down):
        moved = [before + added for before, added in zip(moved, step, strict=True)]
        gained = _cells([moved[start : start + len(down)] for start in range(0, len(moved), len(down))])
        summands = (times * gain * gain / cell for times, gain, cell in zip(twice, gained, independent, strict=True))
        chi_squares.append(math.fsum(summands))
    return tuple(math.sqrt(value / chi_squares[-1]) for value in chi_squares)


def _sweep(across: Sequence[float], down: Sequence[float]) -> Iterator[list[float]]:
    """Yield for each of `STEPS` steps of the angle what the integral gains, for each of `across` and of `down`."""
    width = math.pi / 2 / STEPS
    nodes = [((step + (node + 1) / 2) * width, weight) for step in range(STEPS) for node, weight in NODES]
    points = pl.DataFrame({"h": across}).join(pl.DataFrame({"k": down}), how="cross")
    h, k, sine, cosine = pl.col("h"), pl.col("k"), pl.col("angle").sin(), pl.col("angle").cos()
    exponent = (h * h + k * k - 2 * h * k * sine) / (2 * cosine * cosine)
    density = (-exponent).exp() * pl.col("weight") * (width / 2 / (2 * math.pi))
    grid = pl.DataFrame(nodes, schema=["angle", "weight"], orient="row").join(points, how="cross")
    values = grid.select(density).to_series().to_list()
    size = points.height
    for start in range(0, len(values), size * len(NODES)):
        of_nodes = (values[start + node * size : start + (node + 1) * size] for node in range(len(NODES)))
        yield [sum(added) for added in zip(*of_nodes, strict=True)]


def _edges(bins: int) -> list[float]:
    return [-REACH + 2 * REACH * edge / bins for edge in range(bins + 1)]


def _normal(value: float) -> float:
    return math.erfc(-value / math.sqrt(2)) / 2


def _cells(cumulated: Matrix) -> list[float]:
    """Return the mass of each cell from the distribution function at the edges."""
    return [
        after[row + 1] - after[row] - before[row + 1] + before[row]
        for before, after in pairwise(cumulated)
        for row in range(len(after) - 1)
    ]


def variance_inflation(correlations: Sequence[Sequence[float]]) -> list[float | None]:
    """Return each column's variance inflation factor: the diagonal of the inverse correlation matrix.

    1 / (1 - R^2) of a column regressed on all others: Belsley, Kuh and Welsch, "Regression Diagnostics" (1980), 3.2.

    Args:
        correlations: Pearson's, symmetric, ones on the diagonal.

    Returns:
        1 or more; None for all where a column follows exactly from others, as no inverse exists.
    """
    size = len(correlations)
    work = [
        [*map(float, row), *(float(number == column) for column in range(size))]
        for number, row in enumerate(correlations)
    ]
    for column in range(size):
        best = max(range(column, size), key=lambda row: abs(work[row][column]))
        if abs(work[best][column]) < SINGULAR:
            return [None] * size
        work[column], work[best] = work[best], work[column]
        pivot = work[column][column]
        work[column] = [value / pivot for value in work[column]]
        for row in range(size):
            factor = work[row][column]
            if row != column and factor:
                work[row] = [value - factor * other for value, other in zip(work[row], work[column], strict=True)]
    return [work[number][size + number] for number in range(size)]
