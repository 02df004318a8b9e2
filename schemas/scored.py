"""The output frame: one row per scored customer, ordered by `id`."""

from __future__ import annotations

from typing import Final

import pandera.polars as pa
import polars as pl

PROFIT_MONTHS: Final = 3  # the horizon of the label: activity over the next three months

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
        "in_training": pa.Column(pl.Boolean),
    },
    strict=True,
    ordered=True,
    name="scored",
)
SCORED_COLUMNS: Final = tuple(SCORED_SCHEMA.columns)
