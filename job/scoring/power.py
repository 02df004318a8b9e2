"""What a campaign will be able to show, said before it is sent: by the functions with which `lift` will measure it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from job.rounding import rounded
from job.statistics import LEVEL, POWER, Stratum, smallest_control_share, smallest_fall
from schemas.scored import CONTROL, TREATMENT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from job.scoring.segments import Segmentation
    from schemas.manifest import CampaignPower, Shown


def describe_power(counts: pl.DataFrame, segmentation: Segmentation) -> CampaignPower:
    """Return the smallest fall of the decline rate that the groups can show, overall, by segment and by offer.

    An offer is compared with the control group of its segments. Segments, and offers, are so many tests each, and
    share the level between them (Bonferroni's bound on what Holm's correction will do).
    """
    planned = counts.filter(pl.col("fate").is_in([TREATMENT, CONTROL]))
    by_segment = {segment.code: planned.filter(pl.col("segment") == segment.code) for segment in segmentation.segments}
    strata = {code: _stratum(group) for code, group in by_segment.items() if group.height}
    offers = {
        offer: [
            _stratum(group.filter((pl.col("fate") == CONTROL) | (pl.col("offer") == offer)))
            for group in by_segment.values()
            if group.filter((pl.col("fate") == TREATMENT) & (pl.col("offer") == offer)).height
        ]
        for offer in dict.fromkeys(offer.code for segment in segmentation.segments for offer in segment.offers)
    }
    offers = {offer: group for offer, group in offers.items() if group}
    segments = [_show(code, [stratum], tests=len(strata)) for code, stratum in strata.items()]
    return {
        "power": POWER,
        "level": LEVEL,
        "overall": _show("all", list(strata.values()), tests=1),
        "segments": segments,
        "offers": [_show(offer, group, tests=len(offers)) for offer, group in offers.items()],
        "too_small": [row["name"] for row in segments if row["control_share"] is None],
    }


def _stratum(group: pl.DataFrame) -> Stratum:
    """Return treated and control customers of one lot. Args: group: rows of `count_segments`, at least one."""
    customers = int(group["customers"].sum())
    treated, control = (int(group.filter(pl.col("fate") == fate)["customers"].sum()) for fate in (TREATMENT, CONTROL))
    return Stratum(treated, control, float(group["risk"].sum()) / customers, float(group["variance"].sum()) / customers)


def _show(name: str, strata: Sequence[Stratum], *, tests: int) -> Shown:
    """Return what strata can show. Args: tests: among which the level is shared."""
    level = LEVEL / max(tests, 1)
    fall = smallest_fall(strata, level=level)
    treated, control = (sum(getattr(stratum, group) for stratum in strata) for group in ("treated", "control"))
    customers = treated + control
    rate = sum(stratum.rate * (stratum.treated + stratum.control) for stratum in strata) / max(customers, 1)
    return {
        "name": name,
        "treated": treated,
        "control": control,
        "rate": rounded(rate),
        "fall": None if fall is None else rounded(fall.points),
        "effect": None if fall is None else rounded(fall.effect),
        "control_share": rounded(smallest_control_share(strata, level=level)),
    }
