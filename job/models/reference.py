"""What the training customers looked like, in counts: what runs are compared with.

Training writes it and scoring reads it, and both count with the same functions. Counts add up: a drop may be counted
part by part, in any order and anywhere, and the sums are those of the whole. No customer can be read from them.
"""

from __future__ import annotations

import math
from functools import cache
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import polars as pl

from job.errors import ArtifactError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MISSING: Final = -1  # the bin of what has no value, or a word that the model does not know
SCORE: Final = "decline_probability"
STEPS: Final = 10_000  # scores are counted in steps of 1/10,000
COUNTS_SCHEMA: Final = pl.Schema({"feature": pl.String, "bin": pl.Int32, "rows": pl.Int64})


class NumberBins(NamedTuple):
    """The bins of a number, and how many training customers are in each."""

    name: str
    # rising; bin `k` holds the values above `edges[k - 1]` up to and with `edges[k]`, the outer bins what is beyond
    edges: tuple[float, ...]
    counts: tuple[int, ...]  # training customers per bin, one more than edges
    missing: int  # training customers without a value

    def counters(self, *, are_finite: bool) -> list[pl.Expr]:
        """Return what `read` needs: how many values there are, and above each edge; they `are_finite`, or null."""
        value = pl.col(self.name)
        if not are_finite:
            value = pl.when(value.is_finite()).then(value)
        return [value.count(), *((value > edge).sum() for edge in self.edges)]

    def read(self, counted: Sequence[int]) -> list[int]:
        """Return the rows per bin."""
        return [at_least - above for at_least, above in pairwise([*counted, 0])]


class WordBins(NamedTuple):
    """The words of a category: bin `k` is `words[k]`."""

    name: str
    words: tuple[str, ...]  # that the model knows
    counts: tuple[int, ...]  # training customers per word
    missing: int  # training customers with another word

    def counters(self, *, are_finite: bool) -> list[pl.Expr]:  # noqa: ARG002 - as of numbers
        """Return what `read` needs of a frame: how many rows have each word."""
        return [(pl.col(self.name) == word).sum() for word in self.words]

    def read(self, counted: Sequence[int]) -> list[int]:
        """Return the rows per bin."""
        return list(counted)


Bins = NumberBins | WordBins


class Reference(NamedTuple):
    """The training customers, counted."""

    customers: int
    delivered: int  # how many the training drop had; the others could not be used
    # by what factor near twins among the customers widen the chance scatter of a share (Kish's design effect, "Survey
    # Sampling", 1965): the sum of the squared sizes of the groups over the customers; 1 without twins
    twins: float
    features: tuple[Bins, ...]  # the bins of each feature
    score: NumberBins  # the bins of the score, edges in steps
    roc_auc: float  # what the estimate without labels gives for the out-of-fold scores of the training customers
    roc_auc_error: float  # how far that was from the ROC-AUC with labels, as a root mean square over resamples


def count_bins(frame: pl.DataFrame, bins: Sequence[Bins]) -> pl.DataFrame:
    """Return how many rows of a frame are in each bin of its columns (`COUNTS_SCHEMA`), in one pass.

    Sums of comparisons: several times as fast as looking up the bin of each value.
    """
    numbers = [feature.name for feature in bins if isinstance(feature, NumberBins)]
    are_finite = frame.select(pl.all_horizontal(pl.col(numbers).is_finite().all())).item() if numbers else True
    counters, lengths = _counters(tuple(bins), are_finite=are_finite)
    # Lazy: finite values are told apart once for all edges. Where that need not be, to plan takes longer than to count.
    counted = frame.select(counters) if are_finite else frame.lazy().select(counters).collect()
    row = iter(counted.row(0))
    rows = []
    for feature, length in zip(bins, lengths, strict=True):
        counts = feature.read(list(islice(row, length)))
        rows += [(feature.name, number, count) for number, count in enumerate(counts)]
        rows.append((feature.name, MISSING, frame.height - sum(counts)))
    return pl.DataFrame(rows, schema=COUNTS_SCHEMA, orient="row").filter(pl.col("rows") > 0)


@cache
def _counters(bins: tuple[Bins, ...], *, are_finite: bool) -> tuple[list[pl.Expr], list[int]]:
    """Return the counters of all bins, and how many each has."""
    counters = [feature.counters(are_finite=are_finite) for feature in bins]
    named = [
        counter.alias(f"{index} {part}") for index, some in enumerate(counters) for part, counter in enumerate(some)
    ]
    return named, [len(some) for some in counters]


