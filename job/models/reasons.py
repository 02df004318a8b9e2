"""Why a customer's risk is high, in plain Russian: what is true, material and different.

A reason is about a theme (revenue, visits, ...), of which a customer reads at most one. A theme is a reason if

- the model's contributions of its features add up to more than 0: the themes' sums decide the order;
- it is material: with all its features at their usual values (the medians of the training customers, the most frequent
  word) the customer's probability would be lower by at least `LEAST_FALL`;
- a feature of it that raises the risk is far from its usual value, by at least `LEAST_DISTANCE` of the way from the
  first to the ninth decile of the training customers. Of several, the one with the largest contribution is named. A
  change is only called a jump beyond these deciles.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import polars as pl

from job.errors import ArtifactError
from job.models.phrasebook import Phrasebook
from job.russian import MINUS, noun, number, percent
from schemas.features import MEANINGS, WORD_FEATURES
from schemas.phrases import Number, Phrase, Theme, WordPhrase
from schemas.vocabulary import UNKNOWN

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from job.levels import Levels
    from job.models.kinds import Model

REASONS: Final = ("reason_1", "reason_2", "reason_3")
LEAST_FALL: Final = 0.02
LEAST_DISTANCE: Final = 0.25
SMALLEST_SHOWN: Final = 0.01  # of the customers
BATCH_ROWS: Final = 200_000  # keeps the contributions in some 100 MB; smaller ones are not faster
FIRST, MEDIAN, NINTH = 1, 5, 9  # places among the deciles of the reference

_THEMES: Final = {theme: tuple(name for name, meaning in MEANINGS.items() if meaning.theme is theme) for theme in Theme}
_PHRASES: Final = {name: meaning.phrase for name, meaning in MEANINGS.items() if isinstance(meaning.phrase, Phrase)}
_WORDS: Final = {name: meaning.phrase for name, meaning in MEANINGS.items() if isinstance(meaning.phrase, WordPhrase)}


class UsualNumber(NamedTuple):
    """What is usual of a number in training: the median, and the values from which it is clearly lower or higher."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, deciles: tuple[float, ...], kind: Number) -> UsualNumber:
        """Return it from the deciles (0, 0.1 ... 1)."""
        first, median, ninth = deciles[FIRST], deciles[MEDIAN], deciles[NINTH]
        least = 10.0**-kind.decimals  # what is not written differently is not different
        if kind is Number.CHANGE:
            return cls(median, min(first, median - least, -least), max(ninth, median + least, least))
        distance = max(LEAST_DISTANCE * (ninth - first), least)
        return cls(median, median - distance, median + distance)


class UsualWord(NamedTuple):
    """What is usual of words. Args: word: the most frequent one; shares: word -> share of the training customers."""

    word: str
    shares: Mapping[str, float]


Usual = Mapping[str, UsualNumber | UsualWord]


