"""The page in a real browser: nothing on the console, nothing on the network, the charts there."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
CONTROL = """<!DOCTYPE html><script>console.error("bad")</script><img src="http://nowhere.invalid/x.png">"""

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")


def browse(page: Path, folder: Path, *, width: int) -> tuple[str, list[str], list[str]]:
    """Return the page's DOM once loaded, the console's lines, and the addresses that were asked for."""
    log = folder / "net.json"
    result = subprocess.run(
        [
            str(CHROMIUM),
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--host-resolver-rules=MAP * ~NOTFOUND",
            "--enable-logging=stderr",
            f"--user-data-dir={folder / 'profile'}",
            f"--log-net-log={log}",
            f"--window-size={width},900",
            "--dump-dom",
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
    )
    console = re.findall(r"^\[.*:CONSOLE[:(].*$", result.stderr, flags=re.MULTILINE)
    return result.stdout, console, asked_for(log)


def asked_for(log: Path) -> list[str]:
    """Return the addresses that a page asked for; the browser's own requests have no initiator."""
    told = [event.get("params", {}) for event in json.loads(log.read_text())["events"]]
    asked = {own["url"] for own in told if "url" in own and own.get("initiator", "not an origin") != "not an origin"}
    return sorted(asked)


def test_the_browser_would_tell_of_a_bad_page(tmp_path: Path) -> None:
    bad = tmp_path / "bad.html"
    bad.write_text(CONTROL)
    _, console, urls = browse(bad, tmp_path, width=1280)
    assert ["bad" in line for line in console[:1]] == [True]
    assert urls == ["http://nowhere.invalid/x.png"]


@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_is_quiet_and_whole(run_folder: Path, tmp_path: Path, width: int) -> None:
    page = tmp_path / "report.html"
    shutil.copy(run_folder / "report.html", page)
    dom, console, urls = browse(page, tmp_path, width=width)
    assert console == []
    assert urls == []
    charts = re.findall(r"<svg.*?</svg>", dom, flags=re.DOTALL)
    facts = json.loads((run_folder / "manifest.json").read_text())["facts"]
    named = {found.group(1): chart for chart in charts if (found := re.search(r'aria-label="([^"]+)"', chart))}
    bubbles = named["Сегменты: средний риск, прибыль под риском и число клиентов"]
    assert len(re.findall(r'role="graphics-symbol" aria-roledescription="circle"', bubbles)) == len(facts["segments"])
    deciles = named["Доля прибыли под риском по десятым долям клиентов"]
    assert len(re.findall(r'aria-roledescription="bar"', deciles)) == len(facts["deciles"])
