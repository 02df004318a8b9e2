"""DeLong's interval for one ROC-AUC.

No maintained library was found that gives it without drawing in much more: the formula is short and tested against
published values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class AucInterval:
    """A ROC-AUC with the interval that covers the true one in 95 % of samples."""

    auc: float
    low: float
    high: float


def delong_interval(scores: NDArray[np.float64], labels: NDArray[np.int8], *, confidence: float = 0.95) -> AucInterval:
    """Return the ROC-AUC of scores and DeLong's interval, cut at 0 and 1.

    Sources: DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988); the midrank form of Sun and Xu, IEEE Signal
    Processing Letters 21 (2014).

    Args:
        scores: higher for a customer more likely to decline.
        labels: 1 for a customer who declined; at least two of each kind.
        confidence: of the interval.

    Raises:
        ValueError: there are fewer than two of a kind.
    """
    positive, negative = scores[labels == 1], scores[labels == 0]
    if min(len(positive), len(negative)) < 2:  # noqa: PLR2004 - a variance needs two
        raise ValueError("a ROC-AUC with an interval needs at least two customers of each kind")
    ranks = stats.rankdata(np.concatenate([positive, negative]))
    above = (ranks[: len(positive)] - stats.rankdata(positive)) / len(negative)
    below = 1 - (ranks[len(positive) :] - stats.rankdata(negative)) / len(positive)
    auc = float(above.mean())
    error = float(np.sqrt(above.var(ddof=1) / len(positive) + below.var(ddof=1) / len(negative)))
    reach = float(stats.norm.ppf((1 + confidence) / 2)) * error
    return AucInterval(auc, max(0.0, auc - reach), min(1.0, auc + reach))
