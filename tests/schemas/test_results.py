"""What machines read is what its published JSON Schema says."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner

from job.cli import main
from job.process.invocation import Invocation
from job.scoring import segments
from schemas.manifest import Manifest
from tests.faults.processes import UNMOVED
from tests.manifests import json_schema

SEGMENTS = Path(segments.__file__).with_name("segments.toml")
FOLDER = Path(__file__).parents[2] / "docs" / "schemas"


def test_the_published_schema_of_the_manifest_is_that_of_its_type() -> None:
    """Set UPDATE=1 to write it anew; the others are written by hand."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "manifest", **json_schema(Manifest)}
    text = json.dumps(schema, ensure_ascii=False, indent=1) + "\n"
    if os.environ.get("UPDATE"):
        (FOLDER / "manifest.json").write_text(text, encoding="utf-8")
    assert (FOLDER / "manifest.json").read_text(encoding="utf-8") == text


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.json")), ids=lambda path: path.stem)
def test_a_published_schema_takes_no_object_with_another_entry(path: Path) -> None:
    parts: list[dict[str, Any]] = []
    schema = json.loads(path.read_text(encoding="utf-8"), object_hook=lambda part: parts.append(part) or part)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["title"] == path.stem
    records = [part for part in parts if part.get("type") == "object" and "properties" in part]
    assert schema in records
    assert all(part["additionalProperties"] is False for part in records)
    assert all(set(part["required"]) <= set(part["properties"]) for part in records)


CHECKED = {"manifest", "log-finished"}  # by tests of their own


def check(name: str, plain: Any) -> Any:
    CHECKED.add(name)
    schema = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema).validate(plain)
    return plain


def call(*arguments: object) -> Any:
    result = CliRunner().invoke(main, [*map(str, arguments), "--json"], catch_exceptions=False)
    return json.loads(result.stdout)


def test_every_answer_is_what_its_schema_says(small_drop: Path, labelled_drop: Path, tmp_path: Path) -> None:
    output, runs = tmp_path / "out", []
    for budget in (20, 40):
        options = ("--no-report", "--budget", budget, *UNMOVED)
        scored = check("score", call("score", "--input", small_drop, "--output", output, *options))
        runs.append(scored["run_id"])
    check("failure", call("score", "--input", tmp_path / "none", "--output", output))
    check("failure", call("validate", "--input", tmp_path / "none"))
    check("validate", call("validate", "--input", small_drop))
    check("runs", call("runs", "--output", output))
    check("runs-compare", call("runs", "--output", output, "--compare", *runs))
    check("runs-acknowledge", call("runs", "--output", output, "--acknowledge", runs[0]))
    check("verify", call("verify", "--output", output))
    check("history", call("history", "--output", output))
    check("segments", call("segments", SEGMENTS, "--run", output / "latest"))
    check("report", call("report", "--run", output / "latest"))
    check("sample", call("sample", "--outcome-of", output / "latest", "--seed", 1, tmp_path / "outcome"))
    check("lift", call("lift", "--run", output / "latest", "--outcome", tmp_path / "outcome"))
    store = tmp_path / "models"
    trained = call("train", "--input", labelled_drop, "--store", store, "--quick")
    assert check("train", trained)["written"]
    versions = check("models", call("models", "--store", store, "--promote", 1))["versions"]
    assert [row["is_champion"] for row in versions] == [True]
    assert {path.stem for path in FOLDER.glob("*.json")} == CHECKED


@pytest.mark.parametrize("exit_code", [0, 6])
def test_the_last_line_of_the_log_is_what_its_schema_says(exit_code: int, small_drop: Path, tmp_path: Path) -> None:
    drop = small_drop if exit_code == 0 else tmp_path / "none"
    arguments = (
        "score",
        "--input",
        drop,
        "--output",
        tmp_path / "out",
        "--no-report",
        "--log-format",
        "json",
        *UNMOVED,
    )
    result = CliRunner().invoke(main, [*map(str, arguments)], obj=Invocation(is_process=True), catch_exceptions=False)
    last = check("log-finished", json.loads(result.stderr.splitlines()[-1]))
    assert last["exit_code"] == exit_code
