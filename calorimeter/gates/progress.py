"""The progress of an acceptance run on stderr: a rewritten line on a terminal, elsewhere a line a step."""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

import click

from calorimeter.core.shown_text import one_line, plain
from calorimeter.core.terminal import REWRITE
from calorimeter.core.verdict import Judgement, Outcome

Style = dict[str, Any]

STYLES: dict[Outcome, Style] = {
    Outcome.PASS: {"fg": "green"},
    Outcome.FAIL: {"fg": "red", "bold": True},
    Outcome.INCONCLUSIVE: {"fg": "yellow", "bold": True},
    Outcome.NOT_RUN: {"dim": True},
}
"""Outcome → its style on a terminal, as keywords of click.style."""

TICK_S = 1.0


class Progress:
    """Progress output. Writes to a duplicate of stderr, so that pytest's capture does not swallow it."""

    def __init__(self) -> None:
        self._to = os.fdopen(os.dup(2), "w", encoding="utf-8", errors="backslashreplace")
        self._terminal = self._to.isatty()
        self._coloured = self._terminal and "NO_COLOR" not in os.environ
        self._lock = threading.Lock()
        self._step = ""
        self._gate = ""
        self._since = time.monotonic()
        self._stop = threading.Event()
        self._delayed: threading.Timer | None = None
        self._ticking = threading.Thread(target=self._tick, name="progress", daemon=True)

    def __enter__(self) -> Self:
        if self._terminal:
            self._ticking.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._cancel_delayed()
        if self._terminal:
            self._ticking.join()
            self._write(REWRITE)
        with suppress(OSError):
            self._to.close()

    def later(self, seconds: float, text: str) -> None:
        """Show a step after some seconds, unless something else is shown before."""
        self._delayed = threading.Timer(seconds, self.phase, (text,))
        self._delayed.daemon = True
        self._delayed.start()

    def _cancel_delayed(self) -> None:
        if self._delayed is not None:
            self._delayed.cancel()

    def line(self, text: str) -> None:
        """Print a line that stays."""
        self._line(plain(text))

    def _line(self, text: str) -> None:
        self._cancel_delayed()
        with self._lock:
            self._write(f"{REWRITE if self._terminal else ''}{text}\n")

    def phase(self, text: str) -> None:
        """Show the step that starts now."""
        text = one_line(text)
        step = f"{self._gate}: {text}" if self._gate else text
        if not self._terminal:
            self.line(step)
            return
        with self._lock:
            self._step = step
            self._show()

    def begins(self, number: int, of: int, gate: str, heading: str, left: str = "") -> None:
        """Show the gate that starts now, and how long the run will take from now on, if that is known."""
        self._gate, self._since = "", time.monotonic()
        self.phase(f"[{number}/{of}] {gate}  {f'({left}) ' if left else ''}{heading}")
        self._gate = f"[{number}/{of}] {plain(gate)}"

    def ended(self, gate: str, judgement: Judgement | None) -> None:
        """Print the outcome of a gate; None if it has no verdict."""
        took = time.monotonic() - self._since
        word = f"{judgement.outcome.value if judgement else 'no verdict':<12}"
        if judgement and self._coloured:
            word = click.style(word, fg=STYLES[judgement.outcome].get("fg"))
        label = self._gate or plain(gate)
        self._gate = ""
        self._line(f"{label}: {word} after {took:.1f} s")

    def _tick(self) -> None:
        while not self._stop.wait(TICK_S):
            with self._lock:
                if self._step:
                    self._show()

    def _show(self) -> None:
        width = 79
        with suppress(OSError):
            width = (os.get_terminal_size(self._to.fileno()).columns or 80) - 1
        self._write(f"{REWRITE}{f'{time.monotonic() - self._since:4.0f} s  {self._step}'[:width]}")

    def _write(self, text: str) -> None:
        with suppress(OSError, ValueError):
            self._to.write(text)
            self._to.flush()
