from __future__ import annotations

import copy
import math
from random import Random
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from job.errors import ArtifactError
from job.models.artifact import Artifact
from job.models.reference import (
    MISSING,
    SCORE,
    STEPS,
    NumberBins,
    Reference,
    WordBins,
    count_bins,
    count_scores,
    estimate_roc_auc,
    read_reference,
)
from schemas.features import FEATURE_NAMES

NUMBER = NumberBins("minutes", (1.5, 3.0), (1, 1, 1), 0)
WORD = WordBins("service", ("standard", "premium"), (2, 1), 0)


def counted(frame: pl.DataFrame, bins: NumberBins | WordBins) -> dict[int, int]:
    return dict(count_bins(frame, [bins]).select("bin", "rows").iter_rows())


def test_an_edge_belongs_to_the_bin_below() -> None:
    frame = pl.DataFrame({"minutes": [-9.0, 1.5, 1.6, 3.0, 3.1, 1e9]})
    assert counted(frame, NUMBER) == {0: 2, 1: 2, 2: 2}


def test_what_is_no_number_and_words_unknown_are_missing() -> None:
    frame = pl.DataFrame({"minutes": [2.0, None, math.nan, math.inf, -math.inf]})
    assert counted(frame, NUMBER) == {1: 1, MISSING: 4}
    words = pl.DataFrame({"service": ["premium", "unknown", None, "Premium", "standard"]})
    assert counted(words, WORD) == {0: 1, 1: 1, MISSING: 3}


def test_no_rows_have_no_counts() -> None:
    empty = pl.DataFrame(schema={"minutes": pl.Float64, "service": pl.String})
    assert count_bins(empty, [NUMBER, WORD]).height == 0


@given(
    st.lists(
        st.tuples(st.floats(allow_nan=True), st.sampled_from(["standard", "premium", "unknown"])),
        min_size=1,
        max_size=40,
    ),
    st.integers(0, 40),
)
def test_parts_add_up_to_the_whole(rows: list[tuple[float, str]], cut: int) -> None:
    frame = pl.DataFrame(rows, schema={"minutes": pl.Float64, "service": pl.String}, orient="row")
    parts = [count_bins(frame[:cut], [NUMBER, WORD]), count_bins(frame[cut:], [NUMBER, WORD])]
    summed = pl.concat(parts).group_by("feature", "bin").agg(pl.col("rows").sum()).sort("feature", "bin")
    whole = count_bins(frame, [NUMBER, WORD]).sort("feature", "bin")
    assert summed.rows() == whole.rows()
    assert whole["rows"].sum() == 2 * frame.height


def test_scores_are_counted_to_the_nearest_step() -> None:
    counts = count_scores(pl.Series([0.0, 0.00004, 0.00006, 0.5, 0.5, 1.0])).sort("bin")
    assert counts.rows() == [(SCORE, 0, 2), (SCORE, 1, 1), (SCORE, 5_000, 2), (SCORE, STEPS, 1)]


def over_all_pairs(scores: list[float]) -> float:
    """The definition: each pair of two different customers, the one to decline first."""
    pairs = [(p, q) for i, p in enumerate(scores) for j, q in enumerate(scores) if i != j]
    right = math.fsum(p * (1 - q) * (1.0 if p > q else 0.5 if p == q else 0.0) for p, q in pairs)
    return right / math.fsum(p * (1 - q) for p, q in pairs)


@given(st.lists(st.integers(1, STEPS - 1), min_size=2, max_size=25))
def test_the_estimate_is_that_over_all_pairs(steps: list[int]) -> None:
    found = estimate_roc_auc({step: steps.count(step) for step in steps})
    assert found is not None
    assert found[0] == pytest.approx(over_all_pairs([step / STEPS for step in steps]), abs=1e-9)


def training_scores(artifact: Artifact) -> list[float]:
    """Return scores like those of the training customers: as many in each bin, drawn within it."""
    reference = read_reference(artifact.manifest)
    assert reference is not None
    edges = [0.0, *(edge / STEPS for edge in reference.score.edges), 1.0]
    draw = Random(5)  # noqa: S311 - no secret
    return [
        draw.uniform(low, high)
        for low, high, count in zip(edges, edges[1:], reference.score.counts, strict=False)
        for _ in range(count)
    ]


