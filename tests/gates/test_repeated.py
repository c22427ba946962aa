"""Work that a thread repeats."""

from __future__ import annotations

import threading

import pytest

from calorimeter.gates import repeated as under_test
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable
from calorimeter.gates.repeated import Repeated


def test_work_is_repeated_until_the_context_is_left() -> None:
    """It goes on while the context lasts, and not a turn longer."""
    turns, enough = [0], threading.Event()

    def work() -> None:
        turns[0] += 1
        if turns[0] == 3:
            enough.set()

    with Repeated("turns", 0.001, work) as repeated:
        assert enough.wait(5)
    made = turns[0]
    repeated.check()
    assert turns[0] == made


def test_what_the_work_raises_ends_it_and_is_kept() -> None:
    """A reader that fails once is not asked again, and the experiment learns of it when it asks."""
    asked, failed = [0], threading.Event()

    def work() -> None:
        asked[0] += 1
        failed.set()
        raise EvidenceUnavailable("/run/haproxy.sock", "is not there")

    with Repeated("reader", 0.001, work) as repeated:
        assert failed.wait(5)
    assert asked == [1]
    with pytest.raises(EvidenceUnavailable, match="is not there"):
        repeated.check()


def test_a_last_turn_that_does_not_end_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """What hangs in its last turn has not seen the end of the experiment."""
    monkeypatch.setattr(under_test, "LAST_S", 0.01)
    began, enough = threading.Event(), threading.Event()

    def work() -> None:
        began.set()
        enough.wait(5)

    with Repeated("reader", 0.001, work) as repeated:
        assert began.wait(5)
    with pytest.raises(EvidenceUnavailable, match=r"did not end within 0\.01 s"):
        repeated.check()
    enough.set()
