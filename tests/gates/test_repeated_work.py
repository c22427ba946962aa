"""Work that a thread repeats."""

from __future__ import annotations

import threading

import pytest

from calorimeter.gates import repeated_work as under_test
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable
from calorimeter.gates.repeated_work import RepeatedWork


def test_work_is_repeated_until_the_context_is_left() -> None:
    """No call begins after the context was left."""
    calls, enough = [0], threading.Event()

    def work() -> None:
        calls[0] += 1
        if calls[0] == 3:
            enough.set()

    with RepeatedWork("calls", 0.001, work) as repeated:
        assert enough.wait(5)
    count = calls[0]
    repeated.check()
    assert calls[0] == count


def test_what_the_work_raises_ends_it_and_is_kept() -> None:
    """A reader that fails once is not called again; `check` raises its exception."""
    calls, failed = [0], threading.Event()

    def work() -> None:
        calls[0] += 1
        failed.set()
        raise EvidenceUnavailable("/run/haproxy.sock", "is not there")

    with RepeatedWork("reader", 0.001, work) as repeated:
        assert failed.wait(5)
    assert calls == [1]
    with pytest.raises(EvidenceUnavailable, match="is not there"):
        repeated.check()


def test_a_last_call_that_does_not_return_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work that hangs in its last call has not covered the whole experiment."""
    monkeypatch.setattr(under_test, "LAST_CALL_S", 0.01)
    began, enough = threading.Event(), threading.Event()

    def work() -> None:
        began.set()
        enough.wait(5)

    with RepeatedWork("reader", 0.001, work) as repeated:
        assert began.wait(5)
    with pytest.raises(EvidenceUnavailable, match=r"did not end within 0\.01 s"):
        repeated.check()
    enough.set()
