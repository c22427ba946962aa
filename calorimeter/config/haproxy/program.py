"""`haproxy -c`: the verdict of the program itself on a configuration."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_MESSAGE = re.compile(r"\[(ALERT|WARNING|NOTICE)\]\s+\(\d+\) : (?:config : )?(.*)")
_PLACE = re.compile(r"(?:parsing )?\[(.+?):(\d+)\]\s*:?\s*(.*)")
_HERE = re.compile(
    r"No such file|[Cc]annot find (user|group) id|unknown (user|group) name|[Cc](an't|annot|ould ?n't) open"
    r"|unable to (stat|load|open|read)|error opening file|failed to open|could not resolve"
    r"|Permission denied"
)
_DEADLINE_S = 20


@dataclass(frozen=True, slots=True)
class HAProxyMessage:
    """One alert (`fatal`) or warning of HAProxy; `line` is 0 if the message names no line."""

    fatal: bool
    file: str
    line: int
    text: str

    @property
    def about_this_machine(self) -> bool:
        """Whether it misses a file, user, group or name that a copied configuration need not have here."""
        return _HERE.search(self.text) is not None


def messages(paths: Sequence[Path], program: str = "haproxy") -> tuple[HAProxyMessage, ...] | None:
    """Run `haproxy -c` on the files and return its messages; None if the program is missing or cannot run.

    `haproxy -c` reads and checks the files; it opens no port.
    """
    found = shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/local/sbin")
    if not found:
        return None
    command = [found, "-c"]
    for path in paths:
        command += ["-f", str(path)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=_DEADLINE_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return tuple(_messages(done.stderr + done.stdout, str(paths[0]) if paths else ""))


def _messages(output: str, file: str) -> list[HAProxyMessage]:
    found = []
    for line in output.splitlines():
        match = _MESSAGE.match(line)
        if not match or match[1] == "NOTICE" or "found in configuration" in line:
            continue
        if match[2].startswith("Fatal errors found"):
            continue
        place = _PLACE.match(match[2])
        if place:
            found.append(HAProxyMessage(match[1] == "ALERT", place[1], int(place[2]), place[3]))
        else:
            found.append(HAProxyMessage(match[1] == "ALERT", file, 0, match[2]))
    return found
