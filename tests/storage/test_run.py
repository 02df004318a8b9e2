"""The command with drops and outputs in object storage, against a server."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import obstore
import polars as pl
import pytest
from click.testing import CliRunner, Result

from job.cli import main
from job.sample import write_drop
from tests.storage.conftest import content, names, put_folder
from tests.storage.server import Fault, Server

FILES = [
    "_SUCCESS",
    "campaign.csv",
    "campaign.xlsx",
    "excluded.csv",
    "manifest.json",
    "rejected.csv",
    "scored.csv",
    "scored.parquet",
]


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)


def score(drop: object, output: object, *more: object) -> Result:
    return call("score", "--input", drop, "--output", output, "--no-report", "--drift-stop", 99, *more)


def refusal(result: Result) -> tuple[int, str]:
    return result.exit_code, result.stderr


@pytest.fixture
def dirty_drop(tmp_path: Path) -> Path:
    write_drop(tmp_path / "dirty", customers=300, seed=3, labelled=False)
    return tmp_path / "dirty"


def only_run(store: Any, prefix: str = "out") -> str:
    (run,) = {name.split("/")[1] for name in names(store, prefix) if name.startswith("runs/")}
    return run


def test_a_run_from_and_to_a_store_is_the_run_of_a_disk(store: Any, dirty_drop: Path, tmp_path: Path) -> None:
    put_folder(store, dirty_drop, "in/drop")
    local = score(dirty_drop, tmp_path / "local")
    result = score("s3://shop/in/drop/", "s3://shop/out")
    assert (local.exit_code, result.exit_code) == (0, 0), result.stderr
    run = only_run(store)
    assert names(store, "out") == [".lock", "latest", *(f"runs/{run}/{name}" for name in FILES)]
    assert content(store, "out/latest").decode() == f"runs/{run}\n"
    assert result.stdout.splitlines()[-1] == f"  Files: s3://shop/out/runs/{run}"
    manifest = json.loads(content(store, f"out/runs/{run}/manifest.json"))
    assert manifest["drop"] == "s3://shop/in/drop"
    for name, told in manifest["outputs"].items():
        stored = content(store, f"out/runs/{run}/{name}")
        assert {"bytes": len(stored), "sha256": hashlib.sha256(stored).hexdigest()} == told
        assert stored == (tmp_path / "local" / "runs" / run / name).read_bytes()
    assert not [*tmp_path.glob(".scratch-*")]


def test_the_same_run_is_published_once_and_forced_ones_are_kept_in_number(store: Any, small_drop: Path) -> None:
    score(small_drop, "s3://shop/out")
    run = only_run(store)
    before = names(store, "out")
    again = score(small_drop, "s3://shop/out")
    assert (again.exit_code, again.stdout) == (
        0,
        f"Nothing to do: the same drop was published before, as s3://shop/out/runs/{run}\n",
    )
    assert names(store, "out") == before
    assert score(small_drop, "s3://shop/out", "--force").exit_code == 0
    assert score(small_drop, "s3://shop/out", "--force", "--keep-runs", 1).exit_code == 0
    assert {name.split("/")[1] for name in names(store, "out") if name.startswith("runs/")} == {f"{run}-3"}
    assert content(store, "out/latest").decode() == f"runs/{run}-3\n"
    assert content(store, f"out/runs/{run}-3/_SUCCESS") == b"3\n"


def test_runs_and_report_work_in_a_store(store: Any, small_drop: Path) -> None:
    score(small_drop, "s3://shop/out")
    run = only_run(store)
    listed = json.loads(call("runs", "--output", "s3://shop/out", "--json").stdout)["runs"]
    assert [(row["run_id"], row["is_latest"], row["customers"]) for row in listed] == [(run, True, 300)]
    drawn = call("report", "--run", "s3://shop/out/latest")
    assert (drawn.exit_code, drawn.stdout) == (0, "Wrote s3://shop/out/latest/report.html\n")
    manifest = json.loads(content(store, f"out/runs/{run}/manifest.json"))
    page = content(store, f"out/runs/{run}/report.html")
    assert manifest["outputs"]["report.html"]["sha256"] == hashlib.sha256(page).hexdigest()
    assert refusal(call("report", "--run", "s3://shop/out/runs/none")) == (
        2,
        "s3://shop/out/runs/none: found no such objects, expected a published run (OUT/runs/ID)\n",
    )


def test_what_a_dead_run_left_is_no_run_and_goes_with_the_next(store: Any, small_drop: Path) -> None:
    obstore.put(store, "out/runs/0123456789abcdef/scored.csv", b"half")
    obstore.put(store, "out/runs/notes/mine.txt", b"not of a run")
    assert call("runs", "--output", "s3://shop/out").stdout == "No runs.\n"
    assert refusal(call("runs", "--output", "s3://shop/typo")) == (
        2,
        "--output: found s3://shop/typo, expected the place where runs are published\n",
    )
    assert score(small_drop, "s3://shop/out").exit_code == 0
    assert "runs/0123456789abcdef/scored.csv" not in names(store, "out")
    assert "runs/notes/mine.txt" in names(store, "out")


def test_a_file_address_is_a_path(small_drop: Path, tmp_path: Path) -> None:
    assert score(small_drop.as_uri(), (tmp_path / "new out").as_uri()).exit_code == 0
    assert (tmp_path / "new out" / "latest" / "_SUCCESS").is_file()


def test_messages_name_objects(store: Any, small_drop: Path, tmp_path: Path) -> None:
    put_folder(store, small_drop, "in")
    obstore.put(store, "in/money.csv", b"id;what\r\n1;2\r\n")
    obstore.delete(store, "in/market_time.csv")
    assert refusal(score("s3://shop/in", tmp_path / "out")) == (
        6,
        "s3://shop/in: found no such file, expected market_time.* ending in .csv or .csv.gz or .csv.zst or .parquet\n",
    )
    put_folder(store, small_drop, "in")
    obstore.put(store, "in/money.csv", b"id;what\r\n1;2\r\n")
    result = call("validate", "--input", "s3://shop/in")
    assert refusal(result) == (
        3,
        "s3://shop/in/money.csv, column «what»: found an unknown heading, expected only the table's own headings\n"
        "s3://shop/in/money.csv, column «Прибыль»: found none, expected a column with this heading\n",
    )


REFUSALS = [
    ("403 Forbidden", "AccessDenied", "access denied (403 AccessDenied)", 3),
    ("403 Forbidden", "InvalidAccessKeyId", "access denied (403 InvalidAccessKeyId)", 3),
    ("503 Slow Down", "SlowDown", "the store has trouble (503 SlowDown)", 6),
    ("400 Bad Request", "InvalidRequest", "the store refuses the request (400 InvalidRequest)", 3),
]


@pytest.mark.parametrize("refused", REFUSALS)
def test_an_input_that_is_refused_is_one_line(
    server: Server, tmp_path: Path, refused: tuple[str, str, str, int]
) -> None:
    status, code, reason, exit_code = refused
    server.faults.append(Fault("GET", "^/shop", status, code))
    told = f"s3://shop/in: cannot be read: {reason}\n"
    assert refusal(score("s3://shop/in", tmp_path / "out")) == (exit_code, told)


@pytest.mark.parametrize("refused", REFUSALS)
def test_an_output_that_is_refused_is_one_line(
    server: Server, small_drop: Path, refused: tuple[str, str, str, int]
) -> None:
    status, code, reason, _ = refused
    server.faults.append(Fault("PUT", "^/shop", status, code))
    told = f"s3://shop/out/.lock: cannot be written: {reason}\n"
    assert refusal(score(small_drop, "s3://shop/out")) == (5, told)


@pytest.mark.usefixtures("server")
def test_a_missing_bucket(small_drop: Path, tmp_path: Path) -> None:
    assert refusal(score("s3://nothing/in", tmp_path / "out")) == (
        3,
        "s3://nothing/in: cannot be read: no such bucket\n",
    )
    assert refusal(score(small_drop, "s3://nothing/out")) == (
        5,
        "s3://nothing/out/.lock: cannot be written: no such bucket\n",
    )
    assert refusal(call("runs", "--output", "s3://nothing/out")) == (
        2,
        "s3://nothing/out/runs: cannot be read: no such bucket\n",
    )


@pytest.mark.usefixtures("server")
def test_a_server_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert refusal(score("s3://shop/in", tmp_path / "out")) == (
        6,
        "s3://shop/in: cannot be read: the store does not answer\n",
    )


def test_trouble_that_passes_is_not_noticed(server: Server, store: Any, small_drop: Path) -> None:
    put_folder(store, small_drop, "in")
    server.faults += [
        Fault("GET", "^/shop", "500 Internal Server Error", times=1),
        Fault("PUT", "scored.csv", "503 Slow Down", "SlowDown", times=1),
    ]
    assert score("s3://shop/in", "s3://shop/out").exit_code == 0
    assert [fault.times for fault in server.faults] == [0, 0]


@pytest.mark.parametrize("name", ["scored.parquet", "manifest.json", "_SUCCESS"])
def test_a_store_that_fails_in_the_middle_has_no_run(server: Server, store: Any, small_drop: Path, name: str) -> None:
    server.faults.append(Fault("PUT", f"{name}$", "500 Internal Server Error"))
    result = score(small_drop, "s3://shop/out")
    assert result.exit_code == 5
    assert result.stderr.startswith("s3://shop/out/runs/")
    assert result.stderr.endswith(f"/{name}: cannot be written: the store has trouble (500 InternalError)\n")
    assert names(store, "out") == [".lock"]
    server.faults.clear()
    assert score(small_drop, "s3://shop/out").exit_code == 0  # and the output is free


@pytest.mark.parametrize("name", ["scored.parquet", "scored.csv", "_SUCCESS"])
def test_a_short_object_is_found_before_the_run_is_shown(
    server: Server, store: Any, small_drop: Path, name: str
) -> None:
    server.faults.append(Fault("PUT", f"{name}$", short=1))
    result = score(small_drop, "s3://shop/out")
    assert result.exit_code == 5
    assert result.stderr.endswith(f"/{name}: cannot be written: the store gives back other bytes than it was sent\n")
    assert names(store, "out") == [".lock"]


def test_an_object_that_vanishes_while_it_is_read_is_one_line(server: Server, store: Any, small_drop: Path) -> None:
    assert score(small_drop, "s3://shop/out").exit_code == 0
    server.faults.append(Fault("GET", "scored.csv$", "404 Not Found", "NoSuchKey"))
    place = f"s3://shop/out/runs/{only_run(store)}/scored.csv"
    told = f"{place}: cannot be read: it was replaced or removed meanwhile\n"
    assert refusal(call("verify", "--output", "s3://shop/out")) == (2, told)


def test_one_run_at_a_time(store: Any, small_drop: Path) -> None:
    obstore.put(store, "out/.lock", b'{"holder": "somebody"}\n')
    assert refusal(score(small_drop, "s3://shop/out")) == (7, "s3://shop/out: another run holds the output\n")
    assert names(store, "out") == [".lock"]


@pytest.mark.parametrize(
    ("place", "found"),
    [
        ("ftp://host/x", "ftp://"),
        ("s3:///x", "no bucket"),
        ("s3://shop/../x", "a relative prefix"),
        ("file://host/x", "a file on another machine"),
    ],
)
def test_a_place_that_is_none(place: str, found: str, tmp_path: Path) -> None:
    expected = "a path, or s3://BUCKET/PREFIX, gs://, az:// or file:///PATH"
    assert refusal(score(place, tmp_path)) == (2, f"{place}: found {found}, expected {expected}\n")


def test_parquet_from_a_store(store: Any, small_drop: Path, tmp_path: Path) -> None:
    write_drop(tmp_path / "parquet", customers=300, seed=1, labelled=False, clean=True, table_format="parquet")
    put_folder(store, tmp_path / "parquet", "in")
    assert score("s3://shop/in", tmp_path / "out").exit_code == 0
    assert score(small_drop, tmp_path / "csv").exit_code == 0
    ours, theirs = (pl.read_parquet(tmp_path / out / "latest" / "scored.parquet") for out in ("out", "csv"))
    assert ours.equals(theirs)


def test_tables_of_many_files_from_a_store(store: Any, dirty_drop: Path, tmp_path: Path) -> None:
    assert score(dirty_drop, tmp_path / "whole").exit_code == 0
    headings, *rows = (dirty_drop / "market_money.csv").read_bytes().splitlines(keepends=True)
    (dirty_drop / "market_money.csv").unlink()
    for place, part in enumerate([rows[:100], rows[100:]]):
        path = dirty_drop / "market_money" / f"month=2026-1{place}" / "part.csv"
        path.parent.mkdir(parents=True)
        path.write_bytes(b"".join([headings, *part]))
    put_folder(store, dirty_drop, "in")
    obstore.put(store, "in/market_money/_SUCCESS", b"")
    result = score("s3://shop/in", tmp_path / "out")
    assert result.exit_code == 0, result.stderr
    assert (tmp_path / "out/latest/scored.csv").read_bytes() == (tmp_path / "whole/latest/scored.csv").read_bytes()
    manifest = json.loads((tmp_path / "out/latest/manifest.json").read_bytes())
    parts = [dirty_drop / "market_money" / f"month=2026-1{place}" / "part.csv" for place in (0, 1)]
    assert [(file["file"], file["sha256"]) for file in manifest["inputs"] if file["table"] == "market_money"] == [
        (str(part.relative_to(dirty_drop)), hashlib.sha256(part.read_bytes()).hexdigest()) for part in parts
    ]
    assert "market_money/" in manifest["rows"]
    parts[0].write_bytes(b"id;what\r\n1;2\r\n")
    put_folder(store, dirty_drop, "in")
    told = score("s3://shop/in", tmp_path / "out")
    assert told.exit_code == 3
    assert told.stderr.startswith("s3://shop/in/market_money/month=2026-10/part.csv, column «what»: ")


def test_lift_of_a_run_in_a_store(store: Any, small_drop: Path, tmp_path: Path) -> None:
    assert score(small_drop, "s3://shop/out").exit_code == 0
    assert score(small_drop, tmp_path / "local").exit_code == 0
    later = tmp_path / "later"
    call("sample", "--outcome-of", tmp_path / "local" / "latest", "--seed", 1, later)
    put_folder(store, later, "later")
    asked = ("lift", "--run", "s3://shop/out/latest", "--outcome", "s3://shop/later")
    result = call(*asked, "--output", tmp_path / "lift")
    assert result.exit_code == 0, result.stderr
    text = (tmp_path / "lift" / "lift.json").read_bytes()
    assert json.loads(text)["run_id"] == only_run(store)
    result = call(*asked)
    assert result.exit_code == 0, result.stderr
    place = f"lift/{only_run(store)}"
    assert result.stdout.splitlines()[-1] == f"  Files: s3://shop/out/{place}"
    assert content(store, f"out/{place}/lift.json") == text
    assert content(store, f"out/{place}/lift.html").startswith(b"<!DOCTYPE html>")
    assert refusal(call("lift", "--run", "s3://shop/out/runs/0123456789abcdef", "--outcome", later)) == (
        2,
        "s3://shop/out/runs/0123456789abcdef: found no such objects, expected a published run (OUT/runs/ID)\n",
    )


def test_what_a_run_takes_from_those_before_is_the_same_in_a_store(
    store: Any, small_drop: Path, tmp_path: Path
) -> None:
    put_folder(store, small_drop, "in/drop")
    manifests: dict[str, dict[str, Any]] = {}
    for output in (tmp_path / "local", "s3://shop/out"):
        first = score("s3://shop/in/drop", output, "--control", "autumn")
        assert first.exit_code == 0, first.stderr
        run = only_run(store) if isinstance(output, str) else (output / "latest").resolve().name
        offer = {"offer": "personal_discount", "treated": 9, "control": 9, "effect": 0.5, "low": 0.3, "high": 0.7}
        lift = json.dumps({"run_id": run, "offers": [{**offer, "standard_error": 0.1}]}).encode()
        if isinstance(output, str):
            obstore.put(store, f"out/lift/{run}/lift.json", lift)
        else:
            (output / "lift" / run).mkdir(parents=True)
            (output / "lift" / run / "lift.json").write_bytes(lift)
        dry = score("s3://shop/in/drop", output, "--campaign", "two", "--control", "winter", "--dry-run", "--json")
        assert dry.exit_code == 0, dry.stderr
        second = score("s3://shop/in/drop", output, "--campaign", "two", "--control", "winter", "--json")
        assert second.exit_code == 0, second.stderr
        run_id = json.loads(second.stdout)["run_id"]
        assert json.loads(dry.stdout)["run_id"] == run_id
        path = f"runs/{run_id}/manifest.json"
        text = content(store, f"out/{path}") if isinstance(output, str) else (output / path).read_bytes()
        manifests[str(output)] = json.loads(text)
    local, stored = manifests.values()
    assert local["settings"]["history"] == stored["settings"]["history"]
    assert len(stored["settings"]["history"]["held_by"]) == 1
    assert stored["settings"]["history"]["effects"]["personal_discount"] > 0.3
    assert (local["run_id"], local["outputs"]) == (stored["run_id"], stored["outputs"])
    told = call("history", "--output", "s3://shop/out", "--json")
    assert told.exit_code == 0, told.stderr
    assert json.loads(content(store, "out/history.json")) == json.loads(told.stdout)
    assert b"<!DOCTYPE html>" in content(store, "out/history.html")


def test_who_has_looked_at_a_run_is_known_in_a_store(store: Any, tmp_path: Path) -> None:
    for name, customers in (("june", 300), ("july", 100)):
        write_drop(tmp_path / name, customers=customers, seed=3, labelled=False, clean=True)
    assert score(tmp_path / "june", "s3://shop/out").exit_code == 0
    assert score(tmp_path / "july", "s3://shop/out").exit_code == 8
    run = content(store, "out/latest").decode().strip().removeprefix("runs/")
    assert call("runs", "--output", "s3://shop/out", "--acknowledge", run).exit_code == 0
    assert score(tmp_path / "july", "s3://shop/out").exit_code == 0
