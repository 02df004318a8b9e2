"""Training, top to bottom: read a labelled drop, compare the candidates, fit the selected one, write the artifact."""

from __future__ import annotations

import importlib.metadata
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl
from threadpoolctl import threadpool_limits

from job import __version__
from job.errors import DropError
from job.features import make_features, split_customers
from job.intake.drop import wait_for_files
from job.intake.reconcile import Intake, accept_drop
from job.levels import Levels
from job.models.artifact import (
    SEEN,
    Thresholds,
    fold_prefix,
    load_artifact,
    model_files,
    prepare_folder,
    to_text,
    write_artifact,
)
from job.models.seen import describe_seen
from job.training.calibration import probabilities
from job.training.candidates import BOOSTED, CHAMPION, REFERENCES, Candidate
from job.training.card import Card, write_card
from job.training.folds import Groups, Labels, Numbers, group_folds, twin_groups
from job.training.importance import measure_importance
from job.training.leaks import guard_against_leaks
from job.training.reference import describe_reference
from job.training.selection import (
    Comparison,
    Protocol,
    SplitResult,
    compare,
    compare_with_artifact,
    describe_seconds,
    estimate_seconds,
    learn,
    measure,
)
from schemas.features import FEATURE_NAMES
from schemas.vocabulary import CATEGORY, DECLINED, SERVICE_TYPE

if TYPE_CHECKING:
    from job.models.kinds import Model
    from job.settings import Arrival, Limits, TrainSettings

logger = logging.getLogger(__name__)

FINAL_FOLDS: Final = 5
PROMO_SHARE: Final = 0.5  # more than half of the purchases in promotions
LIBRARIES: Final = ("polars", "scikit-learn", "lightgbm", "optuna", "numpy", "scipy")
MANY: Final = 10_000  # customers; beyond, fewer repeats
MANY_REPEATS: Final = 5
SMALLEST: Final = 200  # customers, and 20 of each label: fewer cannot be split into nested folds of groups
SMALLEST_LABEL: Final = 20


@dataclass(frozen=True)
class Labelled:
    """A labelled drop, ready for training; rows ordered by `id`."""

    customers: pl.DataFrame
    features: pl.DataFrame
    labels: Labels  # 1 for a customer who declined
    groups: Groups  # of near twins
    intake: Intake  # what became of the drop
    levels: Mapping[str, float]  # month -> the level of its revenue


@dataclass(frozen=True)
class Trained:
    """What training came to."""

    table: str  # the comparison of the candidates, for a person
    gate: Comparison | None  # the selected candidate against the artifact that had to be beaten, if there was one
    is_written: bool  # whether the selected candidate was written


def read_labelled(drop: Path, *, limits: Limits, arrival: Arrival) -> Labelled:
    """Read a labelled drop.

    Raises DropError if it is bad, has too few customers, or only one label; DropIncompleteError if it is not complete.
    """
    intake = accept_drop(wait_for_files(drop, arrival), labelled=True, limits=limits)
    customers, _ = split_customers(intake.tables)
    labels = (customers["activity"] == DECLINED).cast(pl.Int8).to_numpy()
    fewest = min(int(labels.sum()), int((1 - labels).sum()))
    if len(labels) < SMALLEST or fewest < SMALLEST_LABEL:
        raise DropError(
            f"{drop}: found {len(labels):,} labelled customers, {fewest:,} of the rarer label; "
            f"expected at least {SMALLEST} and {SMALLEST_LABEL}"
        )
    features = make_features(customers)
    levels = intake.levels.medians(fewest=1)
    assert levels is not None  # noqa: S101 - who is scored has revenue in each month
    return Labelled(customers, features, labels, twin_groups(features), intake, levels)


def run_training(
    drop: Path,
    artifacts: Path,
    settings: TrainSettings,
    *,
    workers: int | None = None,
    progress: Callable[[str, int, int], None] = lambda *_: None,
) -> Trained:
    """Compare the candidates on a labelled drop, write the selected one to `artifacts`.

    With a champion, nothing is written unless the selected candidate is better than that artifact.

    Args:
        drop: the folder with the four tables, with labels.
        artifacts: where the artifact is written.
        settings: what the user chose. A quick training compares on few splits with little tuning and leaves out the
            models that are never deployed.
        workers: processes; the result does not depend on their number. All processors if None.
        progress: called as the work goes on with what is done, how many steps are, and of how many.

    Raises JobError: anything a user or the environment can cause; see `job.errors`.
    """
    prepare_folder(artifacts)
    reigning = None if settings.champion is None else load_artifact(settings.champion)
    data = read_labelled(drop, limits=settings.limits, arrival=settings.arrival)
    protocol = choose_protocol(settings, len(data.labels))
    findings, warnings = guard_against_leaks(data.customers, data.features, data.labels)
    candidates = [CHAMPION, BOOSTED, *(() if settings.is_quick else REFERENCES)]
    workers = workers or os.cpu_count() or 1
    dataset = data.features, data.labels, data.groups
    duration = describe_seconds(estimate_seconds(candidates, *dataset, protocol, workers=workers))
    comparing = f"comparing {len(candidates)} candidates on {len(data.labels):,} customers"
    logger.info("%s will take %s on %d free cores", comparing, duration, workers)
    measured = measure(candidates, *dataset, protocol, workers=workers, progress=progress)
    champion, challenger, *_ = measured
    test_share = protocol.test_share
    decision = compare(challenger, champion, test_share=test_share)
    selected = challenger if decision.is_better else champion
    gate = None
    if reigning is not None:
        features = Levels(data.levels, reigning.levels).at_training(data.features)
        ids = data.customers["id"]
        gate = compare_with_artifact(selected, reigning, ids, features, data.labels, test_share=test_share)
    progress(f"fitting {selected.candidate.title} on all customers", 0, 1)
    with threadpool_limits(limits=1):
        final = fit_final(selected.candidate, data, protocol)
    first_repeat = selected.splits[: protocol.folds]
    folds = Folds(first_repeat, tuple(split.model for split in first_repeat if split.model is not None))
    probability = folds.probability(data.features)
    card = Card(
        drop_name=drop.name,
        inputs=data.intake.files,
        protocol=protocol,
        is_quick=settings.is_quick,
        measured=measured,
        selected=selected,
        decision=decision,
        probability=probability,
        labels=data.labels,
        features=data.features,
        importance=measure_importance(
            folds.splits, folds.models, final.model, data.features, data.labels, seed=protocol.seed
        ),
        settings=final.settings,
        calibrated_by=final.model.calibration,
        thresholds=learn_thresholds(data),
        leaks=findings,
        warnings=warnings,
        owner=settings.owner,
    )
    if gate is not None and not gate.is_better:
        return Trained(card.table(), gate, is_written=False)
    delivered = data.intake.customers_in
    reference = describe_reference(
        data.features, probability, final.probability, *dataset[1:], delivered=delivered, seed=protocol.seed
    )
    files = {
        **model_files(final.model),
        **folds.files(data.customers["id"], protocol.seed),
        **write_card(card, datetime.now(UTC).isoformat(timespec="seconds")),
    }
    write_artifact(artifacts, files=files, facts=_facts(card, reference, data.levels))
    return Trained(card.table(), gate, is_written=True)


