"""The live figures for Prometheus, in its text format. It writes figures down, and computes none.

The format is that of https://prometheus.io/docs/instrumenting/exposition_formats/, version 0.0.4. A figure
that is not known has no line.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple, get_args

from calorimeter.core.verdict import Outcome
from calorimeter.live.live_figures import BackendState, LiveFigures

KIND = "text/plain; version=0.0.4; charset=utf-8"
"""The content type of the format."""

Labels = dict[str, str]
Value = float | int | bool | None


FRESH_S = 5.0
"""Figures are made every second; older ones are not live."""


class Metric(NamedTuple):
    """A metric, its type, its help, and the value of each set of labels."""

    name: str
    kind: str
    help: str
    values: list[tuple[Labels, Value]]


def text_of(figures: LiveFigures | None, age_s: float = 0.0) -> str:
    """All metrics. Without figures (no load has begun) only `calorimeter_live`, which is 0 then.

    `age_s` is how old the figures are; with figures that are over, or too old, they are not live.
    """
    live = figures is not None and not figures.over and age_s <= FRESH_S
    shown = "Whether figures are being made now; if 0, all others are old"
    metrics = [Metric("calorimeter_live", "gauge", shown, [({}, live)])]
    if figures is not None:
        metrics.append(Metric("calorimeter_figures_age_seconds", "gauge", "Age of all figures",
                              [({}, round(max(0.0, age_s), 3))]))  # fmt: skip
        for of in (_sources, _backends, _engines, _queues, _generator, _events):
            metrics += of(figures)
    return "".join(line for metric in metrics for line in _lines(metric))


def _lines(metric: Metric) -> Iterator[str]:
    values = [(labels, value) for labels, value in metric.values if value is not None]
    if not values:
        return
    yield f"# HELP {metric.name} {_escaped(metric.help)}\n"
    yield f"# TYPE {metric.name} {metric.kind}\n"
    for labels, value in values:
        named = ",".join(f'{name}="{_escaped(text, quoted=True)}"' for name, text in labels.items())
        yield f"{metric.name}{f'{{{named}}}' if named else ''} {_number(value)}\n"


def _escaped(text: str, *, quoted: bool = False) -> str:
    escaped = text.replace("\\", "\\\\").replace("\n", "\\n")
    return escaped.replace('"', '\\"') if quoted else escaped


def _number(value: float) -> str:
    return repr(value) if isinstance(value, float) else str(int(value))


def _gauge(name: str, text: str, values: Iterable[tuple[Labels, Value]], kind: str = "gauge") -> Metric:
    return Metric(f"calorimeter_{name}", kind, text, list(values))


def _sources(figures: LiveFigures) -> list[Metric]:
    newest = [({"source": each.name}, each.at_ns / 1e9 if each.at_ns else None) for each in figures.sources]
    good = [({"source": each.name}, not each.problem) for each in figures.sources]
    return [
        _gauge("source_answer_timestamp_seconds", "When a source of figures answered last", newest),
        _gauge("source_good", "Whether the newest attempt to read a source succeeded", good),
        _gauge("window_seconds", "Length of the window of shares", [({}, figures.window_s)]),
    ]


def _backends(figures: LiveFigures) -> list[Metric]:
    rows = [({"section": each.section, "backend": each.name}, each) for each in figures.backends]
    words = get_args(BackendState)
    states = [({**labels, "state": word}, each.state == word) for labels, each in rows for word in words]
    return [
        _gauge("backend_state", "State of a server, as the proxies say", states),
        _gauge("backend_share", "Share of a section's new connections in the window",
               [(labels, each.share) for labels, each in rows]),
        _gauge("backend_predicted_share", "Share that a server should get",
               [(labels, each.predicted) for labels, each in rows]),
        _gauge("backend_connections_total", "Connections that a server got from all proxies",
               [(labels, each.total) for labels, each in rows], "counter"),
        _gauge("backend_sessions", "Open connections of a server",
               [(labels, each.sessions) for labels, each in rows]),
        _gauge("backend_queued", "Connections that wait in the proxy for a server",
               [(labels, each.queued) for labels, each in rows]),
    ]  # fmt: skip


def _engines(figures: LiveFigures) -> list[Metric]:
    rows = [({"topic": each.topic, "engine": each.name}, each) for each in figures.engines]
    return [
        _gauge("engine_consuming", "Whether an engine's process consumes its topic",
               [(labels, each.state == "consuming") for labels, each in rows]),
        _gauge("engine_share", "Share of a topic's deliveries in the window",
               [(labels, each.share) for labels, each in rows]),
        _gauge("engine_predicted_share", "Share of a topic's consumers",
               [(labels, each.predicted) for labels, each in rows]),
        _gauge("engine_window_deliveries", "Messages delivered to an engine in the window",
               [(labels, each.deliveries) for labels, each in rows]),
    ]  # fmt: skip


def _queues(figures: LiveFigures) -> list[Metric]:
    rows = [({"queue": each.name}, each) for each in figures.queues]
    return [
        _gauge("queue_ready", "Messages that wait in a queue", [(name, each.ready) for name, each in rows]),
        _gauge("queue_unacknowledged", "Messages that are delivered and not acknowledged",
               [(name, each.unacknowledged) for name, each in rows]),
        _gauge("queue_consumers", "Consumers of a queue", [(name, each.consumers) for name, each in rows]),
        _gauge("stacks_in_progress", "Stacks of the load, accepted and not yet in a final state",
               [({}, figures.stacks)]),
    ]  # fmt: skip


def _generator(figures: LiveFigures) -> list[Metric]:
    rows = [({"worker": each.worker}, each) for each in figures.generator]
    return [
        _gauge("generator_cpu_share", "Share of a core that a generating process used",
               [(name, each.cpu_share) for name, each in rows]),
        _gauge("generator_lag_p99_seconds", "99th percentile of the lateness of a generating process",
               [(name, each.lag_p99_s) for name, each in rows]),
        _gauge("generator_limits", "Whether a generating process, not the deployment, sets the pace",
               [(name, bool(each.limits)) for name, each in rows]),
        _gauge("generator_users", "Users of a generating process",
               [(name, each.users) for name, each in rows]),
        _gauge("generator_requests_per_second", "Requests that were answered, per second",
               [(name, each.requests_per_s) for name, each in rows]),
        _gauge("generator_response_p99_seconds", "99th percentile of the response times of a second",
               [(name, each.response_p99_s) for name, each in rows]),
        _gauge("generator_dropped", "Arrivals of a second that found no free user",
               [(name, each.dropped) for name, each in rows]),
    ]  # fmt: skip


def _events(figures: LiveFigures) -> list[Metric]:
    open_now = [each for each in figures.faults if not each.ended_ns]
    faults = {(each.part, each.fault): each for each in open_now}
    verdicts = [
        ({"gate": each.gate, "outcome": outcome.value}, each.outcome is outcome)
        for each in figures.gates
        for outcome in Outcome
    ]
    return [
        _gauge("fault_open", "Faults that are in force",
               [({"part": part, "fault": fault}, 1) for part, fault in faults]),
        _gauge("faults_open", "How many faults are in force", [({}, len(open_now))]),
        _gauge("gate_outcome", "The verdict of a gate", verdicts),
    ]  # fmt: skip
