"""A model's way to production and back, in a folder and in object storage."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import obstore
import pytest
from click.testing import CliRunner, Result

from job.cli import main
from job.errors import ArtifactError, SettingsError
from job.models.artifact import default_folder, load_artifact, seal_manifest, to_text
from job.storage.address import Address
from job.storage.models import ModelStore, chosen_artifact
from tests.faults.processes import UNMOVED

STORE = Address("s3://shop", "models")


@pytest.fixture(params=["folder", "bucket"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path | Address:
    if request.param == "folder":
        return tmp_path / "models"
    request.getfixturevalue("store")
    return STORE


def artifact(folder: Path, seed: int) -> Path:
    """Make an artifact that says it was trained with another seed."""
    shutil.copytree(default_folder(), folder, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    manifest = {**json.loads((folder / "manifest.json").read_text()), "seed": seed}
    (folder / "manifest.json").write_text(to_text({**manifest, "sha256": seal_manifest(manifest)}))
    return folder


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)


def test_versions_are_numbered_and_one_is_promoted_and_rolled_back(place: Path | Address, tmp_path: Path) -> None:
    store = ModelStore(place)
    assert store.versions() == []
    with pytest.raises(ArtifactError, match="no version is the champion"), store.champion():
        pass
    digests = {}
    for seed in (1, 2):
        folder = artifact(tmp_path / str(seed), seed)
        assert store.add(folder, user="anna", verdict=None if seed == 1 else "better by 0.01") == seed
        digests[seed] = load_artifact(folder).digest
    assert [(row["version"], row["is_champion"], row["verdict"]) for row in store.versions()] == [
        (2, False, "better by 0.01"),
        (1, False, None),
    ]
    store.promote(1, user="boris", note="first")
    store.promote(2, user="boris", note="labels of October")
    with store.champion() as champion:
        assert (champion.version, load_artifact(champion.folder).digest) == (2, digests[2])
    newest = store.versions()[0]
    assert (newest["is_champion"], newest["by"], newest["note"]) == (True, "boris", "labels of October")
    assert (newest["digest"], newest["customers"], newest["title"]) == (
        digests[2],
        1297,
        "logistic regression with splines",
    )
    assert store.roll_back(user="clara", note="complaints") == 1
    with store.champion() as champion:
        assert (champion.version, load_artifact(champion.folder).digest) == (1, digests[1])
    with pytest.raises(SettingsError, match=r"--rollback: found none, expected a champion of .* before this one"):
        store.roll_back(user="clara", note=None)
    assert [(event["action"], event["version"], event["user"]) for event in store.events()] == [
        ("written", 1, "anna"),
        ("written", 2, "anna"),
        ("promoted", 1, "boris"),
        ("promoted", 2, "boris"),
        ("rolled back", 1, "clara"),
    ]


def test_what_cannot_be_promoted(place: Path | Address, tmp_path: Path) -> None:
    store = ModelStore(place)
    with pytest.raises(SettingsError, match=r"--promote: found 7, expected a version of .*: none yet"):
        store.promote(7, user="anna", note=None)
    store.add(artifact(tmp_path / "a", 1), user="anna", verdict=None)
    store.promote(1, user="anna", note=None)
    with pytest.raises(SettingsError, match="expected a version that is not the champion already"):
        store.promote(1, user="anna", note=None)
    assert len(store.events()) == 2


def test_two_who_write_at_once_make_two_events(place: Path | Address, tmp_path: Path) -> None:
    store = ModelStore(place)
    folder = artifact(tmp_path / "a", 1)
    create = store._objects.create
    other = ModelStore(place)
    begun = []

    def late(name: str, content: bytes) -> bool:
        if not begun:
            begun.append(name)
            assert other.add(folder, user="boris", verdict=None) == 1
        return create(name, content)

    store._objects.create = late  # type: ignore[method-assign]
    assert store.add(folder, user="anna", verdict=None) == 2
    assert [(event["version"], event["user"]) for event in store.events()] == [(1, "boris"), (2, "anna")]


def test_an_altered_champion_is_refused(small_drop: Path, tmp_path: Path) -> None:
    """Also one that is whole, but not the one that was promoted."""
    store = ModelStore(tmp_path / "models")
    store.add(artifact(tmp_path / "a", 1), user="anna", verdict=None)
    store.promote(1, user="anna", note=None)
    folder = tmp_path / "models" / "versions" / "1"
    shutil.rmtree(folder)
    artifact(folder, 2)
    result = call("score", "--input", small_drop, "--output", tmp_path / "out", "--artifacts", tmp_path / "models")
    assert result.exit_code == 4
    assert result.stderr.startswith(f"{folder}: found ")
    (tmp_path / "models" / "log" / "000001.json").write_text("{")
    result = call("models", "--store", tmp_path / "models")
    assert (result.exit_code, result.stderr.split(": ")[:2]) == (4, [f"{tmp_path}/models/log", "altered"])


def test_a_folder_with_an_artifact_is_no_store(tmp_path: Path) -> None:
    with chosen_artifact(artifact(tmp_path / "a", 1)) as champion:
        assert champion == (None, tmp_path / "a")
    with chosen_artifact(None) as champion:
        assert champion is None


def test_the_champion_scores_and_is_named(place: Path | Address, small_drop: Path, tmp_path: Path) -> None:
    store = ModelStore(place)
    for seed in (1, 2):
        store.add(artifact(tmp_path / str(seed), seed), user="anna", verdict=None)
    promoted = call("models", "--store", place, "--promote", 2, "--note", "labels of October")
    assert promoted.exit_code == 0
    assert promoted.stdout.splitlines()[1].split()[:2] == ["*", "2"]
    scored = call(
        *("score", "--input", small_drop, "--output", tmp_path / "out", "--artifacts", place, "--no-report"),
        *("--metrics", tmp_path / "retention.prom", *UNMOVED),
    )
    assert scored.exit_code == 0
    model = json.loads((tmp_path / "out" / "latest" / "manifest.json").read_bytes())["model"]
    assert (model["version"], model["digest"]) == (2, load_artifact(tmp_path / "2").digest)
    assert 'model_version="2"' in (tmp_path / "retention.prom").read_text()
    back = call("models", "--store", place, "--rollback")
    assert (back.exit_code, back.stderr.split(": ")[0]) == (2, "--rollback")
    listed = json.loads(call("models", "--store", place, "--json").stdout)
    assert [row["version"] for row in listed["versions"]] == [2, 1]


def test_train_adds_a_version_unless_the_gate_holds_it_back(labelled_drop: Path, tmp_path: Path) -> None:
    store = tmp_path / "models"
    first = call("train", "--input", labelled_drop, "--store", store, "--quick", "--json")
    assert json.loads(first.stdout) == {
        "format": 1,
        "exit_code": 0,
        "problems": [],
        "written": True,
        "version": 1,
        "reason": None,
        "verdict": None,
    }
    assert call("models", "--store", store, "--promote", 1).exit_code == 0
    again = json.loads(call("train", "--input", labelled_drop, "--store", store, "--quick", "--json").stdout)
    assert (again["written"], again["version"]) == (False, None)
    assert again["reason"] == "Not written: the artifact in use is not beaten."
    assert again["verdict"]
    assert len(ModelStore(store).versions()) == 1
    both = call("train", "--input", labelled_drop, "--store", store, "--artifacts", tmp_path)
    assert (both.exit_code, both.stderr) == (2, "one of --artifacts DIR and --store STORE is needed\n")


def test_what_is_no_version_is_passed_over_and_a_version_without_figures_is_told(tmp_path: Path) -> None:
    store = ModelStore(tmp_path / "models")
    assert store.add(artifact(tmp_path / "a", 1), user="anna", verdict=None) == 1
    (tmp_path / "models" / "versions" / "notes.txt").write_text("of mine")
    assert store.add(artifact(tmp_path / "b", 2), user="anna", verdict=None) == 2
    path = tmp_path / "models" / "versions" / "1" / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_bytes()), "roc_auc": {}}))
    with pytest.raises(ArtifactError, match=r"versions/1/manifest.json: altered"):
        store.versions()


def test_what_is_kept_in_a_bucket_is_plain(store: Any, tmp_path: Path) -> None:
    ModelStore(STORE).add(artifact(tmp_path / "a", 1), user="anna", verdict=None)
    listed = {meta["path"] for batch in obstore.list(store, "models") for meta in batch}
    assert {"models/log/000001.json", "models/versions/1/manifest.json", "models/versions/1/card.md"} <= listed
