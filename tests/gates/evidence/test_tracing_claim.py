"""Runs of the suite share tracing through files of their own; a killed run's tracing is switched off."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path
from typing import Self

import pytest

from calorimeter.core.errors import InputError
from calorimeter.gates.evidence import tracing_guardian
from calorimeter.gates.evidence.tracing_guardian import TracingClaim, TracingOrder


class Broker:
    """A broker whose tracing is a flag."""

    def __init__(self) -> None:
        self.on = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def tracing(self) -> bool:
        """Whether it is on."""
        return self.on

    def set_tracing(self, on: bool) -> None:
        """Switch it."""
        self.on = on


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    """The broker of every order."""
    one = Broker()
    monkeypatch.setattr(TracingOrder, "api", lambda _: one)
    return one


@pytest.fixture
def order(tmp_path: Path) -> TracingOrder:
    """An order with a state folder of its own."""
    return TracingOrder("http://b", "u", "p", "/", True, str(tmp_path / "state"))


def die(claim: TracingClaim) -> None:
    """End a claim as the kernel does for a killed process."""
    assert claim._held is not None
    claim._held.close()


def test_tracing_that_a_killed_run_left_on_is_switched_off(broker: Broker, order: TracingOrder) -> None:
    """The file `ours` outlives run and guardian; another claim finds it and no living run."""
    dead = TracingClaim(order, "1")
    dead.take()
    assert broker.on
    die(dead)
    later = TracingClaim(order, "restoring")
    assert later.was_taken() and later.release()
    assert not broker.on and not later.was_taken()


def test_tracing_of_a_living_run_stays_on(broker: Broker, order: TracingOrder) -> None:
    """A command that looks for what killed runs left does not end the trace of another run."""
    living = TracingClaim(order, "1")
    living.take()
    assert not TracingClaim(order, "restoring").release()
    assert broker.on
    assert living.release() and not broker.on


def test_tracing_of_others_stays_on(broker: Broker, order: TracingOrder) -> None:
    """Nothing is restored that this suite did not switch on."""
    broker.on = True
    claim = TracingClaim(order, "1")
    claim.take()
    assert not claim.release()
    assert broker.on and not TracingClaim(order, "2").was_taken()


def test_its_files_are_private_whatever_the_umask(broker: Broker, order: TracingOrder) -> None:
    """0600 in folders of 0700."""
    before = os.umask(0)
    try:
        claim = TracingClaim(order, "1")
        claim.take()
        die(claim)
    finally:
        os.umask(before)
    modes = {path.stat().st_mode & 0o777 for path in order.folder.iterdir()}
    assert modes == {0o600}
    assert {path.stat().st_mode & 0o777 for path in (order.folder, order.folder.parent)} == {0o700}


def test_a_folder_that_others_can_write_is_not_used(broker: Broker, order: TracingOrder) -> None:
    """Somebody else's `ours` would let this suite switch off the tracing of its owner."""
    claim = TracingClaim(order, "1")
    claim.take()
    die(claim)
    order.folder.chmod(0o777)
    with pytest.raises(InputError, match="has mode 777"):
        TracingClaim(order, "2").take()


def test_a_guardian_that_cannot_write_says_why(
    broker: Broker, order: TracingOrder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a full disk or in a foreign folder tracing is not switched on, and the reason is one line."""
    claim = TracingClaim(order, "1")
    claim.take()
    die(claim)
    broker.on = False
    order.folder.chmod(0o777)
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(order._asdict()) + "\n"))
    monkeypatch.setattr(tracing_guardian.guardian, "ignore_signals", lambda: None)
    assert tracing_guardian.main() == 1
    assert "has mode 777" in json.loads(capsys.readouterr().out)["why"]
    assert not broker.on
