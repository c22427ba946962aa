"""Work that a thread repeats while an experiment goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from calorimeter.gates.evidence.unavailable import EvidenceUnavailable

LAST_S = 30.0
"""How long the last turn may take once no more are wanted."""


class Repeated:
    """Calls `work` every `every_s`, from entering the context until it is left; the pause comes first.

    What `work` raises ends it. That, or that its last turn did not end, is kept in `problem`, for the
    experiment to say at a time of its own.
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
        self._thread.join(LAST_S)
        if self._thread.is_alive():
            self.problem = EvidenceUnavailable(self._thread.name, f"did not end within {LAST_S:g} s")

    def check(self) -> None:
        """Raise what `work` raised, where it did."""
        if self.problem is not None:
            raise self.problem

    def _run(self) -> None:
        while not self._stop.wait(self._every_s):
            try:
                self._work()
            except Exception as problem:
                self.problem = problem
                return
