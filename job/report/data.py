"""What the page tells of a run, as plain JSON values: aggregates only, never a customer.

Counts and sums are over all customers. What compares columns with columns (drivers, correlations, distributions) is
over a sample by a hash of the id when there are more than `SAMPLE` customers, and says so.
"""

from __future__ import annotations

import json
import math
from itertools import combinations
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
import polars as pl

from job.hashing import hashed_bits
from job.models.reasons import REASONS
from job.report.association import phi_k, variance_inflation
from job.rounding import DIGITS, rounded
from job.spill import compacted
from schemas.features import CATEGORICAL_FEATURES, FEATURE_NAMES, NUMERIC_FEATURES
from schemas.scored import CONTROL, FITS, TREATMENT
from schemas.vocabulary import DECLINED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from job.models.artifact import Artifact, Thresholds
    from schemas.features import CategoricalFeature
    from schemas.report_data import ReportData

SAMPLE: Final = 25_000
SEED: Final = 20260701
HASH_BINS: Final = 4096  # of the hash by which customers are sampled
HASH_BIN_BITS: Final = 52
RISK_BINS: Final = 20
VALUE_BINS: Final = 10
CODES: Final = max(VALUE_BINS, *(len(feature.values) + 1 for feature in CATEGORICAL_FEATURES))  # of a column
MONOTONE: Final = 0.5  # Spearman's correlation from which «more means more risk» is said
FACTOR_DIGITS: Final = 6
SPREAD_BINS: Final = 60  # of contributions
SPREAD_TAIL: Final = 0.005  # of the contributions on each side, in the outer bins
PROFIT_BINS: Final = 20
RISK: Final = "decline_probability"

_OF_CARD: Final = ("customers", "declined", "protocol", "candidates", "calibration", "groups")

SUMS: Final = (
    pl.len().cast(pl.Int64).alias("customers"),
    pl.col("contact_allowed").sum().cast(pl.Int64),
    pl.col(RISK).sum().alias("risk"),
    (pl.col(RISK) * (1 - pl.col(RISK))).sum().alias("variance"),
    pl.col("monthly_profit").sum().alias("profit"),
    pl.col("profit_at_risk", "expected_value").sum(),
)
"""What is summed of customers: `variance` is that of a decline, p x (1 - p)."""
_GROUPS: Final = ["segment", "offer", "fate", "risk_decile", "risk_bin"]


def count_groups(planned: pl.DataFrame, thresholds: Thresholds) -> pl.DataFrame:
    """Return one row per segment, offer, fate, decile and bin of the risk that has customers, in no order, with sums.

    `SUMS`, `high`, `high_profit_at_risk` (of high risk), `in_training`, and `FITS` and each segment's code: for how
    many its condition holds.
    """
    is_high = pl.col(RISK) >= thresholds.risk
    risk_bin = (pl.col(RISK) * RISK_BINS).cast(pl.UInt8).clip(0, RISK_BINS - 1)
    return (
        planned.with_columns(risk_bin.alias("risk_bin"))
        .group_by(_GROUPS)
        .agg(
            *SUMS,
            is_high.sum().cast(pl.Int64).alias("high"),
            pl.col("profit_at_risk").filter(is_high).sum().alias("high_profit_at_risk"),
            pl.col("in_training", f"^{FITS}.*$").sum().cast(pl.Int64),
        )
    )


