"""Differences between groups, adjusted for what was known of each customer before the campaign.

A measure of a customer is replaced by its distance from what a linear regression on the covariates foretells (Lin,
Annals of Applied Statistics 7 (2013) 295-318: a slope for each group, the two weighted crosswise by the groups' sizes).
The groups were drawn by chance, so that this takes away what they differed by before and the noise that was
foreseeable, and adds nothing: the regression need not be right. Slopes are fitted once, on all treated and control
customers, within segments; every comparison uses the same ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import polars as pl

from job.statistics import FEWEST, Estimate
from schemas.scored import CONTROL, TREATMENT

_NOTHING: Final = 1e-9
"""Share of the covariates' variance in a direction, below which it tells nothing."""
_FEWEST_OF_STRATUM: Final = 2


def adjusted_name(measure: str) -> str:
    """Return the column of a measure's adjusted values."""
    return f"{measure}_adjusted"


def adjust(customers: pl.DataFrame, measures: Sequence[str], covariates: Sequence[str]) -> pl.DataFrame:
    """Return treated and control customers with each measure's adjusted values (Float64; null where the measure is).

    `customers`: `segment`, `campaign_group`, measures (Float64) and covariates (Float64; a null counts as the mean).
    """
    centred = customers.with_columns((pl.col(name) - pl.col(name).mean()).fill_null(0.0) for name in covariates)
    slopes = {measure: _slopes(centred, measure, covariates) for measure in measures}
    foretold = {
        measure: pl.sum_horizontal([pl.lit(0.0), *(pl.col(name) * slope for name, slope in slopes[measure].items())])
        for measure in measures
    }
    values = centred.select((pl.col(measure) - foretold[measure]).alias(adjusted_name(measure)) for measure in measures)
    return pl.concat([customers, values], how="horizontal")


def compare_strata(
    first: pl.DataFrame, second: pl.DataFrame, value: str, *, stratum: str = "segment"
) -> tuple[Estimate, Estimate] | None:
    """Return the means of two groups over the strata that both have, weighted by the first group's customers.

    `value` (Float64; nulls are left out) and `stratum`, within which both were drawn by one lot, are columns of both
    groups. None if no stratum has two customers of each, or a group has fewer than `FEWEST` in such strata.
    """
    both = _moments(first, value, stratum).join(
        _moments(second, value, stratum), on=stratum, suffix="_second", maintain_order="left"
    )
    sizes = both.select(pl.col("size", "size_second").sum()).row(0)
    if min(sizes) < FEWEST:
        return None
    weight = pl.col("size") / pl.col("size").sum()
    estimates = []
    for suffix in ("", "_second"):
        mean, variance, size = (pl.col(f"{name}{suffix}") for name in ("mean", "variance", "size"))
        part = weight.pow(2) * variance / size
        row = both.select(m=(weight * mean).sum(), v=part.sum(), s=(part.pow(2) / (size - 1)).sum()).row(0)
        estimates.append(Estimate(*row))
    return estimates[0], estimates[1]


def _moments(group: pl.DataFrame, value: str, stratum: str) -> pl.DataFrame:
    return (
        group.filter(pl.col(value).is_not_null())
        .group_by(stratum)
        .agg(size=pl.len(), mean=pl.col(value).mean(), variance=pl.col(value).var())
        .filter(pl.col("size") >= _FEWEST_OF_STRATUM)
        .sort(stratum)
    )


def _slopes(customers: pl.DataFrame, measure: str, covariates: Sequence[str]) -> dict[str, float]:
    """Return covariate -> its slope: each group's, weighted by the size of the other; none of too few customers."""
    known = customers.filter(pl.col(measure).is_not_null())
    slopes, sizes = {}, {}
    for group in (TREATMENT, CONTROL):
        rows = known.filter(pl.col("campaign_group") == group)
        sizes[group] = rows.height
        if rows.height - rows["segment"].n_unique() - len(covariates) < FEWEST:
            return {}
        slopes[group] = _regress(rows, measure, covariates)
    total = sum(sizes.values())
    return {
        name: (sizes[CONTROL] * slopes[TREATMENT][name] + sizes[TREATMENT] * slopes[CONTROL][name]) / total
        for name in covariates
    }


def _regress(rows: pl.DataFrame, measure: str, covariates: Sequence[str]) -> dict[str, float]:
    """Return the slopes of least squares within segments; what others of the covariates foretell counts once."""
    names = (*covariates, measure)
    within = rows.select((pl.col(name) - pl.col(name).mean()).over("segment") for name in names).to_numpy()
    scale = np.where((deviation := within.std(axis=0)) > 0, deviation, 1.0)
    # One after the other, not by a library's blocks: the last bits are the same on every machine.
    products = np.einsum("ri,rj->ij", within / scale, within / scale)
    slopes = np.linalg.pinv(products[:-1, :-1], rcond=_NOTHING, hermitian=True) @ products[:-1, -1]
    return dict(zip(covariates, (slopes * scale[-1] / scale[:-1]).tolist(), strict=True))
