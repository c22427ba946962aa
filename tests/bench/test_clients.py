"""Measurements of the benchmarks, each in a process of its own."""

from __future__ import annotations

import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.bench.clients import contender, pauses

CORE = min(os.sched_getaffinity(0))


def test_pauses_of_a_core_are_measured() -> None:
    """The longest pause is at least the shortest step of the clock, and no time is lost twice."""
    found = pauses(0.05, CORE)
    assert 0 < found["longest_s"] < 10
    assert 0 <= found["lost"] <= 1


class Lists(BaseHTTPRequestHandler):
    """Answers every request with an empty list of stacks."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer."""
        body = b'{"stacks": []}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.mark.slow
def test_a_contender_is_measured_and_its_samples_are_counted() -> None:
    """The generator's rate is measured, no request fails, and the recorder has a row for each."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Lists) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            found = contender("calorimeter", f"http://127.0.0.1:{server.server_port}/v1", 2, 1.0, CORE)
        finally:
            server.shutdown()
            thread.join()
    assert found["failures"] == 0
    assert found["per_s"] > 10
    assert found["rows"] > found["per_s"]
