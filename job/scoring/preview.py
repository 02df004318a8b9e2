"""Whom a segments file would take of a published run: its customers again, with this file's segments and offers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from job.errors import Problem, SettingsError
from job.models.artifact import Thresholds
from job.russian import number, percent
from job.scoring.campaign import plan_contacts
from job.scoring.known import read_again
from job.scoring.manifest import count_segments, describe_segments
from job.scoring.published import read_manifest, read_scored
from job.scoring.score import prepare
from job.settings import Campaign, Limits
from job.text_table import align

if TYPE_CHECKING:
    from job.scoring.segments import Segmentation
    from schemas.manifest import Manifest, SegmentRow


SCORES: Final = ("id", "decline_probability", "risk_decile", "monthly_profit", "profit_at_risk", "contact_allowed")


def preview_segments(run: Path, segmentation: Segmentation) -> tuple[list[SegmentRow], Manifest]:
    """Return what each segment of a file would take of a run, without a budget, and the run's manifest.

    Conditions ask for features, which are made again of the drop that it scored. Raises SettingsError: this is no
    published run, or the drop that it scored is gone or another.
    """
    folder = run.resolve()
    try:
        manifest = read_manifest(folder)
        scored = read_scored(folder, manifest, SCORES).sort("id")
    except (OSError, ValueError, pl.exceptions.PolarsError) as error:
        raise SettingsError([Problem("--run", "a published run (OUT/runs/ID)", str(run))]) from error
    prepared = prepare(read_again(manifest, Limits(rejected=1, unknown=1)).tables)
    features = pl.concat([prepared.customers.select("id"), prepared.features], how="horizontal")
    customers = scored.join(features, on="id", maintain_order="left")
    if customers.height != scored.height:
        raise SettingsError([Problem("--run", "a run whose drop has all of its customers", str(run))])
    thresholds = Thresholds(**manifest["model"]["thresholds"])
    placed = pl.concat([customers, segmentation.assign(customers, thresholds)], how="horizontal")
    settings = manifest["campaign"]
    campaign = Campaign(settings["name"], settings["control_name"], settings["control_share"], None)
    planned = plan_contacts(placed, segmentation, campaign, held=pl.Series("id", [], pl.Int64))
    return describe_segments(count_segments(planned, planned["fate"]), segmentation), manifest


def describe_preview(segments: Sequence[SegmentRow], manifest: Manifest) -> list[dict[str, Any]]:
    """Return one row per segment: customers, contacts, cost, expected value, and customers in the run's own file."""
    before = {row["segment"]: row["customers"] for row in manifest["segments"]}
    return [
        {
            **{key: row[key] for key in ("segment", "title", "customers")},
            "customers_before": before.get(row["segment"]),
            "contacts": row["treatment"],
            **{key: row[key] for key in ("control", "not_worth", "cost", "expected_value")},
        }
        for row in segments
    ]


def summarise_segments(segmentation: Segmentation, preview: Sequence[Mapping[str, Any]] | None) -> str:
    """Return what a segments file says, in Russian; with whom it would take of a run, if one was asked."""
    lines = [f"Файл {segmentation.file} в порядке: сегментов {len(segmentation.segments)}."]
    if preview is None:
        listed = []
        for segment in segmentation.segments:
            shares = zip(segment.offers, segment.shares, strict=True)
            is_one = len(segment.offers) == 1
            offers = [offer.code if is_one else f"{offer.code} {percent(share)}" for offer, share in shares]
            listed.append((number(segment.priority), segment.title, segment.condition, ", ".join(offers)))
        return "\n".join([*lines, *align(("№", "сегмент", "условие", "предложение"), listed)])
    rows = [
        (
            row["title"],
            number(row["customers"]),
            "новый" if before is None else number(row["customers"] - before, signed=True),
            *(number(row[key]) for key in ("contacts", "control", "not_worth")),
            *(number(row[key], decimals=2) for key in ("cost", "expected_value")),
        )
        for row, before in ((row, row["customers_before"]) for row in preview)
    ]
    headings = ("сегмент", "клиентов", "изменение", "написать", "в контроле", "писать дороже", "стоимость", "ценность")
    return "\n".join([*lines, *align(headings, rows)])
