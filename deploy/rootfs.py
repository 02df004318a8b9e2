"""Inside the image's build: lay out in /rootfs the few files of this system that Python and the libraries run on.

The base has a shell, a package manager, Perl and 60 MB more that the job never calls. What it does call is known: the
interpreter, its standard library (compiled here, as the slim base is not), the shared libraries that `ldd` names for
all of these, and some files that the C library or OpenSSL open by name. Each Debian package that a file came from
is noted the way that scanners for vulnerabilities know from distroless images, with its copyright file.
"""

from __future__ import annotations

import compileall
import py_compile
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOTFS = Path("/rootfs")
LIBRARIES = Path("/opt/retention")
STANDARD_LIBRARY = Path(sysconfig.get_path("stdlib"))
# Parts of it that install, document, develop or draw windows.
NOT_RUN = (
    *("config-*", "ensurepip", "idlelib", "lib2to3", "pydoc_data", "site-packages", "dist-packages"),
    *("test", "tests", "tkinter", "turtledemo", "__pycache__", "_tkinter*.so", "nis.*.so", "_*dbm.*.so", "*.a"),
)
OPENED_BY_NAME = (
    "/etc/group",
    "/etc/ld.so.cache",
    "/etc/nsswitch.conf",
    "/etc/os-release",
    "/etc/passwd",
    "/etc/ssl/certs/ca-certificates.crt",
    "/usr/lib/locale/C.utf8",
    "/usr/share/zoneinfo",
)


def copy(path: Path, copied: set[Path]) -> None:
    """Copy a file, or a folder with all in it, to the same path under `ROOTFS`, with every link that leads to it."""
    for link in (*reversed(path.parents), path):
        if link.is_symlink():
            copy_link = ROOTFS / link.relative_to("/")
            if not copy_link.is_symlink():
                copy_link.parent.mkdir(parents=True, exist_ok=True)
                copy_link.symlink_to(link.readlink())
            return copy((link.parent / link.readlink()).joinpath(path.relative_to(link)), copied)
    path = Path(*_without_dots(path.parts))
    target = ROOTFS / path.relative_to("/")
    if path.is_dir():
        shutil.copytree(path, target, symlinks=True, ignore=shutil.ignore_patterns(*NOT_RUN), dirs_exist_ok=True)
        copied.update(file for file in path.rglob("*") if (ROOTFS / file.relative_to("/")).is_file())
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target)
        copied.add(path)
    return None


def _without_dots(parts: tuple[str, ...]) -> list[str]:
    clean: list[str] = []
    for part in parts:
        if part == "..":
            clean.pop()
        else:
            clean.append(part)
    return clean


def shared_libraries(files: list[Path]) -> set[Path]:
    """Return what the dynamic loader opens for `files`, itself included; one that it does not find ends the build."""
    listing = subprocess.run(["ldd", *files], check=False, capture_output=True, text=True).stdout
    # Some wheels bring a library that only their other one, loaded before, leads to.
    if missing := sorted(set(re.findall(r"(\S+) => not found", listing)) - {file.name for file in files}):
        sys.exit(f"shared libraries that the base does not have: {', '.join(missing)}")
    return {Path(path) for path in re.findall(r"(?:^\s+|=> )(/\S+) \(0x", listing, flags=re.MULTILINE)}


def note_packages(copied: set[Path]) -> None:
    """Write the status of each package that owns one of the files, and copy its copyright file."""
    names = {str(path) for path in copied} | {str(path).removeprefix("/usr") for path in copied}
    stanzas = Path("/var/lib/dpkg/status").read_text(encoding="utf-8").strip().split("\n\n")
    for stanza in stanzas:
        fields = dict(re.findall(r"^([A-Z]\S*): (.*)$", stanza, flags=re.MULTILINE))
        name = fields["Package"]
        info = Path("/var/lib/dpkg/info")
        lists = [info / f"{name}.list", info / f"{name}:{fields['Architecture']}.list"]
        owned = {line for file in lists if file.is_file() for line in file.read_text(encoding="utf-8").splitlines()}
        if not owned & names:
            continue
        note = ROOTFS / "var/lib/dpkg/status.d" / name
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(stanza + "\n", encoding="utf-8")
        if (documents := Path("/usr/share/doc") / name / "copyright").is_file():
            copy(documents, set())


def main() -> None:
    """Fill `ROOTFS`."""
    copied: set[Path] = set()
    copy(LIBRARIES / "bin" / "python", copied)
    shutil.rmtree(ROOTFS / LIBRARIES.relative_to("/"))  # a layer of its own
    copy(STANDARD_LIBRARY, copied)
    programs = [Path(sys.executable).resolve(), *sorted(path for path in copied if path.suffix == ".so")]
    for library in shared_libraries(programs + sorted(LIBRARIES.rglob("*.so*"))):
        if not library.is_relative_to(LIBRARIES):
            copy(library, copied)
    for name in OPENED_BY_NAME:
        copy(Path(name), copied)
    note_packages(copied)
    (ROOTFS / "tmp").mkdir(mode=0o1777)
    (ROOTFS / "tmp").chmod(0o1777)
    compileall.compile_dir(
        ROOTFS / STANDARD_LIBRARY.relative_to("/"),
        stripdir=ROOTFS,
        prependdir="/",
        quiet=1,
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )


if __name__ == "__main__":
    main()
