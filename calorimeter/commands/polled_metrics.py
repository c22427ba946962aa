"""What was polled of a deployment during a run, as points of metrics: servers, queues, engines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from calorimeter.core.recorded.rundir import RunDir
    from calorimeter.export.otlp_points import MetricPoint


def points(run: RunDir) -> Iterator[MetricPoint]:
    """All points; polls that are missing or damaged have none."""
    from calorimeter.report.tables import watch_files

    polled = watch_files.read(run)
    yield from _servers(polled.servers)
    yield from _queues(polled.queues)
    yield from _engines(polled.channels)


def _servers(table: Any) -> Iterator[MetricPoint]:
    from calorimeter.export.otlp_points import MetricKind, MetricPoint

    total = MetricKind(
        "calorimeter.proxy.sessions_total", "{session}", "Sessions that a server got (stot)", "sum"
    )
    now = MetricKind("calorimeter.proxy.sessions", "{session}", "Open sessions of a server (scur)", "gauge")
    for kind, column in ((total, "stot"), (now, "scur")):
        for row in table.to_dict("records"):
            about = {"calorimeter.proxy.section": row["section"], "calorimeter.backend": row["server"]}
            yield MetricPoint("haproxy", row["proxy"], kind, about, int(row["t_ns"]), int(row[column]))


def _queues(table: Any) -> Iterator[MetricPoint]:
    from calorimeter.export.otlp_points import MetricKind, MetricPoint

    ready = MetricKind("calorimeter.queue.ready", "{message}", "Messages that wait in a queue", "gauge")
    held = MetricKind(
        "calorimeter.queue.unacknowledged", "{message}", "Messages delivered, not acknowledged", "gauge"
    )
    for kind, column in ((ready, "messages_ready"), (held, "messages_unacknowledged")):
        for row in table.to_dict("records"):
            about = {"messaging.system": "rabbitmq", "messaging.destination.name": row["name"]}
            yield MetricPoint("rabbitmq", "", kind, about, int(row["t_ns"]), int(row[column]))


def _engines(table: Any) -> Iterator[MetricPoint]:
    """The counters of the channels on which engines consume; a channel begins at 0 when it is opened."""
    from calorimeter.core.recorded import polled_rows
    from calorimeter.export.otlp_points import MetricKind, MetricPoint

    kind = MetricKind(
        "calorimeter.engine.deliveries", "{message}", "Messages delivered to an engine on a channel", "sum"
    )
    for row in table.to_dict("records"):
        if topic := polled_rows.engine_queue(row["queues"]):
            about = {"messaging.destination.name": topic, "calorimeter.connection": row["connection"]}
            at_ns, count = int(row["t_ns"]), int(row["deliver"])
            yield MetricPoint("heat-engine", polled_rows.process(row), kind, about, at_ns, count)