@dataclass(frozen=True)
class Explainer:
    """Finds the reasons of customers, and puts them into words: revenue as delivered, compared at the drop's levels."""

    model: Model
    usual: Usual
    levels: Levels | None = None

    @cached_property
    def themes(self) -> dict[str, tuple[str, ...]]:
        """The themes that the model knows of -> their features that it uses."""
        used = {
            theme.value: tuple(name for name in names if name in self.model.explained)
            for theme, names in _THEMES.items()
        }
        return {theme: names for theme, names in used.items() if names}

    @cached_property
    def _names(self) -> tuple[str, ...]:
        """The features that may be named."""
        return tuple(name for names in self.themes.values() for name in names)

    @cached_property
    def usual_of_themes(self) -> dict[str, dict[str, float | str]]:
        """Theme -> its features -> their usual values: what shows how far a theme raises the risk."""
        values = {
            name: usual.median if isinstance(usual, UsualNumber) else usual.word for name, usual in self.usual.items()
        }
        return {theme: {name: values[name] for name in names} for theme, names in self.themes.items()}

    @cached_property
    def _phrasebook(self) -> Phrasebook:
        """Words have no decimals: they stand by their place."""
        return Phrasebook([0 if n in WORD_FEATURES else _PHRASES[n].number.decimals for n in self._names], self._say)

    def __reduce__(self) -> tuple[type[Explainer], tuple[Model, Usual, Levels | None]]:
        """Let it be sent to another process, which puts into words by itself."""
        return (Explainer, (self.model, self.usual, self.levels))

    def _as_delivered(self, features: pl.DataFrame) -> pl.DataFrame:
        return features if self.levels is None else self.levels.as_delivered(features)

    @cached_property
    def _compared(self) -> Usual:
        """What values are compared with, in words: medians at the levels of the drop."""
        numbers = {name: usual for name, usual in self.usual.items() if isinstance(usual, UsualNumber)}
        medians = self._as_delivered(pl.DataFrame([{name: usual.median for name, usual in numbers.items()}]))
        shown = medians.row(0, named=True)
        return {**self.usual, **{name: usual._replace(median=shown[name]) for name, usual in numbers.items()}}

    def explain(self, features: pl.DataFrame, chosen: pl.Series | None = None) -> pl.DataFrame:
        """Return `reason_1` to `reason_3` of each row, or of the chosen ones (String or null), the strongest first.

        Revenue is at the level of training; see the module's docstring.
        """
        if not self.themes:
            return features.select(pl.repeat(None, pl.len(), dtype=pl.String).alias(reason) for reason in REASONS)
        if chosen is None:
            return self._explain_all(features)
        explained = self._explain_all(features.filter(chosen))
        places = pl.when(chosen).then(chosen.cum_sum() - 1)
        return features.select(places.alias("place")).select(
            pl.lit(explained[reason]).gather("place").alias(reason) for reason in REASONS
        )

    def find(self, features: pl.DataFrame) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Return the places of the features named as each row's reasons (a row per rank), and which there are."""
        explained = self.model.explain(features, self.usual_of_themes)
        contributions = explained.contributions[[self.model.explained.index(name) for name in self._names]]
        far = features.select(_is_far(name, self.usual[name]).alias(name) for name in self._names).to_numpy().T
        raising = np.where(far, contributions, 0.0)
        named = np.empty((len(self.themes), features.height), dtype=np.uint8)
        sums, are_reasons = np.empty(named.shape), np.empty(named.shape, dtype=np.bool_)
        first = 0
        for row, names in enumerate(self.themes.values()):
            of_theme = slice(first, first + len(names))
            largest, place = find_largest(raising[of_theme])
            named[row], are_reasons[row] = first + place, largest > 0
            contributions[of_theme].sum(axis=0, out=sums[row])
            first = of_theme.stop
        places = np.flatnonzero(are_reasons)  # through all rows: a seventh of the time that pairs of indices take
        falls = self._probability(explained.margins).take(places % features.height)
        falls -= self._probability(explained.usual.take(places))
        are_reasons.put(places, falls >= LEAST_FALL)
        return rank_reasons(np.where(are_reasons, sums, 0.0), named)

    def _probability(self, margins: NDArray[np.float64]) -> NDArray[np.float64]:
        return self.model.calibration.probabilities(pl.Series("margin", margins)).to_numpy()

    def _explain_all(self, features: pl.DataFrame) -> pl.DataFrame:
        batches = [
            self._put_into_words(self._as_delivered(batch), *self.find(batch))
            for start in range(0, features.height, BATCH_ROWS)
            for batch in [features.slice(start, BATCH_ROWS)]
        ]
        return pl.concat(batches) if batches else pl.DataFrame(schema=dict.fromkeys(REASONS, pl.String))

    def _put_into_words(
        self, features: pl.DataFrame, named: NDArray[np.uint8], are_reasons: NDArray[np.bool_]
    ) -> pl.DataFrame:
        values = features.select(pl.col(self._names).to_physical().cast(pl.Float64)).to_numpy()
        shown = values[np.arange(features.height), named]
        return pl.DataFrame(
            self._phrasebook.phrases(*of_rank).alias(reason)
            for reason, *of_rank in zip(REASONS, named, shown, are_reasons, strict=True)
        )

    def _say(self, index: int, value: float) -> str:
        feature = self._names[index]
        words = WORD_FEATURES.get(feature)
        return say(feature, value if words is None else words.words[int(value)], self._compared[feature])


