"""Reasons: at most one of a theme, the strongest first, only what is material and different, in right Russian."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from job.errors import ArtifactError
from job.models import reasons
from job.models.kinds import Explained
from job.models.linear import Calibration
from job.models.reasons import Explainer, UsualNumber, UsualWord, rank_reasons, say, theme_of, usual_values
from schemas.features import (
    CATEGORICAL_FEATURES,
    FEATURE_DTYPES,
    FEATURE_NAMES,
    MEANINGS,
    NUMERIC_FEATURES,
    WORD_FEATURES,
)
from schemas.phrases import Number, Phrase

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

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


@dataclass(frozen=True)
class Plain:
    """A model that adds weight x (value - 5) of each number, and a weight for each word but kitchenware."""

    weights: dict[str, float]
    intercept: float = 0.0
    kind: str = "linear"

    @property
    def explained(self) -> tuple[str, ...]:
        return tuple(self.weights)

    calibration: ClassVar = Calibration()

    def margins(self, features: pl.DataFrame) -> NDArray[np.float64]:
        return np.array([math.fsum(row) + self.intercept for row in self.contributions(features).iter_rows()])

    def contributions(self, features: pl.DataFrame) -> pl.DataFrame:
        return features.select(
            ((pl.col(name) != "kitchenware").cast(pl.Float64) if name == "favourite_category" else pl.col(name) - 5)
            * weight
            for name, weight in self.weights.items()
        )

    def explain(self, features: pl.DataFrame, usual: Mapping[str, Mapping[str, float | str]]) -> Explained:
        changed = [
            features.with_columns(pl.lit(value, FEATURE_DTYPES[name]).alias(name) for name, value in values.items())
            for values in usual.values()
        ]
        contributions = self.contributions(features).to_numpy().T
        return Explained(contributions, self.margins(features), np.array([self.margins(rows) for rows in changed]))


def frame(**columns: list[Any]) -> pl.DataFrame:
    return pl.DataFrame(columns, schema={name: FEATURE_DTYPES[name] for name in columns})


def found(model: Plain, features: pl.DataFrame) -> list[list[str]]:
    rows = Explainer(model, USUAL).explain(features).iter_rows()
    return [[text for text in row if text is not None] for row in rows]


@pytest.mark.parametrize(
    ("feature", "value", "median", "text"),
    [
        ("pages_per_visit", 2.0, 8.0, "всего 2 страницы за визит, у половины клиентов 8 и больше"),
        ("pages_per_visit", 21.0, 8.0, "21 страница за визит, у половины клиентов не больше 8"),
        (
            "contacts_6_months",
            2.5,
            4.2,
            "всего 2,5 контакта с магазином в месяц за полгода, у половины клиентов 4,2 и больше",
        ),
        (
            "minutes_current_month",
            4.0,
            13.0,
            "всего 4 минуты на сайте в текущем месяце, у половины клиентов 13 и больше",
        ),
        (
            "unpaid_items_quarter",
            10.0,
            3.0,
            "10 неоплаченных товаров в корзине за квартал, у половины клиентов не больше 3",
        ),
        (
            "revenue_current_month",
            4972.3,
            5180.0,
            "выручка за текущий месяц низкая: 4 972, у половины клиентов 5 180 и больше",
        ),
        (
            "revenue_previous_month",
            106_862.2,
            5005.0,
            "выручка за прошлый месяц высокая: 106 862, у половины клиентов не больше 5 005",
        ),
        (
            "revenue_change",
            -0.12,
            0.03,
            "падение выручки к прошлому месяцу: −12 %, у половины клиентов +3 % и больше",
        ),
        (
            "revenue_change",
            0.52,
            0.03,
            "резкий рост выручки к прошлому месяцу: +52 %; после таких скачков покупают меньше",
        ),
        (
            "revenue_change",
            0.02,
            0.4,
            "выручка к прошлому месяцу: +2 %, у половины клиентов +40 % и больше",
        ),
        (
            "revenue_change",
            -0.05,
            -0.3,
            "выручка к прошлому месяцу: −5 %, у половины клиентов не больше −30 %",
        ),
        ("promo_share", 0.89, 0.24, "доля покупок по акциям высокая: 89 %, у половины клиентов не больше 24 %"),
        ("service_errors", 1.0, 4.0, "всего 1 ошибка на сайте, у половины клиентов 4 и больше"),
    ],
)
def test_numbers_in_words(feature: str, value: float, median: float, text: str) -> None:
    assert say(feature, value, UsualNumber(median, median, median)) == text


@pytest.mark.parametrize(
    ("word", "share", "text"),
    [
        ("home_textiles", 0.193, "популярная категория «Домашний текстиль» (у 19 % клиентов)"),
        ("home_textiles", 0.001, "популярная категория «Домашний текстиль» (у менее 1 % клиентов)"),
    ],
)
def test_words_in_words(word: str, share: float, text: str) -> None:
    assert say("favourite_category", word, UsualWord("kitchenware", {word: share})) == text


def test_nothing_is_called_usual() -> None:
    for name, meaning in MEANINGS.items():
        if isinstance(meaning.phrase, Phrase):
            assert all("{value}" in text and "обычно" not in text for text in meaning.phrase.templates), name
        else:
            assert "{value}" in meaning.phrase.other


def test_what_is_far_from_usual() -> None:
    deciles = (0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0)
    assert UsualNumber.of(deciles, Number.COUNT) == (5.0, 3.0, 7.0)
    assert UsualNumber.of((4.0,) * 11, Number.COUNT) == (4.0, 3.0, 5.0)
    assert UsualNumber.of((4.0,) * 11, Number.MEAN) == (4.0, 3.9, 4.1)
    changes = tuple(decile / 20 - 0.2 for decile in deciles)
    assert UsualNumber.of(changes, Number.CHANGE) == pytest.approx((0.05, -0.15, 0.25))
    assert UsualNumber.of((0.5,) * 11, Number.CHANGE) == pytest.approx((0.5, -0.01, 0.51))


def test_one_reason_of_a_theme_and_the_largest_sum_first() -> None:
    model = Plain({"pages_per_visit": -0.2, "categories_per_visit": -0.3, "service_errors": 0.6})
    features = frame(pages_per_visit=[1, 1], categories_per_visit=[2, 1], service_errors=[7, 8])
    visits = ("всего 2 категории за визит, у половины клиентов 5 и больше", "всего 1 категория за визит, у половины")
    errors = [
        "7 ошибок на сайте, у половины клиентов не больше 5",
        "8 ошибок на сайте, у половины клиентов не больше 5",
    ]
    first, second = found(model, features)
    assert first == [visits[0], errors[0]]
    assert [text.startswith(visits[1]) for text in second] == [True, False]
    assert second[1] == errors[1]


def test_what_lowers_the_risk_or_is_near_the_usual_is_no_reason() -> None:
    model = Plain({"pages_per_visit": -0.5, "categories_per_visit": -0.5})
    features = frame(pages_per_visit=[10, 4, 1, 1], categories_per_visit=[10, 4, 10, 5])
    assert found(model, features) == [
        [],  # lowers
        [],  # too near
        [],  # the theme lowers more than this raises
        ["всего 1 страница за визит, у половины клиентов 5 и больше"],
    ]


def test_a_theme_that_hardly_lowers_the_probability_is_no_reason() -> None:
    features = frame(pages_per_visit=[1])
    assert found(Plain({"pages_per_visit": -0.1}), features) != [[]]
    assert found(Plain({"pages_per_visit": -0.1}, intercept=6.0), features) == [[]]
    assert found(Plain({"pages_per_visit": -0.01}), features) == [[]]


def test_what_nobody_can_act_on_is_no_reason() -> None:
    model = Plain({"registered_days": 1.0})
    assert Explainer(model, USUAL).themes == {}
    assert found(model, frame(registered_days=[10])) == [[]]


def test_the_most_frequent_word_and_an_unknown_one_are_no_reasons() -> None:
    features = frame(favourite_category=["home_textiles", "kitchenware", "unknown"])
    assert found(Plain({"favourite_category": 1.0}), features) == [
        ["популярная категория «Домашний текстиль» (у 10 % клиентов)"],
        [],
        [],
    ]


def test_the_strongest_first_and_only_what_is_positive() -> None:
    sums = np.array([[1.0, -1.0, 0.0, 2.0], [3.0, 0.5, 0.0, 2.0], [2.0, -2.0, -1.0, 1.0], [0.5, 0.0, 0.0, 3.0]])
    assert ranks_of(sums) == [(1, 2, 0), (1, None, None), (None, None, None), (3, 0, 1)]


def ranks_of(sums: NDArray[np.float64]) -> list[tuple[int | None, ...]]:
    rows = np.arange(len(sums), dtype=np.uint8)[:, None]
    named, are_reasons = rank_reasons(sums, np.broadcast_to(rows, sums.shape))
    return [
        tuple(place if is_reason else None for place, is_reason in zip(*column, strict=True))
        for column in zip(named.T.tolist(), are_reasons.T.tolist(), strict=True)
    ]


@given(st.lists(st.tuples(*[st.floats(-5, 5)] * 5), min_size=1, max_size=20))
def test_ranks_are_those_of_a_sort(rows: list[tuple[float, ...]]) -> None:
    for row, ranks in zip(rows, ranks_of(np.array(rows).T), strict=True):
        raising = sorted((place for place in range(5) if row[place] > 0), key=lambda place, row=row: -row[place])
        assert ranks == tuple([*raising, None, None, None][:3])


def test_explained_in_batches_as_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    features = frame(pages_per_visit=[2, 0, 9, 5, 2], service_errors=[9, 0, 8, 7, 3])
    explainer = Explainer(Plain({"pages_per_visit": -0.5, "service_errors": 0.4}), USUAL)
    expected = explainer.explain(features)
    assert expected["reason_1"].null_count() < 5
    monkeypatch.setattr(reasons, "BATCH_ROWS", 2)
    assert_frame_equal(explainer.explain(features), expected)

    chosen = pl.Series([False, True, True, True, False])
    assert_frame_equal(explainer.explain(features, chosen), expected.select(pl.when(chosen).then(pl.all())))
    assert explainer.explain(features, pl.Series([False] * 5)).null_count().row(0) == (5, 5, 5)


def test_nobody_to_explain() -> None:
    explained = Explainer(Plain({"pages_per_visit": 1.0}), USUAL).explain(frame(pages_per_visit=[]))
    assert_frame_equal(explained, pl.DataFrame(schema=dict.fromkeys(reasons.REASONS, pl.String)))


def test_usual_values() -> None:
    assert set(USUAL) == set(FEATURE_NAMES)
    assert USUAL["pages_per_visit"] == UsualNumber(5.0, 3.0, 7.0)
    assert USUAL["service_type"] == UsualWord("standard", {"standard": 0.7, "premium": 0.3})


@pytest.mark.parametrize("manifest", [{}, {"reference": {}}, {"reference": None}])
def test_an_artifact_without_reference_is_refused(manifest: dict[str, Any]) -> None:
    with pytest.raises(ArtifactError) as caught:
        usual_values(manifest)
    assert caught.value.problems[0].startswith(
        "manifest.json: expected the reference of each feature, which reasons compare with; "
        "train the model again with this version of the job ("
    )


@pytest.mark.parametrize("name", [name for name, meaning in MEANINGS.items() if meaning.theme is not None])
def test_a_reason_tells_its_theme(name: str) -> None:
    meaning = MEANINGS[name]
    if isinstance(meaning.phrase, Phrase):
        usual = [UsualNumber(median, median, median) for median in (-0.3, 0.05, 5.0, 5_180.3)]
        said = {say(name, value, own) for own in usual for value in (-0.12, 0.0, 0.5, 1.0, 2.0, 2.5, 12.0, 106_862.2)}
    else:
        said = {say(name, word, UsualWord("", {word: 0.2})) for word in WORD_FEATURES[name].values}
    assert {theme_of(text) for text in said} == {meaning.theme}


def test_what_is_no_reason_has_no_theme() -> None:
    with pytest.raises(ValueError, match=r"^no reason: всего 2 страницы за визит, обычно 8$"):
        theme_of("всего 2 страницы за визит, обычно 8")
