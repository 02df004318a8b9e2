"""The page in a real browser: nothing on the console, nothing on the network, the charts there."""

from __future__ import annotations

import html
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
    data = json.loads((run_folder / "manifest.json").read_text())["report_data"]
    named = {found.group(1): chart for chart in charts if (found := re.search(r'aria-label="([^"]+)"', chart))}
    bubbles = named["Сегменты: средний риск, прибыль под риском и число клиентов"]
    assert bubbles.count('fill-opacity=".3"') == len(data["segments"])
    deciles = named["Доля прибыли под риском по десятым долям клиентов"]
    assert deciles.count("<rect") == len(data["deciles"])


MEASURE = """<!DOCTYPE html><iframe id="page" style="width:{width}px;height:900px;border:0" srcdoc="{page}"></iframe>
<pre id="wide"></pre><script>
document.getElementById("page").onload = event => {{
  const seen = event.target.contentDocument;
  seen.querySelectorAll("details").forEach(part => part.open = {is_open});
  const limit = seen.documentElement.clientWidth + 1;
  const wide = [...seen.querySelectorAll("td, th, p, li, h2, code")].filter(
    one => !one.closest(".scroll") && one.getBoundingClientRect().right > limit).map(one => one.textContent.trim());
  if (seen.documentElement.scrollWidth > limit) wide.push(`the page: ${{seen.documentElement.scrollWidth}}`);
  document.getElementById("wide").textContent = JSON.stringify(wide);
}};</script>"""


@pytest.mark.parametrize("is_open", [False, True], ids=["closed", "open"])
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_wider_than_the_screen(page_file: Path, tmp_path: Path, width: int, *, is_open: bool) -> None:
    content = html.escape(page_file.read_text(), quote=True)
    wrapper = tmp_path / "wrapper.html"
    wrapper.write_text(MEASURE.format(width=width, page=content, is_open=json.dumps(is_open)))
    dom, _, _ = browse(wrapper, tmp_path, width=1400)
    found = re.search(r'<pre id="wide">(.*?)</pre>', dom, flags=re.DOTALL)
    assert found
    assert json.loads(html.unescape(found.group(1))) == []


def test_a_comparison_is_quiet(lift_folder: Path, tmp_path: Path) -> None:
    _, console, urls = browse(lift_folder / "lift.html", tmp_path, width=390)
    assert (console, urls) == ([], [])


def test_a_measure_tells_what_is_too_wide(tmp_path: Path) -> None:
    wide = html.escape("<!DOCTYPE html><p style='width:500px'>too wide</p>", quote=True)
    (tmp_path / "wrapper.html").write_text(MEASURE.format(width=390, page=wide, is_open="true"))
    dom, _, _ = browse(tmp_path / "wrapper.html", tmp_path, width=1400)
    assert '["too wide","the page:' in dom


def print_page(page: Path, folder: Path) -> Path:
    """Return the page printed to PDF."""
    printed = folder / "page.pdf"
    subprocess.run(
        [
            *(str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}"),
            *("--no-pdf-header-footer", f"--print-to-pdf={printed}", page.as_uri()),
        ],
        capture_output=True,
        timeout=240,
        check=True,
    )
    return printed


def page_sizes(printed: Path) -> list[tuple[float, float]]:
    """Return width and height of each page in points."""
    boxes = re.findall(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", printed.read_bytes())
    return [(float(width), float(height)) for width, height in boxes]


def test_closed_it_prints_on_at_most_four_sheets_of_a4(page_file: Path, tmp_path: Path) -> None:
    sizes = page_sizes(print_page(page_file, tmp_path))
    assert 1 < len(sizes) <= 4
    assert {(round(width / 72 * 25.4), round(height / 72 * 25.4)) for width, height in sizes} == {(210, 297)}


def test_what_an_analyst_opened_is_printed_too(run_folder: Path, tmp_path: Path) -> None:
    opened = tmp_path / "opened.html"
    opened.write_text((run_folder / "report.html").read_text().replace("<details>", "<details open>"))
    (tmp_path / "a").mkdir()
    closed = page_sizes(print_page(run_folder / "report.html", tmp_path))
    assert len(page_sizes(print_page(opened, tmp_path / "a"))) > len(closed)


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="no pdftotext is installed")
def test_no_paragraph_is_cut_between_sheets(page_file: Path, tmp_path: Path) -> None:
    printed = print_page(page_file, tmp_path)
    text = subprocess.run(["pdftotext", "-raw", printed, "-"], check=True, capture_output=True, text=True).stdout
    page = re.sub(r"\s+", " ", page_file.read_text())
    first_words = [" ".join(sheet.split()[:2]) for sheet in text.split("\f") if sheet.strip()]
    starts = html.unescape(re.sub(r"<[^>]+>", "\n", page))
    blocks = [" ".join(line.split()) for line in starts.split("\n")]
    cut = [words for words in first_words if not any(block.startswith(words) for block in blocks)]
    assert [words for words in cut if words.split()[0] not in blocks] == []  # a table's headings stand on each sheet
