"""A Spark Connect server of its own process, and both engines' runs over the same drop."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from job.memory import plan_memory
from job.sample import write_drop
from job.scoring import pipeline

ROOT = Path(__file__).parents[2]
FILES = ("scored.csv", "campaign.csv", "excluded.csv", "rejected.csv")
SERVE = """
import sys
from pysail.spark import SparkConnectServer
server = SparkConnectServer("127.0.0.1", 0)
server.start(background=True)
print(server.listening_address[1], flush=True)
sys.stdin.read()
"""


@dataclass(frozen=True)
class Server:
    """A running server, and its address."""

    process: subprocess.Popen[str]
    remote: str


def serve() -> Server:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "RUST_LOG": "off"}
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", SERVE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    )
    assert process.stdout is not None
    return Server(process, f"sc://127.0.0.1:{int(process.stdout.readline())}")


def end(server: Server) -> None:
    server.process.kill()
    server.process.communicate()


@pytest.fixture(scope="session")
def sail() -> Iterator[Server]:
    """Sail, a Spark Connect server without Java."""
    pytest.importorskip("pysail", reason="the extra spark-test is not installed: make spark-test")
    server = serve()
    yield server
    end(server)


@pytest.fixture
def doomed() -> Iterator[Server]:
    """A server that a test may kill."""
    pytest.importorskip("pysail", reason="the extra spark-test is not installed: make spark-test")
    server = serve()
    yield server
    end(server)


@pytest.fixture(scope="session")
def drop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """3,000 customers, with the dirt of a real export."""
    folder = tmp_path_factory.mktemp("dirty") / "drop"
    write_drop(folder, customers=3000, seed=11, labelled=False)
    return folder


def write_parts(drop: Path, table: str, count: int) -> None:
    """Write the lines of a table to so many files in turn, one of them in a folder of its own, and one without rows."""
    path = drop / f"{table}.csv"
    headings, *lines = path.read_bytes().splitlines(keepends=True)
    path.unlink()
    for place in range(count):
        part = drop / table / (f"month=2026-1{place}/part.csv" if place % 2 else f"part-{place}.csv")
        part.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(b"".join([headings, *lines[place::count]]))
    (drop / table / "part-9.csv").write_bytes(headings)


@pytest.fixture(scope="session")
def parted(drop: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same dirt over many files: copies and contradictions are of different files."""
    folder = tmp_path_factory.mktemp("parted") / "drop"
    shutil.copytree(drop, folder)
    for table, count in (("market_file", 3), ("market_money", 4), ("money", 2)):
        write_parts(folder, table, count)
    other = folder / "market_money" / "part-0.csv"
    other.write_bytes(other.read_bytes().decode().replace(",", ";").encode("cp1251"))
    return folder


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many ranges also of a small drop."""
    monkeypatch.setattr(
        pipeline,
        "plan_memory",
        lambda limit: plan_memory(limit)._replace(block_bytes=20_000, piece_bytes=50_000, range_rows=4000),
    )


def retention(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the command as a user does."""
    command = [sys.executable, "-m", "job", *map(str, arguments)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RETENTION_")}
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env={**environment, "PYTHONPATH": str(ROOT)}
    )


def manifest_of(run: Path) -> dict[str, object]:
    """Return a run's manifest without what differs from run to run, and from one file to several."""
    manifest = json.loads((run / "manifest.json").read_text())
    outputs = {name: told for name, told in manifest["outputs"].items() if not name.startswith("scored.parquet")}
    return {
        **{name: told for name, told in manifest.items() if name not in ("started", "finished", "seconds")},
        "outputs": outputs,
    }


def assert_same_runs(found: Path, expected: Path) -> None:
    for name in FILES:
        assert (found / name).read_bytes() == (expected / name).read_bytes(), name
    parts = sorted((found / "scored.parquet").iterdir())
    assert [part.name for part in parts] == [f"part-{number:05}.parquet" for number in range(len(parts))]
    joined = pl.concat([pl.read_parquet(part) for part in parts])
    assert_frame_equal(joined, pl.read_parquet(expected / "scored.parquet"), check_exact=True)
    assert manifest_of(found) == manifest_of(expected)
    outputs = json.loads((found / "manifest.json").read_text())["outputs"]
    for name, told in outputs.items():
        assert hashlib.sha256((found / name).read_bytes()).hexdigest() == told["sha256"]
    assert {name for name in outputs if name.startswith("scored.parquet")} == {
        f"scored.parquet/{part.name}" for part in parts
    }
