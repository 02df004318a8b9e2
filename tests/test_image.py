"""The Dockerfile and what builds it, as far as that goes without building: `make image-test` does."""

from __future__ import annotations

import fnmatch
import re
import subprocess
import sys
from pathlib import Path

import pytest

from deploy import image_test, rootfs

ROOT = Path(__file__).parents[1]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def test_hadolint_finds_nothing() -> None:
    hadolint = Path(sys.executable).parent / "hadolint"
    result = subprocess.run([hadolint, ROOT / "Dockerfile"], check=False, capture_output=True, text=True)
    assert (result.returncode, result.stdout) == (0, "")


def test_what_is_copied_is_not_ignored() -> None:
    sources = {
        word.rstrip("/")
        for line in re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, flags=re.MULTILINE)
        for word in line.split()
    }
    assert {"job", "schemas", "model_artifacts", "pyproject.toml"} <= sources
    rules = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    let_in = {rule.removeprefix("!").split("/*")[0] for rule in rules if rule.startswith("!")}
    assert rules[1] == "*"
    assert {source for source in sources if not source.startswith("requirements/")} == let_in


def test_libraries_are_pinned_by_hash_and_come_before_the_source() -> None:
    installs = re.findall(r"pip install.*", DOCKERFILE + (ROOT / "deploy/install.sh").read_text(encoding="utf-8"))
    assert all("--require-hashes" in line for line in installs)
    last = DOCKERFILE[DOCKERFILE.index("AS score") :]
    assert last.index("COPY --from=libraries") < last.index("COPY --from=source")


def test_no_file_of_the_image_names_a_mirror() -> None:
    files = [ROOT / "Dockerfile", *(path for path in (ROOT / "deploy").rglob("*") if path.is_file())]
    for file in files:
        if "__pycache__" not in file.parts:
            assert "https://" not in file.read_text(encoding="utf-8"), file
            assert "http://" not in file.read_text(encoding="utf-8"), file


def test_the_base_is_found_in_the_dockerfile() -> None:
    assert image_test.base_name() == ("docker.io/library/python:3.11-slim-bookworm", "3.11")


def test_pip_s_settings_reach_the_build_as_secrets_and_folders_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tmp_path / "pip.conf"
    settings.write_text(
        "[global]\nindex-url = http://mirror.test/simple\nextra-index-url = file:///wheels http://other.test/simple\n"
        "cert = /etc/ca.pem\nfind-links = /wheels\n"
    )
    for name in ("PIP_CERT", "PIP_FIND_LINKS", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_DEFAULT_TIMEOUT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(settings))
    folder = tmp_path / "secrets"
    folder.mkdir()
    assert image_test._secrets(folder) == [
        "--secret",
        f"id=pip,src={folder}/pip.conf",
        "--secret",
        "id=ca,src=/etc/ca.pem",
    ]
    assert (folder / "pip.conf").read_text().splitlines()[:3] == [
        "[global]",
        "index-url = http://mirror.test/simple",
        "extra-index-url = http://other.test/simple",
    ]
    assert (folder / "pip.conf").read_text().splitlines()[-1] == "cert = /run/secrets/ca"


def test_without_an_engine_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(image_test.shutil, "which", lambda name, path=None: None)  # noqa: ARG005
    with pytest.raises(SystemExit) as stopped:
        image_test.find_engine(tmp_path / "cache")
    assert stopped.value.code == image_test.CANNOT
    assert "apt-get install buildah podman runc debootstrap catatonit" in capsys.readouterr().out
    assert not (tmp_path / "cache").exists()


def test_links_are_kept_and_what_they_lead_to_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rootfs, "ROOTFS", tmp_path / "rootfs")
    real = tmp_path / "real"
    real.mkdir()
    (real / "library.so.1").write_bytes(b"code")
    (real / "library.so").symlink_to("library.so.1")
    (tmp_path / "short").symlink_to("real")
    copied: set[Path] = set()
    rootfs.copy(tmp_path / "short" / "library.so", copied)
    inside = rootfs.ROOTFS / tmp_path.relative_to("/")
    assert (inside / "short").readlink() == Path("real")
    assert (inside / "short" / "library.so").read_bytes() == b"code"
    assert copied == {real / "library.so.1"}


def test_folders_are_copied_without_what_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rootfs, "ROOTFS", tmp_path / "rootfs")
    for name in ("json/decoder.py", "ensurepip/__init__.py", "json/__pycache__/decoder.pyc", "config-3.11/libpython.a"):
        (tmp_path / "lib" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "lib" / name).touch()
    copied: set[Path] = set()
    rootfs.copy(tmp_path / "lib", copied)
    assert copied == {tmp_path / "lib/json/decoder.py"}
    inside = rootfs.ROOTFS / tmp_path.relative_to("/") / "lib"
    assert sorted(path.name for path in inside.rglob("*")) == ["decoder.py", "json"]


LDD = """#!/bin/sh
echo '	linux-vdso.so.1 (0x00007f6f29731000)'
echo '	libm.so.6 => /lib/libm.so.6 (0x00007f6f28e1e000)'
echo '	libown.so.2 => not found'
echo '	{missing}'
echo '	/lib64/ld-linux.so.2 (0x00007f6f29733000)'
"""


def fake_ldd(folder: Path, missing: str) -> None:
    (folder / "ldd").write_text(LDD.format(missing=missing))
    (folder / "ldd").chmod(0o755)


def test_the_loader_and_what_it_opens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_ldd(tmp_path, "")
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    assert rootfs.shared_libraries([Path("/opt/libown.so.2")]) == {Path("/lib/libm.so.6"), Path("/lib64/ld-linux.so.2")}


def test_a_library_that_is_missing_ends_the_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_ldd(tmp_path, "libgomp.so.1 => not found")
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    with pytest.raises(SystemExit, match=r"^shared libraries that the base does not have: libgomp\.so\.1$"):
        rootfs.shared_libraries([Path("/opt/libown.so.2")])


def test_the_context_of_the_build_holds_no_caches() -> None:
    rules = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert rules[-1] == "**/__pycache__"
    assert fnmatch.fnmatch("job/scoring/__pycache__", rules[-1])
