"""A guard against columns that give the label away: a model trained on one looks perfect and is useless next month.

`id` and the order of the rows do that in the shop's export, which is sorted by label: they are reported, and it is
checked that they are no features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import polars as pl
from sklearn.metrics import roc_auc_score

from job.errors import DropError, Problem
from schemas.columns import MARKET_FILE
from schemas.features import FEATURE_NAMES

if TYPE_CHECKING:
    from job.training.folds import Labels

LEAK_AUC: Final = 0.95  # the best single column of the real export has 0.80
_KEPT_OUT: Final = {"id": "id", "row": "the order of the rows"}


@dataclass(frozen=True)
class LeakFinding:
    """How well one column predicts the label by itself."""

    column: str
    auc: float


def guard_against_leaks(
    customers: pl.DataFrame, features: pl.DataFrame, labels: Labels
) -> tuple[list[LeakFinding], list[str]]:
    """Check each column by itself against the label. Raises DropError for a feature, or the profit, beyond `LEAK_AUC`.

    Returns the finding of every column, the strongest first, and a warning for each of `id` and `row` beyond it.
    """
    columns = {name: customers[name] for name in (*_KEPT_OUT, "monthly_profit")}
    columns |= {name: features[name] for name in features.columns}
    findings = sorted(
        (LeakFinding(name, single_auc(column, labels)) for name, column in columns.items()),
        key=lambda finding: -finding.auc,
    )
    beyond = [finding for finding in findings if finding.auc > LEAK_AUC]
    leaks = [finding for finding in beyond if finding.column not in _KEPT_OUT]
    if leaks:
        raise DropError(
            Problem(
                MARKET_FILE.name,
                f"at most {LEAK_AUC:g}: it gives the label away",
                f"a ROC-AUC of {leak.auc:.3f} by itself",
                column=leak.column,
            )
            for leak in leaks
        )
    if set(_KEPT_OUT) & set(FEATURE_NAMES):
        raise AssertionError("id or row order is a feature")
    return findings, [
        f"{_KEPT_OUT[finding.column]} predicts the label with ROC-AUC {finding.auc:.3f} (the drop is sorted by it); "
        f"it is none of the {len(FEATURE_NAMES)} features"
        for finding in beyond
    ]


def single_auc(column: pl.Series, labels: Labels) -> float:
    """Return how well a column predicts the label by itself, whichever way it points (0.5 to 1).

    Words are ranked by the share of their customers that declined; there are so few that this hardly flatters them.
    """
    if not column.dtype.is_numeric():
        frame = pl.DataFrame({"word": column, "label": labels})
        column = frame.select(pl.col("label").cast(pl.Float64).mean().over("word")).to_series()
    auc = float(roc_auc_score(labels, column.to_numpy()))
    return max(auc, 1 - auc)
