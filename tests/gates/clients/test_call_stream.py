"""A stream of calls knows since when all of them are answered."""

from __future__ import annotations

import itertools
import time

from calorimeter.core import waiting
from calorimeter.gates.clients.calls import HeatCall
from calorimeter.gates.clients.heat_client import CallStream


def _ask(failing: int):
    """Calls of which the first so many get 503, and all others 200."""
    numbers = itertools.count()

    def ask() -> HeatCall:
        number, now_ns = next(numbers), time.time_ns()
        return HeatCall(
            operation="stack-list", request_id=f"req-{number}", sent_ns=now_ns, done_ns=now_ns,
            status=503 if number < failing else 200,
        )  # fmt: skip

    return ask


def test_the_first_failures_are_before_the_content():
    """A deployment that fails its first three calls is content from a later call on."""
    with CallStream(_ask(3), 0.001) as stream:
        since_ns = waiting.poll(lambda: stream.content_since_ns(5, 3), 10.0, every_s=0.001)
        calls = stream.calls()
    assert since_ns > max(call.sent_ns for call in calls if not call.ok)


def test_a_deployment_that_fails_is_never_content():
    """Neither too few good calls nor any failed one among the latest are enough."""
    with CallStream(_ask(10**9), 0.001) as stream:
        assert waiting.poll(lambda: len(stream.calls()) > 20, 10.0, every_s=0.001)
        assert stream.content_since_ns(5, 3) == 0


def test_only_calls_since_a_time_count():
    """Good calls of before that time prove nothing."""
    with CallStream(_ask(0), 0.001) as stream:
        assert waiting.poll(lambda: stream.content_since_ns(5, 3), 10.0, every_s=0.001)
        assert stream.content_since_ns(5, 3, time.time_ns() + 10**12) == 0
