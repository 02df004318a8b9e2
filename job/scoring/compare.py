"""Why are there fewer contacts? Two runs side by side, from their manifests alone.

Contacts are a product, segment by segment: customers delivered, the share not rejected, not excluded, in the segment,
with consent, whose offer is a message, worth it, in no other control group, within the budget, and not held back. The
change of the sum is split into one part for each factor by the logarithmic mean Divisia index (Ang, Energy Policy 33,
2005, method LMDI-I): the parts add up to the change, and do not depend on the order of the factors.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from job.beneath import is_file_beneath
from job.errors import Problem, SettingsError
from job.rounding import rounded
from job.scoring.campaign import LEFT_OUT
from job.scoring.published import RUNS, SUCCESS, read_manifest
from job.text_table import align
from schemas.scored import CONTROL, TREATMENT

if TYPE_CHECKING:
    from schemas.manifest import Manifest, SegmentRow

FACTORS: Final = {
    "customers": "customers delivered",
    "accepted": "not rejected",
    "kept": "not excluded",
    "segments": "in which segment",
    "consent": "with consent",
    "message": "offered a message",
    "worth": "worth a contact",
    "free": "not in another control group",
    "paid": "within the budget",
    "sent": "not held back as the control group",
}
_COUNTS: Final = ("customers", "contact_allowed", TREATMENT, CONTROL)
_FATES: Final = ("rows_in", "repaired", "rejected", "excluded")
_ALMOST_NOTHING: Final = 1e-12  # in place of 0, of which there is no logarithm


def read_run(output: Path, run_id: str) -> Manifest:
    """Return the manifest of a published run. Raises SettingsError if there is none, or none that can be read."""
    run = output / RUNS / run_id
    try:
        if run.parent != output / RUNS or not is_file_beneath(run, SUCCESS):
            raise SettingsError([Problem("--compare", f"the name of a run of {output}", run_id)])
        return read_manifest(run)
    except (OSError, ValueError) as error:
        raise SettingsError([Problem("--compare", "a run whose manifest can be read", f"{run_id}: {error}")]) from error


def compare_runs(before: Manifest, now: Manifest) -> dict[str, Any]:
    """Return what differs between two runs, as plain JSON values.

    `contacts`: before, now. `factors`: what explains the change of contacts, the largest part first. `segments`: the
    largest change of contacts first. `files`: those that differ. `settings`, `model`: each entry that differs.
    """
    files = {
        name: {
            "is_same": _digest(before, name) == _digest(now, name),
            **{fate: [dict(each["rows"].get(name) or {}).get(fate) for each in (before, now)] for fate in _FATES},
        }
        for name in dict.fromkeys([*before["rows"], *now["rows"]])
    }
    return {
        "before": before["run_id"],
        "now": now["run_id"],
        "contacts": [before["campaign"]["contacts"], now["campaign"]["contacts"]],
        "factors": sorted(_factors(before, now), key=lambda factor: -abs(factor["contacts"])),
        "segments": sorted(
            (
                {"segment": name, **{key: [sum(row[key] for row in rows) for rows in pair] for key in _COUNTS}}
                for name, pair in _by_name(before, now).items()
            ),
            key=lambda row: -abs(row[TREATMENT][1] - row[TREATMENT][0]),
        ),
        "files": {name: file for name, file in files.items() if not file["is_same"]},
        "excluded_by_reason": _pairs(before["customers"]["excluded_by_reason"], now["customers"]["excluded_by_reason"]),
        "settings": _pairs(_flat(before["settings"]), _flat(now["settings"])),
        "model": _pairs(_flat(before["model"]), _flat(now["model"])),
    }


def summarise_comparison(comparison: Mapping[str, Any]) -> str:
    """Return what `compare_runs` found, for a person."""
    old, new = comparison["contacts"]
    lines = [f"Contacts: {old:,} in run {comparison['before']}, {new:,} in run {comparison['now']} ({new - old:+,})"]
    factors = [
        (f"{factor['contacts']:+,.0f}", FACTORS[factor["factor"]], _shown(factor["before"]), _shown(factor["now"]))
        for factor in comparison["factors"]
    ]
    segments = [
        (row["segment"], *(f"{count:,}" for key in _COUNTS for count in row[key])) for row in comparison["segments"]
    ]
    files = [
        (name, *("-" if count is None else f"{count:,}" for fate in _FATES for count in file[fate]))
        for name, file in comparison["files"].items()
    ]
    lines += ["", *align(("contacts", "explained by", "before", "now"), factors)]
    headings = ("segment", "customers", "", "consent", "", "contacts", "", "control", "")
    lines += ["", "Segments, the largest change of contacts first", *align(headings, segments)]
    if files:
        headings = ("file", "rows", "", "repaired", "", "rejected", "", "excluded", "")
        lines += ["", "Files that differ", *align(headings, files)]
    for title, key in (("Excluded", "excluded_by_reason"), ("Settings", "settings"), ("Model", "model")):
        if comparison[key]:
            lines += ["", f"{title} that differ" if key == "settings" else title]
            lines += [f"    {name}: {pair[0]} -> {pair[1]}" for name, pair in comparison[key].items()]
    return "\n".join(lines)


def _factors(before: Manifest, now: Manifest) -> list[dict[str, Any]]:
    parts = dict.fromkeys(FACTORS, 0.0)
    for pair in _by_name(before, now).values():
        chains = (_chain(each, rows) for each, rows in zip((before, now), pair, strict=True))
        old, new = ({factor: value or _ALMOST_NOTHING for factor, value in chain.items()} for chain in chains)
        weight = _logarithmic_mean(math.prod(old.values()), math.prod(new.values()))
        for factor in FACTORS:
            parts[factor] += weight * math.log(new[factor] / old[factor])
    # Which segment has no total.
    first, last = ({**_chain(each, each["segments"]), "segments": None} for each in (before, now))
    return [
        {"factor": factor, "contacts": rounded(part), "before": rounded(first[factor]), "now": rounded(last[factor])}
        for factor, part in parts.items()
    ]


def _chain(manifest: Manifest, rows: Sequence[SegmentRow]) -> dict[str, float]:
    """Return the factors whose product is the contacts of segments: customers in, and the share left at each step."""
    customers = manifest["customers"]
    left = [customers["in"], customers["in"] - customers["rejected"], customers["scored"]]
    left.append(sum(row["customers"] for row in rows))
    for fate in (*LEFT_OUT, CONTROL):
        left.append(left[-1] - sum(row[fate] for row in rows))
    shares = (after / max(before, 1) for before, after in pairwise(left))
    return dict(zip(FACTORS, (float(left[0]), *shares), strict=True))


def _logarithmic_mean(one: float, other: float) -> float:
    if math.isclose(one, other, rel_tol=1e-12):
        return one
    return (other - one) / math.log(other / one)


def _by_name(before: Manifest, now: Manifest) -> dict[str, tuple[list[SegmentRow], list[SegmentRow]]]:
    """Return segment -> its row before and its row now, none where it was not."""
    names = dict.fromkeys(row["segment"] for each in (before, now) for row in each["segments"])
    old, new = ({row["segment"]: [row] for row in each["segments"]} for each in (before, now))
    return {name: (old.get(name, []), new.get(name, [])) for name in names}


def _digest(manifest: Manifest, file: str) -> list[str]:
    return [each["sha256"] for each in manifest["inputs"] if each["file"] == file]


def _flat(plain: Mapping[str, Any], within: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in plain.items():
        flat |= _flat(value, f"{within}{key}.") if isinstance(value, dict) else {f"{within}{key}": value}
    return flat


def _pairs(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return each entry that differs, before and now."""
    names = dict.fromkeys([*before, *now])
    return {name: [before.get(name), now.get(name)] for name in names if before.get(name) != now.get(name)}


def _shown(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value > 1 else f"{value:.1%}"
