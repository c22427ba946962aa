"""The join of requests with the proxy's log lines: by the client's address and port, in order of time."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

from calorimeter.gates.evidence.proxy_log import LoggedConnection


class Sent(Protocol):
    """A request of which the client's end of its connection is known."""

    @property
    def source(self) -> str:
        """The client's address."""

    @property
    def port(self) -> int:
        """The client's port."""


R = TypeVar("R", bound=Sent)


def with_lines(
    requests: Iterable[R],
    connections: Iterable[LoggedConnection],
    shares_line: Callable[[R], bool] = lambda _: False,
) -> Iterator[tuple[R, LoggedConnection | None]]:
    """Each request with the log line of its connection, None if the log has none.

    If a port was used twice, its lines are matched in the order of time, so the requests must come in the
    order in which they were sent. `shares_line` says of a request that its connection carries others, too,
    and that the log has one line for all of them.

    The visits of gates S, the waits of P5 and the probes of a trial are joined here. `request_path` has
    its own join: in `mode http` it must find, by its moment, one request's line of a kept connection.
    """
    lines: defaultdict[tuple[str, int], deque[LoggedConnection]] = defaultdict(deque)
    for connection in sorted(connections, key=lambda c: c.accepted_ns):
        lines[connection.end].append(connection)
    for request in requests:
        waiting = lines.get((request.source, request.port))
        if not waiting:
            yield request, None
        else:
            yield request, waiting[0] if shares_line(request) else waiting.popleft()
