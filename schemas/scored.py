"""The output frame: one row per scored customer, ordered by `id`."""

from __future__ import annotations

from typing import Final

import polars as pl

PROFIT_MONTHS: Final = 3  # the horizon of the label: activity over the next three months

TREATMENT: Final = "treatment"
CONTROL: Final = "control"
NOT_IN_CAMPAIGN: Final = "none"
CAMPAIGN_GROUPS: Final = (TREATMENT, CONTROL, NOT_IN_CAMPAIGN)

SCORED_DTYPES: Final = pl.Schema(
    {
        "id": pl.Int64(),
        "decline_probability": pl.Float64(),
        "risk_decile": pl.Int8(),
        "monthly_profit": pl.Float64(),
        "profit_at_risk": pl.Float64(),
        "segment": pl.String(),
        "offer": pl.String(),
        "contact_allowed": pl.Boolean(),
        "campaign_group": pl.String(),
        "reason_1": pl.String(),
        "reason_2": pl.String(),
        "reason_3": pl.String(),
        "in_training": pl.Boolean(),
    }
)
SCORED_COLUMNS: Final = tuple(SCORED_DTYPES)
MAY_BE_NULL: Final = ("reason_1", "reason_2", "reason_3")

_SOUND: Final = pl.all_horizontal(
    (pl.col("id").diff() > 0).all(),
    pl.col("decline_probability").is_between(0, 1).all(),
    pl.col("risk_decile").is_between(1, 10).all(),
    pl.col("campaign_group").is_in(CAMPAIGN_GROUPS).all(),
    pl.all().exclude(MAY_BE_NULL).is_not_null().all(),
)


def check_scored(scored: pl.DataFrame) -> None:
    """Raise pandera.errors.SchemaErrors if the output frame is not what it must be: a defect of the job.

    Pandera is loaded, and asked what is wrong, only once one expression has seen that something is.
    """
    if scored.schema != SCORED_DTYPES or not scored.select(_SOUND).item():
        from schemas.checks import SCORED_SCHEMA  # noqa: PLC0415 - Pandera is slow to load

        SCORED_SCHEMA.validate(scored, lazy=True)
