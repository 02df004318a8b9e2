"""Hold a frame to its contract."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

    from schemas.contract import Contract


def check(frame: pl.DataFrame, contract: Contract) -> None:
    """Raise pandera.errors.SchemaErrors, which names every fault, if a frame does not keep its contract.

    Raises AssertionError if Pandera finds nothing where the fast rule does: both are made from the same records.
    """
    if contract.is_kept(frame):
        return
    from schemas.pandera_schemas import pandera_schema  # noqa: PLC0415 - slow to load

    pandera_schema(contract).validate(frame, lazy=True)
    raise AssertionError(f"{contract.name}: the fast rule refuses what Pandera takes: {frame}")
