"""A case of the fuzz harness, how it ended, and what must hold of every end."""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass, field

from tests.places import CLONE

READER = "read:"
"""What the first word of a case starts with that calls one of `readers` instead of a command."""

SHOWS_A_TABLE = ("doctor", "verify")
"""Commands that end with status 2 after a table, without a line that starts with `calorimeter`."""
WARNS = "calorimeter: the broker's tracing may still be on"
"""What `clean` says before its own line."""


@dataclass(frozen=True, slots=True)
class Case:
    """A command line and the files it may name, in an empty folder of its own.

    `secrets` are values in the files that nothing may show. `run` asks for a folder called `run`, that of a
    run, or of a study if it is `scale` or `capacity`; each of `damages` is the seed of one damage to it.
    `special` are names of what is no plain file, each of a kind of `special_files`.
    """

    subject: str
    words: tuple[str, ...]
    files: dict[str, bytes] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    run: str = ""
    damages: tuple[int, ...] = ()
    special: dict[str, str] = field(default_factory=dict)
    most_cpu_s: int = 20


@dataclass(frozen=True, slots=True)
class Ended:
    """How a case ended. `status` is negative after a signal, None if the case was killed for its time."""

    status: int | None
    out: bytes = b""
    err: bytes = b""
    cpu_s: float = 0.0
    peak_bytes: int = 0
    guarded: str = ""
    """What it was about to do when the harness ended it: to start a load, a lab, a third program."""
    outside: tuple[str, ...] = ()
    """What it tried to change outside its folder."""
    left: int = 0
    """Processes that it left behind."""
    leaks: tuple[str, ...] = ()
    """Files, and `stdout` and `stderr`, that show a secret."""


def faults(case: Case, ended: Ended) -> tuple[str, ...]:
    """The kinds of promises that were broken; empty for a good end."""
    text = ended.err.decode("utf-8", "replace")
    found = []
    if ended.status in (None, -signal.SIGXCPU, -signal.SIGKILL):
        found.append("hang")
    elif "Traceback (most recent call last)" in text:
        found.append(f"traceback: {_place(text)}")
    elif not ended.guarded and ended.status not in (0, 1, 2):
        found.append(f"exit status {ended.status}")
    elif ended.status == 2:
        lines = [
            line
            for line in text.splitlines()
            if line.startswith("calorimeter") and not line.startswith(WARNS)
        ]
        if len(lines) > 1 or (not lines and case.words[0] not in SHOWS_A_TABLE):
            found.append(f"{len(lines)} lines say why")
    both = ended.out + ended.err
    if control := re.search(rb"[\x00-\x08\x0b-\x1f\x7f]", both):
        found.append(f"control character {control[0]!r} in the output")
    found += [f"changes {path}" for path in ended.outside]
    found += [f"{ended.left} processes left"] if ended.left and not ended.guarded else []
    found += [f"leak in {name}" for name in ended.leaks]
    return tuple(found)


def _place(text: str) -> str:
    """The exception, and the last line of ours that it passed."""
    frames = text.rpartition("Traceback (most recent call last):\n")[2].splitlines()
    last = next((line for line in frames if not line.startswith(" ")), "")
    # The clone's own folder may be called calorimeter, too.
    ours = re.findall(rf'File "{re.escape(str(CLONE))}/(calorimeter/[^"]+)", line (\d+), in (\S+)', text)
    where = f"{ours[-1][0]}:{ours[-1][1]} {ours[-1][2]}" if ours else "no line of ours"
    return f"{last.partition(':')[0][:60]} in {where}"
