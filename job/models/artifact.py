"""Write, read and verify the folder of a model artifact.

Everything in it is text, nothing in it is run. `manifest.json` lists every other file with its SHA-256; all of them are
checked before any is read, because a damaged LightGBM model would abort the process.

`FORMAT` is raised by one when a reader of the old format would misread the new one; adding a key needs no new number.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import model_artifacts
from job.errors import ArtifactError, OutputError, Problem
from job.files import replace_file
from job.models.content import check_number, check_numbers, check_seen, read_file, read_json
from job.models.kinds import KINDS
from schemas.features import FEATURE_NAMES
from schemas.vocabulary import PERIODS_OF_REVENUE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from job.models.kinds import Model

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
SEAL: Final = "sha256"
"""The entry of the manifest that holds the SHA-256 of all its others, and so of every file of the artifact."""

SMALLEST_LEVEL: Final = 1e-300  # of a month's revenue, which is divided by it
CARD: Final = "card.md"
CARD_PAGE: Final = "card.html"
SEEN: Final = "seen.json"


class Thresholds(NamedTuple):
    """What counts as high, learned in training."""

    risk: float  # decline probability from which risk is high
    profit: float  # monthly profit from which profit is high
    promo_share: float  # share of promotional purchases from which it is high


class Artifact(NamedTuple):
    """A verified artifact."""

    folder: Path
    # the identity of the model: SHA-256 of its manifest, which names all its files. The cards for people, which tell
    # when training took place, are left out, so that the same training gives the same digest.
    digest: str
    manifest: dict[str, Any]
    model: Model
    thresholds: Thresholds
    seen: dict[str, Any]  # the customers that the model has seen; see `job.models.seen`
    # the models of the folds, in their order: each has not seen the customers of its fold
    fold_models: tuple[Model, ...]
    levels: dict[str, float]  # month -> the level of its revenue in training; see `job.levels`


def default_folder() -> Path:
    """Return the folder of the artifact that is shipped with the job."""
    return Path(model_artifacts.__path__[0])


def to_text(plain: object) -> str:
    """Return plain values as the JSON text used in artifacts: the same values give the same bytes."""
    return json.dumps(plain, ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def write_artifact(folder: Path, *, files: Mapping[str, str], facts: Mapping[str, Any]) -> None:
    """Write an artifact: its files, then, last, the manifest that makes them valid. Raises OutputError.

    Args:
        folder: made if it is missing. Files of an earlier artifact that the new one does not have are removed.
        files: name -> text; plain names without folders.
        facts: goes to the manifest beside the format and the checksums.
    """
    digests = {name: _sha256(text.encode()) for name, text in sorted(files.items())}
    manifest = {"format": FORMAT, **facts, "files": digests}
    manifest[SEAL] = seal_manifest(manifest)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        old = _files_of(folder)
        for name, text in {**files, MANIFEST: to_text(manifest)}.items():
            replace_file(folder / name, text.encode())
        for name in old - files.keys():
            (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written: {error.strerror}") from error


def seal_manifest(manifest: Mapping[str, Any]) -> str:
    """Return the SHA-256 of all that a manifest says but for the seal itself."""
    return _sha256(to_text({key: value for key, value in manifest.items() if key != SEAL}).encode())


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def prepare_folder(folder: Path) -> None:
    """Make sure that an artifact can be written, before long work. Raises OutputError if not."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written: {error.strerror}") from error


