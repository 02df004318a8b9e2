"""Reasons: the strongest first, only what raises the risk, in right Russian."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from job.errors import ArtifactError
from job.models import reasons
from job.models.linear import Calibration, Factor, LinearModel, Term
from job.models.reasons import Explainer, rank_reasons, say, score_and_rank, usual_values
from schemas.features import CATEGORICAL_FEATURES, NUMERIC_FEATURES

REFERENCE: dict[str, Any] = {
    "reference": {
        "numeric": {feature.name: {"quantiles": list(range(11))} for feature in NUMERIC_FEATURES},
        "words": {
            "service_type": {"standard": 0.7, "premium": 0.3},
            "favourite_category": dict.fromkeys(CATEGORICAL_FEATURES[1].values, 0.1) | {"kitchenware": 0.5},
        },
    }
}
USUAL = usual_values(REFERENCE)
NOTHING = pl.lit(None, pl.String)


@dataclass(frozen=True)
class Told:
    """A model that adds what it is told."""

    added: dict[str, float]
    kind: str = "told"

    @property
    def explained(self) -> tuple[str, ...]:
        return tuple(self.added)

    def probabilities(self, features: pl.DataFrame) -> pl.Series:
        return pl.repeat(0.5, features.height, eager=True).alias("decline_probability")

    def contributions(self, features: pl.DataFrame) -> pl.DataFrame:
        return features.select(pl.lit(value).alias(name) * pl.col(name).sign() for name, value in self.added.items())


@pytest.mark.parametrize(
    ("feature", "value", "usual", "text"),
    [
        ("pages_per_visit", 2.0, 8.0, "всего 2 страницы за визит, обычно 8"),
        ("pages_per_visit", 21.0, 8.0, "21 страница за визит, обычно 8"),
        ("pages_per_visit", 8.0, 8.0, "8 страниц за визит, как обычно"),
        ("contacts_6_months", 2.5, 4.2, "всего 2,5 контакта с магазином в месяц за полгода, обычно 4,2"),
        ("minutes_current_month", 4.0, 13.0, "всего 4 минуты на сайте в текущем месяце, обычно 13"),
        ("unpaid_items_quarter", 10.0, 3.0, "10 неоплаченных товаров в корзине за квартал, обычно 3"),
        ("registered_days", 121.0, 607.0, "всего 121 день с регистрации, обычно 607"),
        ("revenue_current_month", 4972.3, 5180.0, "выручка за текущий месяц 4 972, обычно 5 180"),
        ("revenue_change", -0.12, 0.03, "выручка к прошлому месяцу −12 %, обычно +3 %"),
        ("promo_share", 0.89, 0.24, "доля покупок по акциям 89 %, обычно 24 %"),
        ("promo_share", 0.244, 0.241, "доля покупок по акциям 24 %, как обычно"),
        ("service_type", "premium", "standard", "тип сервиса «премиум», обычно «стандарт»"),
        (
            "favourite_category",
            "home_textiles",
            "children_goods",
            "популярная категория «Домашний текстиль», чаще бывает «Товары для детей»",
        ),
        (
            "favourite_category",
            "kitchenware",
            "kitchenware",
            "популярная категория «Кухонная посуда», как у большинства",
        ),
        ("favourite_category", "unknown", "kitchenware", "популярная категория неизвестна"),
    ],
)
def test_said(feature: str, value: float | str, usual: float | str, text: str) -> None:
    assert say(feature, value, usual) == text


def test_the_strongest_first_and_only_what_raises_the_risk() -> None:
    contributions = pl.DataFrame(
        {"a": [1.0, -1.0, 0.0, 2.0], "b": [3.0, 0.5, 0.0, 2.0], "c": [2.0, -2.0, -1.0, 1.0], "d": [0.5, 0.0, 0.0, 3.0]}
    )
    expected = {"rank_1": [1, 1, None, 3], "rank_2": [2, None, None, 0], "rank_3": [0, None, None, 1]}
    assert_frame_equal(rank_reasons(contributions), pl.DataFrame(expected, schema=dict.fromkeys(expected, pl.UInt8)))


def test_a_linear_model_scores_and_ranks_at_once() -> None:
    pages, errors = (Factor(name, "value", 1.0) for name in ("pages_per_visit", "service_errors"))
    model = LinearModel((Term((pages,), 0.0, 1.0), Term((errors,), 0.0, 1.0)), 0.0, {}, Calibration())
    features = pl.DataFrame({"pages_per_visit": [2.0, 1.0, 0.0], "service_errors": [3.0, 1.0, 2.0]})
    ranks = {"rank_1": [1, None, 1], "rank_2": [0, None, None], "rank_3": [None, None, None]}
    expected = pl.DataFrame(ranks, schema=dict.fromkeys(ranks, pl.UInt8))
    assert_frame_equal(
        score_and_rank(model, features),
        pl.concat([model.probabilities(features).to_frame(), expected], how="horizontal"),
    )


def test_other_models_only_score() -> None:
    features = pl.DataFrame({"pages_per_visit": [2.0, 1.0]})
    assert_frame_equal(
        score_and_rank(Told({"pages_per_visit": 1.0}), features), pl.DataFrame({"decline_probability": [0.5, 0.5]})
    )


@given(st.lists(st.tuples(*[st.floats(-5, 5)] * 5), min_size=1, max_size=20))
def test_ranks_are_those_of_a_sort(rows: list[tuple[float, ...]]) -> None:
    ranked = rank_reasons(pl.DataFrame(rows, schema=list("abcde"), orient="row"))
    for row, found in zip(rows, ranked.iter_rows(), strict=True):
        raising = sorted((place for place in range(5) if row[place] > 0), key=lambda place, row=row: -row[place])
        assert found == tuple([*raising, None, None, None][:3])


def test_explained_in_batches_as_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    features = pl.DataFrame({"pages_per_visit": [2.0, 0.0, 9.0, 5.0, 2.0], "service_errors": [1.0, 0.0, 0.0, 7.0, 3.0]})
    model = Told({"pages_per_visit": 1.0, "service_errors": 2.0})
    expected = pl.DataFrame(
        {
            "reason_1": [
                "всего 1 ошибка на сайте, обычно 5",
                None,
                "9 страниц за визит, обычно 5",
                "7 ошибок на сайте, обычно 5",
                "всего 3 ошибки на сайте, обычно 5",
            ],
            "reason_2": [
                "всего 2 страницы за визит, обычно 5",
                None,
                None,
                "5 страниц за визит, как обычно",
                "всего 2 страницы за визит, обычно 5",
            ],
            "reason_3": pl.Series([None] * 5, dtype=pl.String),
        }
    )
    assert_frame_equal(Explainer(model, USUAL).explain(features), expected)
    monkeypatch.setattr(reasons, "BATCH_ROWS", 2)
    assert_frame_equal(Explainer(model, USUAL).explain(features), expected)

    chosen = pl.Series([False, True, True, True, False])
    assert_frame_equal(
        Explainer(model, USUAL).explain(features, chosen), expected.select(pl.when(chosen).then(pl.all()))
    )
    assert Explainer(model, USUAL).explain(features, pl.Series([False] * 5)).null_count().row(0) == (5, 5, 5)
    ranked = rank_reasons(model.contributions(features))
    silent = Told({"pages_per_visit": -1.0, "service_errors": -1.0})  # what is ranked is not asked again
    assert_frame_equal(Explainer(silent, USUAL).explain(features, ranked=ranked), expected)
    assert_frame_equal(
        Explainer(silent, USUAL).explain(features, chosen, ranked), expected.select(pl.when(chosen).then(pl.all()))
    )


def test_a_boosted_model_explains_so_many() -> None:
    assert Explainer(Told({}), USUAL).count(60_000) == 60_000
    assert Explainer(Told({}, kind="boosted"), USUAL).count(60_000) == 50_000


def test_nobody_to_explain() -> None:
    found = Explainer(Told({}), USUAL).explain(pl.DataFrame(schema={"pages_per_visit": pl.Float64}))
    assert_frame_equal(found, pl.DataFrame(schema=dict.fromkeys(reasons.REASONS, pl.String)))


def test_usual_values() -> None:
    assert {
        **{feature.name: 5.0 for feature in NUMERIC_FEATURES},
        "service_type": "standard",
        "favourite_category": "kitchenware",
    } == USUAL


@pytest.mark.parametrize("manifest", [{}, {"reference": {}}, {"reference": None}])
def test_an_artifact_without_reference_is_refused(manifest: dict[str, Any]) -> None:
    with pytest.raises(ArtifactError) as caught:
        usual_values(manifest)
    assert caught.value.problems[0].startswith(
        "manifest.json: expected the reference of each feature, which reasons compare with; "
        "train the model again with this version of the job ("
    )
