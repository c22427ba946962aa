"""The journal of open faults. It is on disk before a fault is injected, so a killed suite leaves a trace.

There is one file per deployment, under the state folder. The process that injects faults holds the
journal's lock; the kernel releases it when that process ends, for any reason. A journal with open faults
whose lock is free is abandoned, and the next command of the suite heals it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from calorimeter.core import files, paths, waiting
from calorimeter.core.deployment import Deployment
from calorimeter.core.errors import InputError
from calorimeter.core.faults.shell_command import CommandFailed, run
from calorimeter.core.host import environment_marks, ownership
from calorimeter.core.toml import Model

MARK = "CALORIMETER_FAULT"
"""Environment variable of commands that inject a fault: the path of their journal."""

HEALING = "CALORIMETER_HEALING"
"""Environment variable of commands that heal. They must not wait until healing is over."""

HEAL_TRIES = 3
LIMIT = 2**20
"""Bytes of the largest journal that is read."""


class OpenFault(Model):
    """A fault that may be in force, the command that heals it, and when it began (ns since the epoch)."""

    part: str
    fault: str
    heal: str
    begun_ns: int


class JournalContent(Model):
    """The content of a journal file."""

    deployment: str
    name: str
    lab: bool
    open: tuple[OpenFault, ...] = ()


class Unhealed(Exception):  # noqa: N818 - a state, not a defect
    """Faults could not be healed. `commands` heal them, and are left for a person to run."""

    def __init__(self, name: str, failures: list[tuple[OpenFault, str]]) -> None:
        self.commands = [each.heal for each, _ in failures]
        lines = [f"NOT HEALED: {name} is still broken. Run these commands until each succeeds:"]
        for each, why in failures:
            lines += [f"  {each.heal}", f"      ({each.part}: {each.fault}; {why})"]
        super().__init__("\n".join(lines))


class Journal:
    """The open faults of one deployment, in the file `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def of(cls, deployment: Deployment) -> Journal:
        """The journal of a deployment."""
        return cls.at(deployment.path)

    @classmethod
    def at(cls, deployment: Path) -> Journal:
        """The journal of a deployment file, which need not exist."""
        name = hashlib.sha256(str(deployment.resolve()).encode()).hexdigest()[:16]
        return cls(paths.state() / "faults" / f"{name}.json")

    @property
    def lock(self) -> Path:
        """The file that is locked while a process injects or heals faults."""
        return self.path.with_suffix(".lock")

    def read(self) -> JournalContent | None:
        """The journal's content, or None if there is no file.

        Its commands are executed, so it must be this user's own (`ownership.own`). Raises InputError if
        it is not, or is damaged.
        """
        try:
            own = ownership.own(self.path, self.path.parents[1])
            return JournalContent.model_validate_json(files.read(own, limit=LIMIT))
        except files.MissingFileError:
            return None
        except ValidationError as problem:
            raise InputError(
                str(self.path), "is not a journal of faults", "check its content, then remove it"
            ) from problem

    def write(self, content: JournalContent) -> None:
        """Replace the journal's content, or remove the file if no fault is open. Raises InputError."""
        if content.open:
            files.write(self.path, content.model_dump_json(indent=2) + "\n", mode=files.PRIVATE)
        else:
            files.remove(self.path)

    @contextmanager
    def held(self, role: Literal["breaking", "healing"], wait_s: float) -> Iterator[bool]:
        """Hold the lock. Yields False if another process still has it after `wait_s` seconds."""
        ownership.own(files.make_folder(self.path.parent), self.path.parents[1])
        with files.append(self.lock) as file:

            def locked() -> bool:
                with suppress(BlockingIOError):
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    return True
                return False

            if not waiting.poll(locked, wait_s):
                yield False
                return
            file.truncate(0)
            with suppress(OSError):  # a full disk: the lock counts, not the name of its holder
                file.write(f"{role} {os.getpid()}".encode())
            yield True
            file.truncate(0)

    def holder(self) -> str:
        """`breaking PID` or `healing PID` of the process that holds the lock; empty if unknown."""
        try:
            return files.read_text(self.lock, errors="replace", limit=LIMIT).strip()
        except InputError:
            return ""

    def heal(self, content: JournalContent) -> JournalContent:
        """Heal every open fault, the last one first. The lock must be held. Raises Unhealed."""
        failures = []
        for each in reversed(content.open):
            why = _why_not_healed(each)
            if why is None:
                content = content.model_copy(update={"open": tuple(o for o in content.open if o != each)})
                with suppress(InputError):  # a full disk: the next run heals it again, which is harmless
                    self.write(content)
            else:
                failures.append((each, why))
        if failures:
            raise Unhealed(content.name, failures)
        return content

    def recover(self, wait_s: float, *, patient: bool = False) -> tuple[OpenFault, ...]:
        """Heal faults that a run left open when it died. Returns the healed faults.

        Does nothing while a living run holds the lock. It waits up to `wait_s` seconds for a process that
        heals, and with `patient` also for one that breaks. Raises Unhealed and InputError (see `read`).
        """
        if not self.path.exists():
            return ()
        wait_s = wait_s if patient or not self.holder().startswith("breaking") else 0
        with self.held("healing", wait_s) as locked:
            if not locked and (holder := self.holder()).startswith("healing"):
                pid = holder.partition(" ")[2]
                remedy = f"wait for it; if it is stopped, `kill -CONT {pid}`"
                raise InputError(str(self.path), f"is still being healed by process {pid}", remedy)
            content = self.read() if locked else None
            if content is None:
                return ()
            if content.lab and not Path(content.deployment).exists():
                self.path.unlink(missing_ok=True)  # the lab is down, and its faults with it
                return ()
            # Commands that the killed suite had started must not break anything after the healing.
            environment_marks.kill(f"{MARK}={self.path}")
            self.heal(content)
            return content.open


def _why_not_healed(each: OpenFault) -> str | None:
    """Run the command that heals a fault. Returns why it failed, None if it succeeded."""
    why = ""
    for _ in range(HEAL_TRIES):
        try:
            run(each.heal, {HEALING: "1"})
        except CommandFailed as problem:
            why = str(problem)
        else:
            return None
    return why


def heal_leftovers(deployment: Path, wait_s: float = 60.0) -> None:
    """Heal what killed runs of the suite left broken in one deployment, and say so on standard error.

    Raises InputError if that fails, or for a journal that cannot be used.
    """
    if HEALING in os.environ or MARK in os.environ:
        return
    try:
        for each in Journal.at(deployment).recover(wait_s):
            line = f"healed a fault that a killed run left behind: {deployment}: {each.part}: {each.fault}"
            print(line, file=sys.stderr)
    except Unhealed as problem:
        print(problem, file=sys.stderr)
        raise InputError(
            str(deployment), "is still broken by a killed run", "run the commands above"
        ) from problem
