"""What the page tells of a run, as plain JSON values: aggregates only, never a customer.

Counts and sums are over all customers. What compares columns with columns (drivers, correlations, distributions) is
over a sample by a hash of the id when there are more than `SAMPLE` customers, and says so.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from itertools import combinations, pairwise
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from job.mixing import mixed_bits
from job.models.reasons import REASONS
from job.report.association import phi_k, variance_inflation
from job.rounding import DIGITS, rounded
from job.spool import compacted
from schemas.features import CATEGORICAL_FEATURES, FEATURE_NAMES, NUMERIC_FEATURES
from schemas.vocabulary import DECLINED, UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from job.models.artifact import Artifact, Thresholds

FACTS_FORMAT: Final = 1
SAMPLE: Final = 25_000
SEED: Final = 20260701
RISK_BINS: Final = 20
VALUE_BINS: Final = 10
CODES: Final = max(VALUE_BINS, *(len(feature.values) + 1 for feature in CATEGORICAL_FEATURES))  # of a column
MONOTONE: Final = 0.5  # Spearman's correlation from which «more means more risk» is said
RISK: Final = "decline_probability"

_FLAGS: Final = [bytes(ord("1" if own == code else "0") for own in range(256)) for code in range(CODES)]


class FactsTally:
    """Gathers what the page needs from parts of a run, whatever the parts are.

    Args:
        artifact: the model that scored.
        sample: how many customers at most are compared column with column: those whose ids have the lowest hashes.
    """

    def __init__(self, artifact: Artifact, *, sample: int = SAMPLE) -> None:
        self._artifact = artifact
        self._limit = sample
        self._sums: dict[str, list[pl.DataFrame]] = defaultdict(list)
        self._part: list[pl.DataFrame] = []
        self._highest: int | None = None  # hash of those that are compared, once there are as many as may be

    def add(self, features: pl.DataFrame, customers: pl.DataFrame, scored: pl.DataFrame) -> None:
        """Count some customers of the run.

        Args:
            features: the feature frame.
            customers: the same customers joined, rows as in `features`; `consent` and `activity` where they are known.
            scored: the same customers scored, rows as in `features`.
        """
        if not features.height == customers.height == scored.height:
            raise AssertionError(f"{features.height} features, {customers.height} customers, {scored.height} scored")
        known = [name for name in ("consent", "activity") if name in customers.columns]
        table = pl.concat([features, scored.drop(REASONS), customers.select(known)], how="horizontal")
        is_high = pl.col(RISK) >= self._artifact.thresholds.risk
        self._sums["risk"].append(
            table.select(
                pl.len().cast(pl.Int64).alias("customers"),
                pl.col(RISK).sum(),
                is_high.sum().cast(pl.Int64).alias("high"),
                pl.col("profit_at_risk").filter(is_high).sum().alias("high_profit_at_risk"),
                pl.col("profit_at_risk").sum(),
                pl.col("monthly_profit").sum(),
                pl.col("in_training").sum().cast(pl.Int64),
            )
        )
        above = ((pl.col(RISK) * RISK_BINS >= place).sum() for place in range(1, RISK_BINS))
        at_least = [table.height, *table.select(own.alias(str(place)) for place, own in enumerate(above)).row(0), 0]
        histogram = [own - higher for own, higher in pairwise(at_least)]
        self._sums["histogram"].append(pl.DataFrame({"place": range(RISK_BINS), "len": histogram}))
        sums = [pl.len().cast(pl.Int64).alias("customers"), pl.col(RISK).sum(), pl.col("profit_at_risk").sum()]
        self._sums["deciles"].append(table.group_by("risk_decile").agg(sums))
        contacts = _contact_counts(table)
        by_segment = table.group_by("segment").agg(*sums, pl.col("monthly_profit").sum(), *contacts)
        self._sums["segments"].append(compacted(by_segment))
        offered = table.select("segment", "offer", "contact_allowed").filter("contact_allowed")
        by_offer = offered.group_by("segment", "offer").agg(pl.len().cast(pl.Int64))
        self._sums["offers"].append(compacted(by_offer))
        self._sums["contacts"].append(table.select(contacts))
        self._sample(table)

    def gathered(self) -> tuple[dict[str, pl.DataFrame], pl.DataFrame]:
        """Return what was counted, and the customers that may be compared, for `absorb`."""
        return {name: pl.concat(sums) for name, sums in self._sums.items()}, self._lowest()

    def absorb(self, sums: dict[str, pl.DataFrame], sample: pl.DataFrame) -> None:
        """Add what somebody else has gathered of other customers; `sample` needs only those of the lowest hashes."""
        for name, counted in sums.items():
            self._sums[name].append(counted)
        self._sample(sample)

    def facts(self) -> dict[str, Any]:
        """Return plain values that JSON can hold (no NaN, no infinity); the same customers give the same values."""
        part = self._lowest().sort("id")
        totalled = {name: pl.concat(sums) for name, sums in self._sums.items()}
        totals = totalled["risk"].sum().row(0, named=True)
        customers = totals["customers"]
        thresholds = self._artifact.thresholds
        facts = {
            "format": FACTS_FORMAT,
            "customers": customers,
            "sample": {"customers": part.height, "seed": SEED} if part.height < customers else None,
            "thresholds": {"risk": thresholds.risk, "profit": thresholds.profit, "promo_share": thresholds.promo_share},
            "risk": {
                "mean": totals[RISK] / customers,
                "median": part[RISK].median(),
                "high": totals["high"],
                "high_profit_at_risk": totals["high_profit_at_risk"],
                "profit_at_risk": totals["profit_at_risk"],
                "monthly_profit": totals["monthly_profit"],
                "in_training": totals["in_training"],
                "histogram": _histogram(totalled["histogram"]),
            },
            "deciles": _deciles(totalled["deciles"]),
            "segments": _segments(totalled["segments"], totalled["offers"]),
            "contacts": {
                "has_groups": "campaign_group" in part.columns,
                **totalled["contacts"].sum().row(0, named=True),
            },
            "drivers": _drivers(part, self._artifact),
            "correlations": correlate(part),
            "inflation": inflate(part),
            "distributions": _distributions(part, thresholds),
            "labels": _labels(part),
            "card": _card(self._artifact),
        }
        plain: dict[str, Any] = rounded(facts)
        return plain

    def _sample(self, table: pl.DataFrame) -> None:
        """Keep the customers of the lowest hashes: the same ones, whatever the parts."""
        if self._highest is not None:
            table = table.filter(sample_hash(table["id"]) <= self._highest)
        if table.is_empty():
            return
        self._part.append(compacted(table))
        if sum(part.height for part in self._part) >= 2 * self._limit:
            self._lowest()

    def _lowest(self) -> pl.DataFrame:
        """Return the customers of the lowest hashes among those kept so far, and forget the others."""
        kept = pl.concat(self._part)
        if kept.height > self._limit:
            bits = sample_hash(kept["id"])
            lowest = bits.arg_sort().head(self._limit)
            kept = compacted(kept[lowest])
            self._highest = bits[lowest[-1]]
        self._part = [kept]
        return kept


def sample_hash(ids: pl.Series) -> pl.Series:
    """Return the hash of each id (UInt64): customers of the lowest ones are those that are compared."""
    return mixed_bits(ids.to_frame().lazy(), SEED).collect().to_series()


def _histogram(counts: pl.DataFrame) -> list[int]:
    found = dict(counts.group_by("place").agg(pl.col("len").sum()).iter_rows())
    return [found.get(place, 0) for place in range(RISK_BINS)]


def _deciles(sums: pl.DataFrame) -> list[dict[str, Any]]:
    deciles = sums.group_by("risk_decile").agg(pl.all().sum()).sort("risk_decile")
    mean = (pl.col(RISK) / pl.col("customers")).alias("mean_risk")
    return deciles.select("risk_decile", "customers", mean, "profit_at_risk").to_dicts()


def _segments(sums: pl.DataFrame, offers: pl.DataFrame) -> list[dict[str, Any]]:
    """Return one row per segment, the largest profit at risk first, with the offer that most of its customers get."""
    most = (
        offers.group_by("segment", "offer")
        .agg(pl.col("len").sum())
        .sort("len", "offer", descending=[True, False])
        .unique("segment", keep="first", maintain_order=True)
    )
    counts = ("allowed", "treatment", "control", "treatment_profit_at_risk", "treatment_declines")
    return (
        sums.group_by("segment")
        .agg(pl.all().sum())
        .join(most, on="segment", how="left")
        .select(
            "segment",
            "offer",
            "customers",
            (pl.col(RISK) / pl.col("customers")).alias("mean_risk"),
            (pl.col("monthly_profit") / pl.col("customers")).alias("mean_profit"),
            "profit_at_risk",
            *counts,
        )
        # Sums that differ in their last bits only are equal.
        .sort(pl.col("profit_at_risk").round_sig_figs(DIGITS), "segment", descending=[True, False])
        .to_dicts()
    )


def _contact_counts(table: pl.DataFrame) -> list[pl.Expr]:
    """Return how many may be contacted, are to be, are held back, and the profit at risk of the contacted.

    Without campaign groups everyone who may be contacted counts as contacted.
    """
    allowed = pl.col("contact_allowed")
    if "campaign_group" in table.columns:
        treated, control = pl.col("campaign_group") == "treatment", pl.col("campaign_group") == "control"
    else:
        treated, control = allowed, pl.lit(value=False) & allowed
    return [
        allowed.sum().cast(pl.Int64).alias("allowed"),
        treated.sum().cast(pl.Int64).alias("treatment"),
        control.sum().cast(pl.Int64).alias("control"),
        pl.col("profit_at_risk").filter(treated).sum().alias("treatment_profit_at_risk"),
        pl.col(RISK).filter(treated).sum().alias("treatment_declines"),
    ]


def _drivers(part: pl.DataFrame, artifact: Artifact) -> dict[str, Any]:
    """Return mean absolute contributions to the log-odds, overall and by segment, and the direction of each feature."""
    contributions = artifact.model.contributions(part.select(FEATURE_NAMES))
    names = contributions.columns
    overall = contributions.select(pl.all().abs().mean()).row(0, named=True)
    by_segment = (
        contributions.with_columns(part["segment"]).group_by("segment").agg(pl.col(names).abs().mean()).sort("segment")
    )
    numbers = [feature.name for feature in NUMERIC_FEATURES if feature.name in names]
    moves = _rank_correlations(part.select(numbers), contributions.select(numbers))
    words = [feature.name for feature in CATEGORICAL_FEATURES if feature.name in names]
    return {
        "overall": dict(sorted(overall.items(), key=lambda item: (-item[1], item[0]))),
        "direction": {name: _direction(moves.get(name, 0.0)) for name in names},
        "words": {name: _by_word(part[name], contributions[name]) for name in words},
        "segments": {row.pop("segment"): row for row in by_segment.iter_rows(named=True)},
    }


def _rank_correlations(left: pl.DataFrame, right: pl.DataFrame) -> dict[str, float]:
    """Return Spearman's correlation of each column of one frame with that of the other, 0 where one is constant."""
    both = pl.concat([left, right.select(pl.all().name.prefix("other "))], how="horizontal")
    varies = both.select(pl.all().n_unique() > 1).row(0, named=True)
    names = [name for name in left.columns if varies[name] and varies[f"other {name}"]]
    found = both.select(pl.corr(pl.col(name).rank(), pl.col(f"other {name}").rank()).alias(name) for name in names)
    return {**dict.fromkeys(left.columns, 0.0), **(found.row(0, named=True) if names else {})}