def choose_protocol(settings: TrainSettings, customers: int) -> Protocol:
    """Return how thoroughly candidates are compared: half as often where there are so many customers.

    Then a test fold has thousands of customers, and what repeats even out, the luck of a split, is small.
    """
    if settings.is_quick:
        return Protocol(repeats=2, trials=2, seed=settings.seed)
    repeats = Protocol.repeats if customers <= MANY else MANY_REPEATS
    return Protocol(repeats=repeats, trials=settings.trials, seed=settings.seed)


@dataclass(frozen=True)
class Folds:
    """The splits of the first repeat, and of each the model of its training rows, as it was measured."""

    splits: tuple[SplitResult, ...]
    models: tuple[Model, ...]

    def probability(self, features: pl.DataFrame) -> Numbers:
        """Return that of each row of the labelled drop, by the model whose test row it is."""
        probability = np.zeros(features.height)
        for split, model in zip(self.splits, self.models, strict=True):
            probability[split.test] = model.probabilities(features[split.test]).to_numpy()
        return probability

    def files(self, ids: pl.Series, seed: int) -> dict[str, str]:
        """Return the artifact's files: the models, and who was in which fold."""
        fold_of = np.zeros(len(ids), dtype=np.int64)
        for fold, split in enumerate(self.splits):
            fold_of[split.test] = fold
        files = {SEEN: to_text(describe_seen(ids, fold_of.tolist(), seed=seed))}
        for fold, model in enumerate(self.models):
            files |= model_files(model, fold_prefix(fold))
        return files


@dataclass(frozen=True)
class Deployed:
    """What is deployed."""

    model: Model  # tuned, fitted and calibrated on all customers
    settings: dict[str, Any]  # which were tuned
    # of each row of the labelled drop, out of fold, with the deployed calibration: what the model's scores look like of
    # customers that it has not seen. The models of the folds have their own calibrations.
    probability: Numbers


def fit_final(candidate: Candidate, data: Labelled, protocol: Protocol) -> Deployed:
    """Tune on all customers, fit on all of them, calibrate on out-of-fold margins."""
    splits = list(group_folds(data.labels, data.groups, folds=FINAL_FOLDS, seed=protocol.seed))
    settings, margins, calibration = learn(
        candidate, data.features, data.labels, splits, trials=protocol.trials, seed=protocol.seed
    )
    probability = np.zeros(len(data.labels))
    for split, fold_margins in zip(splits, margins, strict=True):
        probability[split.test] = probabilities(fold_margins, calibration)
    model = candidate.fit(data.features, data.labels, settings, protocol.seed).model
    assert model is not None  # noqa: S101 - only the champion and the challenger are selected
    return Deployed(model.calibrated(calibration), settings, probability)


def learn_thresholds(data: Labelled) -> Thresholds:
    """Return what counts as high.

    Risk: riskier than the average customer, the share of those who declined; for calibrated probabilities Youden's J
    (sensitivity + specificity - 1; Cancer 3, 1950) is largest there. Profit: the median of the customers. Promotions:
    more than half of the purchases.
    """
    return Thresholds(
        risk=float(data.labels.mean()),
        profit=float(np.median(data.customers["monthly_profit"].to_numpy())),
        promo_share=PROMO_SHARE,
    )


def _facts(card: Card, reference: dict[str, Any], levels: Mapping[str, float]) -> dict[str, Any]:
    """Return what the artifact's manifest says besides its files: all that is needed to make it again."""
    return {
        "product_version": __version__,
        "kind": card.selected.candidate.name,
        "title": card.selected.candidate.title,
        "roc_auc": {**card.roc_auc(), "how": card.protocol.describe()},
        "trained_on": {
            "customers": card.customers,
            "declined": card.declined,
            "inputs": {str(file["file"]): file["sha256"] for file in card.inputs},
        },
        "seed": card.protocol.seed,
        "protocol": asdict(card.protocol),
        "settings": card.settings,
        "features": list(FEATURE_NAMES),
        "words": {"service_type": SERVICE_TYPE.names, "favourite_category": CATEGORY.names},
        "thresholds": card.thresholds._asdict(),
        "levels": dict(levels),
        "reference": reference,
        "libraries": {name: importlib.metadata.version(name) for name in LIBRARIES},
    }
