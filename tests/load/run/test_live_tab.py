"""The tab of Locust's page, by Flask's test client."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Blueprint, Flask

from calorimeter.live.live_site import HEADERS, PATHS
from calorimeter.live.own_site import of_this_site
from calorimeter.load.run import live_tab
from tests.live.shown_run import figures


class PageOfLocust:
    """What the tab uses of Locust's `WebUI`, with the same blueprint."""

    def __init__(self, base_path: str | None = None) -> None:
        self.app = Flask(__name__)
        self.template_args: dict[str, Any] = {}
        self.guarded: list[str] = []
        locust = Blueprint("locust", __name__, url_prefix=base_path)
        locust.add_url_rule("/", "index", lambda: "<body><p>Locust</p></body>")
        locust.add_url_rule("/other", "other", lambda: "<body></body>")
        self.app.register_blueprint(locust)

    def auth_required_if_enabled(self, view: Callable[[], Any]) -> Callable[[], Any]:
        """Locust's decorator: a login, if one is wanted."""
        self.guarded.append(view.args[1])  # type: ignore[attr-defined]
        return view


@pytest.fixture
def page() -> PageOfLocust:
    """A page with the tab, before any load."""
    made = PageOfLocust()
    live_tab.attach(made, None)
    return made


def shown(page: PageOfLocust, folder: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """Show a run whose watch has written its figures; those figures."""
    monkeypatch.setenv("XDG_STATE_HOME", str(folder / "state"))
    text = figures(folder / "run").model_dump_json().encode()
    (folder / "run" / "watch" / "live.json").write_bytes(text)
    live_tab.show(page, folder / "run")
    return text


def test_the_tab_is_one_of_locusts(page: PageOfLocust) -> None:
    """By its own extension point; every address asks for its login if it has one."""
    assert page.template_args["extended_tabs"] == [{"title": "Deployment", "key": "live"}]
    assert page.guarded == list(PATHS)


def test_locusts_page_gets_the_script_and_no_other(page: PageOfLocust) -> None:
    """Once, before its end."""
    client = page.app.test_client()
    assert client.get("/").text == ('<body><p>Locust</p><script src="live/tab.js" defer></script></body>')
    assert client.get("/other").text == "<body></body>"


def test_before_a_load_there_are_no_figures(page: PageOfLocust, tmp_path: Path) -> None:
    """Nor before the watch of a load has written any."""
    client = page.app.test_client()
    assert client.get("/live.json").json["figures"] is None  # type: ignore[index]
    (tmp_path / "run").mkdir()
    live_tab.show(page, tmp_path / "run")
    assert client.get("/live.json").json["figures"] is None  # type: ignore[index]


def test_the_figures_of_the_run(
    page: PageOfLocust, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The JSON, the metrics and the page, with the headers of the site."""
    text = shown(page, tmp_path, monkeypatch)
    client = page.app.test_client()
    answer = client.get("/live.json")
    assert answer.json["figures"] == json.loads(text)  # type: ignore[index]
    metrics = client.get("/metrics")
    assert metrics.content_type == "text/plain; version=0.0.4; charset=utf-8"
    assert "calorimeter_stacks_in_progress 5\n" in metrics.text
    for path in PATHS:
        found = client.get(f"/{path}")
        assert (found.status_code, {name: found.headers[name] for name in HEADERS}) == (200, HEADERS)


def test_a_link_out_of_the_run_is_refused(page: PageOfLocust, tmp_path: Path) -> None:
    """And the page shows why."""
    (tmp_path / "run" / "watch").mkdir(parents=True)
    (tmp_path / "other").write_text("{}")
    (tmp_path / "run" / "watch" / "live.json").symlink_to(tmp_path / "other")
    live_tab.show(page, tmp_path / "run")
    answer = page.app.test_client().get("/live.json").json
    assert answer["figures"] is None  # type: ignore[index]
    assert "symbolic link out of" in answer["problem"]  # type: ignore[index]


def test_below_locusts_base_path() -> None:
    """`--web-base-path /load` has the page at /load/, and the tab's addresses below it."""
    page = PageOfLocust("/load")
    live_tab.attach(page, "/load")
    client = page.app.test_client()
    assert client.get("/load/live.json").status_code == 200
    assert client.get("/live.json").status_code == 404


def test_the_guard_of_locusts_page_holds_for_the_tab(page: PageOfLocust) -> None:
    """A name of another site reaches none of its addresses."""
    page.app.wsgi_app = of_this_site(page.app.wsgi_app, loopback=True)  # type: ignore[method-assign]
    client = page.app.test_client()
    for path in PATHS:
        assert client.get(f"/{path}", base_url="http://evil.example").status_code == 403
        assert client.get(f"/{path}", base_url="http://127.0.0.1:8089").status_code == 200
