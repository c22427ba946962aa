"""Waiting: conditions that come to hold, that never do, and waits that are cancelled."""

from threading import Event

import pytest

from calorimeter.core.waiting import CancelledError, DeadlineError, poll, until


def test_until_returns_the_first_true_value() -> None:
    """False values are skipped; the value that ends the wait is returned."""
    values = iter([0, "", "ready", "later"])
    assert until(lambda: next(values), 5, every_s=0.001) == "ready"


def test_until_raises_at_the_deadline_after_one_reading() -> None:
    """A deadline that has passed already still gives the condition one chance."""
    assert until(lambda: 7, -1) == 7
    with pytest.raises(DeadlineError, match=r"after 0.01 s"):
        until(lambda: False, 0.01, every_s=0.001)


def test_poll_returns_the_last_value_at_the_deadline() -> None:
    """`poll` does not raise: its caller judges what was read last."""
    counts = iter(range(10_000))
    assert poll(lambda: next(counts), 5, enough=lambda n: n == 3, every_s=0.001) == 3
    assert poll(lambda: next(counts), 0.01, enough=lambda n: n < 0, every_s=0.001) > 3
    assert not poll(lambda: False, 0)


def test_a_cancelled_wait_ends_before_it_reads() -> None:
    """`cancel` counts more than the condition."""
    cancel = Event()
    cancel.set()
    with pytest.raises(CancelledError):
        until(lambda: True, 5, cancel=cancel)
