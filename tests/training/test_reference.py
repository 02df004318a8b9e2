from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from job.models.artifact import Artifact
from job.models.reference import read_reference
from job.models.seen import find_probability
from job.settings import Arrival, Limits
from job.training.reference import cut, describe_reference
from job.training.run import Labelled, read_labelled
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
    told = describe_reference(labelled.features, probability, labelled.groups, delivered=labelled.intake.customers_in)
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
    told = describe_reference(features, probability, groups, delivered=6)
    assert told["twins"] == (2 * 2 + 1 + 3 * 3) / 6


def test_the_shipped_reference_is_what_training_writes_of_the_export(
    real_export: Path, artifact: Artifact, limits: Limits
) -> None:
    data = read_labelled(real_export, limits=limits, arrival=Arrival())
    probability = find_probability(artifact, data.customers["id"], data.features)["decline_probability"]
    told = describe_reference(data.features, probability.to_numpy(), data.groups, delivered=data.intake.customers_in)
    assert told == artifact.manifest["reference"]
