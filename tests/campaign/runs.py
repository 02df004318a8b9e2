"""Published runs and outcomes of a few customers, made by hand."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import polars as pl

from job.campaign.results import FOUND, VANISHED
from tests.manifests import make_manifest

if TYPE_CHECKING:
    from pathlib import Path


def make_scored(customers: int = 400, *, first_id: int = 500) -> pl.DataFrame:
    """Return customers in two segments: every tenth is out of the campaign, every fourth of the others is control."""
    place = pl.int_range(customers)
    return pl.select(
        id=(first_id + place).cast(pl.Int64),
        decline_probability=(place % 97) / 100 + 0.01,
        monthly_profit=3.0 + (place % 5),
        segment=pl.when(place % 3 == 0).then(pl.lit("at_risk")).otherwise(pl.lit("loyal")),
        contact_allowed=place % 10 != 0,
        campaign_group=pl.when(place % 10 == 0)
        .then(pl.lit("none"))
        .when(place % 4 == 1)
        .then(pl.lit("control"))
        .otherwise(pl.lit("treatment")),
        in_training=pl.lit(value=False),
    ).with_columns(
        profit_at_risk=3 * pl.col("decline_probability") * pl.col("monthly_profit"),
        offer=pl.when(pl.col("segment") == "at_risk").then(pl.lit("discount")).otherwise(pl.lit("news")),
        risk_decile=((1 - pl.col("decline_probability")) * 10 + 1).floor().clip(1, 10).cast(pl.Int8),
    )


_SEGMENT = {
    "condition": "",
    "priority": 1,
    "onsite_offer": "",
    "share": 0.5,
    "customers": 200,
    "previous_share": None,
    "mean_risk": None,
    "profit_at_risk": 0.0,
    "contact_allowed": 0,
    "treatment": 0,
    "control": 0,
    "none": 0,
    "no_consent": 0,
    "onsite_only": 0,
    "not_worth": 0,
    "held_elsewhere": 0,
    "beyond_budget": 0,
    "cost": 0.0,
    "expected_value": 0.0,
}
_OFFER = {
    "offer_text": "",
    "channel": "email",
    "effect": 0.1,
    "assumed": 0.1,
    "discount": 0.0,
    "share": 1.0,
    "customers": 200,
    "treatment": 0,
    "control": 0,
    "cost": 0.0,
    "expected_value": 0.0,
    "break_even": None,
}
SEGMENTS = [
    {
        **_SEGMENT,
        "segment": name,
        "title": title,
        "priority": priority,
        "offers": [
            {**_OFFER, "offer": offer, "offer_text": text, "cost_per_contact": cost, "effect": 0.2, "assumed": 0.2}
        ],
    }
    for name, title, priority, offer, text, cost in (
        ("loyal", "Верные <и> прибыльные", 20, "news", "Новости", 0.05),
        ("at_risk", "Могут уйти", 10, "discount", "Скидка <10 %>", 0.5),
    )
]


def publish(folder: Path, scored: pl.DataFrame, **manifest: Any) -> Path:
    """Write a run as `job.scoring` publishes it, as far as a comparison reads it."""
    folder.mkdir(parents=True)
    scored.write_parquet(folder / "scored.parquet")
    content = (folder / "scored.parquet").read_bytes()
    outputs = {"scored.parquet": {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}}
    described = make_manifest(**{"run_id": folder.name, "segments": SEGMENTS, "outputs": outputs, **manifest})
    (folder / "manifest.json").write_text(json.dumps(described), encoding="utf-8")
    number = 1 + sum(path.is_dir() for path in folder.parent.iterdir())
    (folder / "_SUCCESS").write_text(f"{number}\n", encoding="ascii")
    return folder


def make_group(group: str, *, declined: int, unchanged: int, vanished: int = 0, segment: str = "one") -> pl.DataFrame:
    """Return customers as from `match_outcome`: those who declined lose money and minutes."""
    customers = declined + unchanged + vanished
    place = pl.int_range(customers)
    is_found, declines = place < declined + unchanged, place < declined
    values: dict[str, pl.Expr] = {
        "declined": declines,
        "revenue": pl.when(declines).then(6000.0).otherwise(12000.0) + place % 7,
        "monthly_minutes": pl.when(declines).then(6.0).otherwise(12.0) + place % 3,
        "monthly_profit_change": pl.when(declines).then(-2.0).otherwise(0.0) + (place % 5) / 10,
    }
    first = int.from_bytes(hashlib.sha256(f"{segment} {group}".encode()).digest()[:4], "little")
    return pl.select(
        place=place,
        id=first + place.cast(pl.Int64),
        segment=pl.lit(segment),
        campaign_group=pl.lit(group),
        offer=pl.lit("news"),
        decline_probability=((place * 37) % 100) / 100,
        risk_decile=((place * 37) % 10 + 1).cast(pl.Int8),
        monthly_profit=pl.lit(4.0) + (place % 9) / 10,
        fate=pl.when(is_found).then(pl.lit(FOUND)).otherwise(pl.lit(VANISHED)),
    ).with_columns(
        **{name: pl.when(is_found).then(value).otherwise(None) for name, value in values.items()},
    )
