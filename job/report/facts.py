"""What the page tells of a run, as plain JSON values: aggregates only, never a customer.

Counts and sums are over all customers. What compares columns with columns (drivers, correlations, distributions) is
over a seeded sample when there are more than `SAMPLE` customers, and says so.
"""

from __future__ import annotations

import json
import math
from itertools import combinations
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from job.errors import DropError
from job.intake.table import read_table
from job.report.association import phi_k, variance_inflation
from schemas.features import CATEGORICAL_FEATURES, FEATURE_NAMES, NUMERIC_FEATURES
from schemas.vocabulary import DECLINED, MARKET_FILE, UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from job.intake.drop import TableFile
    from job.models.artifact import Artifact, Thresholds

FACTS_FORMAT: Final = 1
SAMPLE: Final = 100_000
SEED: Final = 20260701
RISK_BINS: Final = 20
VALUE_BINS: Final = 10
MONOTONE: Final = 0.5  # Spearman's correlation from which «more means more risk» is said
RISK: Final = "decline_probability"


def read_labels(files: Mapping[str, TableFile]) -> pl.DataFrame | None:
    """Return `id` and `activity` of the customers whose label is delivered, or None if the drop has no labels.

    Scoring passes the label over; only the page's distributions look at it.
    """
    try:
        accepted = read_table(files[MARKET_FILE.name], labelled=True).accepted
    except DropError:
        return None
    return accepted.select("id", "activity").unique("id", keep="none")


def gather_facts(
    features: pl.DataFrame,
    customers: pl.DataFrame,
    scored: pl.DataFrame,
    *,
    artifact: Artifact,
    labels: pl.DataFrame | None = None,
    sample: int = SAMPLE,
) -> dict[str, Any]:
    """Return all that the page needs and the run's manifest does not say.

    Args:
        features: the feature frame of the scored customers.
        customers: the same customers joined, rows as in `features`.
        scored: the same customers scored, ordered by `id` as the others are.
        artifact: the model that scored them.
        labels: `id` and `activity` of the customers whose label is known.
        sample: how many customers at most are compared column with column.

    Returns:
        Plain values that JSON can hold (no NaN, no infinity); the same input gives the same values.
    """
    if not features.height == customers.height == scored.height:
        raise AssertionError(f"{features.height} features, {customers.height} customers, {scored.height} scored")
    table = pl.concat([features, scored], how="horizontal").with_columns(
        customers.get_column("consent") if "consent" in customers.columns else pl.lit(None).alias("consent")
    )
    if labels is not None:
        table = table.join(labels.select("id", "activity"), on="id", how="left", maintain_order="left")
    is_sample = table.height > sample
    part = table.sample(sample, seed=SEED) if is_sample else table
    thresholds = artifact.thresholds
    facts = {
        "format": FACTS_FORMAT,
        "customers": table.height,
        "sample": {"customers": part.height, "seed": SEED} if is_sample else None,
        "thresholds": {"risk": thresholds.risk, "profit": thresholds.profit, "promo_share": thresholds.promo_share},
        "risk": _risk(table, thresholds),
        "deciles": _deciles(table),
        "segments": _segments(table),
        "contacts": _contacts(table),
        "drivers": _drivers(part, artifact),
        "drift": compare_with_reference(features, artifact.manifest.get("reference")),
        "correlations": correlate(part),
        "inflation": inflate(part),
        "distributions": _distributions(part, thresholds),
        "labels": _labels(table),
        "card": _card(artifact),
    }
    plain: dict[str, Any] = _rounded(facts)
    return plain


