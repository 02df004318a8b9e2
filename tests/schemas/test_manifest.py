"""The manifest that a run writes is the one that its readers are promised."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from job.scoring.pipeline import run_scoring
from job.settings import ScoreSettings
from schemas.manifest import FORMAT, manifest_text, parse_manifest
from tests.manifests import json_schema, make_manifest

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA = json_schema()


def test_the_json_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["properties"]["customers"]["properties"]["in"] == {"type": "integer"}
    assert SCHEMA["properties"]["settings"]["properties"]["campaign"]["properties"]["budget"] == {
        "anyOf": [{"type": "number"}, {"type": "null"}]
    }
    assert SCHEMA["properties"]["model"]["required"] == ["digest", "kind", "thresholds", "title", "version"]


def test_a_run_writes_what_the_schema_says(small_drop: Path, tmp_path: Path) -> None:
    run = run_scoring(small_drop, tmp_path, ScoreSettings(no_report=True))
    text = (run.folder / "manifest.json").read_bytes()
    jsonschema.Draft202012Validator(SCHEMA).validate(json.loads(text))
    assert parse_manifest(text) == run.manifest
    assert manifest_text(run.manifest).encode() == text


def test_what_tests_make_by_hand_is_one_too() -> None:
    jsonschema.Draft202012Validator(SCHEMA).validate(make_manifest())


@pytest.mark.parametrize(
    "changes",
    [
        {"customers": {"in": 1}},
        {"rows": {"a": {"rows_in": 1.5}}},
        {"warnings": [1]},
        {"drift": []},
        {"drift": {"severity": "none"}},
        {"unheard": 1},
        {"campaign": {**make_manifest()["campaign"], "spent": None}},
    ],
)
def test_the_schema_refuses_what_is_not_promised(changes: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(SCHEMA).validate(make_manifest(**changes))


def test_a_manifest_is_read_as_it_was_written() -> None:
    manifest = make_manifest(drop="выгрузка")
    assert parse_manifest(manifest_text(manifest).encode()) == manifest
    assert '"выгрузка"' in manifest_text(manifest)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "a JSON list, not an object"),
        ("{}", f"format None, not {FORMAT}, the one of this version"),
        (
            manifest_text(make_manifest(format=FORMAT + 1)),
            f"format {FORMAT + 1}, not {FORMAT}, the one of this version",
        ),
        (
            json.dumps({key: value for key, value in make_manifest().items() if key not in {"rows", "drift"}}),
            "no rows, drift",
        ),
        ("{", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
    ],
)
def test_what_is_no_manifest_of_this_version(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        parse_manifest(text.encode())
