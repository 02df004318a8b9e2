from __future__ import annotations

from dataclasses import astuple, replace
from types import SimpleNamespace

import numpy as np
import pytest

from job.models.linear import Calibration
from job.training.candidates import BOOSTED, CHAMPION, PLAIN, Candidate
from job.training.card import Card
from job.training.selection import Measured, Protocol, SplitResult, corrected_interval


def measured(candidate: Candidate, aucs: list[float], probability: float = 0.5) -> Measured:
    return Measured(
        candidate,
        tuple(SplitResult(np.array([0, 1]), auc, np.array([0.5, probability]), 0.0, 0.0, None) for auc in aucs),
    )


def card(**known: object) -> SimpleNamespace:
    return SimpleNamespace(protocol=Protocol(), labels=np.array([0, 1], dtype=np.int8), **known)


def test_the_challenger_is_compared_with_plain_logistic_regression() -> None:
    rivals = [measured(CHAMPION, [0.9, 0.9]), measured(BOOSTED, [0.9, 0.93]), measured(PLAIN, [0.88, 0.92])]
    rivals[2] = replace(rivals[2], candidate=replace(PLAIN, most_rows=5000))  # as it competes
    found = Card.against_plain(card(measured=rivals))
    assert found is not None
    assert astuple(found) == pytest.approx(astuple(corrected_interval(np.array([0.02, 0.01]), test_share=0.25)))
    assert Card.against_plain(card(measured=rivals[:2])) is None


def test_on_log_loss_less_is_better() -> None:
    rivals = [measured(CHAMPION, [0.9] * 3, probability=0.5), measured(BOOSTED, [0.9] * 3, probability=0.8)]
    assert Card.on_log_loss(card(measured=rivals)).gain == pytest.approx(np.log(0.5 / 0.8) / 2)


@pytest.mark.parametrize(("bend", "first", "last"), [(0.1, "Beta", "sigmoid"), (0.0, "Platt's", "2017)")])
def test_the_calibration_is_named(bend: float, first: str, last: str) -> None:
    text = Card.describe_calibration(card(calibrated_by=Calibration(1.0, 0.0, bend)))
    assert text.startswith(f"{first} ")
    assert text.endswith(last)
