"""What the reasons of all customers take beside their scores: joined tables to probabilities, features to phrases.

Nothing is written, and nothing else runs meanwhile. The drop is read and cut into ranges as in a run of the job, which
explains only those at high risk.

Usage: python -m tests.benchmarks.yardsticks.reasons DROP
Prints a line of JSON: seconds of scoring and of reasons.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from job.intake.drop import find_files
from job.intake.reconcile import read_drop, reconcile_all
from job.levels import Levels
from job.memory import MemoryPlan
from job.models.artifact import default_folder, load_artifact
from job.models.reasons import Explainer, usual_values
from job.scoring.score import prepare, score_customers


def main(drop: Path) -> None:
    artifact = load_artifact(default_folder())
    explainer = Explainer(artifact.model, usual_values(artifact.manifest))
    seconds = {"score": 0.0, "reasons": 0.0}
    levels = Levels(artifact.levels, artifact.levels)
    memory = MemoryPlan()
    for part in reconcile_all(read_drop(find_files(drop), labelled=False, memory=memory), rows=memory.range_rows):
        start = time.perf_counter()
        prepared = prepare(part.tables)
        score_customers(prepared, artifact, levels)
        seconds["score"] += time.perf_counter() - start
        features = prepared.features
        start = time.perf_counter()
        explainer.explain(features)
        seconds["reasons"] += time.perf_counter() - start
    print(json.dumps({"seconds": {name: round(spent, 4) for name, spent in seconds.items()}}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
