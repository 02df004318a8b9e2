"""What a run says of itself: every number in `manifest.json` but those of the intake."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

from job.features import order_reasons
from job.report.data import SUMS
from job.rounding import rounded
from job.scoring.campaign import FATES, NO_CONSENT
from job.scoring.published import RUNS, check_run, latest_run
from job.scoring.segments import COST_PARTS
from schemas.columns import TABLES
from schemas.scored import CONTROL, NOT_IN_CAMPAIGN, PROFIT_MONTHS, TREATMENT

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl

    from job.intake.reconcile import Intake
    from job.models.artifact import Artifact
    from job.scoring.segments import Offer, Segmentation
    from job.settings import Campaign, ScoreSettings
    from schemas.manifest import (
        CampaignOutcome,
        CampaignPower,
        CampaignSettings,
        Customers,
        Manifest,
        ModelUsed,
        OfferRow,
        RowFates,
        SegmentRow,
    )

Parts = Sequence[Mapping[str, Any]]
"""Rows of `count_segments` or `count_groups`."""

STANDARD_ERRORS: Final = 3  # a difference of two shares beyond this many of its standard errors is no chance


def describe_model(artifact: Artifact, version: int | None = None) -> ModelUsed:
    """Return what a run says of the model that it used; `version` is its number in a store, if it came from one."""
    facts = artifact.manifest
    told = ("kind", "title", "thresholds", "roc_auc", "trained_on")
    used = {"digest": artifact.digest, "version": version, **{key: facts[key] for key in told if key in facts}}
    return cast("ModelUsed", used)


def count_customers(intake: Intake, *, scored: int, excluded: Mapping[str, int]) -> Customers:
    """Return the customers by fate. Raises AssertionError if they do not add up: a defect of the job."""
    counts: Customers = {
        "in": intake.customers_in,
        "scored": scored,
        "excluded": sum(excluded.values()),
        "rejected": intake.customers_rejected,
        "excluded_by_reason": order_reasons(excluded),
    }
    if counts["in"] != counts["scored"] + counts["excluded"] + counts["rejected"]:
        raise AssertionError(f"customers do not add up: {counts}")
    return counts


def count_rows(intake: Intake, fates: Mapping[str, tuple[int, int]]) -> dict[str, RowFates]:
    """Return each file's rows by fate. Args: fates: table -> its rows of scored and of excluded customers.

    In = as_delivered + repaired + rejected + dropped, and as_delivered + repaired = scored + excluded.
    Raises AssertionError if they do not add up: a defect of the job.
    """
    rows: dict[str, RowFates] = {}
    for (file, account), table in zip(intake.accounts.items(), TABLES, strict=True):
        of_scored, of_excluded = fates[table]
        if of_scored + of_excluded != account.as_delivered + account.repaired:
            raise AssertionError(f"{file}: {of_scored} + {of_excluded} rows of scored and excluded, not {account}")
        rows[file] = cast("RowFates", {**account._asdict(), "scored": of_scored, "excluded": of_excluded})
    return rows


def count_segments(customers: pl.DataFrame, fate: pl.Series) -> pl.DataFrame:
    """Return one row per segment, offer and fate that has customers, in no order: sums that add up over parts."""
    return customers.with_columns(fate.alias("fate")).group_by("segment", "offer", "fate").agg(SUMS)


def describe_segments(
    counts: pl.DataFrame, segmentation: Segmentation, *, previous: Mapping[str, float] | None = None
) -> list[SegmentRow]:
    """Return one row per segment, the empty ones too, the largest profit at risk first.

    Args: counts: of `count_segments` or `count_groups`; previous: segment -> share of the previous run's customers.
    """
    rows: list[SegmentRow] = []
    parts = counts.to_dicts()
    total = max(int(sum_parts(parts, "customers")), 1)
    for segment in segmentation.segments:
        here = [part for part in parts if part["segment"] == segment.code]
        fates = {fate: int(sum_parts(here, "customers", fate=fate)) for fate in FATES}
        offers = [
            _describe_offer(here, offer, share, segmentation)
            for offer, share in zip(segment.offers, segment.shares, strict=True)
        ]
        customers = int(sum_parts(here, "customers"))
        row: dict[str, Any] = {
            "segment": segment.code,
            "title": segment.title,
            "condition": segment.condition,
            "priority": segment.priority,
            "offers": offers,
            "onsite_offer": segment.onsite_offer.code,
            "customers": customers,
            "share": customers / total,
            "previous_share": (previous or {}).get(segment.code),
            "mean_risk": rounded(sum_parts(here, "risk") / customers) if customers else None,
            "profit_at_risk": rounded(sum_parts(here, "profit_at_risk")),
            "contact_allowed": int(sum_parts(here, "contact_allowed")),
            **fates,
            NOT_IN_CAMPAIGN: customers - fates[TREATMENT] - fates[CONTROL],
            "cost": sum(round(offer["cost"] * COST_PARTS) for offer in offers) / COST_PARTS,
            "expected_value": rounded(math.fsum(offer["expected_value"] for offer in offers)),
        }
        rows.append(cast("SegmentRow", row))
    return sorted(rows, key=lambda row: (-row["profit_at_risk"], row["segment"]))


def _describe_offer(parts: Parts, offer: Offer, share: float, segmentation: Segmentation) -> OfferRow:
    """Return what became of an offer in a segment. Args: parts: of the segment."""
    drawn = [part for part in parts if part["offer"] == offer.code and part["fate"] != NO_CONSENT]
    contacts = int(sum_parts(drawn, "customers", fate=TREATMENT))
    cost = contacts * round(offer.cost * COST_PARTS) / COST_PARTS
    at_stake = sum_parts(drawn, "profit_at_risk", fate=TREATMENT) * segmentation.profit_lost
    given_away = offer.discount * sum_parts(drawn, "profit", fate=TREATMENT) * PROFIT_MONTHS
    return {
        "offer": offer.code,
        "offer_text": offer.text,
        "channel": offer.channel,
        "cost_per_contact": offer.cost,
        "effect": rounded(offer.effect),
        "assumed": segmentation.assumed.get(offer.code, 0.0),
        "discount": offer.discount,
        "share": share,
        "customers": int(sum_parts(drawn, "customers")),
        "treatment": contacts,
        "control": int(sum_parts(drawn, "customers", fate=CONTROL)),
        "cost": cost,
        "expected_value": rounded(sum_parts(drawn, "expected_value", fate=TREATMENT)),
        "break_even": rounded((cost + given_away) / at_stake) if contacts and at_stake > 0 else None,
    }


def sum_parts(parts: Parts, name: str, *, fate: str | None = None) -> float:
    """Return the sum of a column over parts, or over those of one fate; their order, and threads, change nothing."""
    return math.fsum(part[name] for part in parts if fate in (None, part["fate"]))


def describe_campaign(
    segments: Sequence[SegmentRow],
    segmentation: Segmentation,
    campaign: Campaign,
    *,
    power: CampaignPower,
    beyond_budget: float | None,
) -> CampaignOutcome:
    """Return what a run says of its campaign: names, control share, budget, and what it came to.

    `beyond_budget` is the expected value per cost of the first customer whom the budget does not reach.
    """
    return {
        **describe_plan(campaign),
        "profit_lost": segmentation.profit_lost,
        "spent": sum(round(row["cost"] * COST_PARTS) for row in segments) / COST_PARTS,
        "contacts": sum(row["treatment"] for row in segments),
        "control": sum(row["control"] for row in segments),
        "not_worth": sum(row["not_worth"] for row in segments),
        "held_elsewhere": sum(row["held_elsewhere"] for row in segments),
        "beyond_budget": sum(row["beyond_budget"] for row in segments),
        "expected_value": rounded(math.fsum(row["expected_value"] for row in segments)),
        "next_unit": None if beyond_budget is None else rounded(beyond_budget),
        "power": power,
    }


def describe_plan(campaign: Campaign) -> CampaignSettings:
    """Return how a campaign is drawn, as the manifest has it."""
    return {
        "name": campaign.name,
        "control_name": campaign.control,
        "control_share": campaign.control_share,
        "budget": campaign.budget,
    }


def compare_segments(
    counts: pl.DataFrame, segmentation: Segmentation, previous: Manifest | None, settings: ScoreSettings
) -> tuple[list[SegmentRow], list[str]]:
    """Return the segments beside those of the run before, and a line for each that changed by more than the limit."""
    shares, before = previous_shares(previous, segmentation.digest)
    segments = describe_segments(counts, segmentation, previous=shares)
    customers = sum(row["customers"] for row in segments)
    return segments, segment_warnings(segments, customers, before, settings.segment_change)


def segment_warnings(
    segments: Sequence[SegmentRow], customers: int, previous_customers: int, limit: float
) -> list[str]:
    """Return a line for each segment that is empty, or whose share changed by more than the limit and than chance.

    The limit is a factor up or down, above 1; so many customers were scored now, and in the previous run.
    """
    lines = []
    for row in segments:
        name = f"segment {row['segment']} («{row['title']}»)"
        share, before = row["share"], row["previous_share"]
        if not row["customers"]:
            lines.append(f"{name} is empty")
        elif (
            before is not None
            and max(share, before) > limit * min(share, before)
            and not is_by_chance(share, customers, before, previous_customers)
        ):
            lines.append(f"{name} has {share:.1%} of the customers, {before:.1%} in the previous run")
    return lines


def read_previous(output: Path) -> Manifest | None:
    """Return the manifest of the latest run; None if there is none, or none that can be read."""
    latest = latest_run(output)
    manifest, problems = (None, []) if latest is None else check_run(output / RUNS / latest, with_digests=False)
    return None if problems else manifest


def previous_shares(previous: Manifest | None, segments_digest: str) -> tuple[dict[str, float], int]:
    """Return segment -> share of the customers of the run before, and how many they were.

    Nothing if there is none, or if its segments were others: then nothing can be compared.
    """
    if previous is None or previous["settings"]["segments"] != segments_digest:
        return {}, 0
    return {row["segment"]: row["share"] for row in previous["segments"]}, previous["customers"]["scored"]


def is_by_chance(share: float, size: int, other: float, other_size: int) -> bool:
    """Return whether chance can make two shares of so many customers differ like this."""
    pooled = (share * size + other * other_size) / (size + other_size)
    error = math.sqrt(max(0.0, pooled * (1 - pooled)) * (1 / size + 1 / other_size))
    return abs(share - other) <= STANDARD_ERRORS * error
