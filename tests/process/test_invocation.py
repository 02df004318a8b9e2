"""What on-call is told of a call: the closing line, the metrics, and nothing of any customer."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from job import cli
from job.cli import main
from job.errors import EXIT_DEFECT
from job.process.invocation import OUT_OF_MEMORY, Invocation, close_for
from job.process.metrics import Sample, read_metrics
from job.process.supervisor import Ending, signal
from job.sample import write_drop
from tests.faults.processes import check_visible, run, scoring, split, start


def call(*arguments: object, is_process: bool = False) -> tuple[int, list[str], list[dict[str, Any]]]:
    result = CliRunner().invoke(
        main, [str(argument) for argument in arguments], obj=Invocation(is_process=is_process), catch_exceptions=False
    )
    return result.exit_code, *split(result.stderr)


def test_the_last_line_has_the_counts(small_drop: Path, tmp_path: Path) -> None:
    code, lines, log = call(*scoring(small_drop, tmp_path / "out", "--log-format", "json"))
    assert (code, lines) == (0, [])
    assert [event["event"] for event in log][:2] == ["started", "stage"]
    closing = log[-1]
    assert closing.pop("seconds") > 0
    assert closing.pop("peak_memory_mib") > 20
    begun = [(event["stage"], event["elapsed"]) for event in log if event["event"] == "stage"]
    assert [stage for stage, _ in begun] == list(closing["stages"])
    assert [elapsed for _, elapsed in begun] == sorted(elapsed for _, elapsed in begun)
    assert sum(closing.pop("stages").values()) > 0
    del closing["timestamp"]
    (run_id,) = check_visible(tmp_path / "out")
    drift = {"drift": closing.pop("drift")} if "drift" in closing else {}
    assert drift.get("drift") in {None, "none", "warn", "stop"}
    manifest = json.loads((tmp_path / "out" / "latest" / "manifest.json").read_bytes())
    assert closing == {
        "event": "finished",
        "level": "info",
        "command": "score",
        "exit_code": 0,
        "run_id": run_id,
        "model": manifest["model"]["digest"],
        "customers_in": 300,
        "customers_scored": 300,
        "customers_excluded": 0,
        "customers_rejected": 0,
        "rows_in": 2100,
        "rows_scored": 2100,
        "rows_excluded": 0,
        "rows_rejected": 0,
        "rows_dropped": 0,
        "rows_repaired": sum(row["repaired"] for row in manifest["rows"].values()),
        "contacts": manifest["campaign"]["contacts"],
        "warnings": len(manifest["warnings"]),
    }
    again = call(*scoring(small_drop, tmp_path / "out", "--log-format", "json"))[2][-1]
    assert (again["published_before"], again["run_id"]) == (True, run_id)


def test_without_a_wish_only_the_process_itself_writes_a_log(small_drop: Path, tmp_path: Path) -> None:
    assert call(*scoring(small_drop, tmp_path / "a"))[1:] == ([], [])
    assert call(*scoring(small_drop, tmp_path / "a"), is_process=True)[2][-1]["event"] == "finished"


def test_problems_stay_lines_for_people(tmp_path: Path) -> None:
    code, lines, log = call(*scoring(tmp_path / "none", tmp_path / "out", "--log-format", "json"))
    assert code == 6
    (line,) = lines
    assert line.startswith(f"{tmp_path / 'none'}: found none, expected the folder of a drop")
    assert (log[-1]["exit_code"], log[-1]["problems"], log[-1]["level"]) == (6, 1, "error")


def test_wrong_usage_is_told_to_monitoring_too(tmp_path: Path) -> None:
    metrics = tmp_path / "retention.prom"
    code, _, log = call("score", "--metrics", metrics, "--log-format", "json", "--max-rejected", "2")
    assert code == 2
    assert read_metrics(metrics, ["retention_exit_code"]) == ([Sample("retention_exit_code", 2, {})], "")
    assert (log[-1]["command"], log[-1]["exit_code"]) == ("score", 2)


def test_metrics_follow_the_calls(small_drop: Path, tmp_path: Path) -> None:
    metrics, told = tmp_path / "retention.prom", ["retention_exit_code", "retention_last_success_timestamp_seconds"]
    assert call(*scoring(small_drop, tmp_path / "out", "--metrics", metrics))[0] == 0
    (code, success), output = read_metrics(metrics, told)
    assert (code.value, output) == (0, str(tmp_path / "out"))
    assert call(*scoring(tmp_path, tmp_path / "out", "--metrics", metrics))[0] == 6
    assert read_metrics(metrics, told) == ([code._replace(value=6), success], output)


def test_metrics_in_a_folder_that_is_not_there(small_drop: Path, tmp_path: Path) -> None:
    metrics = tmp_path / "typo" / "retention.prom"
    code, lines, _ = call(*scoring(small_drop, tmp_path / "out", "--metrics", metrics))
    assert (code, lines) == (2, [f"--metrics: found {metrics}, expected a file in a folder that is there"])
    assert list(tmp_path.iterdir()) == []


def test_metrics_that_cannot_be_written_do_not_undo_a_run(small_drop: Path, tmp_path: Path) -> None:
    code, lines, _ = call(*scoring(small_drop, tmp_path / "out", "--metrics", tmp_path))
    assert code == 0
    assert lines == [f"{tmp_path}: the metrics cannot be written: Is a directory"] * 2  # at the start, at the end
    assert len(check_visible(tmp_path / "out")) == 1


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (AssertionError("4711\nsecond"), "a defect of the job, please report it: AssertionError: 4711"),
        (MemoryError(), OUT_OF_MEMORY),
    ],
)
def test_a_defect_is_one_line_and_its_place_is_in_the_log(
    error: Exception, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(cli, "_filled", fail)
    code, lines, log = call(*scoring(tmp_path, tmp_path / "out"), is_process=True)
    assert (code, lines) == (EXIT_DEFECT, [line])
    defect = log[-2]
    assert (defect["event"], defect["error"]) == ("defect", type(error).__name__)
    assert defect["traceback"][-1].startswith(f"{__file__}:")
    assert "4711" not in json.dumps(log)
    for level, is_told in (("info", False), ("debug", True)):
        options = ("--log-format", "text", "--log-level", level)
        code, lines, _ = call(*scoring(tmp_path, tmp_path / "out"), *options, is_process=True)
        assert code == EXIT_DEFECT
        assert line in lines
        assert any("traceback" in told for told in lines) is is_told
    with pytest.raises(type(error)):
        call(*scoring(tmp_path, tmp_path / "out"))


@pytest.mark.parametrize(
    ("number", "is_stopped", "code", "line"),
    [
        ("SIGTERM", True, 143, "stopped by SIGTERM"),
        ("SIGINT", True, 130, "stopped by SIGINT"),
        ("SIGKILL", False, 1, "killed by the system, most likely for want of memory; the next try starts afresh"),
        ("SIGABRT", False, 1, "a defect of the job, please report it: it died of SIGABRT"),
    ],
)
def test_a_call_whose_process_died_is_closed(
    number: str, *, is_stopped: bool, code: int, line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    metrics = tmp_path / "retention.prom"
    note = json.dumps(["score", str(metrics), None, "/drop", "/out", "json", "info", 0.0, 1.0])
    assert close_for(Ending(None, signal.Signals[number], is_stopped=is_stopped, notes={"call": note})) == code
    lines, log = split(capsys.readouterr().err)
    assert lines == [line]
    assert (log[-1]["command"], log[-1]["exit_code"], log[-1]["died_of"]) == ("score", code, number)
    assert read_metrics(metrics, ["retention_exit_code"]) == ([Sample("retention_exit_code", code, {})], "/out")


def test_one_that_died_before_it_began(capsys: pytest.CaptureFixture[str]) -> None:
    assert close_for(Ending(None, signal.SIGTERM, is_stopped=True, notes={})) == 143
    assert split(capsys.readouterr().err)[0] == ["stopped by SIGTERM"]


def test_one_that_a_library_ended(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    note = json.dumps(["score", None, None, "/drop", "/out", "json", "info", 0.0, 1.0])
    ending = Ending(None, None, is_stopped=False, notes={"call": note})
    assert close_for(ending) == EXIT_DEFECT
    lines, log = split(capsys.readouterr().err)
    assert (lines, log[-1]["died_of"]) == (["a defect of the job, please report it: ended by a library"], "exit")
    monkeypatch.setattr("resource.getrlimit", lambda _: (150 << 20, 150 << 20))
    assert close_for(ending) == EXIT_DEFECT
    lines, _ = split(capsys.readouterr().err)
    assert lines == ["ended by a library, most likely for want of memory: address space has a limit of 150 MiB"]


def test_nothing_of_a_customer_is_in_log_or_metrics(tmp_path: Path) -> None:
    """A dirty drop whose ids and revenues can be told from every other number."""
    drop, metrics = tmp_path / "drop", tmp_path / "retention.prom"
    write_drop(drop, customers=400, seed=11, labelled=False)
    ids = set()
    for path in drop.iterdir():
        text = path.read_bytes().decode()
        ids |= {line.partition(";" if path.name == "money.csv" else ",")[0] for line in text.split("\r\n")[1:-1]}
    numbers = {word for word in ids if word.isdigit()}
    assert len(numbers) > 300
    assert min(len(word) for word in numbers) >= 5
    code, _, log = run(*scoring(drop, tmp_path / "out", "--metrics", metrics, "--log-level", "debug"))
    assert code == 0
    told = json.dumps([{k: v for k, v in event.items() if k != "timestamp"} for event in log], ensure_ascii=False)
    values = "".join(line for line in metrics.read_text().splitlines() if "bytes" not in line)
    for text in (told, values):
        assert not numbers & set(re.findall(r"(?<![\w.])\d+(?![\w.])", text))
    bad = (drop / "money.csv").read_bytes().decode().replace(",", "x")
    (drop / "money.csv").write_bytes(bad.encode())
    code, lines, log = run(*scoring(drop, tmp_path / "out", "--metrics", metrics, "--log-level", "debug"))
    assert code == 3
    assert "x" in lines[0]
    assert {key for event in log for key in event} <= {
        *("event", "level", "timestamp", "command", "version", "stage", "exit_code", "problems", "seconds"),
        *("peak_memory_mib", "elapsed", "stages"),
    }


def test_no_environment_variable_is_in_log_or_manifest(small_drop: Path, tmp_path: Path) -> None:
    process = start(
        *scoring(small_drop, tmp_path / "out"),
        env={"PATH": "/usr/bin:/bin", "AWS_SECRET_ACCESS_KEY": "s3cr3t-4711", "RETENTION_LOG_LEVEL": "debug"},
    )
    printed = "".join(process.communicate(timeout=60))
    assert process.returncode == 0
    assert "s3cr3t" not in printed
    assert "s3cr3t" not in (tmp_path / "out" / "latest" / "manifest.json").read_text()


def test_the_command_and_the_module_are_the_same(tmp_path: Path) -> None:
    script = "import sys; from job.__main__ import run; sys.argv = ['retention', *sys.argv[1:]]; run()"
    done = subprocess.run(
        [sys.executable, "-c", script, "runs", "--output", str(tmp_path / "none")],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 2
    assert done.stderr == f"--output: found {tmp_path / 'none'}, expected the folder where runs are published\n"


@pytest.mark.parametrize(("drop_exists", "code"), [(True, 0), (False, 6)])
def test_closed_streams_change_nothing(drop_exists: bool, code: int, small_drop: Path, tmp_path: Path) -> None:  # noqa: FBT001
    drop = small_drop if drop_exists else tmp_path / "none"
    closed = ("sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh")
    process = start(*scoring(drop, tmp_path / "out"), prefix=closed)
    process.communicate(timeout=60)
    assert process.returncode == code
    assert len(check_visible(tmp_path / "out")) == int(drop_exists)
