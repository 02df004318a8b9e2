"""What `manifest.json` of a run says, typed: the writer builds it, and every reader reads it, by these records.

A new entry is one line here, and one where it is written. `FORMAT` is raised by one when a reader of the old format
would misread the new one, and when an entry that readers need is added.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any, Final, NotRequired, TypedDict, cast

from schemas.report_data import ReportData, Thresholds  # noqa: TC001 - asked for its hints, to check what a file says
from schemas.typed import check, parse_object

FORMAT: Final = 1


class Product(TypedDict):
    """Who made the run."""

    name: str
    version: str


class Interval(TypedDict):
    """A measured share with its interval."""

    mean: float
    low: float
    high: float


class Measured(Interval):
    """The same, and how it was measured."""

    how: str


class ModelUsed(TypedDict):
    """The model that scored; of a model that training did not make, some facts are not known.

    `version` is its number in the store of models, None where it came from none.
    """

    roc_auc: NotRequired[Measured]
    trained_on: NotRequired[dict[str, Any]]
    digest: str
    version: int | None
    kind: str
    title: str
    thresholds: Thresholds


class CampaignSettings(TypedDict):
    """How a campaign is drawn. `control_name` is the key of the control group."""

    name: str
    control_name: str
    control_share: float
    budget: float | None


class HistoryUsed(TypedDict):
    """What a run takes from the runs before it.

    `held_by` are the runs whose control groups, under other keys, are not contacted; `effects` is offer -> measured.
    """

    effects_from: str
    effects: dict[str, float]
    release_control: bool
    held_by: list[str]


class Settings(TypedDict):
    """All that changes what comes out, beside the drop and the model. `segments` is the SHA-256 of the file."""

    max_rejected: float
    max_unknown: float
    segments: str
    segment_change: float
    campaign: CampaignSettings
    history: HistoryUsed
    format: str
    drift: list[float]
    max_change: float
    month_level: str | None


Customers = TypedDict(
    "Customers", {"in": int, "scored": int, "excluded": int, "rejected": int, "excluded_by_reason": dict[str, int]}
)
"""Customers by fate: in = scored + excluded + rejected."""


class RowFates(TypedDict):
    """Rows of a table by fate: rows_in = as_delivered + repaired + rejected + dropped."""

    rows_in: int
    as_delivered: int
    repaired: int
    rejected: int
    dropped: int
    scored: int
    excluded: int


Repair = TypedDict("Repair", {"file": str, "column": str, "from": str, "to": str, "rows": int})
"""A spelling that was repaired, and in how many rows."""


class OfferRow(TypedDict):
    """An offer in a segment, and what became of it.

    `effect` is the share of the declines that it is taken to prevent, `assumed` the one of the segments file.
    `expected_value` is of the treated; `break_even` the effect at which they are worth what they cost, None of nobody.
    `customers` have drawn the offer and may be contacted.
    """

    offer: str
    offer_text: str
    channel: str
    cost_per_contact: float
    effect: float
    assumed: float
    discount: float
    share: float
    customers: int
    treatment: int
    control: int
    cost: float
    expected_value: float
    break_even: float | None


class SegmentRow(TypedDict):
    """A segment: its rule and offers, and what became of it in the run.

    Customers by fate: `treatment`, `control`, and of `none` those without consent, with an offer on the site only, not
    worth a contact, held back by other control groups, beyond the budget.
    """

    segment: str
    title: str
    condition: str
    priority: int
    offers: list[OfferRow]
    onsite_offer: str
    customers: int
    share: float
    previous_share: float | None
    mean_risk: float | None
    profit_at_risk: float
    contact_allowed: int
    treatment: int
    control: int
    none: int
    no_consent: int
    onsite_only: int
    not_worth: int
    held_elsewhere: int
    beyond_budget: int
    cost: float
    expected_value: float


class Shown(TypedDict):
    """The smallest effect that groups can show: `fall` of the decline rate, `effect` as a share of the declines.

    `rate` is the mean probability. None: not even an end of all declines would be seen. `control_share` is the smallest
    one at which a fifth fewer declines would be seen, None if none is.
    """

    name: str
    treated: int
    control: int
    rate: float
    fall: float | None
    effect: float | None
    control_share: float | None


class CampaignPower(TypedDict):
    """What a campaign can show with this power, at this level; `too_small` segments can never show a fifth."""

    power: float
    level: float
    overall: Shown
    segments: list[Shown]
    offers: list[Shown]
    too_small: list[str]


class CampaignOutcome(CampaignSettings):
    """What the run's campaign came to.

    `control` and the counts are customers; `profit_lost` is an assumption. `next_unit` is what the next unit of budget
    would bring: the expected value per cost of the first customer whom it does not reach, None if it reaches all.
    """

    profit_lost: float
    spent: float
    contacts: int
    control: int
    not_worth: int
    held_elsewhere: int
    beyond_budget: int
    expected_value: float
    next_unit: float | None
    power: CampaignPower


class MonthLevel(TypedDict):
    """A month's revenue of half of the customers, here and in training."""

    period: str
    level: float
    training: float
    ratio: float


