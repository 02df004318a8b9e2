"""The page of a run: one Russian HTML file without scripts and without anything loaded from elsewhere."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from job.beneath import is_file_beneath, read_beneath
from job.errors import OutputError, Problem, SettingsError, reason_of
from job.features import EXCLUSIONS
from job.files import replace_file
from job.models.kinds import KINDS
from job.report.charts import SHOWN_FEATURES, draw_charts
from job.report.drift import describe_drift, feature_title
from job.report.earlier import describe_run
from job.report.formats import number, percent
from job.report.html import render_html
from job.report.warnings import translate_warnings
from schemas.features import MEANINGS, title_of, word_title
from schemas.manifest import Manifest, Output, manifest_text, parse_manifest
from schemas.phrases import MOST_ROWS
from schemas.scored import PROFIT_MONTHS

if TYPE_CHECKING:
    from schemas.report_data import ReportData

REPORT: Final = "report.html"
MANIFEST: Final = "manifest.json"
SUCCESS: Final = "_SUCCESS"
HIGH_INFLATION: Final = 10.0
FAR_ABOVE: Final = 2  # times the cap: only such values are told
STRONG_PHI_K: Final = 0.7
DIRECTIONS: Final = {
    "more": "чем больше, тем риск выше",
    "less": "чем меньше, тем риск выше",
    None: "зависит от значения",
}
MODELS: Final = {
    **{name: kind.title for name, kind in KINDS.items()},
    "plain_logistic": "простая логистическая регрессия",
    "tree": "дерево решений",
    "neighbours": "метод ближайших соседей",
    "svc": "SVC с радиальным ядром",
    "forest": "случайный лес",
    "extra_trees": "сверхслучайные деревья",
}


def write_report(run_folder: Path) -> Path:
    """Draw the page of a published run again, from its manifest alone, and return the page's path.

    The page is written beside and renamed; the manifest's entry for it is brought up to date in the same way.

    Raises:
        SettingsError: this is no published run, or one that holds no report data.
        OutputError: the page cannot be written.
    """
    manifest = _read_manifest(run_folder)
    page = build_page(manifest).encode()
    described: Output = {"bytes": len(page), "sha256": hashlib.sha256(page).hexdigest()}
    try:
        replace_file(run_folder / REPORT, page)
        outputs = manifest["outputs"]
        if outputs.get(REPORT) != described:
            manifest["outputs"] = dict(sorted({**outputs, REPORT: described}.items()))
            replace_file(run_folder / MANIFEST, manifest_text(manifest).encode())
    except OSError as error:
        raise OutputError(f"{run_folder / REPORT}: cannot be written: {error.strerror or error}") from error
    return run_folder / REPORT


def _read_manifest(run_folder: Path) -> Manifest:
    if not is_file_beneath(run_folder, SUCCESS):
        found = f"a folder without {SUCCESS}" if run_folder.is_dir() else "no such folder"
        raise SettingsError([Problem(str(run_folder), "a published run (OUT/runs/ID)", found)])
    path = run_folder / MANIFEST
    try:
        manifest = parse_manifest(read_beneath(run_folder, MANIFEST))
    except OSError as error:
        raise SettingsError([Problem(str(path), "a manifest that can be read", reason_of(error))]) from error
    except ValueError as error:
        expected = "a run of this version; score the drop again"
        raise SettingsError([Problem(str(path), expected, str(error))]) from error
    return manifest


def build_page(manifest: Manifest) -> str:
    """Return the page of a run as HTML: what a manifest says but for `outputs` and `seconds` gives the same bytes."""
    data = manifest["report_data"]
    segments = _segments(manifest)
    leading = list(data["drivers"]["overall"])[:SHOWN_FEATURES]
    contributions = [means[name] for means in data["drivers"]["segments"].values() for name in leading]
    runs = [*manifest["earlier"], describe_run(manifest)]
    charts = draw_charts(data, {row["segment"]: row["title"] for row in segments}, runs=runs)
    measured = manifest["settings"]["history"]["effects"]
    return render_html(
        "job.report",
        "page.html",
        manifest=manifest,
        data=data,
        charts=charts,
        segments=segments,
        earlier=_taken_earlier(manifest),
        has_left_out=any(row["allowed"] > row["treatment"] + row["control"] for row in segments),
        are_measured={
            offer["offer"] in measured for row in manifest["segments"] for offer in row["offers"] if offer["treatment"]
        },
        warnings=translate_warnings(manifest["warnings"]),
        has_workbook=manifest["settings"]["format"] == "xlsx" and data["contacts"]["treatment"] <= MOST_ROWS,
        capped=[
            row
            for row in data["capped"]
            if row["largest"] >= FAR_ABOVE * row["cap"] and not MEANINGS[row["feature"]].unit.startswith("share")
        ],
        drivers=_drivers(data),
        leading=leading,
        strongest=max(map(abs, contributions), default=0.0) or 1.0,
        drift=describe_drift(manifest["drift"]),
        correlations=_strongest(data["correlations"]),
        inflated=[
            title_of(row["feature"]) for row in data["inflation"] if (row["factor"] or math.inf) > HIGH_INFLATION
        ],
        models=MODELS,
        exclusions=EXCLUSIONS,
        title_of=title_of,
        feature_title=feature_title,
        word_title=word_title,
        shown_features=SHOWN_FEATURES,
        months=PROFIT_MONTHS,
    )


def _segments(manifest: Manifest) -> list[dict[str, Any]]:
    """Return the segments' rows of the report data, with the titles and offers that the manifest tells of them."""
    segments = {row["segment"]: row for row in manifest["segments"]}
    return [
        {
            **row,
            "title": segments[row["segment"]]["title"],
            "offer_text": "; ".join(offer["offer_text"] for offer in segments[row["segment"]]["offers"]),
        }
        for row in manifest["report_data"]["segments"]
    ]


