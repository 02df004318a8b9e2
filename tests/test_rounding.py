from __future__ import annotations

from job.rounding import rounded


def test_numbers_are_rounded_and_all_else_stays() -> None:
    plain = {"a": [1 / 3, 12345678901.5, 7, True, None, "0.333333333333"], "b": {"c": (0.1 + 0.2,)}}
    assert rounded(plain) == {"a": [0.3333333333, 12345678900.0, 7, True, None, "0.333333333333"], "b": {"c": [0.3]}}
    assert rounded(2 / 3, 3) == 0.667
