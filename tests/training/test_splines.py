from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from job.training.candidates import CHAMPION
from job.training.run import Labelled
from job.training.splines import fit_splines
from schemas.features import NUMERIC_FEATURES


@pytest.mark.parametrize("changed", [{}, {"knots": 4, "tail": 0.01, "single_penalty": 2.0}])
def test_the_deployed_terms_equal_scikit_learn(labelled: Labelled, changed: dict[str, Any]) -> None:
    train, test = labelled.features.head(300), labelled.features.tail(100)
    margins, model = fit_splines(train, labelled.labels[:300], **{**CHAMPION.first, **changed})
    for rows in (train, test):
        expected = margins(rows)
        assert model.margins(rows).to_numpy() == pytest.approx(expected, abs=1e-9)
        assert model.probabilities(rows).to_numpy() == pytest.approx(1 / (1 + np.exp(-expected)), abs=1e-9)


def test_contributions_are_zero_on_average_in_training(labelled: Labelled) -> None:
    _, model = fit_splines(labelled.features, labelled.labels, **CHAMPION.first)
    means = model.contributions(labelled.features).select(pl.all().mean()).row(0)
    assert means == pytest.approx([0.0] * len(means), abs=1e-9)


def test_beyond_the_outer_knots_a_value_counts_as_the_knot(labelled: Labelled) -> None:
    _, model = fit_splines(labelled.features, labelled.labels, **CHAMPION.first)
    absurd = labelled.features.head(1).with_columns(revenue_current_month=pl.lit(1e9))
    low, high = model.caps["revenue_current_month"]
    assert 0 < low < high < 1e5
    at_cap = labelled.features.head(1).with_columns(revenue_current_month=pl.lit(high))
    assert model.margins(absurd).item() == model.margins(at_cap).item()


def test_a_constant_feature_does_no_harm(labelled: Labelled) -> None:
    flat = labelled.features.with_columns(pl.lit(3.0).alias(NUMERIC_FEATURES[0].name))
    margins, model = fit_splines(flat, labelled.labels, **CHAMPION.first)
    assert np.isfinite(margins(flat)).all()
    assert model.margins(flat).to_numpy() == pytest.approx(margins(flat), abs=1e-9)


def test_a_higher_penalty_gives_a_flatter_model(labelled: Labelled) -> None:
    spread = [
        margins(labelled.features).std()
        for penalty in (10.0, 1000.0, 100_000.0)
        for penalties in [dict.fromkeys(("single_penalty", "category_penalty", "product_penalty"), penalty)]
        for margins, _ in [fit_splines(labelled.features, labelled.labels, **{**CHAMPION.first, **penalties})]
    ]
    assert spread[0] > spread[1] > spread[2]
