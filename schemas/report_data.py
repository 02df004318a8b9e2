"""What the page of a run is drawn from, `report_data` of its manifest: counts, means and shares, never a customer."""

from __future__ import annotations

from typing import Any, TypedDict


class Sample(TypedDict):
    """The customers who are compared column with column, where that are not all."""

    customers: int
    seed: int


class Thresholds(TypedDict):
    """What counts as high, learned in training."""

    risk: float
    profit: float
    promo_share: float


class Risk(TypedDict):
    """Risk over all customers; `histogram` counts them in bins of equal width from 0 to 1."""

    mean: float
    median: float | None
    high: int
    high_profit_at_risk: float
    profit_at_risk: float
    monthly_profit: float
    in_training: int
    histogram: list[int]


class Decile(TypedDict):
    """A tenth of the customers by risk, 1 the riskiest."""

    risk_decile: int
    customers: int
    mean_risk: float
    profit_at_risk: float


class RiskAndProfit(TypedDict):
    """`customers` by bin of risk, then by bin of monthly profit, between `profit_edges`."""

    profit_edges: list[float]
    customers: list[list[int]]


class ContactCounts(TypedDict):
    """Who may be contacted, who is, who is held back; and of the contacted the profit at risk and expected declines."""

    allowed: int
    treatment: int
    control: int
    treatment_profit_at_risk: float
    treatment_declines: float


class SegmentCounts(ContactCounts):
    """The same of a segment."""

    segment: str
    customers: int
    mean_risk: float
    mean_profit: float
    profit_at_risk: float


class FeatureSpread(TypedDict):
    """Of a feature, by bin of contributions: the share of customers, and the mean rank (0 to 1) of their values."""

    shares: list[float]
    ranks: list[float | None]


class Spread(TypedDict):
    """How contributions are spread over customers, in the same bins for all features."""

    edges: list[float]
    features: dict[str, FeatureSpread]


class Drivers(TypedDict):
    """What features contribute to the log-odds: mean size, direction (`more` or `less`), mean of each segment."""

    overall: dict[str, float]
    direction: dict[str, str | None]
    segments: dict[str, dict[str, float]]
    spread: Spread


class Capped(TypedDict):
    """A feature with values above what the model believes."""

    feature: str
    cap: float
    customers: int
    largest: float


class Correlations(TypedDict):
    """phi_k of each two of `names`."""

    names: list[str]
    phi_k: list[list[float]]


class Inflation(TypedDict):
    """The variance inflation factor of a number, None where it follows from the others."""

    feature: str
    factor: float | None


class NumberShares(TypedDict):
    """A number in two groups: shares in bins between `edges`, and medians."""

    feature: str
    edges: list[float]
    shares: list[list[float]]
    medians: list[float | None]


class WordShares(TypedDict):
    """A word: its share in two groups, and of who has it the rate of declines and the share of the first group."""

    feature: str
    word: str
    shares: list[float]
    rate: float | None
    first_share: float | None


class Distributions(TypedDict):
    """Features in two groups, by `label` or by high and low `risk`."""

    by: str
    base_rate: float | None
    customers: list[int]
    numbers: list[NumberShares]
    words: list[WordShares]


class Labels(TypedDict):
    """How the scores rank the customers whose label is known."""

    customers: int
    declined: int
    mean_risk: float
    roc_auc: float


class ReportData(TypedDict):
    """All of it.

    `matches` has for each segment the segments that take the customers for whom its condition holds, and how many.
    `card` is what the page repeats of the model card, None if the artifact has none.
    """

    customers: int
    sample: Sample | None
    thresholds: Thresholds
    risk: Risk
    deciles: list[Decile]
    risk_and_profit: RiskAndProfit
    segments: list[SegmentCounts]
    matches: dict[str, dict[str, int]]
    contacts: ContactCounts
    drivers: Drivers
    capped: list[Capped]
    correlations: Correlations
    inflation: list[Inflation]
    distributions: Distributions
    labels: Labels | None
    card: dict[str, Any] | None
