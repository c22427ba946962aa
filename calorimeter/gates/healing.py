"""The faults of an experiment: every fault is healed when the experiment ends, even if it raises."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from calorimeter.core.faults.schedule import FaultCommands
from calorimeter.core.faults.shell_command import CommandFailed, CommandResult
from calorimeter.gates.context import Context
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable


@contextmanager
def healing(context: Context) -> Iterator[None]:
    """Heal all faults when the context is left, so that the next gates find every part alive."""
    injector = context.injector
    try:
        yield
    finally:
        injector.heal_all()


def carried_out(act: Callable[[FaultCommands], CommandResult], commands: FaultCommands) -> CommandResult:
    """Inject or heal a fault with `act`. Raises EvidenceUnavailable if the owner's command fails."""
    try:
        return act(commands)
    except CommandFailed as problem:
        where = f"{commands.part}: the command that injects or heals {commands.fault!r}"
        raise EvidenceUnavailable(where, str(problem)) from None