def _direction(correlation: float) -> str | None:
    if abs(correlation) < MONOTONE:
        return None
    return "more" if correlation > 0 else "less"


def _by_word(words: pl.Series, contribution: pl.Series) -> dict[str, float]:
    """Return each word's mean contribution, the one that raises risk most first."""
    frame = pl.DataFrame({"word": words, "contribution": contribution}).filter(pl.col("word") != UNKNOWN)
    means = frame.group_by("word").agg(pl.col("contribution").mean())
    return dict(means.sort("contribution", "word", descending=[True, False]).iter_rows())


def correlate(part: pl.DataFrame) -> dict[str, Any]:
    """Return phi_k between all features and the risk.

    Numbers are cut into `VALUE_BINS` equally filled bins first (equal values stay together), so that one extreme value
    does not decide.
    """
    names = [*FEATURE_NAMES, RISK]
    codes = part.select(
        pl.col(name).rank("dense").cast(pl.Int32).alias(name) - 1
        if part[name].n_unique() <= VALUE_BINS
        else _bin(part[name]).alias(name)
        for name in names
    )
    masks = [_masks(column) for column in codes]
    values = [[1.0] * len(names) for _ in names]
    for row, column in combinations(range(len(names)), 2):
        table = [[(left & right).bit_count() for right in masks[column]] for left in masks[row]]
        values[row][column] = values[column][row] = round(phi_k(table), 4)
    return {"names": names, "phi_k": values}


