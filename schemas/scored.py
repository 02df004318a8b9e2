"""The output frame: one row per scored customer, ordered by `id`."""

from __future__ import annotations

from typing import Final

import pandera.polars as pa
import polars as pl

PROFIT_MONTHS: Final = 3  # the horizon of the label: activity over the next three months

TREATMENT: Final = "treatment"
CONTROL: Final = "control"
NOT_IN_CAMPAIGN: Final = "none"
CAMPAIGN_GROUPS: Final = (TREATMENT, CONTROL, NOT_IN_CAMPAIGN)

SCORED_SCHEMA: Final = pa.DataFrameSchema(
    {
        "id": pa.Column(pl.Int64, unique=True),
        "decline_probability": pa.Column(pl.Float64, pa.Check.in_range(0, 1)),
        "risk_decile": pa.Column(pl.Int8, pa.Check.in_range(1, 10)),
        "monthly_profit": pa.Column(pl.Float64),
        "profit_at_risk": pa.Column(pl.Float64),
        "segment": pa.Column(pl.String),
        "offer": pa.Column(pl.String),
        "contact_allowed": pa.Column(pl.Boolean),
        "campaign_group": pa.Column(pl.String, pa.Check.isin(CAMPAIGN_GROUPS)),
        "reason_1": pa.Column(pl.String, nullable=True),
        "reason_2": pa.Column(pl.String, nullable=True),
        "reason_3": pa.Column(pl.String, nullable=True),
        "in_training": pa.Column(pl.Boolean),
    },
    strict=True,
    ordered=True,
    name="scored",
)
SCORED_COLUMNS: Final = tuple(SCORED_SCHEMA.columns)
SCORED_DTYPES: Final = pl.Schema({name: column.dtype.type for name, column in SCORED_SCHEMA.columns.items()})
_SOUND: Final = pl.all_horizontal(
    (pl.col("id").diff() > 0).all(),
    pl.col("decline_probability").is_between(0, 1).all(),
    pl.col("risk_decile").is_between(1, 10).all(),
    pl.col("campaign_group").is_in(CAMPAIGN_GROUPS).all(),
    pl.all().exclude("reason_1", "reason_2", "reason_3").is_not_null().all(),
)


def check_scored(scored: pl.DataFrame) -> None:
    """Raise pandera.errors.SchemaErrors if the output frame is not what it must be: a defect of the job.

    Pandera is asked what is wrong only once one expression, some ten times as fast, has seen that something is.
    """
    if scored.schema != SCORED_DTYPES or not scored.select(_SOUND).item():
        SCORED_SCHEMA.validate(scored, lazy=True)
