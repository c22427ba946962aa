"""The page in headless Chromium."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from calorimeter.report import page, page_content, report_folder
from calorimeter.report.history import history_page, run_folders, whole_history
from tests.report.history.many_runs import slower_since

pytestmark = [pytest.mark.lab, pytest.mark.slow]


def _opened(page_file: Path, scratch: Path) -> tuple[list[str], list[str]]:
    """Open a page in headless Chromium: its console messages, and the requests that it asked for.

    Chromium itself asks for updates too; its own requests have no origin. No name resolves, so nothing
    leaves this machine either way.
    """
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert chromium, "chromium is not installed: apt-get install chromium"
    log, picture = scratch / "net.json", scratch / "page.png"
    options = [
        *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--enable-logging=stderr"),
        *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
        *("--host-resolver-rules=MAP * ~NOTFOUND", f"--log-net-log={log}", f"--screenshot={picture}"),
        *(f"--user-data-dir={scratch / 'profile'}", "--window-size=1000,3000"),
    ]
    command = [chromium, *options, page_file.as_uri()]
    found = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert picture.stat().st_size > 1000
    events = [line for line in log.read_text().splitlines() if '"initiator"' in line]
    asked = [re.findall(r'"initiator":"([^"]*)".*"url":"([^"]*)"', event)[0] for event in events]
    console = [line for line in found.stderr.splitlines() if "CONSOLE" in line]
    return console, [url for origin, url in asked if origin != "not an origin" and url.startswith("http")]


def test_chromium_opens_the_page_without_complaint(module_builder: Any, tmp_path: Path) -> None:
    """The page opens in headless Chromium without a console message or a request outside."""
    report_folder.write(page.files(page_content.collect(module_builder.run)), tmp_path / "report")
    assert _opened(tmp_path / "report" / "index.html", tmp_path) == ([], [])


def test_chromium_opens_a_history_without_complaint(tmp_path: Path) -> None:
    """So does the page of many runs."""
    runs = slower_since(tmp_path / "runs", 12, 6)
    found = whole_history.of([runs], run_folders.collect([runs]))
    report_folder.write(history_page.files(found, tmp_path / "history"), tmp_path / "history")
    assert _opened(tmp_path / "history" / "index.html", tmp_path) == ([], [])


def test_chromium_reports_errors_and_requests(tmp_path: Path) -> None:
    """A page that logs an error and asks for a picture from outside is reported."""
    bad = tmp_path / "bad.html"
    bad.write_text('<img src="http://pictures.invalid/a.png"><script>console.error("no")</script>')
    console, asked = _opened(bad, tmp_path)
    assert any("no" in line for line in console)
    assert asked == ["http://pictures.invalid/a.png"]
