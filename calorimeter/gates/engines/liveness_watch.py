"""A watch over what an experiment rests on: whoever goes away is named, and the experiment ends."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from types import TracebackType
from typing import Self, TypeVar

from calorimeter.core.deployment import Deployment
from calorimeter.gates.engines.consumers import ENGINE, WORKER
from calorimeter.gates.evidence.broker_api import BrokerApi
from calorimeter.gates.evidence.firehose import Firehose
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable
from calorimeter.gates.repeated import Repeated

LOOK_S = 0.5
LOOKS = 2
"""Looks running that must agree: one answer of the management API may be late or half a picture."""

T = TypeVar("T")


class LivenessWatch:
    """Looks at the engines' consumers, the management API and the trace, twice a second.

    `names` maps the consumers that are there in the beginning to what people call them. `check` raises
    once somebody has gone; those in `spared` may.
    """

    def __init__(self, deployment: Deployment, firehose: Firehose, names: Mapping[str, str]) -> None:
        self._api = BrokerApi.of(deployment)
        self._firehose = firehose
        self._names = dict(names)
        self._spared: frozenset[str] = frozenset()
        self._missed: dict[str, int] = {}
        self._away = 0
        self._found: EvidenceUnavailable | None = None
        self._looks = 0
        self._news = threading.Condition()
        self._turns = Repeated("vigil", LOOK_S, self._turn)

    def __enter__(self) -> Self:
        self._turns.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._turns.__exit__(kind, error, trace)
        self._api.__exit__(kind, error, trace)

    def spare(self, names: Collection[str]) -> None:
        """The experiment itself is about to break these too: their going is no news, now and later."""
        self._spared |= frozenset(names)

    def check(self) -> None:
        """Raise `EvidenceUnavailable`, which names who went away, where somebody has."""
        if why := self._firehose.why_incomplete:
            raise EvidenceUnavailable(self._firehose.where, why)
        if self._found is not None:
            raise EvidenceUnavailable(self._found.where, self._found.why)
        self._turns.check()

    def run(self, work: Callable[[], T]) -> T:
        """The result of `work`, or at once what `check` raises; `work` then goes on by itself.

        Where `work` fails, the looks that would tell why are waited for.
        """
        ended = threading.Event()
        results: list[T] = []
        problems: list[Exception] = []

        def do() -> None:
            try:
                results.append(work())
            except Exception as problem:
                problems.append(problem)
            finally:
                ended.set()

        threading.Thread(target=do, name="watched", daemon=True).start()
        while not ended.wait(0.1):
            self.check()
        if problems:
            self._await_looks(LOOKS + 1)
            self.check()
            raise problems[0]
        return results[0]

    def _await_looks(self, more: int) -> None:
        with self._news:
            target = self._looks + more
            self._news.wait_for(lambda: self._looks >= target or self._found is not None, 5.0)

    def _turn(self) -> None:
        self._look()
        with self._news:
            self._looks += 1
            self._news.notify_all()

    def _look(self) -> None:
        try:
            found = self._api.consumers()
        except EvidenceUnavailable as problem:
            self._away += 1
            if self._away >= LOOKS and self._found is None:
                self._found = EvidenceUnavailable(problem.where, f"went away under way: it {problem.why}")
            return
        self._away = 0
        there = {f"{c.connection}#{c.channel}" for c in found if c.queue in (ENGINE, WORKER)}
        for id_ in self._names:
            self._missed[id_] = 0 if id_ in there else self._missed.get(id_, 0) + 1
        gone = {self._names[id_] for id_, missed in self._missed.items() if missed >= LOOKS} - self._spared
        if gone and self._found is None:
            whom = " and ".join(sorted(gone))
            self._found = EvidenceUnavailable(whom, "went away under way: it consumes no more")
