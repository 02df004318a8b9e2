"""The same run on Spark itself, with two executors in processes of their own, also when they are killed."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from job.errors import EngineError
from job.scoring.pipeline import run_scoring
from job.settings import Campaign, ScoreSettings
from job.spark.executor import Cluster, SparkExecutor
from tests.spark.conftest import ROOT, Server, assert_same_runs, end
from tests.spark.executors import FatalCluster

SETTINGS = ScoreSettings(campaign=Campaign("c", control_share=0.2, budget=100.0), no_report=True)
MASTER = "local-cluster[2,1,1024]"  # two executors of one core and 1,024 MB
QUICK = (
    "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"  # of processes that live for seconds, half of their time is compiling
)
SERVER = "org.apache.spark.sql.connect.service.SparkConnectServer"
LOGGING = f"""
rootLogger.level = warn
rootLogger.appenderRef.file.ref = file
appender.file.type = File
appender.file.name = file
appender.file.fileName = ${{sys:spark.test.log}}
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d %p %c: %m%n%ex
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %m%n
logger.server.name = {SERVER}
logger.server.level = info
logger.server.appenderRef.out.ref = out
"""


def java_version() -> int:
    """Return the version of the Java that Spark would take, 0 if there is none."""
    home = os.environ.get("JAVA_HOME")
    java = shutil.which(f"{home}/bin/java" if home else "java")
    told = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr if java else ""
    version = re.search(r'version "(\d+)', told)
    return int(version[1]) if version else 0


def spark_home() -> Path | None:
    """Return where Spark is installed; the thin client alone has no Java archives."""
    spec = importlib.util.find_spec("pyspark")
    home = Path(spec.origin).parent if spec and spec.origin else None
    return home if home and (home / "jars").is_dir() else None


@pytest.fixture(scope="module")
def java_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A Spark Connect server with its executors, on the loopback."""
    home = spark_home()
    if home is None:
        pytest.skip("Spark itself is not installed: make spark-java-test")
    if java_version() < 17:
        pytest.skip("Java 17 or newer is not installed")
    folder = tmp_path_factory.mktemp("spark")
    (folder / "log4j2.properties").write_text(LOGGING)
    settings = {
        "spark.connect.grpc.binding.address": "127.0.0.1",
        "spark.connect.grpc.binding.port": "0",
        "spark.driver.host": "127.0.0.1",
        "spark.executor.extraJavaOptions": QUICK,
        "spark.local.dir": folder / "local",
        "spark.stage.maxConsecutiveAttempts": "2",
        "spark.task.maxFailures": "2",
        "spark.ui.enabled": "false",
    }
    options = [part for name, value in settings.items() for part in ("--conf", f"{name}={value}")]
    environment = {
        **os.environ,
        "PYSPARK_PYTHON": sys.executable,
        "PYTHONPATH": str(ROOT),
        "SPARK_CONF_DIR": str(folder),
        "SPARK_HOME": str(home),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_SUBMIT_OPTS": f"{QUICK} -Dspark.test.log={folder / 'server.log'}",
    }
    server = [home / "bin" / "spark-submit", "--master", MASTER, "--class", SERVER, *options, "spark-internal"]
    process = subprocess.Popen(
        server,
        cwd=folder,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if started := re.search(r"server started at: (127\.0\.0\.1:\d+)", line):
            break
    else:
        pytest.fail("".join(said))
    running = Server(process, f"sc://{started[1]}")
    yield running
    end(running)


@pytest.fixture(scope="module")
def cluster(java_server: Server) -> Iterator[Cluster]:
    cluster = Cluster(java_server.remote)
    yield cluster
    cluster.close()


@pytest.fixture(scope="module")
def local(parted: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of the local engine."""
    return run_scoring(parted, tmp_path_factory.mktemp("local") / "out", SETTINGS).folder


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("step", ["read_piece", "score_range", "finish_range"])
def test_same_run_when_an_executor_is_killed(
    tmp_path: Path, parted: Path, local: Path, cluster: Cluster, step: str
) -> None:
    (tmp_path / "killed").mkdir()
    fatal: Any = FatalCluster(cluster, step, tmp_path / "killed", kills=1)
    spark = run_scoring(parted, tmp_path / "spark", SETTINGS, executor=SparkExecutor(fatal))
    killed = (tmp_path / "killed" / "0").read_text(encoding="utf-8")
    assert not Path("/proc", killed).exists()
    assert_same_runs(spark.folder, local)
    assert not list((tmp_path / "spark").glob(".scratch-*"))


@pytest.mark.usefixtures("small_parts")
def test_no_run_when_every_executor_is_killed(
    tmp_path: Path, parted: Path, cluster: Cluster, java_server: Server
) -> None:
    """Spark tries a stage twice here; then the job ends, and the same call on the same endpoint makes the run."""
    (tmp_path / "killed").mkdir()
    fatal: Any = FatalCluster(cluster, "read_piece", tmp_path / "killed", kills=100)
    with pytest.raises(EngineError) as raised:
        run_scoring(parted, tmp_path / "out", SETTINGS, executor=SparkExecutor(fatal))
    (told,) = raised.value.problems
    assert told.startswith(f"{java_server.remote}: Spark gave up: ")
    assert (raised.value.exit_code, "\n" in told) == (1, False)
    assert not list((tmp_path / "out").glob("runs/*"))
    assert not list((tmp_path / "out").glob(".scratch-*"))
    again = run_scoring(parted, tmp_path / "out", SETTINGS, executor=SparkExecutor(cluster))
    assert again.is_new
    assert (tmp_path / "out" / "latest").resolve() == again.folder
    assert (again.folder / "_SUCCESS").is_file()
