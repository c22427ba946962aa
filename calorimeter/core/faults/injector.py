"""Injects faults into a deployment, and heals every one of them at the end."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict
from signal import SIGINT, SIGTERM
from types import TracebackType
from typing import Self

from calorimeter.core.deployment import Deployment
from calorimeter.core.errors import InputError
from calorimeter.core.faults.journal import MARK, Journal, JournalContent, OpenFault, Unhealed
from calorimeter.core.faults.schedule import Fault, FaultCommands, is_lab
from calorimeter.core.faults.shell_command import COMMAND_S, CommandFailed, CommandResult, run
from calorimeter.core.host import guardian, signal_handlers
from calorimeter.core.toml import Model

GUARD_S = 30.0
DISMISSED_S = 1.0


class FaultInjector:
    """Injects faults into one deployment, and heals all of them when the `with` block ends.

    Inside the block, SIGTERM ends the run as Ctrl-C does. Entering first heals what an earlier run left
    behind. Raises InputError if another run is injecting faults into the same deployment, and Unhealed on
    leaving if something stayed broken.
    """

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self.journal = Journal.of(deployment)
        self._content = JournalContent(
            deployment=str(deployment.path.resolve()), name=deployment.name, lab=is_lab(deployment)
        )
        self._changed = threading.Condition()
        self._injecting = 0
        self._closing = False
        self._locked = False
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with self._stack:
            try:
                self.journal.recover(GUARD_S)
            except Unhealed as problem:
                _print_loudly(problem)
                raise
            self._stack.enter_context(signal_handlers.interrupted_by(SIGTERM))
            # Before the lock, to be dismissed after it: what this process cannot heal, because it has no
            # descriptors or memory left, the guardian still can.
            self._stack.callback(self._dismiss, self._start_guardian())
            self._locked = self._stack.enter_context(self.journal.held("breaking", 0))
            if not self._locked:
                raise InputError(
                    str(self.deployment.path),
                    f"another run injects faults into this deployment ({self.journal.holder()})",
                )
            self._stack = self._stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing = True
        try:
            with self._stack:
                self.heal_all()
        except Unhealed:
            if self.journal.path.exists():
                raise
            with suppress(OSError):
                print("calorimeter: its guardian has healed all of it after all", file=sys.stderr)

    def inject(self, commands: FaultCommands) -> CommandResult:
        """Inject a fault. Raises CommandFailed; the fault may be in force even then, until it is healed."""
        each = OpenFault(
            part=commands.part, fault=commands.fault, heal=commands.heal, begun_ns=time.time_ns()
        )
        with self._changed:
            if self._closing:
                raise CommandFailed("not injected: the run is ending")
            self._write((*(o for o in self._content.open if o.heal != each.heal), each))
            self._injecting += 1
        try:
            return run(commands.inject, {MARK: str(self.journal.path)})
        finally:
            with self._changed:
                self._injecting -= 1
                self._changed.notify_all()

    def heal(self, commands: FaultCommands) -> CommandResult:
        """Heal a fault. Raises CommandFailed; the fault then stays in the journal."""
        result = run(commands.heal)
        with self._changed:
            self._write(tuple(o for o in self._content.open if o.heal != commands.heal))
        return result

    def heal_all(self) -> None:
        """Heal every open fault, ignoring SIGINT and SIGTERM. Raises Unhealed, after it has tried all."""
        if not self._content.open:
            return
        with signal_handlers.ignoring(SIGINT, SIGTERM), self._changed:
            # Another thread's command may be injecting a fault at this moment: heal after it, not before.
            self._changed.wait_for(lambda: not self._injecting, COMMAND_S)
            try:
                self._content = self.journal.heal(self._content)
            except Unhealed as problem:
                self._content = self.journal.read() or self._content
                _print_loudly(problem)
                raise

    def _write(self, faults: tuple[OpenFault, ...]) -> None:
        self._content = self._content.model_copy(update={"open": faults})
        self.journal.write(self._content)

    def _dismiss(self, guard: guardian.Guardian) -> None:
        left = self._locked and self.journal.path.exists()
        guardian.dismiss(guard, GUARD_S if left else DISMISSED_S)

    def _start_guardian(self) -> guardian.Guardian:
        guard = guardian.start("calorimeter.core.faults.fault_guardian", str(self.journal.path))
        if guardian.read_reply(guard, GUARD_S) != "on":
            guardian.dismiss(guard, 0)
            raise InputError("faults", "the guardian that heals after a crash could not be started")
        return guard


class ExecutedFault(Model):
    """A fault of a schedule as it was injected. Times are ns since the epoch.

    The fault took effect between `at_ns` and `by_ns`, if its command printed such moments, else between
    `began_ns` and `ended_ns`. `healed_ns` is when the healing command succeeded or failed; if it failed,
    the fault lasted longer.
    """

    fault: Fault
    began_ns: int
    ended_ns: int
    at_ns: int | None
    by_ns: int | None = None
    healed_ns: int


class ExecutedFaults(Model):
    """The evidence file `faults.json` of a load run: the faults injected during the run."""

    faults: tuple[ExecutedFault, ...]


def execute_schedule(
    injector: FaultInjector,
    planned: Sequence[tuple[Fault, FaultCommands]],
    say: Callable[[str], None],
    stop: threading.Event | None = None,
    executed: list[ExecutedFault] | None = None,
) -> list[ExecutedFault]:
    """Execute a schedule that starts now. Each fault is injected in time, however long others take.

    Ends when the last fault is healed, or when `stop` is set; the injector heals what is open then.
    Raises the CommandFailed of the first fault that failed; `executed`, if given, lists all injected faults
    even then.
    """
    stop = stop or threading.Event()
    began = time.monotonic()
    executed = [] if executed is None else executed
    problems: list[CommandFailed] = []

    def execute(fault: Fault, commands: FaultCommands) -> None:
        try:
            if stop.wait(max(0.0, began + fault.at_s - time.monotonic())):
                return
            say(f"{time.monotonic() - began:6.1f} s  {fault.part}: {fault.fault}")
            injected = injector.inject(commands)
            stop.wait(max(0.0, began + fault.at_s + fault.for_s - time.monotonic()))
            healed_ns = 0
            try:
                healed_ns = injector.heal(commands).ended_ns
            finally:
                times = asdict(injected) | {"healed_ns": healed_ns or time.time_ns()}
                executed.append(ExecutedFault(fault=fault, **times))
            say(f"{time.monotonic() - began:6.1f} s  {fault.part}: {fault.fault} healed")
        except Exception as problem:
            problems.append(CommandFailed(f"{fault}: {problem}"))
            stop.set()

    threads = [threading.Thread(target=execute, args=pair, daemon=True) for pair in planned]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            thread.join()
    except BaseException:
        stop.set()
        for thread in threads:
            thread.join()
        raise
    if problems:
        raise problems[0]
    return executed


def _print_loudly(problem: Unhealed) -> None:
    with suppress(OSError):  # standard error may be closed; the next command of the suite reports it again
        print(f"\n{'!' * 70}\n{problem}\n{'!' * 70}", file=sys.stderr, flush=True)
