"""What pushes a customer's risk up most, in plain Russian, from the model's exact contributions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from job.errors import ArtifactError
from job.models.linear import LinearModel
from job.models.phrasebook import Phrasebook
from job.rounding import with_one_zero
from job.russian import noun, number, percent
from schemas.features import CATEGORICAL_FEATURES, MEANINGS, NUMERIC_FEATURES, WORD_FEATURES
from schemas.phrases import Number, Phrase, WordPhrase
from schemas.vocabulary import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from job.models.artifact import Model

REASONS: Final = ("reason_1", "reason_2", "reason_3")
RANKS: Final = ("rank_1", "rank_2", "rank_3")  # the places of these features among `explained` of the model
SHAP_ROWS: Final = 50_000  # TreeSHAP costs some 30 times the prediction; the linear model's contributions nothing more
BATCH_ROWS: Final = 200_000  # keeps the contributions in some 100 MB; smaller ones are not faster
MEDIAN: Final = 5  # its place among the deciles of the reference

_DECIMALS: Final = {Number.COUNT: 1, Number.MONEY: 0, Number.SHARE: 2, Number.CHANGE: 2}  # of the value as delivered
_NUMBERS: Final = {name: meaning.phrase for name, meaning in MEANINGS.items() if isinstance(meaning.phrase, Phrase)}
_WORDS: Final = {name: meaning.phrase for name, meaning in MEANINGS.items() if isinstance(meaning.phrase, WordPhrase)}


@dataclass(frozen=True)
class Explainer:
    """Puts contributions into words.

    Args:
        model: the model that scored the customers.
        usual: feature -> its median among the training customers, or its most frequent word.
    """

    model: Model
    usual: Mapping[str, float | str]

    @cached_property
    def _decimals(self) -> pl.Series:
        """How many decimals are shown of each feature's values; none of a word, which stands there by its place."""
        features = self.model.explained
        return pl.Series(
            [0 if name in WORD_FEATURES else _DECIMALS[_NUMBERS[name].number] for name in features], dtype=pl.UInt8
        )

    @cached_property
    def _phrasebook(self) -> Phrasebook:
        return Phrasebook(self._decimals.to_list(), self._say)

    def __reduce__(self) -> tuple[type[Explainer], tuple[Model, Mapping[str, float | str]]]:
        """Let it be sent to another process, which puts into words by itself."""
        return (Explainer, (self.model, self.usual))

    def count(self, customers: int) -> int:
        """Return how many of so many customers are explained: all by a linear model, so many by a boosted one."""
        return min(customers, SHAP_ROWS) if self.model.kind == "boosted" else customers

    def explain(
        self, features: pl.DataFrame, chosen: pl.Series | None = None, ranked: pl.DataFrame | None = None
    ) -> pl.DataFrame:
        """Return `reason_1` to `reason_3` of each row (String, in the rows' order), the strongest first.

        Only what raises the risk against the mean training customer is a reason; null where there are fewer than three.

        Args:
            features: the feature frame (`FEATURES`).
            chosen: the rows to explain (Boolean), all others have no reasons; None explains all.
            ranked: of `rank_reasons`, of the same rows, where it is known.
        """
        if chosen is None:
            return self._explain_all(features, ranked)
        explained = self._explain_all(features.filter(chosen), None if ranked is None else ranked.filter(chosen))
        places = pl.when(chosen).then(chosen.cum_sum() - 1)
        return features.select(places.alias("place")).select(
            pl.lit(explained[reason]).gather("place").alias(reason) for reason in REASONS
        )

    def _explain_all(self, features: pl.DataFrame, ranked: pl.DataFrame | None) -> pl.DataFrame:
        batches = []
        for start in range(0, features.height, BATCH_ROWS):
            batch = features.slice(start, BATCH_ROWS)
            if ranked is None:
                batches.append(self._put_into_words(batch, rank_reasons(self.model.contributions(batch))))
            else:
                batches.append(self._put_into_words(batch, ranked.slice(start, BATCH_ROWS)))
        return pl.concat(batches) if batches else pl.DataFrame(schema=dict.fromkeys(REASONS, pl.String))

    def _put_into_words(self, features: pl.DataFrame, ranked: pl.DataFrame) -> pl.DataFrame:
        columns = features.select(pl.col(self.model.explained).to_physical().cast(pl.Float64)).get_columns()
        values = pl.concat([column.alias("value") for column in columns], rechunk=True)
        row = pl.int_range(pl.len(), dtype=pl.UInt32) % features.height
        places = pl.DataFrame({"place": pl.concat([ranked[rank] for rank in RANKS])})
        asked = places.select(
            "place", pl.lit(values).gather(pl.col("place").cast(pl.UInt32) * features.height + row).alias("value")
        )
        decimals = pl.lit(self._decimals).gather(pl.col("place"))
        phrases = self._phrasebook.phrases(asked.with_columns(_shown(pl.col("value"), decimals)))
        return pl.DataFrame(
            phrases.slice(place * features.height, features.height).alias(reason)
            for place, reason in enumerate(REASONS)
        )

    def _say(self, place: int, value: float) -> str:
        feature = self.model.explained[place]
        words = WORD_FEATURES.get(feature)
        return say(feature, value if words is None else words.words[int(value)], self.usual[feature])


