from __future__ import annotations

from pathlib import Path

import lightgbm
import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal, assert_series_equal

from job.errors import ArtifactError
from job.features import make_features, split_customers
from job.models import boosted
from job.models.boosted import BoostedModel, matrix, matrix_columns
from job.models.forest import Forest
from job.models.linear import Calibration
from job.settings import Arrival, Limits
from job.training.candidates import BOOSTED, learn_caps
from job.training.run import Labelled, read_labelled
from schemas.features import CATEGORICAL_FEATURES, FEATURE_NAMES


@pytest.fixture(scope="module")
def labelled(labelled_drop: Path, limits: Limits) -> Labelled:
    return read_labelled(labelled_drop, limits=limits, arrival=Arrival())


@pytest.fixture(scope="module")
def model(labelled: Labelled) -> BoostedModel:
    settings = {**BOOSTED.first, "rounds": 20}
    fitted = BOOSTED.fit(labelled.features, labelled.labels, settings, 1).model
    assert isinstance(fitted, BoostedModel)
    return fitted.calibrated(Calibration(0.9, 0.1))


def test_matrix_has_numbers_then_words_in_order(labelled: Labelled) -> None:
    names = [expression.meta.output_name() for expression in matrix_columns()]
    words = [f"{feature.name}_{word}" for feature in CATEGORICAL_FEATURES for word in feature.values]
    assert names == [*FEATURE_NAMES[: len(FEATURE_NAMES) - len(CATEGORICAL_FEATURES)], *words]
    columns = matrix(labelled.features, {})
    assert columns.shape == (400, len(names))
    ones = columns[:, -len(words) :]
    assert set(np.unique(ones)) == {0.0, 1.0}
    assert (ones.sum(axis=1) == len(CATEGORICAL_FEATURES)).all()


def test_predictions_equal_lightgbm_s_own(labelled: Labelled, model: BoostedModel) -> None:
    again = BoostedModel.load(model.to_json(), model.texts().__getitem__)
    own = model.booster.predict(matrix(labelled.features, learn_caps(labelled.features)), raw_score=True)
    assert again.margins(labelled.features).to_numpy() == pytest.approx(own, abs=1e-9)
    expected = 1 / (1 + np.exp(-(0.9 * own + 0.1)))
    assert again.probabilities(labelled.features).to_numpy() == pytest.approx(expected, abs=1e-9)


def test_words_are_added_up_in_one_order(
    labelled: Labelled, model: BoostedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not in one that depends on threads: 0.1 + 0.2 and 0.3 + 0.1 are pairs, whose sums are then added."""
    names = [expression.meta.output_name() for expression in matrix_columns()]
    parts = dict(zip(names, [0.1, 0.2, 0.3, 0.1, 0.7, 1e-17, 0.3] * len(names), strict=False))
    rows = np.tile([parts[name] for name in names], (labelled.features.height, 1))
    monkeypatch.setattr(Forest, "contributions", lambda *_: rows)
    found = model.contributions(labelled.features)
    for feature in CATEGORICAL_FEATURES:
        values = [parts[f"{feature.name}_{word}"] for word in feature.values]
        while len(values) > 1:
            pairs = [left + right for left, right in zip(values[::2], values[1::2], strict=False)]
            values = pairs + values[len(pairs) * 2 :]
        assert set(found[feature.name]) == {values[0]}


def test_contributions_add_up_with_the_mean_margin(labelled: Labelled, model: BoostedModel) -> None:
    contributions = model.contributions(labelled.features)
    assert set(contributions.columns) == set(FEATURE_NAMES)
    rest = model.margins(labelled.features).to_numpy() - contributions.sum_horizontal().to_numpy()
    assert rest == pytest.approx(np.full(400, rest[0]), abs=1e-9)


def test_contributions_equal_lightgbm_s_own(
    labelled: Labelled, model: BoostedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = model.contributions(labelled.features)
    monkeypatch.setattr(Forest, "is_explained", False)
    assert_frame_equal(found, model.contributions(labelled.features), rel_tol=0, abs_tol=1e-9)


def test_many_rows_are_scored_like_few(
    labelled: Labelled, model: BoostedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = model.margins(labelled.features)
    monkeypatch.setattr(boosted, "FOREST_ROWS", 400)
    assert_series_equal(model.margins(labelled.features), few, check_exact=True)
    ran = []
    monkeypatch.setattr(type(model.booster), "predict", lambda *_, **__: ran.append(1))
    assert_series_equal(model.margins(labelled.features), few, check_exact=True)
    assert not ran


def test_no_rows_give_no_margins(labelled: Labelled, model: BoostedModel) -> None:
    assert model.margins(labelled.features.clear()).len() == 0


def test_other_columns_are_refused(model: BoostedModel) -> None:
    with pytest.raises(ArtifactError, match=r"^model\.json: the boosted model was trained on other columns: \['a'\]$"):
        BoostedModel.load({**model.to_json(), "columns": ["a"]}, model.texts().__getitem__)


def test_text_is_lightgbm_s(model: BoostedModel) -> None:
    assert lightgbm.Booster(model_str=model.texts()["model.txt"]).num_trees() == 20


def test_unknown_words_are_no_known_word(labelled: Labelled) -> None:
    unknown = labelled.features.head(1).with_columns(favourite_category=pl.lit("unknown"))
    assert matrix(unknown, {})[0, -6:].tolist() == [0.0] * 6


def test_features_of_a_drop_make_the_matrix(labelled: Labelled) -> None:
    assert make_features(split_customers(labelled.intake.tables)[0]).equals(labelled.features)
