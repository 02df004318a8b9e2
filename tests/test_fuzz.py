"""A few drops of the fuzz in every suite: see `tests/fuzz.py`."""

import pytest

from tests.fuzz import try_drop
from tests.thorough import cases


@pytest.mark.parametrize("seed", range(1, 1 + cases(24)))
def test_a_broken_drop(seed: int) -> None:
    try_drop(seed, parquet_share=0.1, is_scored=seed % 2 == 0)
