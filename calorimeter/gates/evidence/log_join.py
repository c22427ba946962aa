"""Joins requests of the suite with the proxy's log."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, TypeVar

from calorimeter.gates.evidence.proxy_log import Connection


class SentRequest(Protocol):
    """A request with its client's end of the connection, as the client knows it."""

    @property
    def source(self) -> str:
        """The client's address."""

    @property
    def port(self) -> int:
        """The client's port."""

    @property
    def sent_ns(self) -> int:
        """When it was sent, ns since the epoch."""


R = TypeVar("R", bound=SentRequest)


def log_lines(
    requests: Sequence[R],
    connections: Iterable[Connection],
    kept: Callable[[R], bool] = lambda request: False,
) -> list[Connection | None]:
    """The log line of each request's connection, in the order of the requests; None if the log has none.

    A line is matched by the client's address and port. If a port was used more than once, lines in order of
    accept are matched to requests in order of sending. Requests that are `kept` (on a connection that the
    client keeps) share its line.
    """
    lines: defaultdict[tuple[str, int], deque[Connection]] = defaultdict(deque)
    for connection in sorted(connections, key=lambda c: c.accepted_ns):
        lines[connection.end].append(connection)
    found: dict[int, Connection] = {}
    for number, request in sorted(enumerate(requests), key=lambda each: each[1].sent_ns):
        left = lines.get((request.source, request.port))
        if left:
            found[number] = left[0] if kept(request) else left.popleft()
    return [found.get(number) for number in range(len(requests))]
