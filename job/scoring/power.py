"""What a campaign will be able to show, said before it is sent: by the functions with which `lift` will measure it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from job.rounding import rounded
from job.scoring.manifest import Parts, sum_parts
from job.statistics import LEVEL, POWER, Stratum, smallest_control_share, smallest_fall
from schemas.scored import CONTROL, TREATMENT

if TYPE_CHECKING:
    import polars as pl

    from job.scoring.segments import Segmentation
    from schemas.manifest import CampaignPower, Shown


def describe_power(counts: pl.DataFrame, segmentation: Segmentation) -> CampaignPower:
    """Return the smallest fall of the decline rate that the groups can show, overall, by segment and by offer.

    An offer is compared with the control group of its segments. Segments, and offers, are so many tests each, and
    share the level between them (Bonferroni's bound on what Holm's correction will do).
    """
    planned = [part for part in counts.to_dicts() if part["fate"] in (TREATMENT, CONTROL)]
    by_segment = {
        segment.code: [part for part in planned if part["segment"] == segment.code] for segment in segmentation.segments
    }
    strata = {code: _stratum(parts) for code, parts in by_segment.items() if parts}
    offers = {
        offer: [
            _stratum([part for part in parts if part["fate"] == CONTROL or part["offer"] == offer])
            for parts in by_segment.values()
            if any(part["fate"] == TREATMENT and part["offer"] == offer for part in parts)
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


def _stratum(parts: Parts) -> Stratum:
    """Return treated and control customers of one lot. Args: parts: at least one."""
    treated, control = (int(sum_parts(parts, "customers", fate=fate)) for fate in (TREATMENT, CONTROL))
    risk, variance = (sum_parts(parts, name) / (treated + control) for name in ("risk", "variance"))
    return Stratum(treated, control, risk, variance)


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