def add_groups(parts: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """Return the sum of what `count_groups` gave for parts of a run."""
    return pl.concat(parts).group_by(_GROUPS).agg(pl.all().sum())


def take_sample(
    features: pl.DataFrame, customers: pl.DataFrame, scored: pl.DataFrame, *, hash_bin: int
) -> pl.DataFrame:
    """Return those who are compared, up to a bin of the hash, of features, joined (`activity` where known) and scored.

    Rows are alike.
    """
    table = pl.concat([features, scored.drop(REASONS), customers.select(pl.col("^activity$"))], how="horizontal")
    return compacted(table.filter(sample_bins(table["id"]) <= hash_bin))


def describe_report(
    counted: pl.DataFrame, sample: pl.DataFrame, artifact: Artifact, *, most: int = SAMPLE
) -> ReportData:
    """Return plain values that JSON can hold (no NaN, no infinity); the same customers give the same values.

    `counted` is of `count_groups`, of all customers. At most so many of the sample (of `take_sample`) are compared
    column with column: those whose ids have the lowest hashes.
    """
    part = sample.sort("id")
    if part.height > most:
        part = part[np.sort(np.argsort(hashed_bits(part["id"], SEED), kind="stable")[:most])]
    groups = counted.with_columns(pl.col("segment").cast(pl.String)).sort(_GROUPS)
    totals = groups.select(pl.exclude(_GROUPS).sum()).row(0, named=True)
    customers = totals["customers"]
    thresholds = artifact.thresholds
    sums = [pl.col("customers").sum(), (pl.col("risk").sum() / pl.col("customers").sum()).alias("mean_risk")]
    treated, control = (pl.col("fate") == group for group in (TREATMENT, CONTROL))
    contacts = [
        pl.col("contact_allowed").sum().alias("allowed"),
        pl.col("customers").filter(treated).sum().alias("treatment"),
        pl.col("customers").filter(control).sum().alias("control"),
        pl.col("profit_at_risk").filter(treated).sum().alias("treatment_profit_at_risk"),
        pl.col("risk").filter(treated).sum().alias("treatment_declines"),
    ]
    by_segment = groups.group_by("segment").agg(
        *sums,
        (pl.col("profit").sum() / pl.col("customers").sum()).alias("mean_profit"),
        pl.col("profit_at_risk").sum(),
        *contacts,
    )
    in_bins = dict(groups.group_by("risk_bin").agg(pl.col("customers").sum()).iter_rows())
    by_decile = groups.group_by("risk_decile").agg(*sums, pl.col("profit_at_risk").sum())
    data = {
        "customers": customers,
        "sample": {"customers": part.height, "seed": SEED} if part.height < customers else None,
        "thresholds": thresholds._asdict(),
        "risk": {
            "mean": totals["risk"] / customers,
            "median": part[RISK].median(),
            **{name: totals[name] for name in ("high", "high_profit_at_risk", "profit_at_risk")},
            "monthly_profit": totals["profit"],
            "in_training": totals["in_training"],
            "histogram": [in_bins.get(place, 0) for place in range(RISK_BINS)],
        },
        "deciles": by_decile.sort("risk_decile").to_dicts(),
        "risk_and_profit": _risk_and_profit(part),
        # Sums that differ in their last bits only are equal.
        "segments": by_segment.sort(
            pl.col("profit_at_risk").round_sig_figs(DIGITS), "segment", descending=[True, False]
        ).to_dicts(),
        "matches": _matches(groups),
        "contacts": groups.select(contacts).row(0, named=True),
        "drivers": _drivers(part, artifact),
        "capped": _capped(part, artifact),
        "correlations": correlate(part),
        "inflation": inflate(part),
        "distributions": _distributions(part, thresholds),
        "labels": _labels(part),
        "card": _card(artifact),
    }
    return cast("ReportData", rounded(data))


def _matches(groups: pl.DataFrame) -> dict[str, dict[str, int]]:
    """Return segment -> those that take whom its condition fits -> how many they are, where there is anybody."""
    fits = groups.group_by("segment").agg(pl.col(f"^{FITS}.*$").sum()).sort("segment")
    counted = {name: dict(zip(fits["segment"], fits[name], strict=True)) for name in sorted(fits.columns[1:])}
    shown = {name: {segment: rows for segment, rows in takers.items() if rows} for name, takers in counted.items()}
    return {name.removeprefix(FITS): takers for name, takers in shown.items() if takers}


def sample_bins(ids: pl.Series) -> pl.Series:
    """Return the bin of each id's hash (Int64), from 0, below `HASH_BINS`."""
    return pl.Series("bin", hashed_bits(ids, SEED) >> HASH_BIN_BITS, pl.Int64)


def last_sampled_bin(counts: pl.DataFrame) -> int:
    """Return the last bin (of all customers' `bin` and `rows`) that is sampled, to be `SAMPLE` or a few more."""
    total = counts.group_by("bin").agg(pl.col("rows").sum()).sort("bin")
    enough = total.filter(pl.col("rows").cum_sum() >= SAMPLE)
    return int(enough["bin"][0]) if enough.height else HASH_BINS


def _drivers(part: pl.DataFrame, artifact: Artifact) -> dict[str, Any]:
    """Return what the features contribute to the log-odds.

    `overall` has mean absolute contributions, `direction` that of each feature, `segments` mean contributions of each
    segment with their sign, `spread` how contributions are spread over customers; see `_spread`.
    """
    contributions = artifact.model.contributions(part.select(FEATURE_NAMES))
    names = contributions.columns
    overall = contributions.select(pl.all().abs().mean()).row(0, named=True)
    by_segment = contributions.group_by(part["segment"]).agg(pl.col(names).mean()).sort("segment")
    numbers = [feature.name for feature in NUMERIC_FEATURES if feature.name in names]
    ranks = part.select(pl.col(numbers).rank())
    moves = rank_correlations(ranks, contributions.select(numbers))
    return {
        "overall": dict(sorted(overall.items(), key=lambda item: (-item[1], item[0]))),
        "direction": {name: direction_of(moves.get(name, 0.0)) for name in names},
        "segments": {row.pop("segment"): row for row in by_segment.iter_rows(named=True)},
        "spread": _spread(contributions, (ranks - 0.5) / part.height),
    }


def _spread(contributions: pl.DataFrame, ranks: pl.DataFrame) -> dict[str, Any]:
    """Return the shares of customers in bins of contributions, the same `edges` for all features, and `ranks`.

    `ranks` has the mean rank (0 to 1) of the values of a number in each bin; None of words, and where nobody is.
    """
    tails = contributions.select(
        pl.all().quantile(SPREAD_TAIL).name.suffix(" low"), pl.all().quantile(1 - SPREAD_TAIL).name.suffix(" high")
    ).row(0)
    low, high = min(tails), max(tails)
    width = (high - low) / SPREAD_BINS or 1.0
    features = {}
    for places in contributions.select(_place(pl.all(), low, width, SPREAD_BINS)):
        counts = _count_places(places, SPREAD_BINS)
        means: list[float | None] = [None] * SPREAD_BINS
        if places.name in ranks.columns:
            sums = np.bincount(places.to_numpy(), ranks[places.name].to_numpy(), SPREAD_BINS)
            means = [total / count if count else None for total, count in zip(sums.tolist(), counts, strict=True)]
        features[places.name] = {"shares": [count / contributions.height for count in counts], "ranks": means}
    return {"edges": [low + width * bin_number for bin_number in range(SPREAD_BINS + 1)], "features": features}


def _risk_and_profit(part: pl.DataFrame) -> dict[str, Any]:
    """Return how many customers have which risk (of `RISK_BINS`) and which monthly profit.

    Profits beyond the 1st and the 99th percentile count in the outer bins.
    """
    low, high = (part["monthly_profit"].quantile(tail, "linear") or 0.0 for tail in (0.01, 0.99))
    width = (high - low) / PROFIT_BINS or 1.0
    across = (pl.col(RISK) * RISK_BINS).floor().clip(0, RISK_BINS - 1).cast(pl.Int64).alias("across")
    up = _place(pl.col("monthly_profit"), low, width, PROFIT_BINS).alias("up")
    counted = {(row[0], row[1]): row[2] for row in part.group_by(across, up).agg(pl.len()).iter_rows()}
    return {
        "profit_edges": [low + width * edge for edge in range(PROFIT_BINS + 1)],
        "customers": [[counted.get((across, up), 0) for up in range(PROFIT_BINS)] for across in range(RISK_BINS)],
    }


def _place(values: pl.Expr, low: float, width: float, bins: int) -> pl.Expr:
    """Return in which bin of equal width from `low` each value is (Int64); the outer ones take what is beyond."""
    return ((values - low) / width).floor().clip(0, bins - 1).cast(pl.Int64)


def _count_places(places: pl.Series, bins: int) -> list[int]:
    """Return how many customers are in each of so many bins."""
    counted: list[int] = np.bincount(places.to_numpy(), minlength=bins).tolist()
    return counted


def _capped(part: pl.DataFrame, artifact: Artifact) -> list[dict[str, Any]]:
    """Return the features with values above what the model believes: the cap, how many customers, the largest value."""
    caps: Mapping[str, tuple[float, float]] = getattr(artifact.model, "caps", {})
    above = part.select((pl.col(name) > high).sum() for name, (_, high) in sorted(caps.items()))
    return [
        {"feature": one.name, "cap": caps[one.name][1], "customers": one.item(), "largest": part[one.name].max()}
        for one in above
        if one.item()
    ]


def rank_correlations(ranks: pl.DataFrame, values: pl.DataFrame) -> dict[str, float]:
    """Return Spearman's correlation of each column of ranks with that of values, 0 where one is constant."""
    both = pl.concat([ranks, values.select(pl.all().rank().name.prefix("other "))], how="horizontal")
    pairs = both.select(pl.corr(name, f"other {name}").fill_nan(0.0).alias(name) for name in ranks.columns)
    return {pair.name: pair.item() for pair in pairs}


def direction_of(correlation: float) -> str | None:
    """Return whether `more` or `less` of a feature means more risk, None where that depends on the value."""
    if abs(correlation) < MONOTONE:
        return None
    return "more" if correlation > 0 else "less"


def correlate(part: pl.DataFrame) -> dict[str, Any]:
    """Return phi_k between all features and the risk.

    Numbers are cut into `VALUE_BINS` equally filled bins first (equal values stay together), so that one extreme value
    does not decide.
    """
    names = [*FEATURE_NAMES, RISK]
    codes = [_codes(column.to_numpy()) for column in part.select(pl.col(names).to_physical())]
    tables = (np.bincount(left * CODES + right, minlength=CODES**2) for left, right in combinations(codes, 2))
    associations = (round(phi_k(table.reshape(CODES, CODES)), 4) for table in tables)
    return {"names": names, "phi_k": _symmetric(len(names), associations)}


def _codes(values: NDArray[Any]) -> NDArray[np.intp]:
    """Return which one each value is of a few; of more, in which of `VALUE_BINS` equally filled bins it is."""
    rising = np.sort(values)
    edges = rising[np.append(True, rising[1:] > rising[:-1])]
    if len(edges) > VALUE_BINS:
        places = np.arange(1, VALUE_BINS) / VALUE_BINS * (len(rising) - 1)
        edges = np.unique(np.interp(places, np.arange(len(rising)), rising))
    return np.searchsorted(edges, values)


def _symmetric(size: int, pairs: Iterable[float]) -> list[list[float]]:
    """Return the matrix of what each two have in common, 1 with themselves."""
    matrix = [[1.0] * size for _ in range(size)]
    for (row, column), value in zip(combinations(range(size), 2), pairs, strict=True):
        matrix[row][column] = matrix[column][row] = value
    return matrix


def inflate(part: pl.DataFrame) -> list[dict[str, Any]]:
    """Return the variance inflation factor of each number, the largest first; None where it follows from the others.

    Values beyond the 1st and the 99th percentile count as these: one revenue of 100,000 would else tie all ratios of
    revenues together.
    """
    part = part.select(
        pl.col(feature.name).clip(pl.col(feature.name).quantile(0.01), pl.col(feature.name).quantile(0.99))
        for feature in NUMERIC_FEATURES
    )
    names = [varies.name for varies in part.select(pl.all().max() > pl.all().min()) if varies.item()]
    pairs = [pl.corr(one, other).alias(f"{one} {other}") for one, other in combinations(names, 2)]
    correlations = _symmetric(len(names), part.select(pairs).row(0) if pairs else ())
    # A library's last digits differ between machines.
    factors = zip(names, rounded(variance_inflation(correlations), FACTOR_DIGITS), strict=True)
    ordered = sorted(factors, key=lambda pair: (-(pair[1] or math.inf), pair[0]))
    return [{"feature": name, "factor": factor} for name, factor in ordered]


def _distributions(part: pl.DataFrame, thresholds: Thresholds) -> dict[str, Any]:
    """Return each feature's distribution in two groups: by label if most labels are known, else by high and low risk.

    Numbers: shares in bins of equal width between the 1st and the 99th percentile (what is beyond counts in the last
    bin), and medians. Words: share of each in both groups, and `rate` of the customers who have it: the observed share
    of declines by label, else the mean probability; `base_rate` is that of all.
    """
    by_label = "activity" in part.columns and part["activity"].null_count() * 2 < part.height
    is_first = pl.col("activity") == DECLINED if by_label else pl.col(RISK) >= thresholds.risk
    known = part.filter(pl.col("activity").is_not_null()) if by_label else part
    known = known.with_columns(
        is_first.alias("first"), (is_first.cast(pl.Float64) if by_label else pl.col(RISK)).alias("rate")
    )
    groups = [known.filter("first"), known.filter(~pl.col("first"))]
    words = [
        {"feature": feature.name, "word": word, **shares}
        for feature in CATEGORICAL_FEATURES
        for word, shares in _word_shares(known, feature, groups)
    ]
    return {
        "by": "label" if by_label else "risk",
        "base_rate": known["rate"].mean(),
        "customers": [group.height for group in groups],
        "numbers": _number_shares(groups, known),
        "words": words,
    }


def _word_shares(
    known: pl.DataFrame, feature: CategoricalFeature, groups: Sequence[pl.DataFrame]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each word of a feature with the share of each group that has it, its `rate`, and `first_share`."""
    first, rate = pl.col("first"), pl.col("rate")
    counts = known.group_by(feature.name).agg(
        first.sum(), (~first).sum().alias("second"), rate.mean(), first.mean().alias("share")
    )
    counted = {row[0]: row[1:] for row in counts.iter_rows()}
    for word in feature.values:
        *customers, mean, share = counted.get(word, (0, 0, None, None))
        shares = [count / max(1, group.height) for count, group in zip(customers, groups, strict=True)]
        yield word, {"shares": shares, "rate": mean, "first_share": share}


def _number_shares(groups: Sequence[pl.DataFrame], known: pl.DataFrame) -> list[dict[str, Any]]:
    """Return the bins of each number, the share of each group in them, and the medians."""
    names = [feature.name for feature in NUMERIC_FEATURES]
    value = pl.col(names)
    is_whole = (value == value.round()).all()
    lowest, highest = value.quantile(0.01, "linear"), value.quantile(0.99, "linear")
    measured = (known.select(scale).row(0) for scale in (lowest, highest, value.n_unique(), is_whole))
    scales = {name: _scale(*scale) for name, *scale in zip(names, *measured, strict=True)}
    places = [_place(pl.col(name), low, width, bins) for name, (low, width, bins) in scales.items()]
    placed = [group.select(places) for group in groups]
    medians = [group.select(value.median()).row(0, named=True) for group in groups]
    numbers = []
    for name, (low, width, bins) in scales.items():
        shares = [
            [count / max(1, of_group.height) for count in _count_places(of_group[name], bins)] for of_group in placed
        ]
        edges = [low + width * edge for edge in range(bins + 1)]
        numbers.append({"feature": name, "edges": edges, "shares": shares, "medians": [each[name] for each in medians]})
    return numbers


def _scale(lowest: float | None, highest: float | None, distinct: int, whole: bool) -> tuple[float, float, int]:  # noqa: FBT001 - of a column
    """Return the lower edge, the width and the number of the bins of values between two percentiles."""
    low, high = lowest or 0.0, highest or 0.0
    bins = min(VALUE_BINS * 2, distinct)
    if whole and high - low < VALUE_BINS * 2:  # one bin per whole number
        low, high, bins = low - 0.5, high + 0.5, int(high - low) + 1
    if high <= low:
        low, high, bins = low - 0.5, low + 0.5, 1
    return low, (high - low) / bins, bins


def _labels(table: pl.DataFrame) -> dict[str, Any] | None:
    """Return how the scores rank the customers whose label is known: ROC-AUC as the Mann-Whitney statistic."""
    if "activity" not in table.columns:
        return None
    known = table.filter(pl.col("activity").is_not_null())
    declined = known["activity"] == DECLINED
    positives = int(declined.sum())
    negatives = known.height - positives
    if not positives or not negatives:
        return None
    ranks = float(known[RISK].rank().filter(declined).sum())
    return {
        "customers": known.height,
        "declined": positives,
        "mean_risk": known[RISK].mean(),
        "roc_auc": (ranks - positives * (positives + 1) / 2) / (positives * negatives),
    }


def _card(artifact: Artifact) -> dict[str, Any] | None:
    """Return what the page repeats of the model card, or None if the artifact has none."""
    try:
        card = json.loads((artifact.folder / "card.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return {key: card[key] for key in _OF_CARD if key in card}
