from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from job.training.run import Labelled
from job.training.splines import SplineSettings, fit_splines
from schemas.features import NUMERIC_FEATURES


@pytest.mark.parametrize("settings", [SplineSettings(), SplineSettings(knots=4, tail=0.01, single_penalty=2.0)])
def test_the_deployed_terms_equal_scikit_learn(labelled: Labelled, settings: SplineSettings) -> None:
    train, test = labelled.features.head(300), labelled.features.tail(100)
    fitted = fit_splines(train, labelled.labels[:300], settings)
    for rows in (train, test):
        assert fitted.model.margins(rows).to_numpy() == pytest.approx(fitted.margins(rows), abs=1e-9)
        expected = fitted.regression.predict_proba(fitted.basis.matrix(rows))[:, 1]
        assert fitted.model.probabilities(rows).to_numpy() == pytest.approx(expected, abs=1e-9)


def test_contributions_are_zero_on_average_in_training(labelled: Labelled) -> None:
    fitted = fit_splines(labelled.features, labelled.labels, SplineSettings())
    means = fitted.model.contributions(labelled.features).select(pl.all().mean()).row(0)
    assert means == pytest.approx([0.0] * len(means), abs=1e-9)


def test_beyond_the_outer_knots_a_value_counts_as_the_knot(labelled: Labelled) -> None:
    fitted = fit_splines(labelled.features, labelled.labels, SplineSettings())
    absurd = labelled.features.head(1).with_columns(revenue_current_month=pl.lit(1e9))
    low, high = fitted.model.caps["revenue_current_month"]
    assert 0 < low < high < 1e5
    at_cap = labelled.features.head(1).with_columns(revenue_current_month=pl.lit(high))
    assert fitted.model.margins(absurd).item() == fitted.model.margins(at_cap).item()


def test_a_constant_feature_does_no_harm(labelled: Labelled) -> None:
    flat = labelled.features.with_columns(pl.lit(3.0).alias(NUMERIC_FEATURES[0].name))
    fitted = fit_splines(flat, labelled.labels, SplineSettings())
    assert np.isfinite(fitted.margins(flat)).all()
    assert fitted.model.margins(flat).to_numpy() == pytest.approx(fitted.margins(flat), abs=1e-9)


def test_a_higher_penalty_gives_a_flatter_model(labelled: Labelled) -> None:
    spread = [
        fit_splines(labelled.features, labelled.labels, SplineSettings(3, 0.03, penalty, penalty, penalty))
        .margins(labelled.features)
        .std()
        for penalty in (10.0, 1000.0, 100_000.0)
    ]
    assert spread[0] > spread[1] > spread[2]
