from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from polars.testing import assert_frame_equal
from scipy import stats

from job.models.artifact import Artifact
from job.models.reference import COUNTS_SCHEMA, Reference, read_reference
from job.models.seen import find_probability
from job.sample import write_drop
from job.scoring.drift import (
    FALSE_ALARM,
    add_counts,
    chi_square_limit,
    chi_square_tail,
    count_drift,
    judge_drift,
    stability_index,
    summarise_drift,
    superiority,
    tell_findings,
)
from job.settings import Arrival, Limits
from job.training import reference as reference_of_training
from job.training.reference import describe_reference
from job.training.run import read_labelled

CUSTOMERS = 1_300
SIZES = {300: 50, 1_300: 40, 100_000: 8}  # customers of a drop -> drops


@pytest.fixture(scope="module", autouse=True)
def _few_resamples() -> Iterator[None]:
    """How well the ROC-AUC is known without labels is tested with the training."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reference_of_training, "RESAMPLES", 2)
        yield


class Population:
    """Customers to draw drops from, each drop with a score of its customers, in groups of near twins."""

    def __init__(self, features: pl.DataFrame, probability: pl.Series, groups: NDArray[np.int64], seed: int) -> None:
        self.features, self.probability = features, probability
        order = np.argsort(groups, kind="stable")
        starts = np.unique(groups[order], return_index=True)[1]
        self.members = np.split(order, starts[1:])
        self.sizes = np.array([len(own) for own in self.members])
        self.random = np.random.default_rng(seed)

    def draw(self, customers: int) -> tuple[pl.DataFrame, pl.Series, NDArray[np.int64]]:
        """Draw whole groups with replacement, the last one cut off."""
        chosen = self.random.integers(0, len(self.members), customers)
        rows = np.concatenate([self.members[own] for own in chosen])[:customers]
        groups = np.repeat(np.arange(customers), self.sizes[chosen])[:customers]
        return self.features[rows], self.probability.gather(rows), groups

    def reference(self) -> Reference:
        features, probability, groups = self.draw(CUSTOMERS)
        scores = probability.to_numpy()
        labels = (np.random.default_rng(1).random(CUSTOMERS) < scores).astype(np.int8)
        told = describe_reference(features, scores, scores, labels, groups, delivered=CUSTOMERS, seed=1)
        reference = read_reference({"reference": told})
        assert reference is not None
        return reference

    def alarms(self, customers: int, drops: int, change: Callable[[Reference], Reference] = lambda own: own) -> int:
        """Count the drops with any difference that is told to be beyond chance, however small; a new model each."""
        found = 0
        for _ in range(drops):
            features, probability, _ = self.draw(customers)
            reference = change(self.reference())
            counts = count_drift(features, probability, reference)
            found += bool(judge_drift(counts, reference, delivered=customers, warn=0, stop=0)["findings"])
        return found


def most_by_chance(drops: int) -> int:
    """The most alarms that the stated rate gives in 999 of 1,000 cases."""
    return int(stats.binom.ppf(0.999, drops, FALSE_ALARM))


@pytest.fixture(scope="module")
def sampled(tmp_path_factory: pytest.TempPathFactory, artifact: Artifact) -> tuple[pl.DataFrame, pl.Series]:
    """The features and scores of 5,000 synthetic customers."""
    folder = tmp_path_factory.mktemp("drift") / "drop"
    write_drop(folder, customers=5_000, seed=5, labelled=True, clean=True)
    data = read_labelled(folder, limits=Limits(), arrival=Arrival())
    return data.features, artifact.model.probabilities(data.features)


@pytest.fixture
def population(sampled: tuple[pl.DataFrame, pl.Series]) -> Population:
    features, probability = sampled
    return Population(features, probability, np.arange(features.height), seed=1)


@pytest.fixture
def reference(population: Population) -> Reference:
    return population.reference()


@pytest.mark.parametrize("customers", SIZES)
def test_no_alarm_beyond_the_stated_rate(population: Population, customers: int) -> None:
    assert population.alarms(customers, SIZES[customers]) <= most_by_chance(SIZES[customers])


def test_twins_do_not_raise_the_rate_but_would_if_they_were_not_known(
    sampled: tuple[pl.DataFrame, pl.Series],
) -> None:
    """Each customer five times: a fifth of the information."""
    features, probability = sampled
    rows = np.repeat(np.arange(features.height), 5)
    twins = Population(features[rows], probability.gather(rows), rows, seed=2)
    assert twins.alarms(1_300, 40) <= most_by_chance(40)
    assert twins.alarms(1_300, 20, lambda own: own._replace(twins=1.0)) >= 15


@pytest.mark.parametrize("customers", SIZES)
def test_no_alarm_on_resamples_of_the_real_training_customers(
    real_export: Path, artifact: Artifact, customers: int
) -> None:
    data = read_labelled(real_export, limits=Limits(), arrival=Arrival())
    scores = find_probability(artifact, data.customers["id"], data.features)["decline_probability"]
    real = Population(data.features, scores, data.groups, seed=3)
    shipped = read_reference(artifact.manifest)
    assert shipped is not None
    drops = SIZES[customers] // 2
    assert real.alarms(customers, drops) <= most_by_chance(drops)  # the reference drawn anew, too
    assert real.alarms(customers, drops, lambda _: shipped) == 0  # the reference as it is: less scatter


def scatter(shares: list[float], customers: int, rows: int = 40_000) -> NDArray[np.float64]:
    """PSI of drops without drift, each against a reference of its own."""
    random = np.random.default_rng(customers)
    here = random.multinomial(customers, shares, rows) + 0.5
    there = random.multinomial(CUSTOMERS, shares, rows) + 0.5
    here, there = here / here.sum(1, keepdims=True), there / there.sum(1, keepdims=True)
    index: NDArray[np.float64] = ((here - there) * np.log(here / there)).sum(1)
    return index


@pytest.mark.parametrize("customers", [5, 30, 300, 1_300, 100_000])
@pytest.mark.parametrize(
    "shares",
    [
        pytest.param([0.1] * 10, id="deciles"),
        pytest.param([0.71, 0.29], id="two words"),
        pytest.param([0.02, 0.03, 0.05, 0.1, 0.2, 0.25, 0.2, 0.1, 0.03, 0.02], id="small tails"),
        pytest.param([0.001, 0.399, 0.3, 0.3], id="a bin that is nearly empty"),
        pytest.param([0.002, 0.998], id="hardly anyone"),
    ],
)
def test_chance_passes_the_limit_as_rarely_as_chi_square_says(shares: list[float], customers: int) -> None:
    limit = (1 / customers + 1 / CUSTOMERS) * chi_square_limit(0.01, len(shares) - 1)
    assert (scatter(shares, customers) > limit).mean() < 0.013


def findings(drift: dict[str, Any]) -> list[tuple[str, str | None, str]]:
    return [(row["kind"], row.get("feature"), row["severity"]) for row in drift["findings"]]


def judged(features: pl.DataFrame, probability: pl.Series, reference: Reference, **settings: Any) -> dict[str, Any]:
    counts = count_drift(features, probability, reference)
    return judge_drift(counts, reference, **{"delivered": features.height, **settings})


@pytest.mark.parametrize("customers", [300, 1_300, 100_000])
def test_a_scaled_feature_alarms(population: Population, reference: Reference, customers: int) -> None:
    features, probability, _ = population.draw(customers)
    scaled = features.with_columns(pl.col("minutes_current_month") * 1.4)
    drift = judged(scaled, probability, reference)
    assert (drift["severity"], findings(drift)) == ("stop", [("distribution", "minutes_current_month", "stop")])
    told = drift["findings"][0]
    assert told["psi"] > max(0.25, told["chance"])
    assert told["higher"] > 0.6


@pytest.mark.parametrize("customers", [300, 1_300, 100_000])
def test_a_category_that_is_gone_alarms(population: Population, reference: Reference, customers: int) -> None:
    features, probability, _ = population.draw(customers)
    kept = features["favourite_category"] != "kitchenware"
    drift = judged(features.filter(kept), probability.filter(kept), reference)
    assert findings(drift) == [
        ("distribution", "favourite_category", "stop"),
        ("word_gone", "favourite_category", "warn"),
    ]
    assert drift["findings"][1]["word"] == "kitchenware"
    assert "favourite_category: nobody has kitchenware, " in tell_findings(drift)[1]


def test_a_rare_word_that_is_gone_or_new_is_a_warning_by_itself(reference: Reference) -> None:
    rare = next(own for own in reference.features if own.name == "service_type")
    counts = pl.DataFrame(
        [("service_type", 0, 5_000), ("decline_probability", 2_000, 5_000)], schema=COUNTS_SCHEMA, orient="row"
    )
    gone = reference._replace(features=(rare._replace(counts=(1_280, 20)),))
    assert findings(judge_drift(counts, gone, delivered=5_000, warn=9, stop=9)) == [
        ("word_gone", "service_type", "warn")
    ]
    too_few = reference._replace(features=(rare._replace(counts=(1_299, 1)),))
    assert findings(judge_drift(counts, too_few, delivered=5_000, warn=9, stop=9)) == []
    new = reference._replace(features=(rare._replace(counts=(0, 1_300)),))
    drift = judge_drift(counts, new, delivered=5_000, warn=99, stop=99)
    assert tell_findings(drift) == [
        "drift, warn: service_type: 100.0% have standard, none of the training customers had",
        "drift, warn: service_type: nobody has premium, 100.0% of the training customers had",
    ]


def test_the_chance_that_a_word_is_in_one_sample_only_is_fishers(reference: Reference) -> None:
    """13 of 1,300 in training, none of 1,300 here: p = 0.0001; of 900: 0.001."""
    service = next(own for own in reference.features if own.name == "service_type")
    word = service._replace(counts=(1_287, 13))
    alone = reference._replace(features=(word,), twins=1.0)
    for customers in (900, 1_300):
        exact = stats.hypergeom.pmf(0, customers + 1_300, 13, customers)
        counts = pl.DataFrame(
            [("service_type", 0, customers), ("decline_probability", 2_000, customers)],
            schema=COUNTS_SCHEMA,
            orient="row",
        )
        drift = judge_drift(counts, alone, delivered=customers, warn=9, stop=9)
        assert bool(drift["findings"]) == (exact < FALSE_ALARM / drift["checks"])


@pytest.mark.parametrize("customers", [300, 1_300, 100_000])
def test_a_new_category_alarms(population: Population, reference: Reference, customers: int) -> None:
    features, probability, _ = population.draw(customers)
    is_new = pl.int_range(pl.len()) % 12 == 0
    changed = features.with_columns(
        pl.when(is_new).then(pl.lit("unknown")).otherwise("favourite_category").alias("favourite_category")
    )
    drift = judged(changed, probability, reference)
    assert findings(drift) == [("missing", "favourite_category", "stop")]
    assert drift["missing"][0]["share"] == pytest.approx(1 / 12, abs=0.001)
    shown = f"{-(-customers // 12) / customers:.1%}"
    assert tell_findings(drift)[0].startswith(
        f"drift, stop: favourite_category: {shown} have no known value, 0.0% in training; PSI 0."
    )


@pytest.mark.parametrize("customers", [300, 1_300, 100_000])
def test_other_scores_alarm(population: Population, reference: Reference, customers: int) -> None:
    features, probability, _ = population.draw(customers)
    drift = judged(features, probability * 0.6, reference)
    assert findings(drift) == [("score", "decline_probability", "stop")]
    assert drift["score"]["higher"] < 0.5
    assert drift["roc_auc"]["high"] < drift["roc_auc"]["training_estimate"]
    assert tell_findings(drift)[0].endswith(", lower")


def test_customers_that_cannot_be_scored_alarm_when_they_are_more_not_when_fewer(
    population: Population, reference: Reference
) -> None:
    features, probability, _ = population.draw(1_300)
    drift = judged(features, probability, reference, delivered=1_500)
    assert findings(drift) == [("not_scored", None, "stop")]
    assert tell_findings(drift)[0].startswith(
        "drift, stop: 13.3% of the customers cannot be scored, 0.0% in training; PSI "
    )
    used_to_fail = reference._replace(delivered=1_500)
    assert findings(judged(features, probability, used_to_fail)) == []


def test_what_is_beyond_chance_but_small_is_no_finding(population: Population, reference: Reference) -> None:
    features, probability, _ = population.draw(100_000)
    drift = judged(features.with_columns(pl.col("registered_days") + 40), probability, reference)
    row = next(own for own in drift["features"] if own["feature"] == "registered_days")
    assert row["chance"] < row["psi"] < 0.1
    assert findings(drift) == []
    lower = judged(features.with_columns(pl.col("registered_days") + 40), probability, reference, warn=0.03, stop=0.25)
    assert findings(lower) == [("distribution", "registered_days", "warn")]


def test_what_is_large_but_may_be_chance_is_no_finding(population: Population, reference: Reference) -> None:
    features, probability, _ = population.draw(40)
    drift = judged(features, probability, reference)
    assert max(row["psi"] for row in drift["features"]) > 0.25
    assert findings(drift) == []


def test_parts_in_any_order_give_the_same(population: Population, reference: Reference) -> None:
    features, probability, _ = population.draw(2_000)
    whole = count_drift(features, probability, reference)
    parts = [
        count_drift(features[start:stop], probability[start:stop], reference)
        for start, stop in ((900, 2_000), (0, 1), (1, 900), (0, 0))
    ]
    assert whole.schema == COUNTS_SCHEMA
    assert_frame_equal(add_counts(add_counts(*parts[:2]), *parts[2:]), add_counts(whole))
    assert add_counts().schema == COUNTS_SCHEMA
    assert judge_drift(pl.concat(parts), reference, delivered=2_000) == judge_drift(whole, reference, delivered=2_000)


def test_the_result_is_plain_json_and_says_what_was_compared(
    population: Population, artifact: Artifact, reference: Reference
) -> None:
    features, probability, _ = population.draw(500)
    drift = judged(features, probability, reference, measured=artifact.manifest["roc_auc"])
    assert json.loads(json.dumps(drift, allow_nan=False)) == drift
    assert drift["customers"] == {"here": 500, "training": CUSTOMERS}
    assert (drift["checks"], drift["alarm_rate"]) == (2 * 17 + 8 + 2, 0.01)
    measured = {key: artifact.manifest["roc_auc"][key] for key in ("mean", "low", "high")}
    assert drift["roc_auc"]["training"] == pytest.approx(measured)
    auc = drift["roc_auc"]
    assert auc["low"] < auc["estimate"] < auc["high"]
    assert summarise_drift(drift) == (
        f"nothing beyond chance and limits; ROC-AUC without labels {auc['estimate']:.3f} "
        f"({auc['low']:.3f} to {auc['high']:.3f}; for the training customers {auc['training_estimate']:.3f}) "
        "if a probability still means what it did in training"
    )


def test_findings_are_counted_and_the_worst_comes_first(population: Population, reference: Reference) -> None:
    features, probability, _ = population.draw(5_000)
    changed = features.with_columns(pl.col("minutes_current_month") * 1.4, pl.col("registered_days") + 90)
    drift = judged(changed, probability, reference)
    assert findings(drift) == [
        ("distribution", "minutes_current_month", "stop"),
        ("distribution", "registered_days", "warn"),
    ]
    assert summarise_drift(drift).startswith("1 to stop, 1 to warn; ROC-AUC without labels 0.")
    assert [line.split(": PSI")[0] for line in tell_findings(drift)] == [
        "drift, stop: minutes_current_month",
        "drift, warn: registered_days",
    ]


def auc_of(scores: NDArray[np.float64], declined: NDArray[np.bool_]) -> float:
    wins = stats.mannwhitneyu(scores[declined], scores[~declined]).statistic
    return float(wins / (declined.sum() * (~declined).sum()))


def test_the_estimate_is_near_the_truth_while_scores_are_calibrated(
    population: Population, reference: Reference
) -> None:
    features, probability, _ = population.draw(20_000)
    scores = probability.to_numpy()
    declined = population.random.random(len(scores)) < scores
    auc = judged(features, probability, reference)["roc_auc"]
    assert auc["estimate"] == pytest.approx(auc_of(scores, declined), abs=0.01)


def test_the_estimate_does_not_see_that_scores_mean_nothing_any_more(
    population: Population, reference: Reference
) -> None:
    """Its caveat: where declines no longer follow the scores, the estimate is the same."""
    features, probability, _ = population.draw(20_000)
    declined = population.random.random(20_000) < 0.4
    assert auc_of(probability.to_numpy(), declined) == pytest.approx(0.5, abs=0.02)
    drift = judged(features, probability, reference)
    assert drift["roc_auc"]["estimate"] == pytest.approx(drift["roc_auc"]["training_estimate"], abs=0.02)
    assert findings(drift) == []


def test_nobody_gives_no_estimate_and_no_drift(reference: Reference) -> None:
    drift = judge_drift(pl.DataFrame(schema=COUNTS_SCHEMA), reference, delivered=0)
    assert (drift["severity"], drift["roc_auc"]) == ("none", None)
    assert summarise_drift(drift) == "nothing beyond chance and limits"
    alone = pl.DataFrame([("decline_probability", 2_000, 1)], schema=COUNTS_SCHEMA, orient="row")
    assert judge_drift(alone, reference, delivered=1)["severity"] == "none"


def test_the_index_is_the_textbooks_with_half_a_customer_more() -> None:
    here, there = (20.5 / 101, 80.5 / 101), (50.5 / 101, 50.5 / 101)
    expected = sum((p - q) * math.log(p / q) for p, q in zip(here, there, strict=True))
    assert stability_index([20, 80], [50, 50]) == pytest.approx(expected)
    assert stability_index([5, 5], [500, 500]) == 0.0
    assert stability_index([0, 0], [5, 5]) == stability_index([5, 5], [0, 0]) == 0.0


def test_superiority_counts_ties_half() -> None:
    assert superiority([0, 0, 4], [4, 0, 0]) == 1.0
    assert superiority([1, 1, 1], [1, 1, 1]) == 0.5
    assert superiority([0, 3], [1, 1]) == 0.75
    assert superiority([0, 0], [1, 1]) is None


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 9, 10, 11])
@pytest.mark.parametrize("value", [1e-9, 0.3, 5.0, 40.0])
def test_chi_square_is_scipys(value: float, freedom: int) -> None:
    assert chi_square_tail(value, freedom) == pytest.approx(stats.chi2.sf(value, freedom), rel=1e-9)
    assert chi_square_limit(0.00023, freedom) == pytest.approx(stats.chi2.isf(0.00023, freedom), rel=1e-9)
