"""How many calls failed, as a share is told."""

from __future__ import annotations

from verify.checks.calls import HeatCall
from verify.experiments.traced import answered


def call(status: int) -> HeatCall:
    """A list of stacks with this answer, after a tenth of a second."""
    return HeatCall(operation="list", request_id="req-1", sent_ns=0, done_ns=100_000_000, status=status)


def test_failed_calls_are_counted_and_the_first_is_named() -> None:
    """E4 and E5 tell by it that shares say nothing."""
    assert answered([call(200)]) == {"calls": 1, "failed_calls": 0, "first_failed": ""}
    assert answered([call(200), call(503), call(504)]) == {
        "calls": 3,
        "failed_calls": 2,
        "first_failed": "list req-1: 503 after 0.1 s",
    }
