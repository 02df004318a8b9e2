from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest

from job.errors import ArtifactError
from job.models.artifact import MANIFEST, SEAL, default_folder, load_artifact, seal_manifest, to_text

MODEL = json.loads((default_folder() / "model.json").read_text())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(default_folder(), tmp_path / "artifact"))


def refusal(folder: Path) -> str:
    with pytest.raises(ArtifactError) as caught:
        load_artifact(folder)
    (problem,) = caught.value.problems
    return str(problem)


def forge(folder: Path, name: str, text: str) -> None:
    """Write a file, with hashes that are right."""
    (folder / name).write_text(text)
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["files"][name] = hashlib.sha256(text.encode()).hexdigest()
    (folder / MANIFEST).write_text(to_text({**manifest, SEAL: seal_manifest(manifest)}))


def forge_facts(folder: Path, **facts: object) -> None:
    manifest = {**json.loads((folder / MANIFEST).read_text()), **facts}
    (folder / MANIFEST).write_text(to_text({**manifest, SEAL: seal_manifest(manifest)}))


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("model.json", "[" * 100_000, "ValueError: nested too deeply"),
        ("model.json", '{"intercept": NaN}', "ValueError: NaN is no number"),
        ("model.json", '{"intercept": 1e300}', "ValueError: model.json: a number beyond 1e+12"),
        ("model.json", '{"intercept": 1e999}', "ValueError: model.json: a number beyond 1e+12"),
        (
            "model.json",
            to_text({**MODEL, "caps": {"shoe_size": [0, 1]}}),
            "ValueError: no caps of a number of this version: 'shoe_size'",
        ),
        ("model.json", "[]", "TypeError: list indices must be integers or slices, not str"),
        ("fold_1_model.json", '{"intercept": -1e300}', "ValueError: fold_1_model.json: a number beyond 1e+12"),
        ("seen.json", "[]", "TypeError: customers of training: no folds"),
        (
            "seen.json",
            json.dumps({"salt": "0" * 64, "folds": [["1"]]}),
            "ValueError: customers of training: a fold is not a list of hashes",
        ),
        (
            "seen.json",
            json.dumps({"salt": "0" * 64, "folds": [[2**64]]}),
            "ValueError: customers of training: a fold is not a list of hashes",
        ),
    ],
)
def test_wrong_content_with_right_hashes(folder: Path, name: str, text: str, reason: str) -> None:
    forge(folder, name, text)
    assert refusal(folder) == f"{folder}: not made by this version of the job: {reason}"


@pytest.mark.parametrize("salt", [None, "", "g" * 64, 7])
def test_wrong_salt(folder: Path, salt: object) -> None:
    forge(folder, "seen.json", json.dumps({"salt": salt, "folds": [[1]]}))
    assert refusal(folder).startswith(f"{folder}: not made by this version of the job: ValueError: invalid literal")


@pytest.mark.parametrize("risk", ["high", None, True, -0.1, 1.5])
def test_wrong_thresholds(folder: Path, risk: object) -> None:
    forge_facts(folder, thresholds={"risk": risk, "profit": 4.0, "promo_share": 0.5})
    assert refusal(folder) == (
        f"{folder}: not made by this version of the job: ValueError: threshold risk: {str(risk)!r}"
    )


@pytest.mark.parametrize("level", ["high", 0, -1.0])
def test_wrong_levels(folder: Path, level: object) -> None:
    levels = json.loads((folder / MANIFEST).read_text())["levels"]
    forge_facts(folder, levels={**levels, "current_month": level})
    assert refusal(folder) == (
        f"{folder}: not made by this version of the job: ValueError: level of current_month: {str(level)!r}"
    )


def test_not_a_number_in_the_manifest(folder: Path) -> None:
    (folder / MANIFEST).write_text('{"format": 1, "thresholds": {"risk": NaN}}')
    assert refusal(folder) == f"{folder / MANIFEST}: altered: it is not JSON (NaN is no number)"


def test_deep_manifest(folder: Path) -> None:
    (folder / MANIFEST).write_text("[" * 100_000)
    assert refusal(folder) == f"{folder / MANIFEST}: altered: it is not JSON (nested too deeply)"


@pytest.mark.parametrize("name", [MANIFEST, "model.json"])
def test_pipes_are_not_waited_for(folder: Path, name: str) -> None:
    (folder / name).unlink()
    os.mkfifo(folder / name)
    assert refusal(folder).endswith("not a regular file")


def test_a_manifest_with_half_a_character(folder: Path) -> None:
    (folder / MANIFEST).write_text('{"format": 1, "a\\udcff": 1}')
    assert refusal(folder).startswith(f"{folder / MANIFEST}: altered: it is not JSON (")


def test_name_with_a_null(folder: Path) -> None:
    files = json.loads((folder / MANIFEST).read_text())["files"]
    forge_facts(folder, files={**files, "a\0b": "x"})
    assert "expected names of files in its own folder" in refusal(folder)