def _masks(codes: pl.Series) -> list[int]:
    """Return for each code that occurs the customers that have it, a bit each: two masks are counted together at once.

    Args:
        codes: from 0, below `CODES`.
    """
    text = bytes(codes.to_list())
    return [mask for flags in _FLAGS if (mask := int(text.translate(flags), 2))]


def _bin(values: pl.Series) -> pl.Expr:
    edges = sorted({values.quantile(place / VALUE_BINS, "linear") or 0.0 for place in range(1, VALUE_BINS)})
    return pl.sum_horizontal((pl.lit(values) > edge).cast(pl.Int32) for edge in edges)


def inflate(part: pl.DataFrame) -> list[dict[str, Any]]:
    """Return the variance inflation factor of each number, the largest first; None where it follows from the others.

    Values beyond the 1st and the 99th percentile count as these: one revenue of 100,000 would else tie all ratios of
    revenues together.
    """
    part = part.select(
        pl.col(feature.name).clip(pl.col(feature.name).quantile(0.01), pl.col(feature.name).quantile(0.99))
        for feature in NUMERIC_FEATURES
    )
    names = [name for name in part.columns if part[name].n_unique() > 1]
    values = [[1.0] * len(names) for _ in names]
    pairs = list(combinations(range(len(names)), 2))
    found = (
        part.select(pl.corr(names[row], names[column]).alias(f"{row} {column}") for row, column in pairs).row(0)
        if pairs
        else ()
    )
    for (row, column), value in zip(pairs, found, strict=True):
        values[row][column] = values[column][row] = value
    factors = dict(zip(names, variance_inflation(values), strict=True))
    ordered = sorted(factors, key=lambda name: (-(factors[name] or math.inf), name))
    return [{"feature": name, "factor": factors[name]} for name in ordered]


