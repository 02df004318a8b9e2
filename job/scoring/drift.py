"""How a drop differs from the training customers: beyond chance, and by enough to matter.

The measure is the population stability index, PSI = sum (p - q) ln(p / q) over the bins' shares here (p) and in
training (q), each count raised by a half so that an empty bin has a logarithm. Without drift it is distributed as
(1/n + 1/m) chi-square with one degree of freedom less than bins (Yurdakul and Naranjo, "Statistical properties of the
population stability index", Journal of Risk Model Validation 14, 2020), n and m the customers here and in training.
Near twins make shares scatter more: both sizes are divided by the training customers' design effect. So each PSI has a
limit that chance alone would pass with the probability `FALSE_ALARM` divided by the number of checks (Bonferroni):
of a hundred drops without drift, at most one has any finding.

At a large n a trifle is beyond chance. A finding must also be at least as large as `warn` or `stop`; 0.1 and 0.25 are
customary (Siddiqi, "Credit Risk Scorecards", 2006).
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter, defaultdict
from functools import cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import polars as pl

from job.errors import Problem, SettingsError
from job.models.reference import (
    COUNTS_SCHEMA,
    MISSING,
    SCORE,
    STEPS,
    WordBins,
    count_bins,
    count_scores,
    estimate_roc_auc,
)
from job.rounding import rounded
from job.settings import DriftLimits
from job.spill import compacted
from job.statistics import first_true

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from job.models.reference import Bins, Reference
    from schemas.manifest import Drift, Finding

WARN: Final = DriftLimits().warn
STOP: Final = DriftLimits().stop
FALSE_ALARM: Final = 0.01
HALF: Final = 0.5  # added to each count
INTERVAL: Final = 1.959964  # standard errors each way of a 95 % interval
NOT_SCORED: Final = "not_scored"
SEVERITIES: Final = ("none", "warn", "stop")


def check_limits(warn: float, stop: float) -> None:
    """Raise SettingsError for limits that do not go together."""
    if not 0 <= warn <= stop:
        raise SettingsError([Problem("--drift-warn", f"a number from 0 to --drift-stop, {stop:g}", f"{warn:g}")])


def count_drift(features: pl.DataFrame, probability: pl.Series, reference: Reference) -> pl.DataFrame:
    """Return how many scored customers are in each bin: whole numbers that add up over the parts of a drop.

    `feature`, `bin`, `rows`, in no order; bin -1 is no value or an unknown word. The score is the feature
    `decline_probability`, as published, its bin the probability in 1/10,000. Some 10,000 rows at most.
    """
    return pl.concat([count_bins(features, reference.features), count_scores(probability)])


def add_counts(*parts: pl.DataFrame) -> pl.DataFrame:
    """Return the sum of counts of `count_drift`, whatever their order: as many rows as one part has, or few more."""
    together = pl.concat([*parts, pl.DataFrame(schema=COUNTS_SCHEMA)])
    return compacted(together.group_by("feature", "bin").agg(pl.col("rows").sum()).sort("feature", "bin"))


def judge_drift(
    counts: pl.DataFrame,
    reference: Reference,
    *,
    delivered: int,
    warn: float = WARN,
    stop: float = STOP,
    measured: Mapping[str, Any] | None = None,
) -> Drift:
    """Return what has drifted, as plain JSON values.

    `counts` are of `count_drift`, those of several parts added up or put under each other; `delivered` customers were
    in the drop, scored or not; a PSI beyond chance is a warning from `warn` on, and from `stop` on a person must look.

    `findings` come the worst first; `severity` is that of the worst. `higher` is the probability that a customer here
    has more of a number than one of training, equal ones counting half. `roc_auc` is estimated without labels: that
    with labels is in its interval if a probability still means what it did in training, where it was `measured`.
    """
    counted: defaultdict[str, dict[int, int]] = defaultdict(dict)
    for name, bin_number, rows in add_counts(counts).iter_rows():
        counted[name][bin_number] = rows
    steps = counted[SCORE]
    here = sum(steps.values())
    words = [feature for feature in reference.features if isinstance(feature, WordBins)]
    checks = 2 * len(reference.features) + sum(len(feature.words) for feature in words) + 2
    judge = _Judge(here, reference, warn=warn, stop=stop, checks=checks)
    features = [judge.compare(feature, counted[feature.name]) for feature in reference.features]
    score_counts: Counter[int] = Counter()
    for step, rows in steps.items():
        score_counts[bisect_left(reference.score.edges, step)] += rows
    score = judge.compare(reference.score, score_counts)
    unknown = {feature.name: counted[feature.name].get(MISSING, 0) for feature in reference.features}
    missing = [
        {"feature": feature.name}
        | judge.compare_parts(unknown[feature.name], here, feature.missing, reference.customers)
        for feature in reference.features
    ]
    not_scored = judge.compare_parts(
        delivered - here, delivered, reference.delivered - reference.customers, reference.delivered
    )
    findings = [
        *({"kind": "distribution", **_told(row)} for row in features),
        {"kind": "score", **_told(score)},
        *({"kind": "missing", **row} for row in missing),
        {"kind": NOT_SCORED, **not_scored},
        *(row for feature in words for row in judge.compare_words(feature, counted[feature.name])),
    ]
    findings = [row for row in findings if row["severity"] != SEVERITIES[0]]
    findings.sort(key=lambda row: (-SEVERITIES.index(row["severity"]), -row.get("psi", 0.0)))  # else as they were
    plain: Drift = rounded(
        {
            "severity": findings[0]["severity"] if findings else SEVERITIES[0],
            "findings": findings,
            "customers": {"here": here, "training": reference.customers},
            "settings": {"warn": warn, "stop": stop},
            "checks": judge.checks,
            "alarm_rate": FALSE_ALARM,
            "twins": reference.twins,
            "features": features,
            "score": score,
            "missing": [row for row in missing if row["share"] or row["reference_share"]],
            "not_scored": not_scored,
            "roc_auc": _roc_auc(steps, reference, measured),
        }
    )
    return plain


def tell_findings(drift: Drift) -> list[str]:
    """Return one line for each finding of `judge_drift`, the worst first."""
    return [f"drift, {row['severity']}: {_tell(row, drift)}" for row in drift["findings"]]


def summarise_drift(drift: Drift) -> str:
    """Return one line: how many findings of how many checks, and the estimate of the ROC-AUC."""
    worst = Counter(row["severity"] for row in drift["findings"])
    counts = ", ".join(f"{worst[name]} to {name}" for name in ("stop", "warn") if worst[name])
    said = counts or "nothing beyond chance and limits"
    auc = drift["roc_auc"]
    if auc is None:
        return said
    return (
        f"{said}; ROC-AUC without labels {auc['estimate']:.3f} ({auc['low']:.3f} to {auc['high']:.3f}; for the "
        f"training customers {auc['training_estimate']:.3f}) if a probability still means what it did in training"
    )


class _Judge(NamedTuple):
    """Compares counts here with counts in training; knows how large a difference must be to be told."""

    here: int
    reference: Reference
    warn: float
    stop: float
    checks: int

    def measure(self, counts: Sequence[int], reference: Sequence[int]) -> dict[str, Any]:
        """Return the PSI, what chance passes with the probability of a false alarm in one check, and the severity."""
        psi, chance, severity = stability_index(counts, reference), 0.0, SEVERITIES[0]
        if sum(counts) and sum(reference) and len(counts) > 1:
            scatter = self.reference.twins * (1 / sum(counts) + 1 / sum(reference))
            chance = scatter * chi_square_limit(FALSE_ALARM / self.checks, len(counts) - 1)
        if psi > chance and psi >= self.warn:
            severity = SEVERITIES[2] if psi >= self.stop else SEVERITIES[1]
        return {"psi": psi, "chance": chance, "severity": severity}

    def compare(self, bins: Bins, counted: Mapping[int, int]) -> dict[str, Any]:
        """Compare one distribution, of the customers that have a value."""
        here = [counted.get(bin_number, 0) for bin_number in range(len(bins.counts))]
        row: dict[str, Any] = {
            "feature": bins.name,
            **self.measure(here, bins.counts),
            "shares": _shares(here),
            "reference_shares": _shares(bins.counts),
        }
        if isinstance(bins, WordBins):
            return {**row, "words": list(bins.words)}
        edges = [edge / STEPS for edge in bins.edges] if bins.name == SCORE else list(bins.edges)
        return {**row, "edges": edges, "higher": superiority(here, bins.counts)}

    def compare_parts(self, part: int, total: int, reference_part: int, reference_total: int) -> dict[str, Any]:
        """Compare the share of a part; only more than in training is a finding."""
        here, reference = (part, total - part), (reference_part, reference_total - reference_part)
        share, reference_share = _shares(here)[0], _shares(reference)[0]
        measured = self.measure(here, reference)
        if share <= reference_share:
            measured["severity"] = SEVERITIES[0]
        return {"share": share, "reference_share": reference_share, **measured}

    def compare_words(self, bins: WordBins, counted: Mapping[int, int]) -> list[dict[str, Any]]:
        """Return the words that only training or nobody of it has, beyond chance: each, however rare, is a warning."""
        rows = []
        training = self.reference.customers
        for bin_number, word in enumerate(bins.words):
            here, before = counted.get(bin_number, 0), bins.counts[bin_number]
            if bool(here) == bool(before):
                continue
            kind, empty, other = ("word_gone", self.here, training) if before else ("word_new", training, self.here)
            rows_of_word, size, none = (count / self.reference.twins for count in (here or before, other, empty))
            if _log_chance_of_none(rows_of_word, size, none) < math.log(FALSE_ALARM / self.checks):
                shares = {"share": here / self.here, "reference_share": before / training}
                rows.append({"kind": kind, "feature": bins.name, "word": word, **shares, "severity": SEVERITIES[1]})
        return rows


def stability_index(counts: Sequence[int], reference: Sequence[int]) -> float:
    """Return the PSI of two tables of counts over the same bins, each raised by a half; 0 if a table is empty."""
    if not sum(counts) or not sum(reference):
        return 0.0
    here, training = (_shares([count + HALF for count in table]) for table in (counts, reference))
    return math.fsum((share - other) * math.log(share / other) for share, other in zip(here, training, strict=True))


def superiority(counts: Sequence[int], reference: Sequence[int]) -> float | None:
    """Return the probability that a value of the first table is in a higher bin than one of the second, ties half.

    The common language effect size of McGraw and Wong (Psychological Bulletin 111, 1992); None if a table is empty.
    """
    pairs = sum(counts) * sum(reference)
    if not pairs:
        return None
    below, wins = 0, 0
    for here, other in zip(counts, reference, strict=True):
        wins += here * (2 * below + other)
        below += other
    return wins / (2 * pairs)


@cache
def chi_square_limit(tail: float, freedom: int) -> float:
    """Return the value that a chi-square variable of some degrees of freedom passes with the probability `tail`."""
    high = freedom + 10.0
    while chi_square_tail(high, freedom) > tail:
        high *= 2
    return first_true(lambda value: chi_square_tail(value, freedom) <= tail, 0.0, high)


def chi_square_tail(value: float, freedom: int) -> float:
    """Return the probability that a chi-square variable is above a value.

    Source: Abramowitz and Stegun, "Handbook of Mathematical Functions", 26.4.4 and 26.4.5.
    """
    is_odd = freedom % 2
    tail = math.erfc(math.sqrt(value / 2)) if is_odd else 0.0
    term = (math.sqrt(value * 2 / math.pi) if is_odd else 1.0) * math.exp(-value / 2)
    for step in range(2 + is_odd, freedom + 1, 2):
        tail += term
        term *= value / step
    return tail


def _log_chance_of_none(rows: float, size: float, other: float) -> float:
    """Return the log of Fisher's chance that all of `rows` alike fall among `size` of `size + other` customers."""
    chosen = math.lgamma(size + 1) - math.lgamma(size - rows + 1)
    return chosen - math.lgamma(size + other + 1) + math.lgamma(size + other - rows + 1)


