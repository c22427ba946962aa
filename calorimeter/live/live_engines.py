"""The engines and their queues, from the polls of `watch/broker.jsonl`."""

from __future__ import annotations

from collections import Counter

from calorimeter.core.recorded import polled_rows
from calorimeter.core.recorded.polled_rows import ENGINE_QUEUES, MOST_NAMES, Row
from calorimeter.live.live_figures import DataSource, EngineNow, QueueNow
from calorimeter.live.windowed_counts import KEPT_NS, WindowedCounts, bounded

Channel = tuple[str, str]
"""A connection, and the queues that its channel consumes from."""

Engine = tuple[str, str]
"""A topic, and the process that consumes it."""


class LiveEngines:
    """The newest channels and queues, and what was delivered on each channel in the window."""

    def __init__(self) -> None:
        self._counts: WindowedCounts[Channel] = WindowedCounts()
        self._engine_of: dict[Channel, tuple[int, Engine]] = {}
        self._queues: list[Row] = []
        self._at_ns = 0
        self._problem = (0, "")

    @property
    def first_ns(self) -> int:
        """When counting began; 0 before."""
        return self._counts.first_ns

    def add(self, poll: Row | None) -> None:
        """Add a line of the file; None is a damaged one."""
        if poll is None:
            return
        if "unavailable" in poll:
            self._problem = (polled_rows.moment(poll) or 0, str(poll["unavailable"])[:500])
            return
        queues = polled_rows.of_poll(poll, polled_rows.queues)
        channels = polled_rows.of_poll(poll, polled_rows.channels)
        at_ns = polled_rows.moment(poll)
        if queues is None or channels is None or at_ns is None:
            return
        self._at_ns = at_ns
        self._queues = [row for row in queues if row["name"] in ENGINE_QUEUES]
        counters = {}
        for row in channels[: 2 * MOST_NAMES]:
            if topic := polled_rows.engine_queue(row["queues"]):
                channel = (row["connection"], row["queues"])
                counters[channel] = row["deliver"]
                engine = (topic, polled_rows.process(row) or "(no name)")
                self._engine_of[channel] = (self._at_ns, engine)
        self._counts.add("", self._at_ns, counters)
        if len(self._engine_of) > len(counters):
            kept_ns = self._at_ns - KEPT_NS
            self._engine_of = {key: seen for key, seen in self._engine_of.items() if seen[0] > kept_ns}

    def sources(self) -> list[DataSource]:
        """The broker, with its failure if that is newer than its answer; none if it was never asked."""
        failed_ns, why = self._problem
        if not self._at_ns and not failed_ns:
            return []
        problem = why if failed_ns > self._at_ns else ""
        return [DataSource(name="broker", at_ns=self._at_ns, problem=problem)]

    def engines(self, now_ns: int) -> list[EngineNow]:
        """By topic and name. The broker deals a queue's messages to its consumers in turn: an engine's
        predicted share is that of its consumers."""
        grown = self._counts.grown(now_ns)
        got: Counter[Engine] = Counter()
        consumers: Counter[Engine] = Counter()
        for channel, (seen_ns, engine) in self._engine_of.items():
            got[engine] += grown[channel]
            consumers[engine] += seen_ns == self._at_ns
        all_of_it: Counter[str] = Counter()
        all_consumers: Counter[str] = Counter()
        for engine in got:
            all_of_it[engine[0]] += got[engine]
            all_consumers[engine[0]] += consumers[engine]
        found = []
        for topic, name in sorted(got):
            messages, deals = all_of_it[topic], all_consumers[topic]
            found.append(
                EngineNow(
                    topic=topic,
                    name=name,
                    state="consuming" if consumers[topic, name] else "gone",
                    deliveries=bounded(got[topic, name]),
                    share=round(got[topic, name] / messages, 4) if messages else None,
                    predicted=round(consumers[topic, name] / deals, 4) if deals else None,
                )
            )
        return found[:MOST_NAMES]

    def queues(self) -> list[QueueNow]:
        """The engines' queues at the newest poll."""
        return [
            QueueNow(
                name=row["name"],
                ready=row["messages_ready"],
                unacknowledged=row["messages_unacknowledged"],
                consumers=row["consumers"],
            )
            for row in self._queues
        ]
