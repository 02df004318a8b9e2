"""What a session needs before it can measure: environments, drops, scored rows, models.

Environments and drops are kept from session to session. What the job makes itself is made anew in every session,
because the job may have changed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.benchmarks.measure import CommandError

if TYPE_CHECKING:
    from collections.abc import Callable

SCRIPTS: Final = "tests.benchmarks.yardsticks"
ROOT: Final = Path(__file__).parents[2]
SEED: Final = 1
BLOCK_CUSTOMERS: Final = 100_000  # the floor writes the scored rows of so many customers again and again
LABELLED_CUSTOMERS: Final = 5000
SHAPES: Final = {"sorted": (), "shuffled": ("--shuffled",), "parquet": ("--format", "parquet")}
LOCKS: Final = {"image": "storage", "boosted": "boosted", "benchmark": "benchmark", "spark": "spark-test"}
"""Environment -> its lock in requirements/. `image` is what the image of the job has."""


@dataclass(frozen=True)
class Workshop:
    """A folder with all that a session needs.

    Args:
        folder: made if it is missing.
        say: called with a line when something takes long.
        pythons: environment -> its Python, instead of making it from its lock.
        made: what this session has made anew.
    """

    folder: Path
    say: Callable[[str], None]
    pythons: dict[str, Path] = field(default_factory=dict)
    made: set[Path] = field(default_factory=set)

    def python(self, environment: str) -> Path:
        """Return the Python of an environment, installed from its lock, with hashes. Not the job: that is `ROOT`."""
        if environment in self.pythons:
            return self.pythons[environment]
        locks = [ROOT / "requirements" / f"{name}.txt" for name in ("build", LOCKS[environment])]
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        home = self._named("environments", f"{environment}-{version}", *locks)
        python = home / "bin" / "python"
        if not (home / "complete").exists():
            self.say(f"installing the environment {environment}")
            shutil.rmtree(home, ignore_errors=True)
            self.call(Path(sys.executable), "-m", "venv", home)
            wanted = [part for lock in locks for part in ("--requirement", lock)]
            self.call(python, "-m", "pip", "--quiet", "install", "--require-hashes", *wanted)
            (home / "complete").touch()
        return python

    def drop(self, customers: int, shape: str, *options: str) -> Path:
        """Return a synthetic drop of `retention sample`, as dirty as real ones."""
        sources = (ROOT / "job" / "sample.py", ROOT / "schemas" / "vocabulary.py")
        home = self._named("drops", "-".join([str(customers), shape, *options]), *sources)
        if not home.exists():
            self.say(f"writing a drop of {customers:,} customers, {shape}")
            arguments = ("--customers", customers, "--seed", SEED, *SHAPES[shape], *options, home)
            self.call(self.python("image"), "-m", "job", "sample", *arguments)
        return home

    def block(self, customers: int) -> Path:
        """Return what the job scores of a drop, at most 100,000 customers: Parquet."""
        count = min(customers, BLOCK_CUSTOMERS)
        home, out = self.folder / "models" / f"scored-{count}.parquet", self.folder / "models" / "out"
        if self._is_new(home, f"scoring {count:,} customers for the rows that the floor writes"):
            shutil.rmtree(out, ignore_errors=True)
            drop = self.drop(count, "sorted")
            self.call(self.python("image"), "-m", "job", "score", "--no-report", "--input", drop, "--output", out)
            shutil.copyfile(out / "latest" / "scored.parquet", home)
            shutil.rmtree(out)
        return home

    def logistic_model(self) -> Path:
        """Return the pandas script's model, fitted by itself on a labelled drop."""
        home = self.folder / "models" / "logistic.joblib"
        if self._is_new(home, "fitting the pandas script's model"):
            drop = self.drop(LABELLED_CUSTOMERS, "sorted", "--labelled")
            self.call(self.python("benchmark"), "-m", f"{SCRIPTS}.pandas_script", "fit", drop, home)
        return home

    def boosted_artifact(self) -> Path:
        """Return an artifact with a LightGBM model."""
        home = self.folder / "models" / "boosted"
        if self._is_new(home, "fitting a boosted model"):
            script = f"{SCRIPTS}.boosted_model"
            self.call(self.python("benchmark"), "-m", script, "artifact", LABELLED_CUSTOMERS, SEED, home)
        return home

    def matrix(self, customers: int) -> Path:
        """Return the matrix that LightGBM predicts: of the customers of a drop, were it clean."""
        home = self.folder / "models" / f"matrix-{customers}.npy"
        artifact = self.boosted_artifact()
        if self._is_new(home, f"making the matrix of {customers:,} customers"):
            script = f"{SCRIPTS}.boosted_model"
            self.call(self.python("boosted"), "-m", script, "matrix", customers, SEED, artifact, home)
        return home

    def call(self, python: Path, *arguments: object) -> str:
        """Run something that is not measured; return what it prints. Raises CommandError if it fails."""
        command = [str(part) for part in (python, *arguments)]
        done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT, env=environment())
        if done.returncode:
            last = " / ".join(done.stderr.strip().splitlines()[-5:])
            raise CommandError(f"{' '.join(command[1:4])}: exit code {done.returncode}: {last}")
        return done.stdout

    def _is_new(self, home: Path, what: str) -> bool:
        """Return whether this session has still to make something."""
        if home in self.made:
            return False
        self.made.add(home)
        home.parent.mkdir(parents=True, exist_ok=True)
        self.say(what)
        return True

    def _named(self, kind: str, name: str, *sources: Path) -> Path:
        """Return a path whose name changes when a source does."""
        digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:8]
        parent = self.folder / kind
        parent.mkdir(parents=True, exist_ok=True)
        return parent / f"{name}-{digest}"


def environment() -> dict[str, str]:
    """Return the environment variables of every process.

    The project's code is found, no option is set by accident, and as in the image no module is compiled in each run.
    """
    ours = ("RETENTION_", "POLARS_", "PYTHONDONTWRITEBYTECODE")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**inherited, "PYTHONPATH": str(ROOT)}
