"""Numbers that many parts were added up to agree to some ten digits: the rest depends on threads and on the parts."""

from __future__ import annotations

from typing import Any, Final

DIGITS: Final = 10


def rounded(plain: Any, digits: int = DIGITS) -> Any:  # noqa: ANN401 - any JSON value
    """Return plain JSON values with all numbers but whole ones rounded to so many significant digits."""
    if isinstance(plain, float):
        return float(f"{plain:.{digits}g}")
    if isinstance(plain, dict):
        return {key: rounded(value, digits) for key, value in plain.items()}
    if isinstance(plain, (list, tuple)):
        return [rounded(value, digits) for value in plain]
    return plain
