"""The live page and Locust's tab in headless Chromium."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from calorimeter.core.toml import Model
from calorimeter.live import live_server
from calorimeter.live.live_figures import LiveFigures
from calorimeter.live.live_site import LiveSite
from tests.live.chromium import Browser, browser
from tests.live.shown_run import S, figures

pytestmark = [pytest.mark.lab, pytest.mark.slow]

ODD = '<img src=x onerror="document.title=1"> & \u202e'


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for all tests."""
    with browser(tmp_path_factory.mktemp("chromium")) as started:
        yield started


class Served:
    """A live page whose figures a test sets. `text` is what is served."""

    def __init__(self, shown: LiveFigures, port: int) -> None:
        self.shown, self.url, self.text = shown, f"http://127.0.0.1:{port}/live", b""

    def set(self, age_s: float = 0.0, **entries: Any) -> None:
        """Serve figures that were made `age_s` ago."""
        tree = json.loads(self.shown.model_copy(update=entries).model_dump_json())
        later_ns = time.time_ns() - int(age_s * S) - tree["at_ns"]
        self.text = json.dumps(_moved(tree, later_ns)).encode()


def _moved(tree: Any, later_ns: int) -> Any:
    """Figures with all times this much later."""
    if isinstance(tree, list):
        return [_moved(each, later_ns) for each in tree]
    if not isinstance(tree, dict):
        return tree
    times = {key: value for key, value in tree.items() if key.endswith("_ns") and value}
    moved = {
        key: [each + later_ns for each in value] if isinstance(value, list) else value + later_ns
        for key, value in times.items()
    }
    return {key: moved.get(key, _moved(value, later_ns)) for key, value in tree.items()}


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """The figures of a run with faults and gates."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with socket.create_server(("127.0.0.1", 0)) as on:
        found = Served(figures(tmp_path / "run"), on.getsockname()[1])
        with live_server.served(LiveSite(lambda: found.text), on):
            yield found


def text(page: Browser, at: str = "body") -> str:
    """The visible text of an element."""
    return str(page.value(f"document.querySelector({at!r}).innerText"))


@pytest.mark.parametrize("width", [1280, 375])
@pytest.mark.parametrize("dark", [False, True])
def test_the_page_shows_every_figure(page: Browser, served: Served, width: int, dark: bool) -> None:
    """Without a message on the console, a request outside, or a page that is wider than its screen."""
    served.set()
    page.open(served.url, width, dark=dark)
    page.until("document.querySelectorAll('#sources li').length")
    assert "● live" in text(page, "#pulse")
    for at, words in {
        "#backends": ("rest-1", "● up", "66.7 %", "50.0 %"),
        "#engines": ("heat-engine[4711]@127.0.0.1", "● consuming", "33.3 %"),
        "#queues": ("stacks in progress", "engine_worker: waiting"),
        "#faults": ("1 rest-2: kill, healed", "10 s", "✕ open in force since"),
        "#gates": ("✓ PASS E2", "✗ FAIL H1", "? INCONCLUSIVE L1", "– NOT RUN P3", "waived"),
        "#sources": ("proxy proxy", "broker", "load generator"),
    }.items():
        assert [word for word in words if word not in text(page, at)] == [], at
    assert page.value("document.querySelectorAll('svg .band').length") == 2
    assert page.value("document.documentElement.scrollWidth <= innerWidth")
    assert page.console == []
    assert {url.rpartition("/")[0] for url in page.asked} <= {served.url, served.url.removesuffix("/live")}


def test_light_and_dark_differ_and_have_contrast(page: Browser, served: Served) -> None:
    """Text has a contrast of 4.5 to 1 or more (WCAG 2.2, level AA) in both."""
    papers = set()
    for dark in (False, True):
        served.set()
        page.open(served.url, dark=dark)
        page.until("document.querySelectorAll('#sources li').length")
        found = page.value(CONTRASTS)
        assert found["least"] >= 4.5, found
        papers.add(found["paper"])
    assert len(papers) == 2


CONTRASTS = """(() => {
  const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const linear = (part) => part <= 10 ? part / 3294 : ((part / 255 + 0.055) / 1.055) ** 2.4;
  const light = (colour) => {
    const [red, green, blue] = numbers(colour).map(linear);
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const behind = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if (numbers(colour)[3] !== 0) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  let least = 99, where = "";
  for (const node of document.querySelectorAll("h1, h2, h3, p, li, b, small, th, td, dt, dd, span")) {
    if (!node.innerText) continue;
    const [one, other] = [light(getComputedStyle(node).color), light(behind(node))].sort((a, b) => b - a);
    const contrast = (one + 0.05) / (other + 0.05);
    if (contrast < least) [least, where] = [contrast, node.outerHTML.slice(0, 200)];
  }
  return { least, where, paper: getComputedStyle(document.body).backgroundColor };
})()"""
"""The least contrast of any text of the page, by the formula of WCAG 2.2."""


def test_the_page_says_when_data_stops(page: Browser, served: Served) -> None:
    """Old figures, an end in order, and a problem have words of their own."""
    for words, age_s, entries in (
        ("✕ stopped: no new figures come. What is shown is old.", 30.0, {}),
        ("■ over: recording has ended", 30.0, {"over": True}),
    ):
        served.set(age_s, **entries)
        page.open(served.url)
        page.until(f"document.getElementById('pulse').innerText.includes({words!r})")
        assert "30 s old" in text(page, "#pulse") or "31 s old" in text(page, "#pulse")
    served.text = b"{"
    page.until("document.getElementById('pulse').innerText.includes('the answer cannot be read')")
    served.set()
    page.until("document.getElementById('pulse').innerText.includes('● live')")


def test_the_page_says_when_its_server_is_gone(page: Browser, tmp_path: Path, served: Served) -> None:
    """The last figures stay, with a mark that they are old."""
    with socket.create_server(("127.0.0.1", 0)) as on:
        url = f"http://127.0.0.1:{on.getsockname()[1]}/live"
        with live_server.served(LiveSite(lambda: served.text), on):
            served.set()
            page.open(url)
            page.until("document.getElementById('pulse').innerText.includes('● live')")
    page.until("document.getElementById('pulse').innerText.includes('server does not answer')")
    assert "rest-1" in text(page, "#backends")
    assert page.value("document.body.classList.contains('old')")


def test_before_a_load_the_page_says_so(page: Browser, served: Served) -> None:
    """No empty tables."""
    page.open(served.url)
    page.until("document.getElementById('pulse').innerText.includes('no load has begun')")
    assert page.value("document.getElementById('figures').hidden")


def test_a_source_that_is_silent_is_named(page: Browser, served: Served) -> None:
    """Beside the state of the page, and in the list of sources."""
    proxy, broker, generator = served.shown.sources
    served.set(sources=(proxy.model_copy(update={"at_ns": proxy.at_ns - 60 * S}), broker, generator))
    page.open(served.url)
    page.until("document.getElementById('pulse').innerText.includes('without news of: proxy proxy')")
    assert "✕ proxy proxy" in text(page, "#sources")


def _odd(rows: Sequence[Model], *keys: str) -> tuple[Model, ...]:
    return tuple(each.model_copy(update=dict.fromkeys(keys, ODD)) for each in rows)


def test_text_of_the_deployment_stays_text(page: Browser, served: Served) -> None:
    """Names of everything are shown as they are; what reorders other text is shown as its number."""
    shown = served.shown
    served.set(
        deployment=ODD,
        run=ODD,
        gates_of=ODD,
        backends=_odd(shown.backends, "name", "section", "status"),
        engines=_odd(shown.engines, "name", "topic"),
        generator=_odd(shown.generator, "worker", "limits"),
        faults=_odd(shown.faults, "part", "fault"),
        gates=_odd(shown.gates, "gate", "heading", "why"),
        sources=_odd(shown.sources, "name", "problem"),
        predicted_by={ODD: ODD},
    )
    page.open(served.url, 375)
    page.until("document.querySelectorAll('#sources li').length")
    assert page.value("document.querySelectorAll('img').length") == 0
    assert page.value("document.title") == "Deployment, live"
    assert ODD.replace("\u202e", "\\u202e") in text(page, "#backends")
    assert "\u202e" not in text(page)
    assert page.value("document.documentElement.scrollWidth <= innerWidth")


def test_locusts_tab_shows_the_page(page: Browser, tmp_path: Path, served: Served) -> None:
    """Chosen, it shows the page below Locust's tabs; another tab takes it away."""
    served.set()
    (tmp_path / "run" / "watch" / "live.json").write_bytes(served.text)
    command = [sys.executable, "-m", "tests.load.programs.tab_page", str(tmp_path / "run")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as locust:
        assert locust.stdin is not None and locust.stdout is not None
        port = locust.stdout.readline().strip()
        page.open(f"http://127.0.0.1:{port}/")
        page.until("document.querySelector('[role=tab]')")
        tabs = "[...document.querySelectorAll('[role=tab]')]"
        page.value(f"{tabs}.find((each) => each.textContent === 'Deployment').click()")
        inner = "document.querySelector('iframe').contentDocument"
        page.until(f"{inner}.querySelectorAll('#sources li').length")
        assert "rest-1" in page.value(f"{inner}.body.innerText")
        page.value(f"{tabs}.find((each) => each.textContent === 'Charts').click()")
        page.until("!document.querySelector('iframe')")
        assert page.console == []
        locust.stdin.close()
        assert locust.wait(20) == 0
