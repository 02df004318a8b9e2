"""Accepted tables become scored customers, each with a segment, an offer and a group of the campaign."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from job.features import make_features, split_customers
from job.models.training_rows import seen_probability
from job.scoring.campaign import Campaign, plan_contacts
from schemas.scored import PROFIT_MONTHS, SCORED_COLUMNS, SCORED_SCHEMA

if TYPE_CHECKING:
    from collections.abc import Mapping

    from job.models.artifact import Artifact, Thresholds
    from job.scoring.segments import Segmentation


@dataclass(frozen=True)
class Prepared:
    """The customers of a drop before they are scored.

    Args:
        customers: what is known of each customer who can be scored, ordered by `id`; see `job.features.join_tables`.
        features: their feature frame, in the same order.
        excluded: `id` and `reason` of the accepted customers that are not scored, ordered by `id`.
    """

    customers: pl.DataFrame
    features: pl.DataFrame
    excluded: pl.DataFrame


def prepare(tables: Mapping[str, pl.DataFrame]) -> Prepared:
    """Turn accepted tables into the feature frame.

    Raises:
        DropError: no customer can be scored.
    """
    customers, excluded = split_customers(tables)
    return Prepared(customers, make_features(customers), excluded)


def score_customers(prepared: Prepared, artifact: Artifact) -> pl.DataFrame:
    """Return each customer's scores, in their order.

    Columns: `id`, `decline_probability` (out-of-fold if the model has seen the customer), `in_training`,
    `monthly_profit`, `profit_at_risk`, `contact_allowed`, `risk_decile`.
    """
    customers, features = prepared.customers, prepared.features
    seen = seen_probability(customers["id"], features, artifact.training_rows)
    return (
        customers.select("id", "monthly_profit", (pl.col("consent") == "yes").alias("contact_allowed"))
        .with_columns(artifact.model.probabilities(features), seen.is_not_null().alias("in_training"))
        .with_columns(pl.coalesce(seen, pl.col("decline_probability")).alias("decline_probability"))
        .with_columns(
            (pl.col("decline_probability") * pl.col("monthly_profit") * PROFIT_MONTHS).alias("profit_at_risk")
        )
        .pipe(with_risk_decile)
    )


def with_risk_decile(customers: pl.DataFrame) -> pl.DataFrame:
    """Add `risk_decile` (Int8): 1 for the tenth of the rows with the highest risk, to 10; order by `id`.

    Equal probabilities are told apart by `id`, so that every decile has its share and reruns agree.
    """
    rank = pl.int_range(pl.len())
    return (
        customers.sort("decline_probability", "id", descending=[True, False])
        .with_columns((rank * 10 // pl.len() + 1).cast(pl.Int8).alias("risk_decile"))
        .sort("id")
    )


def urgency(scores: pl.DataFrame) -> pl.Series:
    """Return how much each customer should be explained (Float64): profit at risk, those who may be contacted first."""
    return scores.select(
        pl.when("contact_allowed").then("profit_at_risk").otherwise(-math.inf).alias("urgency")
    ).to_series()


def complete(
    scores: pl.DataFrame,
    features: pl.DataFrame,
    reasons: pl.DataFrame,
    *,
    thresholds: Thresholds,
    segmentation: Segmentation,
    campaign: Campaign,
) -> pl.DataFrame:
    """Return the output frame (`SCORED_SCHEMA`): who belongs to which segment, is offered what, and is contacted.

    Args:
        scores: of `score_customers`, ordered by `id`.
        features: the feature frame of the same customers, in the same order.
        reasons: of `Explainer.explain`, in the same order.
        thresholds: what counts as high.
        segmentation: the segments and their offers.
        campaign: its name, control share and budget.
    """
    segment = segmentation.assign(pl.concat([features, scores], how="horizontal"), thresholds)
    planned = plan_contacts(scores.with_columns(segment), segmentation, campaign)
    scored = pl.concat([planned, reasons], how="horizontal").select(SCORED_COLUMNS)
    SCORED_SCHEMA.validate(scored, lazy=True)
    return scored
