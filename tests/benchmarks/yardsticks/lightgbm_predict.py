"""LightGBM's own predict, with its own threads, on a matrix that is ready: nothing is read but the matrix.

Usage: python -m tests.benchmarks.yardsticks.lightgbm_predict ARTIFACT MATRIX.npy OUT
Prints a line of JSON: seconds to load the library, the model and the matrix, and to predict.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np


def main(artifact: Path, path: Path, out: Path) -> None:
    start = time.perf_counter()
    import lightgbm  # noqa: PLC0415 - its import is part of what is timed

    booster = lightgbm.Booster(model_file=artifact / "model.txt")
    matrix = np.load(path)
    loaded, cpu = time.perf_counter(), time.process_time()
    margins = booster.predict(matrix, raw_score=True)
    done = time.perf_counter()
    predict_cpu = time.process_time() - cpu
    out.mkdir(parents=True)
    np.save(out / "margins.npy", margins)
    print(json.dumps({"seconds": {"load": loaded - start, "predict": done - loaded}, "cpu": {"predict": predict_cpu}}))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
