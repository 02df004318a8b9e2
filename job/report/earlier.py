"""Earlier runs of the same output, in a few figures each: what the page shows beside a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

from schemas.manifest import EarlierRun, Manifest, input_digests, mean_risk

MOST_RUNS: Final = 12  # a year of months, this run among them


def choose_earlier(runs: Iterable[Manifest], inputs: Sequence[Mapping[str, object]]) -> list[EarlierRun]:
    """Return the runs before this one, the oldest first: of runs of the same drop the newest alone, none of this drop.

    `runs`: of the same output, the newest first; `inputs`: of the manifest of this run.
    """
    seen = {input_digests(inputs)}
    earlier: list[EarlierRun] = []
    for manifest in runs:
        if len(earlier) == MOST_RUNS - 1:
            break
        if (drop := input_digests(manifest["inputs"])) not in seen:
            seen.add(drop)
            earlier.append(describe_run(manifest))
    return earlier[::-1]


def describe_run(manifest: Manifest) -> EarlierRun:
    """Return a run's figures."""
    drift = manifest["drift"]
    return {
        "run_id": manifest["run_id"],
        "day": f"{datetime.fromisoformat(manifest['finished']):%d.%m.%y}",
        "mean_risk": mean_risk(manifest) or 0.0,
        "revenue_level": manifest["levels"]["months"][0]["level"],
        "score_psi": drift["score"]["psi"] if drift else None,
        "segments": {row["segment"]: row["share"] for row in manifest["segments"]},
    }