def _distributions(part: pl.DataFrame, thresholds: Thresholds) -> dict[str, Any]:
    """Return each feature's distribution in two groups: by label if most labels are known, else by high and low risk.

    Numbers: shares in bins of equal width between the 1st and the 99th percentile (what is beyond counts in the last
    bin), and medians. Words: share of each.
    """
    by_label = "activity" in part.columns and part["activity"].null_count() * 2 < part.height
    is_first = pl.col("activity") == DECLINED if by_label else pl.col(RISK) >= thresholds.risk
    known = part.filter(pl.col("activity").is_not_null()) if by_label else part
    groups = [known.filter(is_first), known.filter(~is_first)]
    words = [
        {
            "feature": feature.name,
            "word": word,
            "shares": [_mean(group[feature.name] == word) or 0.0 for group in groups],
            "first_share": _mean(known.filter(pl.col(feature.name) == word).select(is_first.alias("own"))["own"]),
        }
        for feature in CATEGORICAL_FEATURES
        for word in feature.values
    ]
    return {
        "by": "label" if by_label else "risk",
        "customers": [group.height for group in groups],
        "numbers": _number_shares(groups, known),
        "words": words,
    }


def _number_shares(groups: Sequence[pl.DataFrame], known: pl.DataFrame) -> list[dict[str, Any]]:
    """Return the bins of each number, the share of each group in them, and the medians."""
    names = [feature.name for feature in NUMERIC_FEATURES]
    value = pl.col(names)
    lowest, highest, distinct, whole = (
        known.select(told).row(0)
        for told in (value.quantile(0.01, "linear"), value.quantile(0.99, "linear"), value.n_unique(), _is_whole(value))
    )
    scales = {name: _scale(*told) for name, *told in zip(names, lowest, highest, distinct, whole, strict=True)}
    placed = [
        group.select(
            ((pl.col(name) - low) / width).floor().clip(0, bins - 1).cast(pl.Int64)
            for name, (low, width, bins) in scales.items()
        )
        for group in groups
    ]
    medians = [group.select(value.median()).row(0, named=True) for group in groups]
    numbers = []
    for name, (low, width, bins) in scales.items():
        counts = [dict(places[name].value_counts().iter_rows()) for places in placed]
        numbers.append(
            {
                "feature": name,
                "edges": [low + width * place for place in range(bins + 1)],
                "shares": [
                    [own.get(place, 0) / max(1, group.height) for place in range(bins)]
                    for own, group in zip(counts, groups, strict=True)
                ],
                "medians": [told[name] for told in medians],
            }
        )
    return numbers


def _is_whole(value: pl.Expr) -> pl.Expr:
    return (value == value.round()).all()


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
    told = (
        "customers",
        "declined",
        "protocol",
        "candidates",
        "decision",
        "roc_auc",
        "roc_auc_out_of_fold_delong",
        "calibration",
        "groups",
        "permutation_importance",
    )
    return {key: card[key] for key in told if key in card}


def _mean(flags: pl.Series) -> float | None:
    mean = flags.mean()
    return None if mean is None else float(mean)  # type: ignore[arg-type]
