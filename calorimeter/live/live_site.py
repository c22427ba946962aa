"""The live page's addresses: `live`, `live.json` and `metrics`, for Locust's page and for `watch --web`.

The page holds no figures; its script asks for them and writes them as text. What a browser may load and
run is bound by a content security policy: this site's own files, and nothing else.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from calorimeter.core import files, shipped
from calorimeter.core.errors import InputError
from calorimeter.live import metrics_text
from calorimeter.live.live_figures import LiveFigures

PAGE = "live"
PATHS = ("live", "live.json", "metrics", "live/live.css", "live/live.js", "live/tab.js")
"""Every address of this site, without a leading slash."""

POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

_FILES = {
    "live": ("live.html", "text/html; charset=utf-8"),
    "live/live.css": ("live.css", "text/css; charset=utf-8"),
    "live/live.js": ("live.js", "text/javascript; charset=utf-8"),
    "live/tab.js": ("tab.js", "text/javascript; charset=utf-8"),
}


@dataclass(frozen=True, slots=True)
class SiteAnswer:
    """What is served at an address."""

    status: int
    kind: str
    body: bytes


class LiveSite:
    """The site of one load or watch. `figures` gives the newest `LiveFigures` as JSON; empty if none yet.

    It may raise InputError, whose line is then shown.
    """

    def __init__(self, figures: Callable[[], bytes]) -> None:
        self._figures = figures

    def answer(self, path: str) -> SiteAnswer:
        """What is at a path, with or without a leading slash; status 404 if nothing is."""
        name = path.strip("/") or PAGE
        if name == "live.json":
            return SiteAnswer(200, "application/json", self._json())
        if name == "metrics":
            return SiteAnswer(200, metrics_text.KIND, self._metrics().encode())
        if name in _FILES:
            file, kind = _FILES[name]
            return SiteAnswer(200, kind, _shipped(file))
        return SiteAnswer(404, "text/plain; charset=utf-8", b"Nothing is here. The page is at /live.\n")

    def _json(self) -> bytes:
        """`served_ns` (now, by the server's clock), `figures` (null if there are none), `problem`."""
        figures, problem = self._newest()
        # The figures are not parsed here: this may be the process that generates load.
        shown = json.dumps(problem).encode()
        parts = (time.time_ns(), shown, figures or b"null")
        return b'{"served_ns": %d, "problem": %s, "figures": %s}\n' % parts

    def _metrics(self) -> str:
        figures, _ = self._newest()
        try:
            found = LiveFigures.model_validate_json(figures) if figures else None
        except ValueError:
            found = None
        return metrics_text.text_of(found, (time.time_ns() - found.at_ns) / 1e9 if found else 0.0)

    def _newest(self) -> tuple[bytes, str]:
        try:
            return self._figures(), ""
        except InputError as problem:
            return b"", str(problem)


@cache
def _shipped(name: str) -> bytes:
    return files.read(shipped.folder("reports") / "templates" / "live" / name)
