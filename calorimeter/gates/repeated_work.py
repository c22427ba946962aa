"""Work that a thread repeats during an experiment."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from calorimeter.gates.evidence.unavailable import EvidenceUnavailable

LAST_CALL_S = 30.0
"""Time for the last call to return after the context is left."""


class RepeatedWork:
    """Calls `work` every `every_s` seconds while the context lasts, for the first time after `every_s`.

    An exception of `work` ends the calls. `problem` keeps it, or EvidenceUnavailable if the last call did
    not return in time; `check` raises it.
    """

    def __init__(self, name: str, every_s: float, work: Callable[[], object]) -> None:
        self.problem: Exception | None = None
        self._every_s = every_s
        self._work = work
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(LAST_CALL_S)
        if self._thread.is_alive():
            self.problem = EvidenceUnavailable(self._thread.name, f"did not end within {LAST_CALL_S:g} s")

    def check(self) -> None:
        """Raise `problem`, if set."""
        if self.problem is not None:
            raise self.problem

    def _run(self) -> None:
        while not self._stop.wait(self._every_s):
            try:
                self._work()
            except Exception as problem:
                self.problem = problem
                return
