"""A watch over what an experiment depends on: it names a part that goes away, and the experiment ends."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future, wait
from contextlib import suppress
from typing import Any, TypeVar

from calorimeter.core.deployment import Deployment
from calorimeter.core.waiting import DeadlineError, until
from calorimeter.gates.engines.consumers import ENGINE, WORKER
from calorimeter.gates.evidence.broker_api import BrokerApi
from calorimeter.gates.evidence.firehose import Firehose
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable
from calorimeter.gates.repeated_work import RepeatedWork

POLL_S = 0.5
POLLS_WITHIN_S = 5.0
POLLS_THAT_AGREE = 2
"""Consecutive polls that must agree: one answer of the management API may be late or incomplete."""

T = TypeVar("T")


class LivenessWatch(RepeatedWork):
    """Polls the engines' consumers, the management API and the trace, twice a second.

    `names` maps the ids of the consumers at the start to their names. Once one of them has gone that is not
    `excluded`, `check` raises.
    """

    def __init__(self, deployment: Deployment, firehose: Firehose, names: Mapping[str, str]) -> None:
        super().__init__("liveness", POLL_S, self._poll_and_count)
        self._api = BrokerApi.of(deployment)
        self._firehose = firehose
        self._names = dict(names)
        self._excluded: frozenset[str] = frozenset()
        self._missed: dict[str, int] = {}
        self._unanswered = 0
        self._found: EvidenceUnavailable | None = None
        self._polls = 0

    def __exit__(self, *exc: Any) -> None:
        super().__exit__(*exc)
        self._api.__exit__(*exc)

    def exclude(self, names: Collection[str]) -> None:
        """Ignore these consumers, and only these, from now on: the experiment itself breaks them."""
        self._excluded = frozenset(names)

    def check(self) -> None:
        """Raise `EvidenceUnavailable`, which names what has gone away, if something has."""
        if why := self._firehose.why_incomplete:
            raise EvidenceUnavailable(self._firehose.where, why)
        if self._found is not None:
            raise EvidenceUnavailable(self._found.where, self._found.why)
        super().check()

    def run(self, work: Callable[[], T]) -> T:
        """Run `work` in a thread and return its result; raises at once what `check` raises.

        The abandoned thread then goes on. If `work` itself fails, further polls are awaited first: they may
        name the cause.
        """
        future: Future[T] = Future()

        def do() -> None:
            try:
                future.set_result(work())
            except Exception as problem:
                future.set_exception(problem)

        threading.Thread(target=do, name="watched", daemon=True).start()
        while not wait([future], 0.1).done:
            self.check()
        if future.exception():
            target = self._polls + POLLS_THAT_AGREE + 1
            with suppress(DeadlineError):
                until(lambda: self._polls >= target or self._found, POLLS_WITHIN_S)
            self.check()
        return future.result()

    def _poll_and_count(self) -> None:
        self._poll()
        self._polls += 1

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
