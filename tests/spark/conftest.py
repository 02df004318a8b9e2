"""A Spark Connect server of its own process, and both engines' runs over the same drop."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
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
