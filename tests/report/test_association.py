from __future__ import annotations

import numpy as np
import pytest

from job.report.association import chi_square, phi_k, variance_inflation

# Expected: phik.phik.phik_from_hist2d of the authors' library, 0.12.5, same tables.
TABLES = [
    ([[30, 10, 5], [4, 25, 9], [1, 6, 40]], 0.8912860404),
    ([[40, 22, 8], [18, 30, 12]], 0.1483076291),
    ([[12, 7, 3, 1], [5, 9, 8, 4], [2, 3, 9, 14]], 0.3994500847),
    ([[5, 9, 14, 3, 2, 1], [2, 4, 11, 12, 7, 3], [1, 2, 3, 9, 13, 8], [0, 1, 2, 4, 6, 15]], 0.5152399815),
]


def test_chi_square_of_a_textbook_table() -> None:
    assert chi_square([[10, 20], [30, 40]]) == pytest.approx(0.7936507936507936)


def test_empty_rows_and_columns_change_nothing() -> None:
    assert chi_square([[10, 0, 20], [0, 0, 0], [30, 0, 40]]) == chi_square([[10, 20], [30, 40]])
    assert phi_k([[30, 0, 2], [0, 0, 0], [4, 0, 40]]) == phi_k([[30, 2], [4, 40]])


@pytest.mark.parametrize(("table", "expected"), TABLES)
def test_phi_k_is_that_of_the_authors_library(table: list[list[int]], expected: float) -> None:
    assert phi_k(table) == pytest.approx(expected, abs=2e-4)


def test_phi_k_of_independent_columns_is_0() -> None:
    assert phi_k([[50, 50, 50], [30, 30, 30]]) == 0.0


def test_phi_k_below_the_expected_noise_is_0() -> None:
    assert phi_k([[26, 25, 25], [25, 26, 25], [25, 25, 26]]) == 0.0


def test_phi_k_of_columns_that_follow_from_each_other_is_1() -> None:
    assert phi_k([[50, 0, 0], [0, 40, 0], [0, 0, 30]]) == 1.0


def test_phi_k_of_a_single_value_is_0() -> None:
    assert phi_k([[3, 4, 5]]) == 0.0
    assert phi_k([[3], [4]]) == 0.0


def test_phi_k_does_not_depend_on_which_column_comes_first() -> None:
    table = [[12, 7, 3, 1], [5, 9, 8, 4], [2, 3, 9, 14]]
    assert phi_k(table) == pytest.approx(phi_k([list(column) for column in zip(*table, strict=True)]), abs=1e-12)


@pytest.mark.parametrize("correlation", [0.2, 0.5, 0.9])
def test_phi_k_finds_the_correlation_of_a_binned_normal(correlation: float) -> None:
    random = np.random.default_rng(1)
    x, noise = random.normal(size=(2, 200_000))
    y = correlation * x + np.sqrt(1 - correlation**2) * noise
    edges = np.linspace(-5, 5, 11)
    table = np.histogram2d(x, y, bins=(edges, edges))[0].astype(int).tolist()
    assert phi_k(table) == pytest.approx(correlation, abs=0.02)


def test_inflation_of_two_columns() -> None:
    assert variance_inflation([[1, 0.6], [0.6, 1]]) == pytest.approx([1 / (1 - 0.36)] * 2)


def test_inflation_is_the_diagonal_of_the_inverse() -> None:
    random = np.random.default_rng(2)
    values = np.corrcoef(random.normal(size=(6, 50)))
    assert variance_inflation(values.tolist()) == pytest.approx(np.diag(np.linalg.inv(values)).tolist())


def test_columns_that_follow_from_others_have_no_inflation() -> None:
    assert variance_inflation([[1, 1], [1, 1]]) == [None, None]


def test_no_columns_have_no_inflation() -> None:
    assert variance_inflation([]) == []
