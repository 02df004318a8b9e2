"""Accepted tables become scored customers, each with a segment, an offer and a group of the campaign."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from job.features import make_features, split_range
from job.levels import TRAINING, Levels
from job.models.artifact import Artifact, load_artifact
from job.models.reasons import Explainer, usual_values
from job.models.reference import Reference, read_reference
from job.models.seen import find_probability
from job.scoring.campaign import plan_contacts
from job.scoring.segments import Segmentation, load_segmentation
from schemas.scored import MONEY_DECIMALS, PROBABILITY_DECIMALS, PROFIT_MONTHS, SCORED_COLUMNS, check_scored

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from job.scoring.cutoffs import Cutoffs
    from job.scoring.past import Past
    from job.settings import Campaign


class Setup(NamedTuple):
    """What customers are scored with; `held` are ids (Int64, rising) whom control groups of earlier runs hold back."""

    artifact: Artifact
    explainer: Explainer
    segmentation: Segmentation
    campaign: Campaign
    held: pl.Series
    reference: Reference | None
    levels: Levels

    def at(self, levels: Levels) -> Setup:
        """Return the same for a drop with these levels."""
        return self._replace(levels=levels, explainer=replace(self.explainer, levels=levels))

    def knowing(self, past: Past) -> Setup:
        """Return the same after what earlier runs say."""
        return self._replace(segmentation=self.segmentation.with_effects(past.effects), held=past.held)


def load_setup(artifacts: Path, segments_file: Path | None, campaign: Campaign) -> Setup:
    """Return what customers are scored with; None is the shipped segments file. Raises ArtifactError, SettingsError."""
    segmentation = load_segmentation(segments_file)
    artifact = load_artifact(artifacts)
    explainer = Explainer(artifact.model, usual_values(artifact.manifest))
    levels = Levels(artifact.levels, artifact.levels, TRAINING)
    nobody = pl.Series("id", [], pl.Int64)
    return Setup(artifact, explainer, segmentation, campaign, nobody, read_reference(artifact.manifest), levels)


class Prepared(NamedTuple):
    """Customers of a drop before they are scored, all by `id`: joined (`job.features.join_tables`), features, excluded.

    The excluded ones are `id` and `reason` of the accepted customers that are not scored.
    """

    customers: pl.DataFrame
    features: pl.DataFrame
    excluded: pl.DataFrame


def prepare(tables: Mapping[str, pl.DataFrame]) -> Prepared:
    """Turn accepted tables, of a whole drop or of some of its customers, into the feature frame."""
    customers, excluded = split_range(tables)
    return Prepared(customers, make_features(customers), excluded)


def score_customers(prepared: Prepared, artifact: Artifact, levels: Levels) -> pl.DataFrame:
    """Return `decline_probability` and `in_training` of each customer; see `job.models.seen`.

    The probability is rounded: what is decided with is what is published. It depends on nobody else but by the levels.
    """
    features = levels.at_training(prepared.features)
    scored = find_probability(artifact, prepared.customers["id"], features)
    return scored.with_columns(pl.col("decline_probability").round(PROBABILITY_DECIMALS))


def describe_scores(customers: pl.DataFrame) -> pl.DataFrame:
    """Return what segments and campaigns need of each customer, in their order.

    Columns: `id`, `decline_probability`, `in_training`, `monthly_profit`, `profit_at_risk`, `contact_allowed`.
    """
    profit_at_risk = pl.col("decline_probability") * pl.col("monthly_profit") * PROFIT_MONTHS
    return customers.select(
        "id",
        "decline_probability",
        "in_training",
        "monthly_profit",
        profit_at_risk.round(MONEY_DECIMALS).alias("profit_at_risk"),
        (pl.col("consent") == "yes").alias("contact_allowed"),
    )


def place_customers(scores: pl.DataFrame, features: pl.DataFrame, cutoffs: Cutoffs, setup: Setup) -> pl.DataFrame:
    """Return the scores with `risk_decile` and the columns of `Segmentation.assign`."""
    ranked = scores.with_columns(cutoffs.risk_decile())
    customers = pl.concat([features, ranked], how="horizontal")
    assigned = setup.segmentation.assign(customers, setup.artifact.thresholds)
    return pl.concat([ranked, assigned], how="horizontal")


def complete(
    scores: pl.DataFrame, features: pl.DataFrame, reasons: pl.DataFrame, cutoffs: Cutoffs, setup: Setup
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the output frame (`SCORED`): who belongs to which segment, is offered what, and is contacted.

    And the same as planned: with the columns of `place_customers` and `plan_contacts`. Scores, features and reasons are
    of the same customers of a run, or of some of them, ordered by `id`.
    """
    placed = place_customers(scores, features, cutoffs, setup)
    segmentation, campaign = setup.segmentation, setup.campaign
    planned = plan_contacts(placed, segmentation, campaign, held=setup.held, budget_cutoff=cutoffs.budget)
    planned = pl.concat([planned, reasons], how="horizontal")
    texts = [segmentation.take(name, codes.categories.alias(name)) for name, codes in segmentation.codes().items()]
    scored = planned.with_columns(texts).select(SCORED_COLUMNS)
    check_scored(scored)
    return scored, planned
