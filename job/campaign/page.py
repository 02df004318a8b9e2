"""The Russian page of a comparison: one file, no script, nothing loaded from anywhere; the run's page in style."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from job.campaign.lift import CAP_LEVEL
from job.campaign.results import DECLINE, PROFIT
from job.report.html import render_html
from job.statistics import LEVEL
from schemas.scored import PROFIT_MONTHS, TREATMENT

if TYPE_CHECKING:
    from job.campaign.offers import Plan
    from job.campaign.results import Comparison, Lift

PROFIT_DECIMALS: Final = 4


def render_page(lift: Lift, *, run_id: str, titles: Mapping[str, str], plan: Plan) -> str:
    """Return the page as HTML; segments are shown in the order of their titles, one without by its code."""
    segments = _ordered(lift, titles)
    difference = lift.overall.effects[DECLINE].difference
    effects = [part.effects[DECLINE] for _, part in segments]
    ends = [end for effect in effects for end in (effect.low, effect.high) if end is not None]
    worst = {"fewer_declined": "worst", "not_sure": "worst", "more_declined": "best"}.get(lift.verdict)
    return render_html(
        "job.campaign",
        "lift.html",
        lift=lift,
        run_id=run_id,
        against=next((case for case in lift.sensitivity if case.case == worst), None),
        kept=difference and -round(100 * difference, 1) / 100 * lift.overall.groups[TREATMENT].found,
        segments=segments,
        axis=(min(0.0, *ends), max(0.0, *ends)) if ends else None,
        offer_titles={result.offer: plan.titles.get(result.offer, result.offer) for result in lift.offers},
        tested=sum(part.effects[DECLINE].p_value is not None for part in lift.segments.values()),
        months=PROFIT_MONTHS,
        profit_decimals=PROFIT_DECIMALS,
        proof=LEVEL,
        cap_level=CAP_LEVEL,
        gained=_gained,
        net=_net,
    )


def _ordered(lift: Lift, titles: Mapping[str, str]) -> list[tuple[str, Comparison]]:
    """Return all segments together, then each by title; those without one last."""
    codes = [code for code in titles if code in lift.segments]
    codes += [code for code in lift.segments if code not in titles]
    return [("Все сегменты", lift.overall), *((titles.get(code, code), lift.segments[code]) for code in codes)]


def _gained(part: Comparison) -> float | None:
    """Return the profit beyond the control group's, of the difference as the page shows it."""
    effect = part.effects[PROFIT]
    if effect.difference is None:
        return None
    return round(effect.difference, PROFIT_DECIMALS) * effect.treatment_customers * PROFIT_MONTHS


def _net(part: Comparison) -> float | None:
    """Return the net result of what the page shows beside it."""
    gained = _gained(part)
    return None if gained is None else round(gained) - round(part.worth.offer_cost)