def _rounded(plain: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Round numbers to ten digits: the last bits of a mean depend on the threads, and reruns must agree."""
    if isinstance(plain, float):
        return float(f"{plain:.10g}")
    if isinstance(plain, dict):
        return {key: _rounded(value) for key, value in plain.items()}
    if isinstance(plain, list):
        return [_rounded(value) for value in plain]
    return plain


def _risk(table: pl.DataFrame, thresholds: Thresholds) -> dict[str, Any]:
    """Return the risk of all: mean, median, how many are high, and how many are in each of `RISK_BINS` bins."""
    place = (pl.col(RISK) * RISK_BINS).floor().clip(0, RISK_BINS - 1).cast(pl.Int64)
    counts = dict(table.group_by(place.alias("place")).len().iter_rows())
    high = table.filter(pl.col(RISK) >= thresholds.risk)
    return {
        "mean": table[RISK].mean(),
        "median": table[RISK].median(),
        "high": high.height,
        "high_profit_at_risk": high["profit_at_risk"].sum(),
        "profit_at_risk": table["profit_at_risk"].sum(),
        "monthly_profit": table["monthly_profit"].sum(),
        "in_training": int(table["in_training"].sum()),
        "histogram": [counts.get(own, 0) for own in range(RISK_BINS)],
    }


def _deciles(table: pl.DataFrame) -> list[dict[str, Any]]:
    return (
        table.group_by("risk_decile")
        .agg(
            pl.len().alias("customers"),
            pl.col(RISK).mean().alias("mean_risk"),
            pl.col("profit_at_risk").sum(),
        )
        .sort("risk_decile")
        .to_dicts()
    )


def _segments(table: pl.DataFrame) -> list[dict[str, Any]]:
    """Return one row per segment, the largest profit at risk first."""
    return (
        table.group_by("segment")
        .agg(
            pl.col("offer").filter("contact_allowed").mode().min(),
            pl.len().alias("customers"),
            pl.col(RISK).mean().alias("mean_risk"),
            pl.col("monthly_profit").mean().alias("mean_profit"),
            pl.col("profit_at_risk").sum(),
            *_contact_counts(table),
        )
        .sort("profit_at_risk", "segment", descending=[True, False])
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
        allowed.sum().alias("allowed"),
        treated.sum().alias("treatment"),
        control.sum().alias("control"),
        pl.col("profit_at_risk").filter(treated).sum().alias("treatment_profit_at_risk"),
        pl.col(RISK).filter(treated).sum().alias("treatment_declines"),
    ]


def _contacts(table: pl.DataFrame) -> dict[str, Any]:
    return {
        "has_groups": "campaign_group" in table.columns,
        **table.select(_contact_counts(table)).row(0, named=True),
    }


def _drivers(part: pl.DataFrame, artifact: Artifact) -> dict[str, Any]:
    """Return mean absolute contributions to the log-odds, overall and by segment, and the direction of each feature."""
    contributions = artifact.model.contributions(part.select(FEATURE_NAMES))
    names = contributions.columns
    overall = contributions.select(pl.all().abs().mean()).row(0, named=True)
    by_segment = (
        contributions.with_columns(part["segment"]).group_by("segment").agg(pl.col(names).abs().mean()).sort("segment")
    )
    numbers = [feature.name for feature in NUMERIC_FEATURES if feature.name in names]
    ranks = part.select(pl.col(numbers).rank())
    moves = {
        name: _correlation(ranks[name], contributions[name].rank()) if contributions[name].n_unique() > 1 else 0.0
        for name in numbers
    }
    words = [feature.name for feature in CATEGORICAL_FEATURES if feature.name in names]
    return {
        "overall": dict(sorted(overall.items(), key=lambda item: (-item[1], item[0]))),
        "direction": {name: _direction(moves.get(name, 0.0)) for name in names},
        "words": {name: _by_word(part[name], contributions[name]) for name in words},
        "segments": {row.pop("segment"): row for row in by_segment.iter_rows(named=True)},
    }


def _direction(correlation: float) -> str | None:
    if abs(correlation) < MONOTONE:
        return None
    return "more" if correlation > 0 else "less"


def _by_word(words: pl.Series, contribution: pl.Series) -> dict[str, float]:
    """Return each word's mean contribution, the one that raises risk most first."""
    frame = pl.DataFrame({"word": words, "contribution": contribution}).filter(pl.col("word") != UNKNOWN)
    means = frame.group_by("word").agg(pl.col("contribution").mean())
    return dict(means.sort("contribution", "word", descending=[True, False]).iter_rows())


def compare_with_reference(features: pl.DataFrame, reference: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return how each feature differs from training, or None if the artifact does not know its training customers.

    Args:
        features: the feature frame.
        reference: the artifact's `reference`: `numeric` (feature -> mean, sd, quantiles) and `words`.

    Returns:
        `numbers`: mean and median here and there, and `shift`, the difference of the means in standard deviations of
        training (Cohen's d with the reference's deviation); `words`: each word's share here and there.
    """
    if not reference or "numeric" not in reference:
        return None
    numbers = []
    for feature in NUMERIC_FEATURES:
        told = reference["numeric"].get(feature.name)
        if told is None:
            continue
        mean = features[feature.name].mean()
        shift = (mean - told["mean"]) / told["sd"] if told["sd"] else 0.0
        quantiles = told["quantiles"]
        numbers.append(
            {
                "feature": feature.name,
                "mean": mean,
                "median": features[feature.name].median(),
                "reference_mean": told["mean"],
                "reference_median": quantiles[len(quantiles) // 2],
                "shift": shift,
            }
        )
    words = []
    for name, shares in reference.get("words", {}).items():
        for word, share in shares.items():
            here = float((features[name] == word).mean() or 0.0)
            words.append({"feature": name, "word": word, "share": here, "reference_share": share})
    return {"customers": reference.get("customers"), "numbers": numbers, "words": words}


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
    sizes = {name: int(codes[name].max()) + 1 for name in names}  # type: ignore[arg-type]
    values = [[1.0] * len(names) for _ in names]
    for (row, left), (column, right) in combinations(enumerate(names), 2):
        counts = codes.group_by(left, right).len()
        table = [[0] * sizes[right] for _ in range(sizes[left])]
        for first, second, count in counts.iter_rows():
            table[first][second] = count
        values[row][column] = values[column][row] = round(phi_k(table), 4)
    return {"names": names, "phi_k": values}


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
    numbers = [
        {"feature": feature.name, **_shares([group[feature.name] for group in groups], known[feature.name])}
        for feature in NUMERIC_FEATURES
    ]
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
        "numbers": numbers,
        "words": words,
    }


def _shares(groups: Sequence[pl.Series], all_values: pl.Series) -> dict[str, Any]:
    low, high = (float(all_values.quantile(share, "linear") or 0.0) for share in (0.01, 0.99))
    distinct = all_values.n_unique()
    whole = bool((all_values == all_values.round()).all())
    bins = min(VALUE_BINS * 2, distinct)
    if whole and high - low < VALUE_BINS * 2:  # one bin per whole number
        low, high, bins = low - 0.5, high + 0.5, int(high - low) + 1
    if high <= low:
        low, high, bins = low - 0.5, low + 0.5, 1
    width = (high - low) / bins
    shares = []
    for group in groups:
        place = ((group - low) / width).floor().clip(0, bins - 1).cast(pl.Int64)
        counts = dict(place.value_counts().iter_rows())
        shares.append([counts.get(own, 0) / max(1, group.len()) for own in range(bins)])
    return {
        "edges": [low + width * place for place in range(bins + 1)],
        "shares": shares,
        "medians": [group.median() for group in groups],
    }


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


def _correlation(left: pl.Series, right: pl.Series) -> float:
    value = pl.select(pl.corr(left, right)).item()
    return 0.0 if value is None or math.isnan(value) else float(value)


def _mean(flags: pl.Series) -> float | None:
    mean = flags.mean()
    return None if mean is None else float(mean)  # type: ignore[arg-type]
