"""The feature frame: names, dtypes, order and units. The one source for training, scoring and the artifact.

Never among them: `id` and row order (the export is sorted by label) and `monthly_profit` (it belongs to segments).
"""

from __future__ import annotations

from typing import Final, NamedTuple

import polars as pl

from schemas.vocabulary import CATEGORY, SERVICE_TYPE, UNKNOWN


class NumericFeature(NamedTuple):
    """One numeric column of the feature frame (Float64).

    Args:
        name: the column.
        unit: what it is counted in.
        meaning: one phrase for the model card.
    """

    name: str
    unit: str
    meaning: str


class CategoricalFeature(NamedTuple):
    """One word column of the feature frame (Enum of the words and `UNKNOWN`).

    Args:
        name: the column.
        values: the words a model knows, in order.
        meaning: one phrase for the model card.
    """

    name: str
    values: tuple[str, ...]
    meaning: str

    @property
    def words(self) -> tuple[str, ...]:
        """The words that a customer may have: those a model knows, then `UNKNOWN`."""
        return (*self.values, UNKNOWN)

    @property
    def dtype(self) -> pl.Enum:
        """The dtype of the column."""
        return pl.Enum(self.words)


NUMERIC_FEATURES: Final = (
    NumericFeature("contacts_6_months", "contacts a month", "marketing contacts, mean of six months"),
    NumericFeature("contacts_current_month", "contacts", "marketing contacts this month"),
    NumericFeature("registered_days", "days", "days since registration"),
    NumericFeature("promo_share", "share, 0..1", "share of purchases made in promotions"),
    NumericFeature("categories_per_visit", "categories", "categories viewed in a visit, mean"),
    NumericFeature("unpaid_items_quarter", "items", "items left unpaid in the basket, last quarter"),
    NumericFeature("service_errors", "errors", "site errors that the customer met"),
    NumericFeature("pages_per_visit", "pages", "pages viewed in a visit, mean"),
    NumericFeature("revenue_current_month", "shop's currency", "revenue this month"),
    NumericFeature("revenue_previous_month", "shop's currency", "revenue one month ago"),
    NumericFeature("revenue_month_before_previous", "shop's currency", "revenue two months ago"),
    NumericFeature("revenue_change", "share", "revenue this month against one month ago"),
    NumericFeature("revenue_change_2_months", "share", "revenue this month against two months ago"),
    NumericFeature("minutes_current_month", "minutes", "minutes on the site this month"),
    NumericFeature("minutes_previous_month", "minutes", "minutes on the site one month ago"),
)
CATEGORICAL_FEATURES: Final = (
    CategoricalFeature("service_type", tuple(SERVICE_TYPE.names), "level of service"),
    CategoricalFeature("favourite_category", tuple(CATEGORY.names), "category bought most"),
)
WORD_FEATURES: Final = {feature.name: feature for feature in CATEGORICAL_FEATURES}
FEATURE_NAMES: Final = tuple(feature.name for feature in (*NUMERIC_FEATURES, *CATEGORICAL_FEATURES))
FEATURE_DTYPES: Final = pl.Schema(
    {
        **{feature.name: pl.Float64() for feature in NUMERIC_FEATURES},
        **{feature.name: feature.dtype for feature in CATEGORICAL_FEATURES},
    }
)

_SOUND: Final = pl.all_horizontal(
    *(pl.col(feature.name).is_finite().all() for feature in NUMERIC_FEATURES),
    pl.all().is_not_null().all(),
)


def check_features(features: pl.DataFrame) -> None:
    """Raise pandera.errors.SchemaErrors if a feature is missing or not finite: a defect of the job.

    Pandera is loaded, and asked what is wrong, only once one expression has seen that something is.
    """
    if features.schema != FEATURE_DTYPES or not features.select(_SOUND).item():
        from schemas.checks import FEATURE_SCHEMA  # noqa: PLC0415 - Pandera is slow to load

        FEATURE_SCHEMA.validate(features, lazy=True)
