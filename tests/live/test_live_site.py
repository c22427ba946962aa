"""What is served at each address."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from calorimeter.core import shipped
from calorimeter.core.errors import InputError
from calorimeter.live import live_site
from calorimeter.live.live_site import LiveSite
from tests.live.shown_run import figures

FOLDER = shipped.folder("reports") / "templates" / "live"


@pytest.fixture
def text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """The figures of a run as the watch writes them."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return figures(tmp_path / "run").model_dump_json().encode()


def test_the_json_has_the_figures_and_when_they_were_served(text: bytes) -> None:
    """So that a page knows their age, whatever its own clock shows."""
    answer = LiveSite(lambda: text).answer("/live.json")
    found = json.loads(answer.body)
    assert (answer.status, answer.kind, found["problem"]) == (200, "application/json", "")
    assert found["figures"] == json.loads(text)
    assert found["served_ns"] > found["figures"]["at_ns"]


def test_before_a_load_there_are_no_figures() -> None:
    """The page says so, and the metrics are not live."""
    site = LiveSite(lambda: b"")
    assert json.loads(site.answer("live.json").body)["figures"] is None
    assert b"calorimeter_live 0\n" in site.answer("metrics").body


def test_a_problem_is_one_line_of_the_json() -> None:
    """Not a failed request: the page shows it."""

    def broken() -> bytes:
        raise InputError("run", 'is "gone"')

    found = json.loads(LiveSite(broken).answer("live.json").body)
    assert (found["problem"], found["figures"]) == ('run: is "gone"', None)


def test_damaged_figures_give_no_metrics() -> None:
    """Whoever wrote into the folder of the run."""
    assert b"calorimeter_live 0\n" in LiveSite(lambda: b"{}").answer("metrics").body


@pytest.mark.parametrize("path", live_site.PATHS)
def test_every_address_answers(path: str) -> None:
    """With and without a leading slash."""
    site = LiveSite(lambda: b"")
    assert site.answer(path).status == site.answer(f"/{path}").status == 200


@pytest.mark.parametrize(
    "path", ["live/x", "live/../live.js", "%2e%2e/live.js", "favicon.ico", "live.html"]
)
def test_nothing_else_is_served(path: str) -> None:
    """No path names a file."""
    assert LiveSite(lambda: b"").answer(path).status == 404


def test_the_page_loads_its_own_files_alone() -> None:
    """No address of another site, no script or style within the page, no event attribute."""
    page = (FOLDER / "live.html").read_text()
    assert set(re.findall(r'(?:src|href)="([^"]+)"', page)) == {
        "data:,", "live/live.css", "live/live.js", "metrics"
    }  # fmt: skip
    assert not re.search(r"<style|style=|\son\w+=|<script(?! src=)", page)
    for name in ("live.css", "live.js", "tab.js"):
        outside = re.findall(r"https?://[^\s\"'`]+", (FOLDER / name).read_text())
        assert set(outside) <= {"http://www.w3.org/2000/svg"}, name  # a name of SVG, not an address


def test_text_of_a_deployment_never_becomes_html() -> None:
    """The scripts use no function that parses HTML or code."""
    for name in ("live.js", "tab.js"):
        text = (FOLDER / name).read_text()
        found = re.findall(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function", text
        )
        assert found == [], name
