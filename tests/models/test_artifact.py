from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

import pytest

from job.errors import ArtifactError, OutputError
from job.models.artifact import (
    CARD,
    MANIFEST,
    SEAL,
    Artifact,
    default_folder,
    load_artifact,
    prepare_folder,
    seal_manifest,
    to_text,
    write_artifact,
)
from schemas.features import FEATURE_NAMES


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(default_folder(), tmp_path / "artifact"))


def refusal(folder: Path) -> list[str]:
    with pytest.raises(ArtifactError) as caught:
        load_artifact(folder)
    assert caught.value.exit_code == 4
    return list(caught.value.problems)


def change(folder: Path, **values: object) -> None:
    """Change what the manifest says, and its seal with it, as another version of the job would."""
    manifest = {**json.loads((folder / MANIFEST).read_text()), **values}
    (folder / MANIFEST).write_text(to_text({**manifest, SEAL: seal_manifest(manifest)}))


def test_the_shipped_artifact_loads(artifact: Artifact) -> None:
    assert artifact.manifest["features"] == list(FEATURE_NAMES)
    assert 0 < artifact.thresholds.risk < 1
    assert artifact.model.kind == artifact.manifest["kind"]


def test_missing(tmp_path: Path) -> None:
    assert refusal(tmp_path) == [
        f"{tmp_path / MANIFEST}: no model artifact can be read here: No such file or directory"
    ]


def test_not_json(folder: Path) -> None:
    (folder / MANIFEST).write_text("{")
    assert refusal(folder) == [
        f"{folder / MANIFEST}: altered: it is not JSON "
        "(Expecting property name enclosed in double quotes: line 1 column 2 (char 1))"
    ]


@pytest.mark.parametrize("text", ["[]", "{}", '{"format": "1"}'])
def test_no_format(folder: Path, text: str) -> None:
    (folder / MANIFEST).write_text(text)
    assert refusal(folder) == [f"{folder / MANIFEST}: altered: it does not name its format"]


def test_newer_format(folder: Path) -> None:
    change(folder, format=99)
    assert refusal(folder) == [
        f"{folder / MANIFEST}: found format 99, expected format 1; use the version of the job that trained it"
    ]


def test_every_altered_or_missing_file_is_named(folder: Path) -> None:
    expected = json.loads((folder / MANIFEST).read_text())["files"]["model.json"]
    (folder / "model.json").write_text("{}")
    (folder / "card.json").unlink()
    assert sorted(refusal(folder)) == [
        f"{folder / 'card.json'}: missing or unreadable: No such file or directory",
        f"{folder / 'model.json'}: found an altered file, "
        "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a, "
        f"expected the SHA-256 {expected} of {MANIFEST}",
    ]


def test_names_that_leave_the_folder(folder: Path) -> None:
    files = json.loads((folder / MANIFEST).read_text())["files"]
    change(folder, files={**files, "../model.json": "0"})
    assert refusal(folder) == [f"{folder / MANIFEST}: found ../model.json, expected names of files in its own folder"]


def test_without_files(folder: Path) -> None:
    change(folder, files={})
    assert refusal(folder) == [f"{folder / MANIFEST}: altered: it does not list the model's files"]


def test_other_features(folder: Path) -> None:
    change(folder, features=["id"])
    assert refusal(folder) == [f"{folder / MANIFEST}: found id, expected the features {', '.join(FEATURE_NAMES)}"]


def test_unknown_kind(folder: Path) -> None:
    change(folder, kind="oracle")
    assert refusal(folder) == [
        f"{folder}: not made by this version of the job: ValueError: unknown kind of model 'oracle'"
    ]


def test_write_replaces_and_removes_what_is_no_longer_there(tmp_path: Path) -> None:
    write_artifact(tmp_path, files={"model.json": "1", "model.txt": "2"}, facts={"kind": "boosted"})
    write_artifact(tmp_path, files={"model.json": "3"}, facts={"kind": "linear"})
    assert sorted(path.name for path in tmp_path.iterdir()) == [MANIFEST, "model.json"]
    manifest = json.loads((tmp_path / MANIFEST).read_text())
    assert manifest.pop("sha256") == seal_manifest(manifest)
    assert manifest == {
        "format": 1,
        "kind": "linear",
        "files": {"model.json": "4e07408562bedb8b60ce05c1decfe3ad16b72230967de01f640b7e4729b49fce"},
    }


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (r'"risk": [0-9.]+', '"risk": 0.1'),
        ('"seed": 2', '"seed": 3'),
        ('"sha256": "', '"sha256": "0'),
        ('"sha256"', '"sha257"'),
    ],
)
def test_a_manifest_that_was_edited_by_hand_is_altered(old: str, new: str, folder: Path) -> None:
    text = (folder / MANIFEST).read_text()
    changed = re.sub(old, new, text, count=1)
    assert changed != text
    (folder / MANIFEST).write_text(changed)
    (problem,) = refusal(folder)
    assert problem.startswith(f"{folder / MANIFEST}: ")
    assert problem.endswith(" of what it says (altered)")


def test_the_digest_does_not_depend_on_the_card_for_people(folder: Path) -> None:
    before = load_artifact(folder).digest
    manifest = json.loads((folder / MANIFEST).read_text())
    files = {name: (folder / name).read_text() for name in manifest["files"]}
    facts = {key: value for key, value in manifest.items() if key not in ("format", "files")}
    write_artifact(folder, files={**files, CARD: "other seconds"}, facts=facts)
    assert load_artifact(folder).digest == before
    write_artifact(folder, files=files, facts={**facts, "seed": -1})
    assert load_artifact(folder).digest != before


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / "artifact"
    for write in (lambda: write_artifact(folder, files={}, facts={}), lambda: prepare_folder(folder)):
        with pytest.raises(OutputError, match=f"^{folder}: cannot be written: Not a directory$"):
            write()


def test_a_boosted_model_without_its_libraries_is_no_defect(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = json.loads((folder / MANIFEST).read_text())
    write_artifact(folder, files={"model.json": "{}", "model.txt": ""}, facts={**facts, "kind": "boosted"})
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    assert refusal(folder) == [
        f"{folder}: a boosted model needs lightgbm, which is not installed here: "
        "pip install 'oneclick-retention[boosted]', or an image built with these requirements"
    ]
