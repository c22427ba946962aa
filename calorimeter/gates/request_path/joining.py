"""Follow an experiment's own requests: client, proxy's log, API process, queue, engine process."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from calorimeter.gates.clients.calls import HeatCall
from calorimeter.gates.context import Context
from calorimeter.gates.engines.traced_calls import BrokerTrace
from calorimeter.gates.evidence.proxy_logs import ProxyLogs
from calorimeter.gates.request_path.completeness import JoinCompleteness, join_completeness
from calorimeter.gates.request_path.path import join, request_from

LINES_WITHIN_S = 5.0


class RequestJoiner:
    """The proxy's open logs, beside a trace."""

    def __init__(self, trace: BrokerTrace, logs: ProxyLogs) -> None:
        self._trace = trace
        self._logs = logs

    def follow(self, calls: Iterable[HeatCall]) -> JoinCompleteness:
        """Join calls with the logs and the trace; their connections must be closed by now."""
        requests = [request_from(call.model_dump()) for call in calls]
        ports = {request.source_port for request in requests if request.status}
        connections = self._logs.await_ports(ports, LINES_WITHIN_S).connections
        events = self._trace.firehose.deliveries()
        self._trace.learn_processes({e.connection for e in events if not e.reply})
        paths = join(requests, connections, events, self._trace.processes)
        return join_completeness(paths, proxy=any(c.server for c in connections))


@contextmanager
def join_requests(context: Context, trace: BrokerTrace) -> Iterator[RequestJoiner]:
    """Receive the logs of all described proxies while the context is open."""
    with ProxyLogs.of(context.deployment.proxy) as logs:
        yield RequestJoiner(trace, logs)
