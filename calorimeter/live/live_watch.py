"""Follows a run folder while it is recorded, and says how things are at each moment."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path

from calorimeter.core.deployment import Deployment
from calorimeter.core.errors import InputError
from calorimeter.core.recorded.polled_rows import Row
from calorimeter.core.shown_text import one_line
from calorimeter.live.line_tail import LineTail
from calorimeter.live.live_backends import LiveBackends
from calorimeter.live.live_engines import LiveEngines
from calorimeter.live.live_events import LiveFaults, LiveGates
from calorimeter.live.live_figures import MOMENTS, DataSource, GeneratorNow, LiveFigures, LiveTimeLine
from calorimeter.live.live_generator import LiveGenerator, generating
from calorimeter.live.windowed_counts import WINDOW_S

FILE = "watch/live.json"
"""Where the watch of a load keeps the figures of the moment, for Locust's page."""

SPACING_NS = 900_000_000
"""Moments of the time line are at least about a second apart."""

LARGEST = 4 * 2**20
"""Bytes of the largest figures: those of a thousand servers and five hundred gates have 1 MB."""


class LiveWatch:
    """The figures of one run folder, as of its files, its deployment's faults and its verdicts."""

    def __init__(self, run: Path, deployment: Deployment, begun_ns: int, every_s: float = 1.0) -> None:
        """Reads nothing yet. Verdicts of other runs count if they are written after `begun_ns`."""
        self._run = run
        self._deployment = deployment
        self._begun_ns = begun_ns
        self._every_s = every_s
        self._backends = LiveBackends(deployment)
        self._engines = LiveEngines()
        self._generator = LiveGenerator()
        self._faults = LiveFaults(deployment)
        self._gates = LiveGates(run, begun_ns)
        self._moments: deque[tuple[int, float | None, float | None, int | None, int | None]] = deque(
            maxlen=MOMENTS
        )
        self._files: list[tuple[str, LineTail, Callable[[Row | None], None]]] = [
            (name, LineTail(run / "watch" / f"{name}.jsonl", run), add)
            for name, add in (
                ("proxy", self._backends.add),
                ("broker", self._engines.add),
                ("generator", self._generator.add),
            )
        ]

    def figures(self, now_ns: int, *, over: bool = False) -> LiveFigures:
        """Read what is new; the figures of this moment."""
        problems = self._read()
        generator = self._generator.figures(now_ns)
        running = generating(generator, now_ns)
        stacks = sum(each.stacks for each in running) if running else None
        users = sum(each.users for each in running)
        backends, predicted_by = self._backends.figures(now_ns, users)
        queues = self._engines.queues()
        ready = sum(queue.ready for queue in queues) if queues else None
        self._add_moment(now_ns, running, ready, stacks)
        gates, faults = self._gates.figures(now_ns), self._faults.figures(now_ns)
        sources = (self._backends, self._engines, self._generator, self._faults, self._gates)
        began = [first for first in (self._backends.first_ns, self._engines.first_ns) if first]
        counted_s = (now_ns - min(began, default=now_ns)) / 1e9
        return LiveFigures(
            deployment=self._deployment.name,
            run=self._run.name,
            at_ns=now_ns,
            every_s=self._every_s,
            window_s=round(min(max(counted_s, 0.0), WINDOW_S), 1),
            over=over,
            sources=(*(source for each in sources for source in each.sources()), *problems),
            backends=tuple(backends),
            predicted_by=predicted_by,
            engines=tuple(self._engines.engines(now_ns)),
            queues=tuple(queues),
            stacks=stacks,
            generator=tuple(generator),
            faults=tuple(faults),
            gates_of=self._gates.run,
            gates=tuple(gates),
            time_line=self._time_line(),
        )

    def _read(self) -> list[DataSource]:
        problems = []
        for name, tail, add in self._files:
            try:
                for line in tail.added():
                    add(line)
            except InputError as problem:
                why = one_line(str(problem))[:500]
                problems.append(DataSource(name=f"{name}.jsonl", at_ns=0, problem=why))
        return problems

    def _add_moment(
        self, now_ns: int, running: list[GeneratorNow], ready: int | None, stacks: int | None
    ) -> None:
        if self._moments and now_ns < self._moments[-1][0] + SPACING_NS:
            return
        rate = sum(each.requests_per_s for each in running) if running else None
        p99s = [each.response_p99_s for each in running if each.response_p99_s is not None]
        self._moments.append((now_ns, rate, max(p99s, default=None), ready, stacks))

    def _time_line(self) -> LiveTimeLine:
        if not self._moments:
            return LiveTimeLine()
        t_ns, rates, p99s, ready, stacks = zip(*self._moments, strict=True)
        return LiveTimeLine(
            t_ns=t_ns, requests_per_s=rates, response_p99_s=p99s, ready=ready, stacks=stacks
        )