def load_artifact(folder: Path) -> Artifact:
    """Read and verify an artifact.

    Raises ArtifactError, which names every problem, if it is missing, altered, or made by an incompatible version.
    """
    try:
        manifest = read_json(folder / MANIFEST)
        to_text(manifest).encode()  # its seal is of such a text: nesting and halves of characters have a limit
    except OSError as error:
        raise ArtifactError(f"{folder / MANIFEST}: no model artifact can be read here: {error.strerror}") from error
    except (RecursionError, ValueError) as error:
        raise ArtifactError(f"{folder / MANIFEST}: altered: it is not JSON ({error})") from error
    if not isinstance(manifest, dict) or not isinstance(manifest.get("format"), int):
        raise ArtifactError(f"{folder / MANIFEST}: altered: it does not name its format")
    if manifest["format"] != FORMAT:
        expected = f"format {FORMAT}; use the version of the job that trained it"
        raise ArtifactError([Problem(str(folder / MANIFEST), expected, f"format {manifest['format']}")])
    problems = _verify_files(folder, manifest)
    sealed = seal_manifest(manifest)
    if manifest.get(SEAL) != sealed:
        held = str(manifest.get(SEAL, "none"))
        problems.append(Problem(str(folder / MANIFEST), f"the SHA-256 {sealed} of what it says (altered)", held))
    if problems:
        raise ArtifactError(problems)
    try:
        if tuple(manifest["features"]) != FEATURE_NAMES:
            expected = f"the features {', '.join(FEATURE_NAMES)}"
            raise ArtifactError([Problem(str(folder / MANIFEST), expected, ", ".join(manifest["features"]))])
        thresholds = Thresholds(**manifest["thresholds"])
        check_number("threshold profit", thresholds.profit)
        check_number("threshold risk", thresholds.risk, 0, 1)
        check_number("threshold promo_share", thresholds.promo_share, 0, 1)
        kind = str(manifest["kind"])
        model = _read_model(folder, kind)
        seen = read_json(folder / SEEN)
        check_seen(seen)
        fold_models = tuple(_read_model(folder, kind, fold_prefix(fold)) for fold in range(len(seen["folds"])))
        levels = {
            period: check_number(f"level of {period}", manifest["levels"][period], low=SMALLEST_LEVEL)
            for period in PERIODS_OF_REVENUE
        }
    except ModuleNotFoundError as error:
        raise ArtifactError(
            f"{folder}: a boosted model needs {error.name}, which is not installed here: "
            "pip install 'oneclick-retention[boosted]', or an image built with these requirements"
        ) from error
    except (ArithmeticError, AttributeError, LookupError, OSError, TypeError, ValueError) as error:
        raise ArtifactError(
            f"{folder}: not made by this version of the job: {type(error).__name__}: {error}"
        ) from error
    files = {name: digest for name, digest in manifest["files"].items() if name not in (CARD, CARD_PAGE)}
    digest = seal_manifest({**manifest, "files": files})
    return Artifact(folder, digest, manifest, model, thresholds, seen, fold_models, levels)


def _read_model(folder: Path, kind: str, prefix: str = "") -> Model:
    if kind not in KINDS:
        raise ValueError(f"unknown kind of model {kind!r}")
    name = f"{prefix}model.json"
    plain = read_json(folder / name)
    check_numbers(plain, name)
    return KINDS[kind].load(plain, lambda name: read_file(folder / f"{prefix}{name}").decode())


def fold_prefix(fold: int) -> str:
    """Return how the names of the files of a fold's model begin."""
    return f"fold_{fold + 1}_"


def model_files(model: Model, prefix: str = "") -> dict[str, str]:
    """Return the files of a model: name -> text."""
    texts = {"model.json": to_text(model.to_json()), **model.texts()}
    return {f"{prefix}{name}": text for name, text in texts.items()}


def _files_of(folder: Path) -> set[str]:
    """Return the files that the artifact in the folder names, none where there is no readable one."""
    try:
        return set(json.loads((folder / MANIFEST).read_bytes())["files"]) & {path.name for path in folder.iterdir()}
    except (OSError, ValueError, KeyError, TypeError):
        return set()


def _verify_files(folder: Path, manifest: Mapping[str, Any]) -> list[str | Problem]:
    files = manifest.get("files")
    if not isinstance(files, dict) or "model.json" not in files:
        return [f"{folder / MANIFEST}: altered: it does not list the model's files"]
    problems: list[str | Problem] = []
    for name, expected in files.items():
        if Path(name).name != name or "\0" in name:
            problems.append(Problem(str(folder / MANIFEST), "names of files in its own folder", name))
            continue
        try:
            digest = _sha256(read_file(folder / name))
        except OSError as error:
            problems.append(f"{folder / name}: missing or unreadable: {error.strerror}")
            continue
        if digest != expected:
            problems.append(
                Problem(str(folder / name), f"the SHA-256 {expected} of {MANIFEST}", f"an altered file, {digest}")
            )
    return problems
