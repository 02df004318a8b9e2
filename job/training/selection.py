"""The protocol that selects a model: nested, on repeated stratified group k-folds (`folds`).

All that is learned (caps, knots, scaling, tuning with as many trials for every candidate, calibration) is learned
from the training rows of each split (Cawley and Talbot, On Over-fitting in Model Selection, JMLR 11, 2010). The
challenger replaces the champion only if its gain in ROC-AUC over the paired splits is significant by the corrected
resampled t-test (Nadeau and Bengio, Inference for the Generalization Error, Machine Learning 52, 2003; for repeated
k-fold: Bouckaert and Frank, Evaluating the Replicability of Significance Tests, PAKDD 2004); otherwise the simpler
one stays.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import optuna
import polars as pl
from joblib import Parallel, delayed
from scipy import stats
from scipy.optimize import brentq
from sklearn.metrics import roc_auc_score
from threadpoolctl import threadpool_limits

from job.accuracy import brier_score
from job.models.seen import find_probability
from job.statistics import CONFIDENCE, LEVEL, POWER
from job.training.calibration import choose_calibration, log_loss, probabilities
from job.training.folds import Groups, Labels, Numbers, Split, group_folds, repeated_group_folds

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from job.models.artifact import Artifact
    from job.models.kinds import Model
    from job.models.linear import Calibration
    from job.training.candidates import Candidate, Settings


@dataclass(frozen=True)
class Protocol:
    """How thoroughly candidates are compared."""

    folds: int = 5  # of each outer k-fold
    repeats: int = 10  # of the outer k-fold, with different seeds
    inner_folds: int = 3  # of the tuning
    trials: int = 10  # of the tuning, for every candidate and split
    seed: int = 0  # of everything random

    @property
    def test_share(self) -> float:
        """Test rows over training rows of a split."""
        return 1 / (self.folds - 1)

    def describe(self) -> str:
        """Return it as a phrase."""
        return f"{self.repeats} x {self.folds} group folds, tuned inside each with {self.trials} trials"


@dataclass(frozen=True)
class SplitResult:
    """What a candidate did on one outer split."""

    test: NDArray[np.intp]  # positions of the test rows
    auc: float  # ROC-AUC on them
    probability: Numbers  # calibrated probability of each, learned without them
    fit_seconds: float  # to fit once with the settings chosen on the training rows
    score_seconds: float  # to score the test rows
    model: Model | None  # tuned, fitted and calibrated on the training rows; None of a reference


@dataclass(frozen=True)
class Measured:
    """A candidate under the protocol: one result for each outer split, in the splits' order."""

    candidate: Candidate
    splits: tuple[SplitResult, ...]

    @property
    def aucs(self) -> Numbers:
        """ROC-AUC on each split."""
        return np.array([split.auc for split in self.splits])

    def brier(self, labels: Labels) -> float:
        """Return the mean Brier score over the splits: that of single models, as the deployed one is."""
        scores = [brier_score(pl.Series(one.probability), pl.Series(labels[one.test])) for one in self.splits]
        return float(np.mean(scores))

    def log_losses(self, labels: Labels) -> Numbers:
        """Return the log-loss on each split, in nats."""
        return np.array([log_loss(split.probability, labels[split.test]) for split in self.splits])


@dataclass(frozen=True)
class Comparison:
    """The paired difference of two candidates."""

    gain: float  # mean difference, e.g. in ROC-AUC
    low: float  # lower end of its interval
    high: float  # upper end
    t: float
    p: float  # two-sided p-value
    error: float  # the standard error of the gain
    splits: int  # how many it was measured on

    @property
    def is_better(self) -> bool:
        """Whether the gain is significant."""
        return self.gain > 0 and self.p < LEVEL

    def power(self, gain: float) -> float:
        """Return the probability that a true gain of this size is found significant (by the noncentral t)."""
        if self.error == 0:
            return float(gain > 0)
        critical = stats.t.ppf(1 - LEVEL / 2, self.splits - 1)
        return float(stats.nct.sf(critical, self.splits - 1, gain / self.error))

    def smallest_visible(self) -> float:
        """Return the true gain that is found significant with the probability `POWER`."""
        if self.error == 0:
            return 0.0
        most = 20 * self.error
        return float(brentq(lambda gain: self.power(gain) - POWER, 0.0, most)) if self.power(most) > POWER else most

    def describe(self, measure: str = "ROC-AUC") -> str:
        """Return it as a phrase."""
        verdict = "significant" if self.p < LEVEL else "within the noise"
        return f"{self.gain:+.4f} {measure} ({self.low:+.4f} to {self.high:+.4f}, p = {self.p:.2g}): {verdict}"


