from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from optuna.distributions import FloatDistribution
from sklearn.linear_model import LogisticRegression

from job.training.candidates import BOOSTED, CHAMPION, REFERENCES, Candidate, Fitted
from job.training.folds import group_folds
from job.training.selection import (
    Comparison,
    Measured,
    Protocol,
    SplitResult,
    compare,
    corrected_interval,
    describe_samples,
    measure,
    roc_auc_interval,
    rows_to_fit,
    tune,
)

QUICK = Protocol(folds=5, repeats=2, inner_folds=2, trials=1, seed=1)
SHARE = 1 / 4


def logistic(name: str, columns: list[str]) -> Candidate:
    """A fast candidate that sees some of the columns."""

    def fit(features: pl.DataFrame, labels: np.ndarray, settings: dict[str, float], _seed: int) -> Fitted:
        model = LogisticRegression(C=settings["C"]).fit(features.select(columns).to_numpy(), labels)
        return Fitted(lambda rows: model.decision_function(rows.select(columns).to_numpy()), None)

    return Candidate(name, name, {"C": FloatDistribution(1e-4, 10, log=True)}, {"C": 1.0}, fit)


WEAK = logistic("weak", ["noise"])
STRONG = logistic("strong", ["noise", "signal"])


def simulate(seed: int, *, strength: float, rows: int = 200) -> tuple[pl.DataFrame, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    frame = pl.DataFrame({"noise": random.normal(size=rows), "signal": random.normal(size=rows)})
    labels = (random.random(rows) < 1 / (1 + np.exp(-strength * frame["signal"].to_numpy()))).astype(np.int8)
    return frame, labels, np.arange(rows)


def test_the_corrected_interval_by_hand() -> None:
    """Mean 0.02, variance 0.0002 / 3; times 1 / 4 + 1 / 4; t with 3 degrees of freedom is 3.182446."""
    comparison = corrected_interval(np.array([0.01, 0.02, 0.03, 0.02]), test_share=0.25)
    error = np.sqrt(0.5 * 0.0002 / 3)
    assert comparison.gain == pytest.approx(0.02)
    assert comparison.low == pytest.approx(0.02 - 3.182446 * error, abs=1e-8)
    assert comparison.high == pytest.approx(0.02 + 3.182446 * error, abs=1e-8)
    assert comparison.t == pytest.approx(0.02 / error)
    assert comparison.p == pytest.approx(0.0405, abs=1e-4)


def test_equal_values_leave_no_doubt_or_no_gain() -> None:
    assert corrected_interval(np.zeros(5), test_share=0.25) == Comparison(0, 0, 0, 0, 1, 0, 5)
    assert corrected_interval(np.full(5, 0.5), test_share=0.25).p == 0


@pytest.mark.parametrize(("gain", "p", "is_better"), [(0.01, 0.049, True), (0.01, 0.051, False), (-0.01, 0.001, False)])
def test_only_a_significant_gain_is_better(gain: float, p: float, *, is_better: bool) -> None:
    assert Comparison(gain, 0, 0, 0, p, 0.01, 50).is_better is is_better


def test_a_comparison_says_when_it_is_within_the_noise() -> None:
    comparison = Comparison(0.0038, -0.007, 0.0146, 0.7, 0.48, 0.0054, 50)
    assert comparison.describe() == "+0.0038 ROC-AUC (-0.0070 to +0.0146, p = 0.48): within the noise"
    assert comparison.describe("log-loss") == "+0.0038 log-loss (-0.0070 to +0.0146, p = 0.48): within the noise"


def test_power_is_how_often_a_true_gain_is_significant() -> None:
    """Simulated: means of a normal variable by its t-test with 49 degrees of freedom."""
    comparison = corrected_interval(np.random.default_rng(1).normal(0, 1, 50), test_share=0.0)
    random = np.random.default_rng(2)
    wins = 0
    for _ in range(4000):
        values = random.normal(2 * comparison.error, comparison.error * np.sqrt(50), 50)
        again = corrected_interval(values, test_share=0.0)
        wins += again.is_better
    assert comparison.power(2 * comparison.error) == pytest.approx(wins / 4000, abs=0.03)
    assert comparison.power(0.0) == pytest.approx(0.025)
    assert comparison.power(comparison.smallest_visible()) == pytest.approx(0.8)
    assert 2.8 < comparison.smallest_visible() / comparison.error < 2.95


def test_without_scatter_any_gain_is_seen() -> None:
    comparison = corrected_interval(np.zeros(5), test_share=0.25)
    assert (comparison.power(0.01), comparison.power(0.0), comparison.smallest_visible()) == (1, 0, 0)


def test_brier_is_the_mean_over_the_splits() -> None:
    def result(test: list[int], probability: list[float]) -> SplitResult:
        return SplitResult(np.array(test), 0.5, np.array(probability), 0.0, 0.0, None)

    measured = Measured(WEAK, (result([0], [0.2]), result([1], [0.4]), result([0, 1], [0.4, 0.8])))
    labels = np.array([0, 1], dtype=np.int8)
    assert measured.brier(labels) == pytest.approx((0.04 + 0.36 + (0.16 + 0.04) / 2) / 3)
    losses = [-np.log(0.8), -np.log(0.4), -(np.log(0.6) + np.log(0.8)) / 2]
    assert measured.log_losses(labels) == pytest.approx(losses)


def test_no_roc_auc_is_above_one() -> None:
    splits = tuple(SplitResult(np.array([0]), auc, np.array([0.5]), 0.0, 0.0, None) for auc in (0.9, 0.99, 1.0))
    interval = roc_auc_interval(Measured(WEAK, splits), test_share=SHARE)
    raw = corrected_interval(np.array([0.9, 0.99, 1.0]), test_share=SHARE)
    assert (interval.gain, interval.low, interval.high) == (raw.gain, raw.low, 1.0)
    assert raw.high > 1


def test_a_true_gain_wins() -> None:
    frame, labels, groups = simulate(1, strength=2.0)
    weak, strong = measure([WEAK, STRONG], frame, labels, groups, QUICK)
    comparison = compare(strong, weak, test_share=SHARE)
    assert comparison.is_better
    assert comparison.gain > 0.2


def test_on_shuffled_labels_nobody_wins_and_the_interval_holds_a_half() -> None:
    """25 data sets without any signal. At the stated rates (5 % of intervals miss, 2.5 % of challengers win) more than
    5 misses or more than 3 wins have a probability of less than 1 %.
    """
    misses = wins = 0
    protocol = Protocol(folds=5, repeats=1, inner_folds=2, trials=1, seed=1)
    for seed in range(25):
        frame, labels, groups = simulate(seed, strength=0.0, rows=100)
        weak, strong = measure([WEAK, STRONG], frame, labels, groups, protocol)
        interval = corrected_interval(strong.aucs, test_share=SHARE)
        misses += not interval.low <= 0.5 <= interval.high
        wins += compare(strong, weak, test_share=SHARE).is_better
    assert misses <= 5
    assert wins <= 3


def test_results_do_not_depend_on_the_number_of_workers() -> None:
    frame, labels, groups = simulate(2, strength=1.0)
    one = measure([STRONG], frame, labels, groups, QUICK)[0]
    two = measure([STRONG], frame, labels, groups, QUICK, workers=2)[0]
    assert one.aucs.tolist() == two.aucs.tolist()
    assert one.brier(labels) == two.brier(labels)


def test_progress_names_each_step() -> None:
    frame, labels, groups = simulate(2, strength=1.0)
    steps: list[tuple[str, int, int]] = []
    measure([STRONG], frame, labels, groups, QUICK, progress=lambda *step: steps.append(step))
    assert [step[1:] for step in steps] == [(done, 10) for done in range(1, 11)]
    assert steps[0][0].startswith("comparing: strong, ROC-AUC 0.")


def test_tuning_tries_the_first_guess_and_keeps_the_best() -> None:
    frame, labels, groups = simulate(3, strength=1.0)
    splits = list(group_folds(labels, groups, folds=3, seed=1))
    assert tune(STRONG, frame, labels, splits, trials=1, seed=1)[0] == {"C": 1.0}
    again = [tune(STRONG, frame, labels, splits, trials=5, seed=1)[0] for _ in range(2)]
    assert again[0] == again[1]


def test_the_margins_of_tuning_are_those_of_the_best_settings() -> None:
    frame, labels, groups = simulate(3, strength=1.0)
    splits = list(group_folds(labels, groups, folds=3, seed=1))
    settings, margins = tune(STRONG, frame, labels, splits, trials=5, seed=1)
    for split, of_split in zip(splits, margins, strict=True):
        fitted = STRONG.fit(frame[split.train], labels[split.train], settings, 1)
        assert of_split.tolist() == fitted.margins(frame[split.test]).tolist()


def test_a_reference_is_fitted_on_a_sample_of_many_rows_and_judged_on_all_test_rows() -> None:
    frame, labels, groups = simulate(4, strength=2.0)
    rows: list[int] = []

    def fit(features: pl.DataFrame, labels: np.ndarray, settings: dict[str, float], seed: int) -> Fitted:
        rows.append(features.height)
        return STRONG.fit(features, labels, settings, seed)

    sampled = replace(STRONG, fit=fit, most_rows=80)
    (measured,) = measure([sampled], frame, labels, groups, QUICK)
    assert max(rows) == 80
    assert sum(len(split.test) for split in measured.splits) == QUICK.repeats * frame.height
    assert measured.aucs.mean() > 0.7


def test_rows_to_fit() -> None:
    split = next(iter(group_folds(np.tile(np.array([0, 1], dtype=np.int8), 50), np.arange(100), folds=5, seed=3)))
    sampled = rows_to_fit(replace(STRONG, most_rows=30), split)
    assert (len(sampled), len(set(sampled) - set(split.train))) == (30, 0)
    assert sampled.tolist() == sorted(set(sampled)) == rows_to_fit(replace(STRONG, most_rows=30), split).tolist()
    for most in (None, 80, 5000):
        assert rows_to_fit(replace(STRONG, most_rows=most), split) is split.train


def test_only_references_are_sampled() -> None:
    assert {candidate.most_rows for candidate in REFERENCES} == {5000}
    assert {candidate.most_rows for candidate in (CHAMPION, BOOSTED)} == {None}


def test_a_sample_is_told_where_there_is_one() -> None:
    candidates = (WEAK, replace(STRONG, most_rows=5000))
    assert describe_samples(candidates, 6250, QUICK) == ""
    assert describe_samples(candidates, 20_000, QUICK) == (
        "\nTuned and fitted on a random sample of about 16,000 training rows: strong (5,000)."
    )
