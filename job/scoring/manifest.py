"""What a run says of itself: every number in `manifest.json` but those of the intake."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import polars as pl

from job.features import order_reasons
from job.rounding import rounded
from job.scoring.published import RUNS, is_whole, latest_run, read_manifest
from job.scoring.segments import COST_PARTS
from job.spill import compacted
from schemas.columns import TABLES
from schemas.scored import CAMPAIGN_GROUPS, CONTROL, NOT_IN_CAMPAIGN, TREATMENT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from job.intake.reconcile import Intake
    from job.models.artifact import Artifact
    from job.scoring.segments import Segmentation
    from schemas.manifest import Customers, Manifest, ModelUsed, RowFates, SegmentRow

STANDARD_ERRORS: Final = 3  # a difference of two shares beyond this many of its standard errors is no chance


def describe_model(artifact: Artifact, version: int | None = None) -> ModelUsed:
    """Return what a run says of the model that it used.

    Args:
        artifact: the model.
        version: its number in the store that it came from, if it came from one.
    """
    facts = artifact.manifest
    used: ModelUsed = {
        "digest": artifact.digest,
        "version": version,
        "kind": facts["kind"],
        "title": facts["title"],
        "thresholds": facts["thresholds"],
    }
    if "roc_auc" in facts:
        used["roc_auc"] = facts["roc_auc"]
    if "trained_on" in facts:
        used["trained_on"] = facts["trained_on"]
    return used


def count_customers(intake: Intake, *, scored: int, excluded: Mapping[str, int]) -> Customers:
    """Return the customers by fate. Raises AssertionError if they do not add up: a defect of the job.

    Args:
        intake: the drop.
        scored: the customers that were.
        excluded: reason -> customers that were not.
    """
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
    """Return each file's rows by fate.

    In = as_delivered + repaired + rejected + dropped, and as_delivered + repaired = scored + excluded.

    Args:
        intake: the drop.
        fates: table -> its rows of scored and of excluded customers.

    Raises:
        AssertionError: they do not add up: a defect of the job.
    """
    rows: dict[str, RowFates] = {}
    for (file, account), table in zip(intake.accounts.items(), TABLES, strict=True):
        of_scored, of_excluded = fates[table]
        if of_scored + of_excluded != account.as_delivered + account.repaired:
            raise AssertionError(f"{file}: {of_scored} + {of_excluded} rows of scored and excluded, not {account}")
        rows[file] = {
            "rows_in": account.rows_in,
            "as_delivered": account.as_delivered,
            "repaired": account.repaired,
            "rejected": account.rejected,
            "dropped": account.dropped,
            "scored": of_scored,
            "excluded": of_excluded,
        }
    return rows


def count_segments(scored: pl.DataFrame) -> pl.DataFrame:
    """Return one row per segment that has customers, in no order: counts and sums that can be added up over parts.

    Columns: `segment`, `customers`, `risk` and `profit_at_risk` (sums), `contact_allowed` and the campaign's groups
    (customers).

    Args:
        scored: the output frame, or a part of it.
    """
    counts = scored.group_by("segment").agg(
        pl.len().cast(pl.Int64).alias("customers"),
        pl.col("decline_probability").sum().alias("risk"),
        pl.col("profit_at_risk").sum(),
        pl.col("contact_allowed").sum().cast(pl.Int64),
        *((pl.col("campaign_group") == group).sum().cast(pl.Int64).alias(group) for group in CAMPAIGN_GROUPS),
    )
    return compacted(counts)


def add_segments(counts: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """Return the sum of what `count_segments` gave for parts of a run."""
    return pl.concat(counts).group_by("segment").agg(pl.all().sum())


def describe_segments(
    counts: pl.DataFrame, segmentation: Segmentation, *, previous: Mapping[str, float] | None = None
) -> list[SegmentRow]:
    """Return one row per segment, the empty ones too, the largest profit at risk first.

    A row has the segment's code, title, condition and offer, its customers, their share of the run and of the previous
    run, mean risk, profit at risk, consents, the sizes of the campaign's groups and what the contacts cost.

    Args:
        counts: of `count_segments`.
        segmentation: the segments.
        previous: segment -> share of the previous run's customers.
    """
    rows: list[SegmentRow] = []
    told = {row["segment"]: row for row in counts.iter_rows(named=True)}
    nobody = dict.fromkeys(counts.columns, 0)
    total = max(int(counts["customers"].sum()), 1)
    for segment in segmentation.segments:
        own = told.get(segment.code, nobody)
        rows.append(
            {
                "segment": segment.code,
                "title": segment.title,
                "condition": segment.condition,
                "priority": segment.priority,
                "offer": segment.offer.code,
                "offer_text": segment.offer.text,
                "channel": segment.offer.channel,
                "cost_per_contact": segment.offer.cost,
                "onsite_offer": segment.onsite_offer.code,
                "customers": own["customers"],
                "share": own["customers"] / total,
                "previous_share": (previous or {}).get(segment.code),
                "mean_risk": rounded(own["risk"] / own["customers"]) if own["customers"] else None,
                "profit_at_risk": rounded(float(own["profit_at_risk"])),
                "contact_allowed": own["contact_allowed"],
                "treatment": own[TREATMENT],
                "control": own[CONTROL],
                "none": own[NOT_IN_CAMPAIGN],
                "cost": own[TREATMENT] * round(segment.offer.cost * COST_PARTS) / COST_PARTS,
            }
        )
    return sorted(rows, key=lambda row: (-row["profit_at_risk"], row["segment"]))


def segment_warnings(
    segments: Sequence[SegmentRow], *, customers: int, previous_customers: int, limit: float
) -> list[str]:
    """Return a line for each segment that is empty, or whose share changed by more than the limit and than chance.

    Args:
        segments: of `describe_segments`.
        customers: scored in this run.
        previous_customers: scored in the previous run.
        limit: factor up or down, above 1.
    """
    lines = []
    for row in segments:
        name = f"segment {row['segment']} («{row['title']}»)"
        share, before = row["share"], row["previous_share"]
        if not row["customers"]:
            lines.append(f"{name} is empty")
        elif before is not None and _has_changed(share, before, customers, previous_customers, limit):
            lines.append(f"{name} has {share:.1%} of the customers, {before:.1%} in the previous run")
    return lines


def read_previous(output: Path) -> Manifest | None:
    """Return the manifest of the latest run; None if there is none, or none that can be read."""
    try:
        latest = latest_run(output)
        is_there = latest is not None and is_whole(output / RUNS / latest)
        return read_manifest(output / RUNS / latest) if latest is not None and is_there else None
    except (OSError, ValueError):  # it was removed meanwhile
        return None


def previous_shares(previous: Manifest | None, segments_digest: str) -> tuple[dict[str, float], int]:
    """Return segment -> share of the customers of the run before, and how many they were.

    Nothing if there is none, or if its segments were others: then nothing can be compared.

    Args:
        previous: manifest of the run before.
        segments_digest: SHA-256 of this run's segments file.
    """
    if previous is None or previous["settings"]["segments"] != segments_digest:
        return {}, 0
    return {row["segment"]: row["share"] for row in previous["segments"]}, previous["customers"]["scored"]


def _has_changed(share: float, before: float, customers: int, previous_customers: int, limit: float) -> bool:
    pooled = (share * customers + before * previous_customers) / (customers + previous_customers)
    error = math.sqrt(pooled * (1 - pooled) * (1 / customers + 1 / previous_customers))
    return abs(share - before) > STANDARD_ERRORS * error and max(share, before) > limit * min(share, before)