def corrected_interval(values: Numbers, *, test_share: float) -> Comparison:
    """Return mean, interval and test against 0 of values measured on overlapping resamples.

    The variance of the mean of J values is taken as (1 / J + n_test / n_train) times their variance, because the
    training sets overlap (Nadeau and Bengio 2003, section 4); J - 1 degrees of freedom.

    `values`: one per split, e.g. differences in ROC-AUC. `test_share`: n_test / n_train.
    """
    count = len(values)
    mean = float(values.mean())
    error = float(np.sqrt((1 / count + test_share) * values.var(ddof=1)))
    reach = float(stats.t.ppf((1 + CONFIDENCE) / 2, count - 1)) * error
    if error == 0:
        t, p = (0.0, 1.0) if mean == 0 else (float(np.inf), 0.0)
    else:
        t = mean / error
        p = float(2 * stats.t.sf(abs(t), count - 1))
    return Comparison(mean, mean - reach, mean + reach, t, p, error, count)


def roc_auc_interval(measured: Measured, *, test_share: float) -> Comparison:
    """Return the mean ROC-AUC over the splits with its interval, cut at 0 and 1."""
    interval = corrected_interval(measured.aucs, test_share=test_share)
    return replace(interval, low=max(0.0, interval.low), high=min(1.0, interval.high))


def measure(
    candidates: Sequence[Candidate],
    features: pl.DataFrame,
    labels: Labels,
    groups: Groups,
    protocol: Protocol,
    *,
    workers: int = 1,
    progress: Callable[[str, int, int], None] = lambda *_: None,
) -> list[Measured]:
    """Put every candidate through the protocol, all on the same splits.

    `workers`: processes; the results do not depend on their number. `progress`: called after each step with what is
    done, how many steps are, and of how many.
    """
    splits = repeated_group_folds(labels, groups, folds=protocol.folds, repeats=protocol.repeats, seed=protocol.seed)
    jobs = [(index, split) for index in range(len(candidates)) for split in splits]
    measured = Parallel(n_jobs=workers, return_as="generator", mmap_mode=None)(
        delayed(_measure_split)(candidates[index], features, labels, groups, protocol=protocol, split=split)
        for index, split in jobs
    )
    results: list[list[SplitResult]] = [[] for _ in candidates]
    for done, ((index, _), result) in enumerate(zip(jobs, measured, strict=True), start=1):
        results[index].append(result)
        mean = np.mean([split.auc for split in results[index]])
        progress(f"comparing: {candidates[index].title}, ROC-AUC {mean:.4f}", done, len(jobs))
    return [Measured(candidate, tuple(of_it)) for candidate, of_it in zip(candidates, results, strict=True)]


def compare(better: Measured, than: Measured, *, test_share: float) -> Comparison:
    """Return the paired difference in ROC-AUC of two candidates on the same splits."""
    return corrected_interval(better.aucs - than.aucs, test_share=test_share)


def compare_with_artifact(
    selected: Measured, artifact: Artifact, ids: pl.Series, features: pl.DataFrame, labels: Labels, *, test_share: float
) -> Comparison:
    """Return the paired gain in ROC-AUC of a candidate over an artifact, on the candidate's test rows.

    The artifact is not fitted again. Customers that it has seen, by their ids, are judged by its models that had not.

    `features`: their feature frame, revenue at the level of the artifact's training.
    """
    probability = find_probability(artifact, ids, features)["decline_probability"].to_numpy()
    aucs = np.array([roc_auc_score(labels[split.test], probability[split.test]) for split in selected.splits])
    return corrected_interval(selected.aucs - aucs, test_share=test_share)


