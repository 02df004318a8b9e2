"""What pushes a customer's risk up most, in plain Russian, from the model's exact contributions."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from job.errors import ArtifactError
from job.russian import noun, number, percent
from schemas.features import CATEGORICAL_FEATURES, NUMERIC_FEATURES
from schemas.phrases import PHRASES, WORD_PHRASES, Number
from schemas.vocabulary import CATEGORY, SERVICE_TYPE, UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from job.models.artifact import Model

REASONS: Final = ("reason_1", "reason_2", "reason_3")
SHAP_ROWS: Final = 50_000  # TreeSHAP costs some 25 times the prediction; the linear model's contributions as much as it
BATCH_ROWS: Final = 200_000  # keeps the contributions in some 100 MB; smaller ones are not faster
MEDIAN: Final = 5  # its place among the deciles of the reference

_DECIMALS: Final = {Number.COUNT: 1, Number.MONEY: 0, Number.SHARE: 2, Number.CHANGE: 2}  # of the value as delivered
_WORDS: Final = {
    "service_type": {name: delivered for delivered, name in SERVICE_TYPE.values.items()},
    "favourite_category": {name: delivered for delivered, name in CATEGORY.values.items()},
}


@dataclass(frozen=True)
class Explainer:
    """Puts contributions into words.

    Args:
        model: the model that scored the customers.
        usual: feature -> its median among the training customers, or its most frequent word.
    """

    model: Model
    usual: Mapping[str, float | str]
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False, compare=False)
    _said: dict[str, pl.DataFrame] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __reduce__(self) -> tuple[type[Explainer], tuple[Model, Mapping[str, float | str]]]:
        """Let it be sent to another process, which puts into words by itself."""
        return (Explainer, (self.model, self.usual))

    def count(self, customers: int) -> int:
        """Return how many of so many customers are explained: all by a linear model, so many by a boosted one."""
        return min(customers, SHAP_ROWS) if self.model.kind == "boosted" else customers

    def explain(self, features: pl.DataFrame, chosen: pl.Series | None = None) -> pl.DataFrame:
        """Return `reason_1` to `reason_3` of each row (String, in the rows' order), the strongest first.

        Only what raises the risk against the mean training customer is a reason; null where there are fewer than three.

        Args:
            features: the feature frame (`FEATURE_SCHEMA`).
            chosen: the rows to explain (Boolean), all others have no reasons; None explains all.
        """
        if chosen is None:
            return self._explain_all(features)
        explained = self._explain_all(features.filter(chosen))
        places = pl.when(chosen).then(chosen.cum_sum() - 1)
        return features.select(places.alias("place")).select(
            pl.lit(explained[reason]).gather("place").alias(reason) for reason in REASONS
        )

    def _explain_all(self, features: pl.DataFrame) -> pl.DataFrame:
        batches = [
            self._explain_batch(features.slice(start, BATCH_ROWS)) for start in range(0, features.height, BATCH_ROWS)
        ]
        return pl.concat(batches) if batches else pl.DataFrame(schema=dict.fromkeys(REASONS, pl.String))

    def _explain_batch(self, features: pl.DataFrame) -> pl.DataFrame:
        contributions = self.model.contributions(features)
        names = contributions.columns
        strongest = rank_reasons(contributions)
        columns = []
        for rank in REASONS:
            place = strongest[rank]
            parts = [place.is_null().arg_true().to_frame("row").with_columns(phrase=pl.lit(None, pl.String))]
            for number_of_feature, name in enumerate(names):
                rows = (place == number_of_feature).arg_true()
                if rows.len():
                    phrase = self._phrases(name, features[name].gather(rows))
                    parts.append(pl.DataFrame({"row": rows, "phrase": phrase}))
            columns.append(pl.concat(parts).sort("row")["phrase"].rename(rank))
        return pl.DataFrame(columns)

    def _phrases(self, feature: str, values: pl.Series) -> pl.Series:
        """Return what is said of each value; each distinct value is put into words once."""
        phrase = PHRASES.get(feature)
        shown = (values if phrase is None else values.round(_DECIMALS[phrase.number])).alias("value").to_frame()
        with self._lock:
            said = self._said.get(feature, shown.clear().with_columns(phrase=pl.lit(None, pl.String)))
            new = shown.unique().join(said, on="value", how="anti")
            if new.height:
                words = [say(feature, value, self.usual[feature]) for value in new["value"].to_list()]
                said = pl.concat([said, new.with_columns(phrase=pl.Series(words, dtype=pl.String))])
                self._said[feature] = said
        return shown.join(said, on="value", how="left", maintain_order="left")["phrase"]


def rank_reasons(contributions: pl.DataFrame) -> pl.DataFrame:
    """Return the places of the three columns with the largest positive values (UInt8, null where there are fewer).

    Of equal values the first column wins.

    Args:
        contributions: one Float64 column per feature.
    """
    names = contributions.columns
    left = contributions.lazy()
    for rank in REASONS:
        largest = pl.max_horizontal(names)
        left = left.with_columns(_largest=pl.when(largest > 0).then(largest)).with_columns(
            pl.coalesce(
                pl.when(pl.col(name) == pl.col("_largest")).then(pl.lit(place, pl.UInt8))
                for place, name in enumerate(names)
            ).alias(rank)
        )
        if rank != REASONS[-1]:
            left = left.with_columns(
                pl.when(pl.col(rank) == place).then(0.0).otherwise(pl.col(name)).alias(name)
                for place, name in enumerate(names)
            )
    return left.select(REASONS).collect()


def say(feature: str, value: float | str, usual: float | str) -> str:
    """Return what is said of a feature's value: «всего 2 страницы за визит, обычно 8».

    Args:
        feature: one of `FEATURE_NAMES`.
        value: the customer's.
        usual: that of the training customers.
    """
    if isinstance(value, str) or isinstance(usual, str):
        return _say_word(feature, str(value), str(usual))
    phrase = PHRASES[feature]
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
    phrase = WORD_PHRASES[feature]
    if value == UNKNOWN:
        return phrase.unknown
    words = _WORDS[feature]
    return (phrase.same if value == usual else phrase.other).format(value=words[value], usual=words[usual])


def _written(value: float, kind: Number) -> str:
    decimals = _DECIMALS[kind]
    if kind is Number.SHARE:
        return percent(value)
    if kind is Number.CHANGE:
        return percent(value, signed=True)
    return number(value, decimals=decimals)