class RevenueLevels(TypedDict):
    """At which levels of revenue the drop was scored. `source`: `drop`, `training` or `option`."""

    source: str
    months: list[MonthLevel]


class Change(TypedDict):
    """A figure beside that of the run before; `change` is a share of that, None where that is 0."""

    measure: str
    before: float
    now: float
    change: float | None
    is_beyond: bool


class Output(TypedDict):
    """A file of the run."""

    bytes: int
    sha256: str


class Distribution(TypedDict):
    """A feature or the score, here and in training: shares per bin, of a word (`words`) or of a number (`edges`).

    `psi` beyond `chance` is no chance. `higher` is the probability that a customer here has more than one of training.
    """

    words: NotRequired[list[str]]
    edges: NotRequired[list[float]]
    higher: NotRequired[float | None]
    feature: str
    psi: float
    chance: float
    severity: str
    shares: list[float]
    reference_shares: list[float]


class Part(TypedDict):
    """The customers without a value, or those not scored, here and in training."""

    feature: NotRequired[str]
    share: float
    reference_share: float
    psi: float
    chance: float
    severity: str


class Finding(TypedDict):
    """What a person should know: `distribution`, `score`, `missing`, `not_scored`, `word_gone` or `word_new`."""

    feature: NotRequired[str]
    word: NotRequired[str]
    psi: NotRequired[float]
    chance: NotRequired[float]
    higher: NotRequired[float | None]
    share: NotRequired[float]
    reference_share: NotRequired[float]
    kind: str
    severity: str


class Compared(TypedDict):
    """Customers here and in training."""

    here: int
    training: int


class Limits(TypedDict):
    """PSI from which a difference is a warning, and from which a person must look."""

    warn: float
    stop: float


class Estimated(TypedDict):
    """The ROC-AUC estimated without labels, here and in training, and as it was measured there."""

    estimate: float
    low: float
    high: float
    training_estimate: float
    training: Interval | None


class Drift(TypedDict):
    """How the customers differ from those of training; see `job.scoring.drift.judge_drift`."""

    severity: str
    findings: list[Finding]
    customers: Compared
    settings: Limits
    checks: int
    alarm_rate: float
    twins: float
    features: list[Distribution]
    score: Distribution
    missing: list[Part]
    not_scored: Part
    roc_auc: Estimated | None


class EarlierRun(TypedDict):
    """A run of another drop before this one, in a few figures. `segments` has the share of customers of each.

    `revenue_level` is that of the current month; `score_psi` the drift of the scores, None where it is not known.
    """

    run_id: str
    day: str
    mean_risk: float
    revenue_level: float
    score_psi: float | None
    segments: dict[str, float]


class Manifest(TypedDict):
    """A run. `inputs` says of each file how it is written; `report_data` is what the page draws; `drift` may be none.

    `identity` names the drop, model and settings alone; `run_id` also what the run takes from the runs before it.
    `look` has a line for each reason why a person must look at the run before it is used.
    """

    format: int
    run_id: str
    identity: str
    product: Product
    started: str
    finished: str
    drop: str
    inputs: list[dict[str, Any]]
    model: ModelUsed
    settings: Settings
    customers: Customers
    rows: dict[str, RowFates]
    repairs: list[Repair]
    warnings: list[str]
    segments_file: str
    segments: list[SegmentRow]
    campaign: CampaignOutcome
    report_data: ReportData
    drift: Drift | None
    levels: RevenueLevels
    changes: list[Change]
    earlier: list[EarlierRun]
    look: list[str]
    seconds: dict[str, float]
    outputs: dict[str, Output]


def parse_manifest(text: bytes) -> Manifest:
    """Return the manifest that `manifest_text` wrote.

    Raises:
        ValueError: it is another format, or was altered; the message says what was found.
    """
    plain = parse_object(text)
    if plain.get("format") != FORMAT:
        raise ValueError(f"format {plain.get('format')!s:.20}, not {FORMAT}, the one of this version")
    check(plain, Manifest)
    return cast("Manifest", plain)


def mean_risk(manifest: Manifest) -> float | None:
    """Return the mean decline probability of a run's scored customers, None of nobody."""
    scored = manifest["customers"]["scored"]
    risk = math.fsum((row["mean_risk"] or 0.0) * row["customers"] for row in manifest["segments"])
    return risk / scored if scored else None


def input_digests(inputs: Iterable[Mapping[str, object]]) -> frozenset[str]:
    """Return the SHA-256 of each file of a drop, by which it is known again. Args: inputs: of a manifest."""
    return frozenset(str(file["sha256"]) for file in inputs)


def manifest_text(manifest: Manifest) -> str:
    """Return the manifest as it stands in `manifest.json`."""
    return json.dumps(manifest, ensure_ascii=False, indent=1, allow_nan=False) + "\n"
