"""A server in this process that answers every request with an empty list of stacks, after a pause."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gevent
from gevent.pywsgi import WSGIServer


class ListServer:
    """`pause_s` gets the number of the request, from 1 on."""

    def __init__(self, pause_s: Callable[[int], float]) -> None:
        self.served = 0
        self._pause_s = pause_s
        self._server = WSGIServer(("127.0.0.1", 0), self._answer, log=None)
        self._server.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def _answer(self, environ: Any, start: Any) -> list[bytes]:
        self.served += 1
        gevent.sleep(self._pause_s(self.served))
        start("200 OK", [("Content-Type", "application/json")])
        return [b'{"stacks": []}']
