"""How well the riskiest customers are found: what the curves of a model card are drawn of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from sklearn.metrics import average_precision_score

from job.statistics import wilson_interval

if TYPE_CHECKING:
    from job.training.folds import Labels, Numbers

CUTS: Final = 100
TOP: Final = 0.1


def rank_customers(probability: Numbers, labels: Labels) -> dict[str, Any]:
    """Return how many of the first customers by risk declined: every point of the ROC and precision-recall curves.

    `probability`: of each row, by a model that did not see it.

    Returns:
        `cuts`: about a hundred pairs, from (0, 0) to all: customers with the highest probability, and how many of them
        declined; customers with equal probabilities are cut together. `average_precision`: of all cuts. `top_tenth`: of
        the riskiest tenth the customers, the declined, their share and its Wilson interval.
    """
    order = np.argsort(-probability, kind="stable")
    declined = np.concatenate([[0], np.cumsum(labels[order])])
    whole = np.flatnonzero(np.diff(probability[order], append=-1.0)) + 1  # where the next customer has less
    wanted = np.searchsorted(whole, np.linspace(0, 1, CUTS + 1)[1:] * len(labels))
    cuts = [0, *np.unique(whole[np.minimum(wanted, len(whole) - 1)]).tolist()]
    top = int(whole[np.searchsorted(whole, TOP * len(labels))])
    interval = wilson_interval(int(declined[top]), top)
    return {
        "cuts": [[cut, int(declined[cut])] for cut in cuts],
        "average_precision": float(average_precision_score(labels, probability)),
        "top_tenth": {
            "customers": top,
            "declined": int(declined[top]),
            "precision": float(declined[top] / top),
            "low": interval.low,
            "high": interval.high,
        },
    }