def count_scores(probability: pl.Series) -> pl.DataFrame:
    """Return how many rows have each score (`COUNTS_SCHEMA`): the bin is the nearest whole 1/10,000."""
    rows = np.bincount((probability.to_numpy() * STEPS + 0.5).astype(np.intp))
    steps = np.flatnonzero(rows)
    return pl.DataFrame({"feature": SCORE, "bin": steps, "rows": rows[steps]}, schema=COUNTS_SCHEMA)


def estimate_roc_auc(steps: Mapping[int, int]) -> tuple[float, float] | None:
    """Return the ROC-AUC to expect of calibrated scores, and its standard error; no label is needed.

    If a customer with the score p declines with the probability p, then the expected number of pairs of different
    customers of which one declines and the other does not is the sum of p_i (1 - p_j), and that of the pairs which the
    score orders rightly is the same sum over p_i > p_j, equal scores counting half. The estimate is their ratio, as in
    confidence-based performance estimation (NannyML's CBPE). Its error is the one to expect of a ROC-AUC that is
    measured on these customers, once their labels are known (DeLong, DeLong and Clarke-Pearson, Biometrics 44, 1988, in
    expectation over the labels): it does not know whether the scores are calibrated. None if there are no such pairs.

    `steps`: score in steps -> customers with it.
    """
    total = sum(steps.values())
    rows = [(step / STEPS, count) for step, count in sorted(steps.items()) if count]
    declining = math.fsum(p * count for p, count in rows)
    staying = total - declining
    self_pairs = math.fsum(p * (1 - p) * count for p, count in rows)
    pairs = declining * staying - self_pairs
    if pairs <= 0:
        return None
    below = right = 0.0  # expected number of the staying below the score; rightly ordered pairs
    above = declining
    influence = []
    for p, count in rows:
        stay, decline = (1 - p) * count, p * count
        above -= decline
        half = below + stay / 2, above + decline / 2
        right += decline * half[0]
        influence.append((decline, half[0] / staying, stay, half[1] / declining))
        below += stay
    estimate = (right - self_pairs / 2) / pairs
    variance = math.fsum(
        (decline / declining**2) * (before - estimate) ** 2 + (stay / staying**2) * (after - estimate) ** 2
        for decline, before, stay, after in influence
    )
    return estimate, math.sqrt(variance)


def read_reference(manifest: Mapping[str, Any]) -> Reference | None:
    """Return the reference of an artifact's manifest, which `job.training.reference` wrote.

    None if it is of a version that did not count its customers. Raises ArtifactError if it cannot be understood.
    """
    written = manifest.get("reference")
    if not isinstance(written, dict) or "bins" not in written:
        return None
    try:
        reference = Reference(
            customers=int(written["customers"]),
            delivered=int(written["delivered"]),
            twins=float(written["twins"]),
            features=tuple(_read_bins(name, feature) for name, feature in written["bins"].items()),
            score=_read_numbers(SCORE, written["score"]),
            roc_auc=float(written["score"]["roc_auc"]),
            roc_auc_error=float(written["score"]["roc_auc_error"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _unreadable(f"{type(error).__name__}: {error}") from error
    for feature in (*reference.features, reference.score):
        if sum(feature.counts) + feature.missing != reference.customers:
            raise _unreadable(f"the bins of {feature.name} hold {sum(feature.counts) + feature.missing} customers")
    return reference


def _read_bins(name: str, written: Mapping[str, Any]) -> Bins:
    if "words" not in written:
        return _read_numbers(name, written)
    words, counts = tuple(str(word) for word in written["words"]), _counts(written)
    if len(words) != len(counts):
        raise ValueError(f"{name}: {len(words)} words, {len(counts)} counts")
    return WordBins(name, words, counts, int(written["missing"]))


def _read_numbers(name: str, written: Mapping[str, Any]) -> NumberBins:
    edges, counts = tuple(float(edge) for edge in written["edges"]), _counts(written)
    if len(edges) + 1 != len(counts) or any(left >= right for left, right in pairwise(edges)):
        raise ValueError(f"{name}: {len(edges)} edges, expected {len(counts) - 1} that rise")
    return NumberBins(name, edges, counts, int(written["missing"]))


def _counts(written: Mapping[str, Any]) -> tuple[int, ...]:
    counts = tuple(int(count) for count in written["counts"])
    if min(counts, default=0) < 0 or int(written["missing"]) < 0:
        raise ValueError("a count below 0")
    return counts


def _unreadable(what: str) -> ArtifactError:
    return ArtifactError(
        f"manifest.json: expected counts of the training customers, which drift is measured from; "
        f"train the model again with this version of the job ({what})"
    )
