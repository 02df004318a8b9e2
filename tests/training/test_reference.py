from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score
from threadpoolctl import threadpool_limits

from job.models.artifact import Artifact, to_text
from job.models.reference import count_scores, estimate_roc_auc, read_reference
from job.models.seen import find_probability
from job.settings import Arrival, Limits
from job.training.calibration import fit_calibration, probabilities
from job.training.candidates import CHAMPION
from job.training.reference import cut, describe_reference, estimate_error
from job.training.run import Labelled, fit_final, read_labelled
from job.training.selection import Protocol
from schemas.features import CATEGORICAL_FEATURES, NUMERIC_FEATURES


def test_many_values_are_cut_near_the_deciles_half_way_between_two() -> None:
    assert cut(pl.Series([float(value) for value in range(100)])) == [place * 10 - 0.5 for place in range(1, 10)]


def test_each_of_few_values_has_its_bin() -> None:
    assert cut(pl.Series([1.0] * 10 + [2.0] * 50 + [5.0] * 40)) == [1.5, 3.5]


def test_equal_values_stay_together() -> None:
    edges = cut(pl.Series([float(value) for value in range(50)] + [7.0] * 50))
    assert sum(7 - 0.6 < edge < 7 + 0.6 for edge in edges) == 2


def test_a_small_bin_joins_the_smaller_neighbour() -> None:
    assert cut(pl.Series([1.0] * 300 + [2.0] * 5 + [3.0] * 695)) == [2.5]
    assert cut(pl.Series([1.0] * 695 + [2.0] * 5 + [3.0] * 300)) == [1.5]
    assert cut(pl.Series([1.0] * 5 + [2.0] * 300 + [3.0] * 695)) == [2.5]


@pytest.mark.parametrize("values", [[4.0, 4.0], [4.0, float("nan"), float("inf"), None]])
def test_one_value_needs_no_edge(values: list[float | None]) -> None:
    assert cut(pl.Series(values, dtype=pl.Float64)) == []


@given(st.lists(st.floats(-1e9, 1e9).map(lambda value: round(value, 2)), min_size=1, max_size=300))
def test_edges_rise_and_no_bin_is_small(values: list[float]) -> None:
    edges = cut(pl.Series(values, dtype=pl.Float64))
    assert edges == sorted(set(edges))
    places = [sum(edge < value for edge in edges) for value in values]
    assert all(places.count(place) >= 0.02 * len(values) for place in range(len(edges) + 1))


def test_what_is_written_can_be_read_and_counts_everyone(labelled: Labelled, artifact: Artifact) -> None:
    probability = artifact.model.probabilities(labelled.features).to_numpy()
    told = describe_reference(
        labelled.features,
        probability,
        probability,
        labelled.labels,
        labelled.groups,
        delivered=labelled.intake.customers_in,
        seed=1,
    )
    reference = read_reference({"reference": told})
    assert reference is not None
    assert reference.customers == labelled.features.height
    assert reference.delivered == labelled.intake.customers_in
    for bins in (*reference.features, reference.score):
        assert (sum(bins.counts), bins.missing) == (reference.customers, 0)
    for feature in CATEGORICAL_FEATURES:
        shares = told["words"][feature.name]
        assert [count / reference.customers for count in told["bins"][feature.name]["counts"]] == list(shares.values())
    for feature in NUMERIC_FEATURES:
        edges, quantiles = told["bins"][feature.name]["edges"], told["numeric"][feature.name]["quantiles"]
        assert quantiles[0] < edges[0] <= edges[-1] < quantiles[10]


def test_twins_are_kishs_design_effect(labelled: Labelled, artifact: Artifact) -> None:
    features = labelled.features[:6]
    probability = artifact.model.probabilities(features).to_numpy()
    groups = pl.Series([1, 1, 2, 3, 3, 3]).to_numpy()
    told = describe_reference(features, probability, probability, labelled.labels[:6], groups, delivered=6, seed=1)
    assert told["twins"] == (2 * 2 + 1 + 3 * 3) / 6


def test_the_shipped_reference_is_what_training_writes_of_the_export(
    real_export: Path, artifact: Artifact, limits: Limits
) -> None:
    """The deployed settings are the first that tuning tries, so that one trial makes the model again."""
    data = read_labelled(real_export, limits=limits, arrival=Arrival())
    manifest = artifact.manifest
    assert manifest["settings"] == CHAMPION.first
    with threadpool_limits(limits=1):
        final = fit_final(CHAMPION, data, Protocol(trials=1, seed=manifest["seed"]))
    known = find_probability(artifact, data.customers["id"], data.features)["decline_probability"]
    assert to_text(final.model.to_json()) == (artifact.folder / "model.json").read_text()
    told = describe_reference(
        data.features,
        known.to_numpy(),
        final.probability,
        data.labels,
        data.groups,
        delivered=data.intake.customers_in,
        seed=manifest["seed"],
    )
    assert told == artifact.manifest["reference"]


def test_the_roc_auc_with_labels_is_in_the_interval_of_the_one_without() -> None:
    """Simulated: a calibration is learned of 600 customers, 1,000 others come. The interval is one of 95 %: that fewer
    than 34 of 40 are in it has a probability of less than 1 %. With the error of the run's sample alone 31 are.
    """
    within = alone = 0
    for seed in range(40):
        random = np.random.default_rng(seed)
        margins = random.normal(0, 3, 1600)
        labels = (random.random(1600) < 1 / (1 + np.exp(-margins))).astype(np.int8)
        known, new = slice(0, 600), slice(600, 1600)
        calibration = fit_calibration(margins[known], labels[known], is_bent=False)
        probability = probabilities(margins, calibration)
        error = estimate_error(probability[known], labels[known], np.arange(600), seed=seed)
        steps = count_scores(pl.Series(probability[new])).select("bin", "rows")
        estimated = estimate_roc_auc(dict(steps.iter_rows()))
        assert estimated is not None
        gap = abs(estimated[0] - roc_auc_score(labels[new], margins[new])) / 1.96
        within += gap <= np.hypot(estimated[1], error)
        alone += gap <= estimated[1]
    assert within >= 34
    assert alone < 34


def test_scores_of_known_and_of_new_customers_are_counted_in_equal_parts(labelled: Labelled) -> None:
    low, high = np.linspace(0.1, 0.2, 400), np.linspace(0.6, 0.9, 400)
    told = describe_reference(labelled.features, low, high, labelled.labels, labelled.groups, delivered=400, seed=1)[
        "score"
    ]
    assert sum(told["counts"]) == 400
    below = sum(count for count, edge in zip(told["counts"], told["edges"], strict=False) if edge <= 4000)
    assert below == 200
    assert told["roc_auc"] < 0.65
