"""Faults during a load: a schedule that runs beside it; all faults are healed at its end."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Self

import click

from calorimeter.core.deployment import Deployment
from calorimeter.core.errors import InputError
from calorimeter.core.faults.injector import ExecutedFault, ExecutedFaults, FaultInjector, execute_schedule
from calorimeter.core.faults.schedule import Fault, FaultCommands, Schedule, announcement, refusal, resolve
from calorimeter.core.faults.shell_command import CommandFailed
from calorimeter.core.recorded.rundir import RunDir


class ScheduledFaults:
    """A context that carries out the faults of one load from `begin` on, and heals all of them on leaving.

    `problem` is the first fault that could not be injected, None if there was none.
    """

    def __init__(self, deployment: Deployment, planned: list[tuple[Fault, FaultCommands]]) -> None:
        self._deployment = deployment
        self._planned = planned
        self._stack = ExitStack()
        self._stop = threading.Event()
        self._begun = threading.Event()
        self._carried: list[ExecutedFault] = []
        self.problem: str | None = None

    @classmethod
    def of(cls, deployment: Deployment, faults: Sequence[Fault], yes_break_it: bool) -> Self:
        """Resolve the faults. Raises InputError if one cannot be injected, or is not permitted."""
        planned = resolve(Schedule(fault=tuple(faults)), deployment)
        objection = refusal(deployment, yes_break_it) if planned else None
        if objection is not None:
            raise InputError(str(deployment.path), objection)
        return cls(deployment, planned)

    def __enter__(self) -> Self:
        if not self._planned:
            return self
        for line in announcement(self._deployment, (commands for _, commands in self._planned)):
            click.echo(line, err=True)
        with self._stack:
            injector = self._stack.enter_context(FaultInjector(self._deployment))
            thread = threading.Thread(target=self._carry_out, args=(injector,), name="faults")
            thread.start()
            self._stack.callback(thread.join)
            self._stack.callback(self._end)
            self._stack = self._stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def begin(self) -> None:
        """The load begins now: the times of faults count from here."""
        self._begun.set()

    def _end(self) -> None:
        self._stop.set()
        self._begun.set()

    def _carry_out(self, injector: FaultInjector) -> None:
        self._begun.wait()
        if self._stop.is_set():
            return
        try:
            execute_schedule(
                injector, self._planned, lambda line: click.echo(line, err=True), self._stop, self._carried
            )
        except CommandFailed as problem:
            self.problem = str(problem)
            click.echo(f"calorimeter: {problem}", err=True)

    def keep(self, run: RunDir) -> None:
        """Write the executed faults to the run folder, if any were planned."""
        if self._planned:
            run.save_evidence("faults", ExecutedFaults(faults=tuple(self._carried)))
