"""The one who breaks: carries faults out, and sees that every one of them is healed."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from types import FrameType, TracebackType
from typing import Any, Self

from calorimeter.core import guardian
from calorimeter.core.deployment import Deployment
from calorimeter.core.errors import InputError
from calorimeter.core.faults.journal import MARK, Journal, Open, Record, Unhealed
from calorimeter.core.faults.schedule import Commands, Fault, is_lab
from calorimeter.core.faults.shell_command import COMMAND_S, CommandFailed, Done, run
from calorimeter.core.toml import Model

GUARD_S = 30.0
DISMISSED_S = 1.0


class FaultInjector:
    """Breaks parts of one deployment; when it is left, by whatever way, all is healed.

    Inside, SIGTERM ends the run as Ctrl-C does. Entering heals first what an earlier run left behind.
    Raises `InputError` where another run is breaking the same deployment, `Unhealed` on leaving where
    something stayed broken.
    """

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self.journal = Journal.of(deployment)
        self._record = Record(
            deployment=str(deployment.path.resolve()), name=deployment.name, lab=is_lab(deployment)
        )
        self._one = threading.Condition()
        self._injecting = 0
        self._closing = False
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with self._stack:
            try:
                self.journal.recover(GUARD_S)
            except Unhealed as problem:
                _shout(problem)
                raise
            if not self._stack.enter_context(self.journal.held("breaking", 0)):
                raise InputError(
                    str(self.deployment.path), f"is being broken by another run ({self.journal.holder()})"
                )
            self._stack.enter_context(_terminated_like_interrupted())
            self._stack.callback(self._dismiss, self._guard())
            self._stack = self._stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._stack:
            self._closing = True
            self.heal_all()

    def inject(self, commands: Commands) -> Done:
        """Bring a fault about; raises `CommandFailed`, and then it may still be in force until healed."""
        each = Open(part=commands.part, fault=commands.fault, heal=commands.heal, begun_ns=time.time_ns())
        with self._one:
            if self._closing:
                raise CommandFailed("not begun: the run is ending")
            self._write((*(o for o in self._record.open if o.heal != each.heal), each))
            self._injecting += 1
        try:
            return run(commands.inject, {MARK: str(self.journal.path)})
        finally:
            with self._one:
                self._injecting -= 1
                self._one.notify_all()

    def heal(self, commands: Commands) -> Done:
        """End a fault; raises `CommandFailed`, and then it stays in the journal."""
        done = run(commands.heal)
        with self._one:
            self._write(
                tuple(
                    o for o in self._record.open
                    if (o.part, o.fault) != (commands.part, commands.fault)
                )
            )  # fmt: skip
        return done

    def heal_all(self) -> None:
        """End every open fault; not to be interrupted. Raises `Unhealed`, after all were tried."""
        if not self._record.open:
            return
        with _uninterrupted(), self._one:
            # A command in another thread may be breaking something just now: heal after it, not before.
            self._one.wait_for(lambda: not self._injecting, COMMAND_S)
            try:
                self._record = self.journal.heal(self._record)
            except Unhealed as problem:
                self._record = self.journal.read() or self._record
                _shout(problem)
                raise

    def _write(self, faults: tuple[Open, ...]) -> None:
        self._record = self._record.model_copy(update={"open": faults})
        self.journal.write(self._record)

    def _guard(self) -> guardian.Guardian:
        guard = guardian.start("calorimeter.core.faults.fault_guardian", str(self.journal.path))
        if guardian.answer(guard, GUARD_S) != "on":
            guardian.dismiss(guard, 0)
            raise InputError("faults", "the guardian that heals after a crash could not be started")
        return guard

    @staticmethod
    def _dismiss(guard: guardian.Guardian) -> None:
        # Where something could not be healed here, it would only try the same again.
        guardian.dismiss(guard, DISMISSED_S)


class Carried(Model):
    """A fault of a schedule as it was carried out; ns since the epoch.

    It took effect at `at_ns` by its command's own word, else (None) between `began_ns` and `ended_ns`.
    `healed_ns` is when the command that ends it succeeded, or failed: then it lasted for longer.
    """

    fault: Fault
    began_ns: int
    ended_ns: int
    at_ns: int | None
    healed_ns: int


class CarriedOut(Model):
    """A run's `evidence/faults.json`: what was broken while it lasted."""

    faults: tuple[Carried, ...]


def carry_out(
    injector: FaultInjector,
    planned: Sequence[tuple[Fault, Commands]],
    say: Callable[[str], None],
    stop: threading.Event | None = None,
    carried: list[Carried] | None = None,
) -> list[Carried]:
    """Carry a schedule out, from now on; each fault in time, whatever others take.

    Ends when the last fault is healed, or when `stop` is set (what is open then is healed when the
    injector is left). Raises `CommandFailed` of the first fault that failed; `carried`, where given, has
    all that was broken even so.
    """
    stop = stop or threading.Event()
    began = time.monotonic()
    carried = [] if carried is None else carried
    problems: list[CommandFailed] = []

    def one(fault: Fault, commands: Commands) -> None:
        try:
            if stop.wait(max(0.0, began + fault.at_s - time.monotonic())):
                return
            say(f"{time.monotonic() - began:6.1f} s  {fault.part}: {fault.fault}")
            done = injector.inject(commands)
            stop.wait(max(0.0, began + fault.at_s + fault.for_s - time.monotonic()))
            healed_ns = 0
            try:
                healed_ns = injector.heal(commands).ended_ns
            finally:
                carried.append(
                    Carried(
                        fault=fault,
                        began_ns=done.began_ns,
                        ended_ns=done.ended_ns,
                        at_ns=done.at_ns,
                        healed_ns=healed_ns or time.time_ns(),
                    )
                )
            say(f"{time.monotonic() - began:6.1f} s  {fault.part}: {fault.fault} is over")
        except Exception as problem:
            problems.append(CommandFailed(f"{fault}: {problem}"))
            stop.set()

    threads = [threading.Thread(target=one, args=pair, daemon=True) for pair in planned]
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
    return carried


def _shout(problem: Unhealed) -> None:
    with suppress(OSError):  # where standard error is closed, the next command says it
        print(f"\n{'!' * 70}\n{problem}\n{'!' * 70}", file=sys.stderr, flush=True)


def _interrupt(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


@contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before: dict[signal.Signals, Any] = {
        signum: signal.signal(signum, signal.SIG_IGN) for signum in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
