"""Every reason of a run is computed again: it is of a customer at high risk, true, material and different."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import polars as pl
import pytest

from job.features import make_features, split_customers
from job.intake.drop import find_files
from job.intake.reconcile import accept_drop
from job.levels import Levels
from job.models.reasons import LEAST_DISTANCE, LEAST_FALL, REASONS, Explainer, say, usual_values
from job.sample import write_drop
from job.scoring.pipeline import run_scoring
from job.settings import Arrival, Limits, ScoreSettings
from job.training.candidates import BOOSTED
from job.training.run import read_labelled
from schemas.features import FEATURE_DTYPES, MEANINGS
from schemas.phrases import Number, Phrase, Theme

if TYPE_CHECKING:
    from pathlib import Path

    from job.models.artifact import Artifact
    from job.models.kinds import Model
    from schemas.manifest import Manifest

THEMES = {theme: [name for name, meaning in MEANINGS.items() if meaning.theme is theme] for theme in Theme}


def check_run(drop: Path, output: Path, artifact: Artifact) -> int:
    """Check all reasons of a run of a drop; return how many there are."""
    outcome = run_scoring(drop, output, ScoreSettings(no_report=True))
    scored = pl.read_parquet(outcome.folder / "scored.parquet")
    tables = accept_drop(find_files(drop), labelled=False, limits=Limits()).tables
    levels = levels_of(outcome.manifest)
    features = levels.at_training(make_features(split_customers(tables)[0]))
    assert scored.height == features.height
    is_high = scored["decline_probability"] >= artifact.thresholds.risk
    assert scored.filter(~is_high).select(REASONS).null_count().row(0) == (scored.height - is_high.sum(),) * 3
    reasons = scored.filter(is_high).select(REASONS)
    return check_reasons(features.filter(is_high), reasons, levels, artifact.model, artifact)


def levels_of(manifest: Manifest) -> Levels:
    """Return the levels that a run was scored at."""
    months = manifest["levels"]["months"]
    return Levels(
        {month["period"]: month["level"] for month in months}, {month["period"]: month["training"] for month in months}
    )


def check_reasons(
    features: pl.DataFrame, reasons: pl.DataFrame, levels: Levels, model: Model, artifact: Artifact
) -> int:
    """Check the reasons of customers; return how many there are.

    Args:
        features: of the customers.
        reasons: in the same order.
        levels: at which revenue was delivered; the features are at those of training.
        model: which gave them.
        artifact: what is usual.
    """
    reference = artifact.manifest["reference"]
    usual = usual_values(artifact.manifest)
    here = {name: told["quantiles"][5] for name, told in artifact.manifest["reference"]["numeric"].items()}
    here = levels.as_delivered(pl.DataFrame([here])).row(0, named=True)
    compared = {name: known._replace(median=here[name]) if name in here else known for name, known in usual.items()}
    delivered = levels.as_delivered(features)
    median = {name: told["quantiles"][5] for name, told in reference["numeric"].items()}
    frequent = {name: max(shares, key=shares.__getitem__) for name, shares in reference["words"].items()}
    contributions = model.contributions(features)
    risk = model.probabilities(features)
    material = {}
    for theme, names in THEMES.items():
        values = [pl.lit({**median, **frequent}[name], FEATURE_DTYPES[name]).alias(name) for name in names]
        material[theme] = risk - model.probabilities(features.with_columns(values))
    sums = {theme: contributions.select(pl.sum_horizontal(names)).to_series() for theme, names in THEMES.items()}

    def is_different(name: str, value: float | str) -> bool:
        """Return whether a value is far from the usual one, by the deciles of the training customers."""
        if isinstance(value, str):
            return value not in {frequent[name], "unknown"}
        deciles = reference["numeric"][name]["quantiles"]
        phrase = MEANINGS[name].phrase
        assert isinstance(phrase, Phrase)
        if phrase.number is Number.CHANGE:
            return bool(value <= min(deciles[1], -0.01) or value >= max(deciles[9], 0.01))
        return abs(value - deciles[5]) >= LEAST_DISTANCE * (deciles[9] - deciles[1]) - 1e-9

    count = 0
    for row, (customer, shown, added) in enumerate(
        zip(*(each.iter_rows(named=True) for each in (features, delivered, contributions)), strict=True)
    ):
        texts = [text for text in reasons.row(row) if text is not None]
        possible = {
            say(name, shown[name], compared[name]): (theme, name)
            for theme, names in THEMES.items()
            for name in names
            if is_different(name, customer[name])
        }
        said = [possible[text] for text in texts]  # a text that is not true of the customer is not among them
        themes = [theme for theme, _ in said]
        assert len(set(themes)) == len(themes)
        for theme, name in said:
            assert material[theme][row] >= LEAST_FALL - 1e-9
            assert added[name] > 0
            assert sums[theme][row] > 0
            assert added[name] == max(added[other] for own, other in possible.values() if own is theme)
        assert all(sums[first][row] >= sums[second][row] - 1e-9 for first, second in pairwise(themes))
        possible_themes = {
            theme
            for theme, name in possible.values()
            if added[name] > 0 and material[theme][row] >= LEAST_FALL + 1e-9 and sums[theme][row] > 1e-9
        }
        assert len(themes) >= min(3, len(possible_themes))
        assert all("обычно" not in text and "большинств" not in text for text in texts)
        count += len(texts)
    return count


@pytest.mark.parametrize("seed", [1, 2])
def test_all_reasons_of_a_sample(tmp_path: Path, artifact: Artifact, seed: int) -> None:
    drop = tmp_path / "drop"
    write_drop(drop, customers=1000, seed=seed, labelled=False, clean=True)
    assert check_run(drop, tmp_path / "out", artifact) > 500


def test_all_reasons_of_the_real_export(real_export: Path, tmp_path: Path, artifact: Artifact) -> None:
    assert check_run(real_export, tmp_path / "out", artifact) > 800


def test_all_reasons_of_trees(labelled_drop: Path, artifact: Artifact, limits: Limits) -> None:
    labelled = read_labelled(labelled_drop, limits=limits, arrival=Arrival())
    model = BOOSTED.fit(labelled.features, labelled.labels, {**BOOSTED.first, "rounds": 60}, 1).model
    assert model is not None
    reasons = Explainer(model, usual_values(artifact.manifest)).explain(labelled.features)
    levels = Levels(artifact.levels, artifact.levels)
    assert check_reasons(labelled.features, reasons, levels, model, artifact) > 200