def _roc_auc(
    steps: Mapping[int, int], reference: Reference, measured: Mapping[str, Any] | None
) -> dict[str, Any] | None:
    estimated = estimate_roc_auc(steps)
    if estimated is None:
        return None
    estimate, sampling = estimated
    error = math.hypot(sampling, reference.roc_auc_error)
    return {
        "estimate": estimate,
        "low": max(0.0, estimate - INTERVAL * error),
        "high": min(1.0, estimate + INTERVAL * error),
        "training_estimate": reference.roc_auc,
        "training": None if measured is None else {key: measured[key] for key in ("mean", "low", "high")},
    }


def _told(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a finding says of a distribution; the shares are told once, with the feature."""
    return {key: row[key] for key in ("feature", "psi", "chance", "higher", "severity") if key in row}


def _tell(row: Finding, drift: Drift) -> str:
    if row["kind"] == "word_gone":
        return f"{row['feature']}: nobody has {row['word']}, {row['reference_share']:.1%} of the training customers had"
    if row["kind"] == "word_new":
        return f"{row['feature']}: {row['share']:.1%} have {row['word']}, none of the training customers had"
    limit = drift["settings"]["stop" if row["severity"] == "stop" else "warn"]
    measure = f"PSI {row['psi']:.3f} against training, expected below {limit:g} (by chance up to {row['chance']:.3f})"
    if row["kind"] == "missing":
        shares = f"{row['share']:.1%} have no known value, {row['reference_share']:.1%} in training"
        return f"{row['feature']}: {shares}; {measure}"
    if row["kind"] == NOT_SCORED:
        shares = f"{row['share']:.1%} of the customers cannot be scored, {row['reference_share']:.1%} in training"
        return f"{shares}; {measure}"
    higher = row.get("higher")
    way = "" if higher is None else ", higher" if higher > HALF else ", lower"
    return f"{row['feature']}: {measure}{way}"


def _shares(counts: Sequence[float]) -> list[float]:
    total = max(1, sum(counts))
    return [count / total for count in counts]