def tune(
    candidate: Candidate, features: pl.DataFrame, labels: Labels, splits: Sequence[Split], *, trials: int, seed: int
) -> tuple[Settings, list[Numbers]]:
    """Return the settings with the best mean ROC-AUC on the splits, and the margins of their test rows with these.

    The candidate's first guess is among those that are tried.
    """
    frames = [
        (features[split.train], labels[split.train], features[split.test], labels[split.test]) for split in splits
    ]
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = optuna.samplers.TPESampler(seed=seed % 2**32, n_startup_trials=max(1, min(8, trials // 2)))
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.enqueue_trial(candidate.first)
    tried = []
    for _ in range(trials):
        trial = study.ask(dict(candidate.space))
        margins = [
            candidate.fit(train, train_labels, trial.params, seed).margins(test)
            for train, train_labels, test, _ in frames
        ]
        scores = [roc_auc_score(test_labels, each) for (*_, test_labels), each in zip(frames, margins, strict=True)]
        study.tell(trial, float(np.mean(scores)))
        tried.append(margins)
    return dict(study.best_params), tried[study.best_trial.number]


def learn(
    candidate: Candidate, features: pl.DataFrame, labels: Labels, splits: Sequence[Split], *, trials: int, seed: int
) -> tuple[Settings, list[Numbers], Calibration]:
    """Return the tuned settings, the margins of each split's test rows by a model without them, their calibration."""
    settings, margins = tune(candidate, features, labels, splits, trials=trials, seed=seed)
    return settings, margins, choose_calibration(margins, [labels[split.test] for split in splits])


def rows_to_fit(candidate: Candidate, split: Split) -> NDArray[np.intp]:
    """Return the training rows of a split, in order: all, or a sample of the candidate's `most_rows`."""
    if candidate.most_rows is None or len(split.train) <= candidate.most_rows:
        return split.train
    random = np.random.default_rng(split.seed)
    return np.sort(random.choice(split.train, candidate.most_rows, replace=False))


def estimate_seconds(
    candidates: Sequence[Candidate],
    features: pl.DataFrame,
    labels: Labels,
    groups: Groups,
    protocol: Protocol,
    *,
    workers: int,
) -> float:
    """Return how long the comparison takes with so many processes, if each has a core for itself.

    Each candidate is fitted once, as tuning does it: with the settings that it tries first, on the training rows of an
    inner split. Other settings take longer or less long. Processor time is what counts: other work on the machine makes
    the training take longer, and is no reason to expect hours of the next one.
    """
    (outer, *_) = group_folds(labels, groups, folds=protocol.folds, seed=protocol.seed)
    fits = protocol.trials * protocol.inner_folds + 1
    seconds = 0.0
    for candidate in candidates:
        rows = rows_to_fit(candidate, outer)
        (inner, *_) = group_folds(labels, groups, folds=protocol.inner_folds, seed=protocol.seed, rows=rows)
        start = time.process_time()
        with threadpool_limits(limits=1):
            fitted = candidate.fit(features[inner.train], labels[inner.train], candidate.first, protocol.seed)
            fitted.margins(features[inner.test])
        seconds += (time.process_time() - start) * fits * protocol.folds * protocol.repeats
    return seconds / workers


def describe_seconds(seconds: float) -> str:
    """Return a duration as a phrase: «about 25 minutes»."""
    if seconds < 90:  # noqa: PLR2004
        return f"about {max(5, round(seconds / 5) * 5)} seconds"
    if seconds < 5400:  # noqa: PLR2004
        return f"about {round(seconds / 60)} minutes"
    return f"about {seconds / 3600:.1f} hours"


def describe_samples(candidates: Sequence[Candidate], customers: int, protocol: Protocol) -> str:
    """Return a sentence about candidates that see a sample of the training rows, nothing if all see all."""
    train = customers * (protocol.folds - 1) // protocol.folds
    sampled = [candidate for candidate in candidates if candidate.most_rows is not None and candidate.most_rows < train]
    if not sampled:
        return ""
    names = ", ".join(f"{candidate.title} ({candidate.most_rows:,})" for candidate in sampled)
    return f"\nTuned and fitted on a random sample of about {train:,} training rows: {names}."


def _measure_split(
    candidate: Candidate, features: pl.DataFrame, labels: Labels, groups: Groups, *, protocol: Protocol, split: Split
) -> SplitResult:
    train = rows_to_fit(candidate, split)
    inner = list(group_folds(labels, groups, folds=protocol.inner_folds, seed=split.seed, rows=train))
    with threadpool_limits(limits=1):
        settings, _, calibration = learn(candidate, features, labels, inner, trials=protocol.trials, seed=split.seed)
        start = time.perf_counter()
        fitted = candidate.fit(features[train], labels[train], settings, split.seed)
        fitted_at = time.perf_counter()
        margins = fitted.margins(features[split.test])
        scored_at = time.perf_counter()
    return SplitResult(
        test=split.test,
        auc=float(roc_auc_score(labels[split.test], margins)),
        probability=probabilities(margins, calibration),
        fit_seconds=fitted_at - start,
        score_seconds=scored_at - fitted_at,
        model=None if fitted.model is None else fitted.model.calibrated(calibration),
    )
