"""Segments: risk x profit x share of promotional purchases, each with an offer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

if TYPE_CHECKING:
    from job.models.artifact import Thresholds

# segment code -> offer code. Ever deeper discounts only teach to wait for discounts: at high risk, buyers of promotions
# get the loyalty programme and the others get value and news; money is spent where the profit is.
OFFERS: Final = {
    "high_risk_high_profit_high_promo": "loyalty_bonus",
    "high_risk_high_profit_low_promo": "personal_discount",
    "high_risk_low_profit_high_promo": "loyalty_programme",
    "high_risk_low_profit_low_promo": "new_arrivals",
    "low_risk_high_profit_high_promo": "early_access",
    "low_risk_high_profit_low_promo": "keep_informed",
    "low_risk_low_profit_high_promo": "bundle",
    "low_risk_low_profit_low_promo": "cross_sell",
}


def segment(thresholds: Thresholds) -> pl.Expr:
    """Return each customer's segment code (String), from `decline_probability`, `monthly_profit` and `promo_share`."""
    levels = {
        "risk": pl.col("decline_probability") >= thresholds.risk,
        "profit": pl.col("monthly_profit") >= thresholds.profit,
        "promo": pl.col("promo_share") >= thresholds.promo_share,
    }
    parts = [
        pl.when(high).then(pl.lit(f"high_{name}")).otherwise(pl.lit(f"low_{name}")) for name, high in levels.items()
    ]
    return pl.concat_str(parts, separator="_")


def offer(segment_code: pl.Expr) -> pl.Expr:
    """Return the code of each segment's offer (String)."""
    return segment_code.replace_strict(OFFERS, return_dtype=pl.String)
