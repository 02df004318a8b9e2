"""The output frame: one row per scored customer, ordered by `id`."""

from __future__ import annotations

from typing import Final

import polars as pl

from schemas.contract import FINITE, Contract, Field, Rule, check

PROBABILITY_DECIMALS: Final = 6  # rounded before anything is decided, so that whoever reads the file can decide again
MONEY_DECIMALS: Final = 4
PROFIT_MONTHS: Final = 3  # the horizon of the label: activity over the next three months

TREATMENT: Final = "treatment"
CONTROL: Final = "control"
NOT_IN_CAMPAIGN: Final = "none"
FITS: Final = "fits "  # before a segment's code: whether its condition holds
CAMPAIGN_GROUPS: Final = (TREATMENT, CONTROL, NOT_IN_CAMPAIGN)

SCORED: Final = Contract(
    "scored",
    (
        Field("id", pl.Int64(), rises=True),
        Field("decline_probability", pl.Float64(), (Rule("is within 0..1", 0, 1),)),
        Field("risk_decile", pl.Int8(), (Rule("is within 1..10", 1, 10),)),
        Field("monthly_profit", pl.Float64(), (FINITE,)),
        Field("profit_at_risk", pl.Float64(), (FINITE,)),
        Field("expected_value", pl.Float64(), (FINITE,)),
        Field("segment", pl.String()),
        Field("offer", pl.String()),
        Field("contact_allowed", pl.Boolean()),
        Field("campaign_group", pl.String(), (Rule("is one of the campaign's groups", words=CAMPAIGN_GROUPS),)),
        Field("reason_1", pl.String(), may_be_null=True),
        Field("reason_2", pl.String(), may_be_null=True),
        Field("reason_3", pl.String(), may_be_null=True),
        Field("in_training", pl.Boolean()),
    ),
)
SCORED_DTYPES: Final = SCORED.dtypes
SCORED_COLUMNS: Final = tuple(SCORED_DTYPES)


def check_scored(scored: pl.DataFrame) -> None:
    """Raise pandera.errors.SchemaErrors if the output frame is not what it must be: a defect of the job."""
    check(scored, SCORED)
