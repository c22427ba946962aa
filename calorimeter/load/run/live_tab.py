"""The tab "Deployment" of Locust's page, and the metrics beside it.

This process only hands over what the watch of the run has computed (`watch/live.json`): it generates load.
Locust's own tabs hold tables alone, so the tab shows the live page in a frame.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, request

from calorimeter.core import files
from calorimeter.live import live_site
from calorimeter.live.live_site import LiveSite
from calorimeter.live.live_watch import FILE, LARGEST

KEY = "live"
_RUN = "CALORIMETER_RUN"
_SCRIPT = b'<script src="live/tab.js" defer></script></body>'


def attach(web_ui: Any, base_path: str | None) -> None:
    """Add the tab and the addresses of the live page, below the path at which Locust's page is."""
    site = LiveSite(partial(_figures, web_ui.app))
    blueprint = Blueprint("calorimeter", __name__, url_prefix=base_path or None)
    for path in live_site.PATHS:
        view = web_ui.auth_required_if_enabled(partial(_answer, site, path))
        blueprint.add_url_rule(f"/{path}", endpoint=path.replace(".", "-"), view_func=view)
    blueprint.after_app_request(_with_script)
    web_ui.app.register_blueprint(blueprint)
    tabs = web_ui.template_args.get("extended_tabs", [])
    web_ui.template_args["extended_tabs"] = [*tabs, {"title": "Deployment", "key": KEY}]


def show(web_ui: Any, run: Path) -> None:
    """Show this run from now on."""
    web_ui.app.config[_RUN] = run


def _figures(app: Any) -> bytes:
    run: Path | None = app.config.get(_RUN)
    if run is None:
        return b""
    try:
        return files.read(run / FILE, limit=LARGEST, within=run)
    except files.MissingFileError:
        return b""


def _answer(site: LiveSite, path: str) -> Response:
    found = site.answer(path)
    return Response(found.body, found.status, live_site.HEADERS, content_type=found.kind)


def _with_script(response: Response) -> Response:
    """Locust's own page, with the script that fills the tab."""
    if request.endpoint == "locust.index" and response.mimetype == "text/html":
        response.set_data(response.get_data().replace(b"</body>", _SCRIPT, 1))
    return response
