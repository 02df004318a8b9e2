"""Make numbers equal that differ in nothing that counts: the last bits of a sum, the sign of zero."""

from __future__ import annotations

from typing import Any, Final

import polars as pl

DIGITS: Final = 10  # beyond them, a sum of many parts depends on threads and on the parts


def rounded(plain: Any, digits: int = DIGITS) -> Any:  # noqa: ANN401 - any JSON value
    """Return plain JSON values with all numbers but whole ones rounded to so many significant digits."""
    if isinstance(plain, float):
        return float(f"{plain:.{digits}g}")
    if isinstance(plain, dict):
        return {key: rounded(value, digits) for key, value in plain.items()}
    if isinstance(plain, (list, tuple)):
        return [rounded(value, digits) for value in plain]
    return plain


def with_one_zero(number: pl.Expr) -> pl.Expr:
    """Return the same numbers, without -0.0. Polars takes `+ 0.0` for nothing, and leaves it out."""
    return pl.when(number == 0).then(number.abs()).otherwise(number)
