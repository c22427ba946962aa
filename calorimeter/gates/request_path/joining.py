"""Follow an experiment's own requests: client, proxy's log, API process, queue, engine process."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from calorimeter.gates.clients.calls import HeatCall
from calorimeter.gates.context import Context
from calorimeter.gates.engines.traced_calls import Traced
from calorimeter.gates.evidence.proxy_logs import ProxyLogs
from calorimeter.gates.request_path.followed import Followed, followed
from calorimeter.gates.request_path.path import Request, join

LINES_WITHIN_S = 5.0


class Joining:
    """The proxy's logs, open, beside a trace."""

    def __init__(self, watching: Traced, logs: ProxyLogs) -> None:
        self._watching = watching
        self._logs = logs

    def follow(self, calls: Iterable[HeatCall]) -> Followed:
        """Join calls with what was logged and traced; their connections must be closed by now."""
        asked = [_request(call) for call in calls]
        ports = {request.source_port for request in asked if request.status}
        connections = self._logs.await_ports(ports, LINES_WITHIN_S).connections
        events = self._watching.firehose.deliveries()
        self._watching.know({e.connection for e in events if not e.reply})
        paths = join(asked, connections, events, self._watching.processes)
        return followed(paths, proxy=any(c.server for c in connections))


@contextmanager
def joining(context: Context, watching: Traced) -> Iterator[Joining]:
    """Receive the logs of all proxies that are described."""
    with ProxyLogs.of(context.deployment.proxy) as logs:
        yield Joining(watching, logs)


def _request(call: HeatCall) -> Request:
    return Request(
        api=call.api,
        operation=call.operation,
        source=call.source,
        source_port=call.source_port,
        request_id=call.request_id or "",
        sent_ns=call.sent_ns,
        done_ns=call.done_ns,
        status=call.status,
    )