def rank_reasons(sums: NDArray[np.float64], named: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Return what is named where each column has its three largest sums, the first of equals, and which are > 0."""
    columns = np.arange(sums.shape[1])
    ranked = np.empty((len(REASONS), len(columns)), dtype=np.uint8)
    are_positive = np.empty(ranked.shape, dtype=np.bool_)
    for rank in range(len(REASONS)):
        largest, place = find_largest(sums)
        ranked[rank], are_positive[rank] = named[place, columns], largest > 0
        sums[place, columns] = 0.0
    return ranked, are_positive


def find_largest(rows: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Return the largest of each column, and in which row it stands first. `argmax` takes ten times as long."""
    largest = rows.max(axis=0)
    place = np.zeros(len(largest), dtype=np.intp)
    for row in reversed(range(len(rows))):
        place = np.where(rows[row] == largest, row, place)
    return largest, place


def say(feature: str, value: float | str, usual: UsualNumber | UsualWord) -> str:
    """Return what is said of a feature's value: «всего 2 страницы за визит, у половины клиентов 8 и больше»."""
    if isinstance(usual, UsualWord):
        word, share = str(value), usual.shares.get(str(value), 0.0)
        shown = percent(share) if share >= SMALLEST_SHOWN else f"менее {percent(SMALLEST_SHOWN)}"
        return _WORDS[feature].other.format(value=WORD_FEATURES[feature].delivered[word], share=shown)
    phrase, amount = _PHRASES[feature], float(value)
    shown = _written(amount, phrase.number)
    if phrase.nouns is not None:
        shown = f"{shown} {noun(amount, phrase.nouns, decimals=phrase.number.decimals)}"
    return phrase.template(amount, usual.median).format(value=shown, median=_written(usual.median, phrase.number))


@cache
def theme_of(reason: str) -> str:
    """Return what a reason is about: one of `Theme`. Raises ValueError for what is no reason."""
    for name, meaning in MEANINGS.items():
        if meaning.theme is not None and any(pattern.fullmatch(reason) for pattern in _patterns(name)):
            return meaning.theme.value
    raise ValueError(f"no reason: {reason}")


@cache
def _patterns(feature: str) -> tuple[re.Pattern[str], ...]:
    """Return what the reasons with a feature look like."""
    phrase = _PHRASES.get(feature)
    value = ".+" if phrase is None else rf"[{MINUS}+]?[0-9][0-9 ,]*(?: %)?"
    if phrase is not None and phrase.nouns is not None:
        value = f"{value} (?:{'|'.join(map(re.escape, phrase.nouns))})"
    blanks = {"value": f"(?:{value})", "median": ".+", "share": ".+"}
    templates = (_WORDS[feature].other,) if phrase is None else phrase.templates
    parts = (re.split(r"\{(\w+)\}", template) for template in templates)
    return tuple(
        re.compile("".join(blanks[part] if index % 2 else re.escape(part) for index, part in enumerate(pieces)))
        for pieces in parts
    )


def usual_values(manifest: Mapping[str, Any]) -> dict[str, UsualNumber | UsualWord]:
    """Return what is usual for each feature, from the `reference` of an artifact's manifest. Raises ArtifactError."""
    usual: dict[str, UsualNumber | UsualWord] = {}
    try:
        numbers, words = manifest["reference"]["numeric"], manifest["reference"]["words"]
        for name, phrase in _PHRASES.items():
            usual[name] = UsualNumber.of(tuple(map(float, numbers[name]["quantiles"])), phrase.number)
        for name in _WORDS:
            shares = {word: float(share) for word, share in words[name].items()}
            usual[name] = UsualWord(max(shares, key=shares.__getitem__), shares)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise ArtifactError(
            "manifest.json: expected the reference of each feature, which reasons compare with; "
            f"train the model again with this version of the job ({type(error).__name__}: {error})"
        ) from error
    return usual


def _is_far(name: str, usual: UsualNumber | UsualWord) -> pl.Expr:
    """Return whether a feature's value is clearly not the usual one (Boolean). Nothing is known of an unknown word."""
    value = pl.col(name)
    if isinstance(usual, UsualWord):
        return (value != usual.word) & (value != UNKNOWN)
    return (value <= usual.low) | (value >= usual.high)


def _written(value: float, kind: Number) -> str:
    if kind in (Number.SHARE, Number.CHANGE):
        return percent(value, signed=kind is Number.CHANGE)
    return number(value, decimals=kind.decimals)
