"""Faults of an experiment: their commands, and that all is whole again when it ends, however it ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from calorimeter.core.faults.schedule import Commands
from calorimeter.core.faults.shell_command import CommandFailed, CommandResult
from calorimeter.gates.context import Context
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable


@contextmanager
def healing(context: Context) -> Iterator[None]:
    """End all that is broken when the context is left: the gates that follow find every part alive."""
    injector = context.injector
    try:
        yield
    finally:
        injector.heal_all()


def carried_out(act: Callable[[Commands], CommandResult], commands: Commands) -> CommandResult:
    """Bring a fault about, or end it; `EvidenceUnavailable` where the owner's command fails."""
    try:
        return act(commands)
    except CommandFailed as problem:
        where = f"{commands.part}: the command that begins or ends {commands.fault!r}"
        raise EvidenceUnavailable(where, str(problem)) from None
