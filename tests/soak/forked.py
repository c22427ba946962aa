"""Runs `calorimeter` commands in forks of this process, which has imported everything already."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

import psutil

from calorimeter.core.waiting import DeadlineError, until

PRELOADED = (
    *("calorimeter.cli", "calorimeter.commands.verify", "calorimeter.commands.load"),
    *("calorimeter.commands.report", "calorimeter.gates.doctor", "calorimeter.gates.registry"),
    *("calorimeter.load.run.ledger_balance", "calorimeter.report.page", "matplotlib.pyplot", "pandas"),
)
LONGEST_S = 240.0


def preload() -> None:
    """Import what the commands need. No module of it starts a thread or opens a connection."""
    for module in PRELOADED:
        import_module(module)


@dataclass(frozen=True, slots=True)
class Ended:
    """A command that ended: its words, exit status (-1: not in time) and output."""

    words: tuple[str, ...]
    status: int
    stdout: str
    stderr: str


class Command:
    """A command, or another function that prints, in a fork."""

    def __init__(self, *words: str, act: Callable[[], None] | None = None) -> None:
        self._words = words
        # Closed by `end`, which reads them.
        self._out: IO[bytes] = TemporaryFile()  # noqa: SIM115
        self._err: IO[bytes] = TemporaryFile()  # noqa: SIM115
        self._pid = os.fork()
        if self._pid == 0:
            _become(words, self._out.fileno(), self._err.fileno(), act)

    def end(self) -> Ended:
        """Wait until it has ended, and kill it if it does not."""
        status = -1

        def ended() -> bool:
            nonlocal status
            pid, code = os.waitpid(self._pid, os.WNOHANG)
            status = os.waitstatus_to_exitcode(code) if pid else -1
            return bool(pid)

        try:
            until(ended, LONGEST_S, every_s=0.02)
        except DeadlineError:
            psutil.Process(self._pid).kill()
            os.waitpid(self._pid, 0)
            status = -1
        return Ended(self._words, status, _text(self._out), _text(self._err))


def _become(words: Sequence[str], out: int, err: int, act: Callable[[], None] | None) -> None:
    from calorimeter import cli

    status = 1
    try:
        os.dup2(out, 1)
        os.dup2(err, 2)
        sys.argv = ["calorimeter", *words]
        (act or cli.main)()
        status = 0
    except SystemExit as problem:
        status = problem.code if isinstance(problem.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(status)


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    text = file.read().decode("utf-8", "replace")
    file.close()
    return text


def calorimeter(*words: str | Path) -> Ended:
    """Run one command to its end."""
    return Command(*map(str, words)).end()
