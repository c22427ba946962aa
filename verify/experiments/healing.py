"""Faults of an experiment: their commands, and that all is whole again when it ends, however it ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from calorimeter.faults.command import CommandFailed, Done
from calorimeter.faults.schedule import Commands
from verify.bench import Bench
from verify.evidence.unavailable import EvidenceUnavailable


@contextmanager
def healing(bench: Bench) -> Iterator[None]:
    """End all that is broken when the context is left: the gates that follow find every part alive."""
    breaker = bench.breaker
    try:
        yield
    finally:
        breaker.heal_all()


def carried_out(act: Callable[[Commands], Done], commands: Commands) -> Done:
    """Bring a fault about, or end it; `EvidenceUnavailable` where the owner's command fails."""
    try:
        return act(commands)
    except CommandFailed as problem:
        where = f"{commands.part}: the command that begins or ends {commands.fault!r}"
        raise EvidenceUnavailable(where, str(problem)) from None
