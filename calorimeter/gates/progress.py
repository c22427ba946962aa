"""How an acceptance run goes, told on stderr: on a terminal one line that is rewritten, else many."""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import click

from calorimeter.core.verdict import Judgement, Outcome

COLOURS = {Outcome.PASS: "green", Outcome.FAIL: "red", Outcome.INCONCLUSIVE: "yellow"}
TICK_S = 1.0
REWRITE = "\r\033[K"


class Progress:
    """What goes on, for who waits. It has its own way to stderr, past whoever captures that meanwhile."""

    def __init__(self) -> None:
        try:
            self._to = os.fdopen(os.dup(2), "w", encoding="utf-8", errors="replace")
        except OSError:  # no stderr at all
            self._to = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - closed on leaving
        self._terminal = self._to.isatty()
        self._coloured = self._terminal and "NO_COLOR" not in os.environ
        self._lock = threading.Lock()
        self._now = ""
        self._gate = ""
        self._since = time.monotonic()
        self._stop = threading.Event()
        self._later: threading.Timer | None = None
        self._ticking = threading.Thread(target=self._tick, name="progress", daemon=True)

    def __enter__(self) -> Self:
        if self._terminal:
            self._ticking.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._sooner()
        if self._terminal:
            self._ticking.join()
            self._write(REWRITE)
        with suppress(OSError):
            self._to.close()

    def later(self, seconds: float, text: str) -> None:
        """Say something that is worth saying only where nothing else was said until then."""
        self._later = threading.Timer(seconds, self.phase, (text,))
        self._later.daemon = True
        self._later.start()

    def _sooner(self) -> None:
        if self._later is not None:
            self._later.cancel()

    def line(self, text: str) -> None:
        """A line that stays."""
        self._sooner()
        with self._lock:
            self._write(f"{REWRITE}{text}\n" if self._terminal else f"{text}\n")
            self._now = ""

    def phase(self, text: str) -> None:
        """What begins now; on a terminal the next replaces it."""
        self._sooner()
        told = f"{self._gate}: {text}" if self._gate else text
        if not self._terminal:
            self.line(told)
            return
        with self._lock:
            self._now = told
            self._show()

    def begins(self, number: int, of: int, gate: str, heading: str) -> None:
        """A gate begins."""
        self._gate, self._since = "", time.monotonic()
        self.phase(f"[{number}/{of}] {gate}  {heading}")
        self._gate = f"[{number}/{of}] {gate}"

    def ended(self, gate: str, judgement: Judgement | None) -> None:
        """A gate has its verdict, or (None) has none."""
        took = time.monotonic() - self._since
        outcome = judgement.outcome if judgement else None
        said = outcome.value if outcome else "no verdict"
        colour = COLOURS.get(outcome) if outcome and self._coloured else None
        word = click.style(f"{said:<12}", fg=colour) if colour else f"{said:<12}"
        where = self._gate or gate
        self._gate = ""
        self.line(f"{where}: {word} after {took:.1f} s")

    def _tick(self) -> None:
        while not self._stop.wait(TICK_S):
            with self._lock:
                if self._now:
                    self._show()

    def _show(self) -> None:
        width = 79
        with suppress(OSError):
            width = (os.get_terminal_size(self._to.fileno()).columns or 80) - 1
        self._write(f"{REWRITE}{f'{time.monotonic() - self._since:4.0f} s  {self._now}'[:width]}")

    def _write(self, text: str) -> None:
        with suppress(OSError, ValueError):
            self._to.write(text)
            self._to.flush()