def test_rounding_scores_to_steps_costs_the_estimate_nothing_to_speak_of(artifact: Artifact) -> None:
    scores = training_scores(artifact)[::4]
    found = estimate_roc_auc(dict(count_scores(pl.Series(scores)).select("bin", "rows").iter_rows()))
    assert found is not None
    assert found[0] == pytest.approx(over_all_pairs(scores), abs=1e-5)


@pytest.mark.parametrize("steps", [{}, {0: 5}, {STEPS: 5}, {5_000: 1}])
def test_without_pairs_there_is_no_estimate(steps: dict[int, int]) -> None:
    assert estimate_roc_auc(steps) is None


def test_useless_scores_are_estimated_so() -> None:
    assert estimate_roc_auc({3_000: 100}) == (pytest.approx(0.5), pytest.approx(0.0))


def test_the_error_is_that_of_a_roc_auc_with_labels(artifact: Artifact) -> None:
    """Resamples of calibrated scores, and labels drawn by them, scatter as much as the standard error says."""
    scores = pl.Series(training_scores(artifact))
    draw = Random(6)  # noqa: S311 - no secret
    errors, measured = [], []
    for seed in range(300):
        sample = scores.sample(300, with_replacement=True, seed=seed)
        found = estimate_roc_auc(dict(count_scores(sample).select("bin", "rows").iter_rows()))
        assert found is not None
        errors.append(found[1])
        declined = pl.Series([draw.random() < score for score in sample])
        ranks = sample.rank("average")
        pairs = declined.sum() * (300 - declined.sum())
        measured.append((ranks.filter(declined).sum() - declined.sum() * (declined.sum() + 1) / 2) / pairs)
    assert pl.Series(errors).median() == pytest.approx(pl.Series(measured).std(), rel=0.12)


def test_the_shipped_reference_counts_every_customer_in_every_feature(artifact: Artifact) -> None:
    reference = read_reference(artifact.manifest)
    assert isinstance(reference, Reference)
    assert tuple(bins.name for bins in reference.features) == FEATURE_NAMES
    for bins in (*reference.features, reference.score):
        assert sum(bins.counts) + bins.missing == reference.customers == artifact.manifest["trained_on"]["customers"]
        assert min(bins.counts) >= 0.02 * reference.customers
    assert (reference.delivered, round(reference.twins, 4)) == (1300, 1.2745)


@pytest.mark.parametrize("manifest", [{}, {"reference": None}, {"reference": {"customers": 5, "numeric": {}}}])
def test_an_older_artifact_has_none(manifest: dict[str, Any]) -> None:
    assert read_reference(manifest) is None


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("customers",), None, "TypeError: int() argument must be"),
        (("delivered",), "x", "ValueError: invalid literal for int()"),
        (("bins",), [], "AttributeError: 'list' object has no attribute 'items'"),
        (("bins", "registered_days", "counts"), [1, 2], "ValueError: registered_days: 9 edges, expected 1 that rise"),
        (("bins", "registered_days", "edges", 1), 0, "ValueError: registered_days: 9 edges, expected 9 that rise"),
        (("bins", "registered_days", "counts", 0), 131, "the bins of registered_days hold 1298 customers"),
        (("bins", "service_type", "words"), ["standard"], "ValueError: service_type: 1 words, 2 counts"),
        (("bins", "service_type", "missing"), -1, "ValueError: a count below 0"),
        (("score", "roc_auc"), "much", "ValueError: could not convert string to float: 'much'"),
        (("score", "counts"), "1297", "ValueError: decline_probability: 9 edges, expected 3 that rise"),
    ],
)
def test_a_reference_that_cannot_be_understood_is_refused(
    artifact: Artifact, path: tuple[str | int, ...], value: Any, said: str
) -> None:
    manifest = copy.deepcopy(artifact.manifest)
    place = manifest["reference"]
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(ArtifactError) as caught:
        read_reference(manifest)
    line = str(caught.value)
    assert line.startswith(
        "manifest.json: expected counts of the training customers, which drift is measured from; "
        f"train the model again with this version of the job ({said}"
    )
    assert "\n" not in line
