"""What machines read of the commands: `docs/schemas/` says it as JSON Schema; here is what our own pages read, too.

`RESULT_FORMAT` is raised by one when a reader of the old format would misread the new one.
"""

from __future__ import annotations

from typing import Any, Final, TypedDict

from schemas.manifest import Interval  # noqa: TC001 - asked for its hints, to compare them with the JSON Schema

RESULT_FORMAT: Final = 1


class HistoryOffer(TypedDict):
    """What an offer is worth: `effect` is the share of the declines that it prevents, with its 95 % interval.

    It is pooled over `campaigns`, and shrunken towards what the segments file assumes; `treated` and `control` are
    customers. Without a campaign it is what is assumed.
    """

    offer: str
    text: str
    effect: float
    low: float
    high: float
    assumed: float
    weight_of_assumption: float
    campaigns: int
    treated: int
    control: int


class HistoryCampaign(TypedDict):
    """A measured campaign: by how much the decline rate fell; what was expected beyond the cost, and what came.

    What only the run knew is None where the run is gone; an interval is None where there was nothing to compare.
    """

    run_id: str
    finished: str | None
    name: str | None
    treated: int
    control: int
    fall: Interval | None
    p_value: float | None
    expected_value: float | None
    net: Interval | None


class HistoryRun(TypedDict):
    """A run. `high_risk` are customers; `levels` is each month's revenue level against training.

    `roc_auc_found` is of the customers who were not treated, where an outcome came.
    """

    run_id: str
    finished: str
    model: str
    customers: int
    scored: int
    mean_risk: float | None
    high_risk: int
    levels: dict[str, float]
    drift: str | None
    roc_auc_foretold: float | None
    roc_auc_found: float | None
    campaign: str
    control_name: str
    contacts: int
    cost: float
    control: int
    held_elsewhere: int
    expected_value: float
    effects: str


class HistoryFile(TypedDict):
    """`history.json`, and `history --json`: offers by effect, campaigns and runs from the newest on."""

    format: int
    offers: list[HistoryOffer]
    campaigns: list[HistoryCampaign]
    expected: dict[str, Any]
    runs: list[HistoryRun]
    warnings: list[str]
