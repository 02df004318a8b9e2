"""The log-odds with usual values, all themes at once, are the model's own of customers who have these values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pytest

from job.features import make_features, split_customers
from job.intake.drop import find_files
from job.intake.reconcile import accept_drop
from job.models.linear import Calibration, Factor, LinearModel, Term
from job.models.quadratic import BLOCK_ROWS
from job.models.reasons import Explainer, usual_values
from schemas.features import FEATURE_DTYPES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from job.models.artifact import Artifact
    from job.settings import Limits

PAGES, ERRORS = Factor("pages_per_visit", "value", 8.0), Factor("service_errors", "above", 0.5, knot=4.0)
TEXTILES = Factor("favourite_category", "equals", 0.2, word="home_textiles")
KITCHEN = Factor("favourite_category", "equals", 0.1, word="kitchenware")
PREMIUM = Factor("service_type", "equals", 0.3, word="premium")
TERMS = (
    Term((PAGES,), 0.0, -0.2),
    Term((TEXTILES,), 0.0, 0.5),
    Term((PAGES, ERRORS), 0.1, 0.05),
    Term((PAGES, PAGES), 0.1, 0.01),
    Term((PAGES, TEXTILES), 0.0, -0.1),
    Term((KITCHEN, ERRORS), 0.0, 0.3),
    Term((PREMIUM, KITCHEN), 0.0, 0.7),
    Term((TEXTILES, PREMIUM), 0.0, -0.4),
    Term((PREMIUM, PAGES), 0.0, 0.03),
)
USUAL = {
    "pages_per_visit": 8.0,
    "service_errors": 4.0,
    "favourite_category": "children_goods",
    "service_type": "standard",
}


def check(model: LinearModel, usual: Mapping[str, Mapping[str, float | str]], features: pl.DataFrame) -> None:
    explained = model.explain(features, usual)
    assert (explained.margins == model.margins(features).to_numpy()).all()
    assert (explained.contributions == model.contributions(features).to_numpy().T).all()
    for row, values in zip(explained.usual, usual.values(), strict=True):
        changed = features.with_columns(
            pl.lit(value, FEATURE_DTYPES[name]).alias(name) for name, value in values.items()
        )
        assert row == pytest.approx(model.margins(changed).to_numpy(), rel=0, abs=1e-12)


@pytest.mark.parametrize("terms", [TERMS, TERMS[:1], TERMS[1:2], TERMS[6:7]], ids=["all", "number", "word", "words"])
def test_each_kind_of_term(terms: tuple[Term, ...]) -> None:
    model = LinearModel(terms, 0.3, {"pages_per_visit": (2.0, 12.0)}, Calibration(0.9, 0.1, 0.4))
    features = pl.DataFrame(
        {
            "pages_per_visit": [1.0, 8.0, 20.0, 5.0, 9.0],
            "service_errors": [0.0, 9.0, 5.0, 4.0, 6.0],
            "favourite_category": ["home_textiles", "kitchenware", "unknown", "children_goods", "kitchenware"],
            "service_type": ["premium", "standard", "premium", "unknown", "premium"],
        },
        schema={name: FEATURE_DTYPES[name] for name in USUAL},
    )
    themes = {name: (name,) for name in USUAL} | {"two": ("pages_per_visit", "favourite_category")}
    check(model, {theme: {name: USUAL[name] for name in names} for theme, names in themes.items()}, features)


@pytest.fixture(scope="module")
def features(small_drop: Path, limits: Limits) -> pl.DataFrame:
    tables = accept_drop(find_files(small_drop), labelled=False, limits=limits).tables
    return make_features(split_customers(tables)[0])


def test_the_shipped_model(features: pl.DataFrame, artifact: Artifact) -> None:
    model = artifact.model
    assert isinstance(model, LinearModel)
    check(model, Explainer(model, usual_values(artifact.manifest)).usual_of_themes, features)


def test_a_customer_is_the_same_to_the_last_bit_whoever_is_beside_it(
    features: pl.DataFrame, artifact: Artifact
) -> None:
    usual = Explainer(artifact.model, usual_values(artifact.manifest)).usual_of_themes
    rows = features.sample(3 * BLOCK_ROWS // 2, with_replacement=True, seed=1)
    whole = artifact.model.explain(rows, usual)
    for first, last in ((0, 1), (1, 3), (7, 1000), (100, BLOCK_ROWS + 101), (BLOCK_ROWS - 1, rows.height)):
        part = artifact.model.explain(rows[first:last], usual)
        assert (part.contributions == whole.contributions[:, first:last]).all()
        assert (part.usual == whole.usual[:, first:last]).all()
        assert (part.margins == whole.margins[first:last]).all()


def test_nobody(artifact: Artifact) -> None:
    explained = artifact.model.explain(pl.DataFrame(schema=FEATURE_DTYPES), {})
    assert explained.contributions.shape == (len(artifact.model.explained), 0)
    assert artifact.model.margins(pl.DataFrame(schema=FEATURE_DTYPES)).is_empty()
