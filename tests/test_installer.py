"""What installs the environments: uv, told where pip finds packages; pip where uv does not do it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

INSTALLER = Path(__file__).parents[1] / "requirements" / "installer.sh"
PYTHON = """#!/bin/sh
case "$*" in
    *"config list") cat "$CALLS/settings" ;;
    *uv.txt) echo "first $*" >> "$CALLS/made"; [ -e "$CALLS/no-uv" ] || ln "$CALLS/uv" "$(dirname "$0")/uv" ;;
    *) echo "pip $*" >> "$CALLS/made"; exit "$PIP_ENDS" ;;
esac
"""
UV = """#!/bin/sh
echo "uv $*" >> "$CALLS/made"
echo "$UV_DEFAULT_INDEX|$UV_INDEX|$UV_INDEX_STRATEGY|$SSL_CERT_FILE" > "$CALLS/told"
exit "$UV_ENDS"
"""
OPTIONS = ("--require-hashes", "--requirement", "some.txt")
PIP = "-m pip --disable-pip-version-check"
LOCK = INSTALLER.with_name("uv.txt")
FIRST = f"first {PIP} --quiet install --require-hashes --only-binary :all: --requirement {LOCK}"
WITH_UV = "uv pip install --quiet --python target/python --require-hashes --requirement some.txt"
WITH_PIP = f"pip {PIP} --python target/python --quiet install --require-hashes --requirement some.txt"


class Machine:
    """Stand-ins for Python and uv, and what was asked of them."""

    def __init__(self, folder: Path) -> None:
        self.calls, self.bin = folder / "calls", folder / "bin"
        self.settings: list[str] = []
        for path, text in ((self.bin / "python", PYTHON), (self.calls / "uv", UV)):
            path.parent.mkdir()
            path.write_text(text)
            path.chmod(0o755)

    def install(self, *, uv_ends: int = 0, pip_ends: int = 0, **more: str) -> tuple[int, str, list[str]]:
        (self.calls / "settings").write_text("".join(f"{line}\n" for line in self.settings))
        outside = {name: value for name, value in os.environ.items() if not name.startswith(("UV_", "SSL_", "PIP_"))}
        given = {"CALLS": str(self.calls), "UV_ENDS": str(uv_ends), "PIP_ENDS": str(pip_ends), **more}
        command = [INSTALLER, self.bin, "target/python", *OPTIONS]
        done = subprocess.run(command, env=outside | given, check=False, capture_output=True, text=True)
        assert done.stdout == ""
        return done.returncode, done.stderr, (self.calls / "made").read_text().splitlines()

    def told(self) -> list[str]:
        return (self.calls / "told").read_text().rstrip("\n").split("|")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_uv_is_installed_once_and_does_the_work(machine: Machine) -> None:
    assert machine.install() == (0, "", [FIRST, WITH_UV])
    assert machine.told() == ["", "", "unsafe-best-match", ""]
    assert machine.install() == (0, "", [FIRST, WITH_UV, WITH_UV])


def test_uv_is_told_where_pip_finds_packages_and_whom_it_trusts(machine: Machine) -> None:
    machine.settings = [
        ":env:.index-url='http://first.test/simple'",
        "global.cert='/etc/ca.pem'",
        "global.extra-index-url='\\nhttp://one.test/simple\\nhttp://two.test/simple'",
        "global.index-url='http://second.test/simple'",
    ]
    machine.install(SSL_CERT_FILE="/etc/other.pem")
    others = " http://one.test/simple http://two.test/simple"
    assert machine.told() == ["http://first.test/simple", others, "unsafe-best-match", "/etc/ca.pem"]


def test_what_uv_is_told_by_its_own_settings_comes_first(machine: Machine) -> None:
    machine.settings = ["global.index-url='http://pip.test/simple'"]
    machine.install(UV_DEFAULT_INDEX="http://uv.test/simple", SSL_CERT_FILE="/etc/other.pem")
    assert machine.told() == ["http://uv.test/simple", "", "unsafe-best-match", "/etc/other.pem"]


@pytest.mark.parametrize("ends", [0, 3])
def test_pip_does_what_uv_cannot(machine: Machine, ends: int) -> None:
    said = "Installing with pip instead of uv, which takes longer\n"
    assert machine.install(uv_ends=1, pip_ends=ends) == (ends, said, [FIRST, WITH_UV, WITH_PIP])


def test_pip_does_it_where_there_is_no_uv(machine: Machine) -> None:
    (machine.calls / "no-uv").touch()
    code, said, made = machine.install()
    assert (code, made) == (0, [FIRST, WITH_PIP])
    assert said.endswith("Installing with pip instead of uv, which takes longer\n")