def _taken_earlier(manifest: Manifest) -> list[dict[str, Any]]:
    """Return the segments that do not take all who match their condition: how many match, and who took the others."""
    segments = sorted(manifest["segments"], key=lambda row: row["priority"])
    rows = []
    for row in segments[:-1]:  # the last one takes whoever is left
        takers = dict(manifest["report_data"]["matches"].get(row["segment"], {}))
        taken = takers.pop(row["segment"], 0)
        matching = taken + sum(takers.values())
        titles = {one["segment"]: one["title"] for one in segments if one["segment"] in takers}
        others = ", ".join(f"«{title}» ({number(takers[code])})" for code, title in titles.items())
        if matching > taken:
            rows.append({"title": row["title"], "matching": matching, "taken": taken, "others": others})
    return rows


def _drivers(data: ReportData) -> dict[str, Any]:
    """Return the leading features in words, and the words with the highest and the lowest rate of declines."""
    drivers = data["drivers"]
    first = [(title_of(name), DIRECTIONS[drivers["direction"][name]]) for name in list(drivers["overall"])[:3]]
    rates: dict[str, list[tuple[float, str]]] = {}
    for row in data["distributions"]["words"]:
        if row["rate"] is not None and row["feature"] in list(drivers["overall"])[:SHOWN_FEATURES]:
            rates.setdefault(row["feature"], []).append((row["rate"], word_title(row["word"])))
    words = [
        (title_of(name), *((word, percent(rate)) for rate, word in (max(rated), min(rated))))
        for name, rated in rates.items()
        if len(rated) > 1
    ]
    return {"first": first, "words": words}


def _strongest(correlations: Mapping[str, Any]) -> list[str]:
    """Return the pairs of features with strong associations, the strongest first."""
    names, values = correlations["names"][:-1], correlations["phi_k"]
    pairs = sorted(
        (
            (values[row][column], names[row], names[column])
            for row in range(len(names))
            for column in range(row)
            if values[row][column] >= STRONG_PHI_K
        ),
        key=lambda pair: (-pair[0], pair[1:]),
    )
    return [f"«{title_of(left)}» и «{title_of(right)}»: {number(value * 100)}" for value, left, right in pairs[:5]]
