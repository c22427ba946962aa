"""The journal of open faults, on disk before anything is broken, so that a killed suite leaves a trace.

One file a deployment, under the state folder. Who breaks holds its lock while it runs; the kernel lets
go of it when that process ends, however it ends. A journal with faults in it and nobody at its lock is
abandoned: whoever comes next heals it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from calorimeter.core import paths
from calorimeter.core.deployment import Deployment
from calorimeter.core.errors import InputError
from calorimeter.core.faults.shell_command import CommandFailed, run
from calorimeter.core.toml import Model

MARK = "CALORIMETER_FAULT"
"""Environment variable of commands that break: the journal they belong to."""

HEALING = "CALORIMETER_HEALING"
"""Environment variable of commands that heal: they must not wait for the healing to be over."""

HEAL_TRIES = 3
LOOK_EVERY_S = 0.05


class Open(Model):
    """One fault that may be in force: the command that ends it, and when it was begun (ns, epoch)."""

    part: str
    fault: str
    heal: str
    begun_ns: int


class Record(Model):
    """A journal's content."""

    deployment: str
    name: str
    lab: bool
    open: tuple[Open, ...] = ()


class Unhealed(Exception):  # noqa: N818 - it says what is the case
    """Faults that could not be ended; `commands` are left for a person to type."""

    def __init__(self, name: str, failures: list[tuple[Open, str]]) -> None:
        self.commands = [each.heal for each, _ in failures]
        lines = [f"NOT HEALED: {name} is still broken. Type these commands until each succeeds:"]
        for each, why in failures:
            lines += [f"  {each.heal}", f"      ({each.part}: {each.fault}; {why})"]
        super().__init__("\n".join(lines))


class Journal:
    """The open faults of one deployment, in `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def of(cls, deployment: Deployment) -> Journal:
        """The journal of a deployment file."""
        name = hashlib.sha256(str(deployment.path.resolve()).encode()).hexdigest()[:16]
        return cls(paths.state() / "faults" / f"{name}.json")

    @property
    def lock(self) -> Path:
        """The file that the one who breaks, or heals, has locked."""
        return self.path.with_suffix(".lock")

    def read(self) -> Record | None:
        """What is in it; None where nothing is. `InputError` where it is damaged."""
        try:
            return Record.model_validate_json(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as problem:
            raise InputError(
                str(self.path), "is no journal of faults", "look at it, then remove it"
            ) from problem

    def write(self, record: Record) -> None:
        """Replace its content; one without open faults is removed."""
        if not record.open:
            self.path.unlink(missing_ok=True)
            return
        partial = self.path.with_suffix(".partial")
        with partial.open("w", encoding="utf-8") as file:
            file.write(record.model_dump_json(indent=2) + "\n")
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self.path)

    @contextmanager
    def held(self, role: Literal["breaking", "healing"], wait_s: float) -> Iterator[bool]:
        """Hold the lock; yields False where another still has it after `wait_s` seconds."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self.lock.open("a+") as file:
            deadline = time.monotonic() + wait_s
            while True:
                with suppress(BlockingIOError):
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                if time.monotonic() > deadline:
                    yield False
                    return
                time.sleep(LOOK_EVERY_S)
            file.seek(0)
            file.truncate()
            file.write(f"{role} {os.getpid()}")
            file.flush()
            yield True
            file.seek(0)
            file.truncate()

    def holder(self) -> str:
        """`breaking PID` or `healing PID` of whoever holds the lock, as far as it is known."""
        try:
            return self.lock.read_text(encoding="utf-8").strip()
        except OSError:
            return ""

    def heal(self, record: Record) -> Record:
        """End every open fault, the last first; the lock must be held. Raises `Unhealed`."""
        failures = []
        for each in reversed(record.open):
            why = _ended(each)
            if why is None:
                record = record.model_copy(update={"open": tuple(o for o in record.open if o != each)})
                with suppress(
                    OSError
                ):  # a full disk: this one is healed again by the next, and the others now
                    self.write(record)
            else:
                failures.append((each, why))
        if failures:
            raise Unhealed(record.name, failures)
        return record

    def recover(self, wait_s: float, *, patient: bool = False) -> tuple[Open, ...]:
        """Heal what was left open by one who is gone; the faults that were healed.

        Nothing is done where a living run holds the lock; one that is healing is waited for, and with
        `patient` one that is breaking too. Raises `Unhealed`.
        """
        if not self.path.exists():
            return ()
        wait_s = wait_s if patient or not self.holder().startswith("breaking") else 0
        with self.held("healing", wait_s) as mine:
            record = self.read() if mine else None
            if record is None:
                return ()
            if record.lab and not Path(record.deployment).exists():
                self.path.unlink(missing_ok=True)  # the lab is down, and its faults with it
                return ()
            _end_injections(self.path)
            self.heal(record)
            return record.open


def _ended(each: Open) -> str | None:
    """Run the command that ends a fault; why it failed, None where it did not."""
    why = ""
    for _ in range(HEAL_TRIES):
        try:
            run(each.heal, {HEALING: "1"})
        except CommandFailed as problem:
            why = str(problem)
        else:
            return None
    return why


def _end_injections(journal: Path) -> None:
    """Kill commands that a killed suite had begun: they must not break anything after the healing."""
    mark = f"{MARK}={journal}".encode()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                if mark in (entry / "environ").read_bytes().split(b"\0"):
                    os.kill(int(entry.name), signal.SIGKILL)


def recover_all(wait_s: float = 60.0) -> list[tuple[str, Open]]:
    """Heal whatever killed runs of the suite left broken on this machine: (deployment, fault).

    Raises `Unhealed`, after all others were tried.
    """
    if HEALING in os.environ or MARK in os.environ:
        return []
    healed: list[tuple[str, Open]] = []
    problems: list[Unhealed] = []
    for path in sorted((paths.state() / "faults").glob("*.json")):
        journal = Journal(path)
        record = journal.read()
        try:
            healed += [(record.name if record else "", each) for each in journal.recover(wait_s)]
        except Unhealed as problem:
            problems.append(problem)
    if problems:
        raise problems[0]
    return healed
