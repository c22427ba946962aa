"""A watch over what an experiment depends on: it names a part that goes away, and the experiment ends."""

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

POLL_S = 0.5
POLLS_THAT_AGREE = 2
"""Consecutive polls that must agree: one answer of the management API may be late or incomplete."""

T = TypeVar("T")


class LivenessWatch:
    """Polls the engines' consumers, the management API and the trace, twice a second.

    `names` maps the ids of the consumers at the start to their names. Once one of them has gone that is not
    `excluded`, `check` raises.
    """

    def __init__(self, deployment: Deployment, firehose: Firehose, names: Mapping[str, str]) -> None:
        self._api = BrokerApi.of(deployment)
        self._firehose = firehose
        self._names = dict(names)
        self._excluded: frozenset[str] = frozenset()
        self._missed: dict[str, int] = {}
        self._unanswered = 0
        self._found: EvidenceUnavailable | None = None
        self._polls = 0
        self._polled = threading.Condition()
        self._repeated = Repeated("liveness", POLL_S, self._poll_and_notify)

    def __enter__(self) -> Self:
        self._repeated.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._repeated.__exit__(kind, error, trace)
        self._api.__exit__(kind, error, trace)

    def exclude(self, names: Collection[str]) -> None:
        """Ignore these consumers from now on: the experiment itself is about to break them."""
        self._excluded |= frozenset(names)

    def check(self) -> None:
        """Raise `EvidenceUnavailable`, which names what has gone away, if something has."""
        if why := self._firehose.why_incomplete:
            raise EvidenceUnavailable(self._firehose.where, why)
        if self._found is not None:
            raise EvidenceUnavailable(self._found.where, self._found.why)
        self._repeated.check()

    def run(self, work: Callable[[], T]) -> T:
        """Run `work` in a thread and return its result; raises at once what `check` raises.

        The abandoned thread then goes on. If `work` itself fails, further polls are awaited first: they may
        name the cause.
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
            self._await_polls(POLLS_THAT_AGREE + 1)
            self.check()
            raise problems[0]
        return results[0]

    def _await_polls(self, count: int) -> None:
        with self._polled:
            target = self._polls + count
            self._polled.wait_for(lambda: self._polls >= target or self._found is not None, 5.0)

    def _poll_and_notify(self) -> None:
        self._poll()
        with self._polled:
            self._polls += 1
            self._polled.notify_all()

    def _poll(self) -> None:
        try:
            found = self._api.consumers()
        except EvidenceUnavailable as problem:
            self._unanswered += 1
            if self._unanswered >= POLLS_THAT_AGREE and self._found is None:
                self._found = EvidenceUnavailable(
                    problem.where, f"went away during the experiment: it {problem.why}"
                )
            return
        self._unanswered = 0
        there = {f"{c.connection}#{c.channel}" for c in found if c.queue in (ENGINE, WORKER)}
        for id_ in self._names:
            self._missed[id_] = 0 if id_ in there else self._missed.get(id_, 0) + 1
        missed = {self._names[id_] for id_, polls in self._missed.items() if polls >= POLLS_THAT_AGREE}
        if (gone := missed - self._excluded) and self._found is None:
            names = " and ".join(sorted(gone))
            self._found = EvidenceUnavailable(names, "stopped consuming during the experiment")
