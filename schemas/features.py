"""The feature frame, made of the records of `schemas.columns`: the one source for training, scoring and the artifact.

Never among the features: `id` and row order (the export is sorted by label) and `monthly_profit` (it belongs to
segments).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import polars as pl

from schemas.columns import DERIVED, MARKET_FILE, Meaning, NumericFeature
from schemas.contract import FINITE, Contract, Field, check
from schemas.vocabulary import UNKNOWN, Words


class CategoricalFeature(NamedTuple):
    """One word column of the feature frame (Enum of the words and `UNKNOWN`)."""

    name: str
    meaning: Meaning  # to people
    vocabulary: Words  # as delivered -> in ASCII

    @property
    def values(self) -> tuple[str, ...]:
        """The words a model knows, in order."""
        return tuple(self.vocabulary.names)

    @property
    def words(self) -> tuple[str, ...]:
        """The words that a customer may have: those a model knows, then `UNKNOWN`."""
        return (*self.values, UNKNOWN)

    @property
    def delivered(self) -> dict[str, str]:
        """Word -> as delivered."""
        return {name: delivered for delivered, name in self.vocabulary.values.items()}

    @property
    def dtype(self) -> pl.Enum:
        """The dtype of the column."""
        return self.vocabulary.dtype


NUMERIC_FEATURES: Final[tuple[NumericFeature, ...]] = (
    *(
        NumericFeature(column.name, column.feature, pl.col(column.name))
        for column in MARKET_FILE.headings
        if column.feature is not None and column.words is None
    ),
    *DERIVED,
)
CATEGORICAL_FEATURES: Final[tuple[CategoricalFeature, ...]] = tuple(
    CategoricalFeature(column.name, column.feature, column.words)
    for column in MARKET_FILE.headings
    if column.feature is not None and column.words is not None
)
WORD_FEATURES: Final = {feature.name: feature for feature in CATEGORICAL_FEATURES}
_ALL: Final[tuple[NumericFeature | CategoricalFeature, ...]] = (*NUMERIC_FEATURES, *CATEGORICAL_FEATURES)
FEATURE_NAMES: Final = tuple(feature.name for feature in _ALL)
MEANINGS: Final[Mapping[str, Meaning]] = {feature.name: feature.meaning for feature in _ALL}

FEATURES: Final = Contract(
    "features",
    (
        *(Field(feature.name, pl.Float64(), (FINITE,)) for feature in NUMERIC_FEATURES),
        *(Field(feature.name, feature.dtype) for feature in CATEGORICAL_FEATURES),
    ),
)
FEATURE_DTYPES: Final = FEATURES.dtypes
WORD_TITLES: Final = {
    **{word: title for feature in CATEGORICAL_FEATURES for word, title in feature.delivered.items()},
    UNKNOWN: "неизвестное значение",
}


def check_features(features: pl.DataFrame) -> None:
    """Raise pandera.errors.SchemaErrors if a feature is missing or not finite: a defect of the job."""
    check(features, FEATURES)


def title_of(feature: str) -> str:
    """Return the Russian title of a feature, or the name itself if it has none."""
    return MEANINGS[feature].title if feature in MEANINGS else feature


def word_title(word: str) -> str:
    """Return a category's or service type's Russian name, or the word itself if it has none."""
    return WORD_TITLES.get(word, word)
