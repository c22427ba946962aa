"""Shares of calls from the counters of channels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from calorimeter.core.verdict import Outcome
from calorimeter.gates.clients.calls import HeatCall
from calorimeter.gates.engines import counted_shares
from calorimeter.gates.engines.counted_shares import CountedWindow
from calorimeter.gates.engines.equal_shares import QueueShares, equal_shares

CALLS = [HeatCall(operation="list", request_id=None, sent_ns=n, done_ns=n, status=200) for n in range(30)]


class FakeContext:
    """A deployment whose counters are never late."""

    deployment = None

    class broker:  # noqa: N801 - stands for an attribute
        """Its statistics."""

        statistics_lag_s = 0.001


def window(
    monkeypatch: pytest.MonkeyPatch, before: dict[str, int], after: dict[str, int], consumers: int = 2
) -> QueueShares:
    """What is recorded of counters before and after the calls."""

    def counters() -> Iterator[Counter[str]]:
        yield from [Counter(before)] * counted_shares.STEADY
        yield from [Counter(after)] * counted_shares.STEADY

    counts = counters()
    monkeypatch.setattr(counted_shares, "POLL_S", 0.001)
    monkeypatch.setattr(counted_shares, "depth", lambda *_: (0, consumers))
    monkeypatch.setattr(counted_shares.broker_metrics, "delivered", lambda *_: next(counts))
    return CountedWindow(FakeContext()).shares(CALLS, 8, {"calls": 30})  # type: ignore[arg-type]


def test_equal_increments_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was delivered before does not count."""
    found = equal_shares(window(monkeypatch, {"a": 900, "b": 5}, {"a": 915, "b": 20}))
    assert found.outcome is Outcome.PASS
    assert (found.figures["deliveries_a"], found.figures["deliveries_b"]) == (15, 15)


def test_unequal_increments_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """So does a consumer that has no delivery at all, and so no counter."""
    assert equal_shares(window(monkeypatch, {}, {"a": 20, "b": 10})).outcome is Outcome.FAIL
    silent = equal_shares(window(monkeypatch, {}, {"a": 15, "b": 15}, consumers=3))
    assert silent.outcome is Outcome.FAIL
    assert silent.figures["deliveries_without a delivery 1"] == 0


def test_counters_with_holes_are_inconclusive(monkeypatch: pytest.MonkeyPatch) -> None:
    """A channel that was closed, deliveries that are missing."""
    closed = equal_shares(window(monkeypatch, {"c": 3}, {"a": 15, "b": 15}))
    assert (closed.outcome, closed.why) == (
        Outcome.INCONCLUSIVE,
        "a channel of a consumer was closed during the calls",
    )
    lost = equal_shares(window(monkeypatch, {}, {"a": 14, "b": 14}))
    assert lost.why == "28 deliveries from engine were counted for 30 calls"