def score_and_rank(model: Model, features: pl.DataFrame) -> pl.DataFrame:
    """Return `decline_probability` of each row, in their order, and of a linear model also `rank_reasons`.

    Args:
        model: which scores.
        features: the feature frame (`FEATURES`).
    """
    if not isinstance(model, LinearModel):
        return model.probabilities(features).to_frame()
    contributions = model.contributions(features)
    return pl.concat([model.probabilities_of(contributions).to_frame(), rank_reasons(contributions)], how="horizontal")


def rank_reasons(contributions: pl.DataFrame) -> pl.DataFrame:
    """Return the places of the three columns with the largest positive values, `rank_1` to `rank_3`.

    UInt8, null where there are fewer. Of equal values the first column wins.

    Args:
        contributions: one Float64 column per feature.
    """
    left = contributions.lazy()
    for step in _ranking_steps(tuple(contributions.columns)):
        left = left.with_columns(step)
    return left.select(RANKS).collect()


@cache
def _ranking_steps(names: tuple[str, ...]) -> list[list[pl.Expr]]:
    """Return what is computed of columns, one step after the other, until each of `RANKS` is there."""
    steps = []
    for rank in RANKS:
        largest = pl.max_horizontal(names)
        steps.append([pl.when(largest > 0).then(largest).alias("_largest")])
        found = pl.coalesce(
            pl.when(pl.col(name) == pl.col("_largest")).then(pl.lit(place, pl.UInt8))
            for place, name in enumerate(names)
        )
        steps.append([found.alias(rank)])
        if rank != RANKS[-1]:
            left = [
                pl.when(pl.col(rank) == place).then(0.0).otherwise(pl.col(name)).alias(name)
                for place, name in enumerate(names)
            ]
            steps.append(left)
    return steps


def _shown(value: pl.Expr, decimals: pl.Expr) -> pl.Expr:
    """Return the value that is put into words: rounded as it is written."""
    rounded = pl.coalesce(pl.when(decimals == most).then(value.round(most)) for most in set(_DECIMALS.values()))
    return with_one_zero(rounded)


def say(feature: str, value: float | str, usual: float | str) -> str:
    """Return what is said of a feature's value: «всего 2 страницы за визит, обычно 8».

    Args:
        feature: one of `FEATURE_NAMES`.
        value: the customer's.
        usual: that of the training customers.
    """
    if isinstance(value, str) or isinstance(usual, str):
        return _say_word(feature, str(value), str(usual))
    phrase = _NUMBERS[feature]
    decimals = _DECIMALS[phrase.number]
    shown, compared = _written(value, phrase.number), _written(usual, phrase.number)
    template = phrase.below if value < usual else phrase.above
    if shown == compared:
        template = phrase.same
    if phrase.nouns is not None:
        shown = f"{shown} {noun(value, phrase.nouns, decimals=decimals)}"
    return template.format(value=shown, usual=compared)


def usual_values(manifest: Mapping[str, Any]) -> dict[str, float | str]:
    """Return what is usual for each feature: the median, or the most frequent word.

    Args:
        manifest: of the artifact; its `reference` is what `job.training.reference` wrote.

    Raises:
        ArtifactError: the manifest does not say.
    """
    try:
        reference = manifest["reference"]
        numbers = {
            feature.name: float(reference["numeric"][feature.name]["quantiles"][MEDIAN]) for feature in NUMERIC_FEATURES
        }
        words = {feature.name: _most_frequent(reference["words"][feature.name]) for feature in CATEGORICAL_FEATURES}
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise ArtifactError(
            "manifest.json: expected the reference of each feature, which reasons compare with; "
            f"train the model again with this version of the job ({type(error).__name__}: {error})"
        ) from error
    return {**numbers, **words}


def _most_frequent(shares: Mapping[str, float]) -> str:
    return max(shares, key=lambda word: float(shares[word]))


def _say_word(feature: str, value: str, usual: str) -> str:
    phrase = _WORDS[feature]
    if value == UNKNOWN:
        return phrase.unknown
    words = WORD_FEATURES[feature].delivered
    return (phrase.same if value == usual else phrase.other).format(value=words[value], usual=words[usual])


def _written(value: float, kind: Number) -> str:
    decimals = _DECIMALS[kind]
    if kind is Number.SHARE:
        return percent(value)
    if kind is Number.CHANGE:
        return percent(value, signed=True)
    return number(value, decimals=decimals)
