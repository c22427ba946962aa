"""The join of requests with log lines."""

from __future__ import annotations

from dataclasses import dataclass

from calorimeter.gates.clients.log_join import with_lines
from calorimeter.gates.evidence.proxy_log import LoggedConnection


@dataclass(frozen=True)
class Request:
    """A request of which only the client's end matters."""

    source: str
    port: int
    kept: bool = False


def line(client: str, port: int, server: str, accepted_ns: int = 0) -> LoggedConnection:
    """A line of the log."""
    return LoggedConnection.model_construct(
        client=client, client_port=port, server=server, accepted_ns=accepted_ns
    )


def servers(requests: list[Request], lines: list[LoggedConnection]) -> list[str | None]:
    """The server of each request's line."""
    joined = with_lines(requests, lines, lambda request: request.kept)
    return [found.server if found else None for _, found in joined]


def test_line_is_that_of_the_own_address_and_port() -> None:
    """Others may use the same port of another address; on an IPv6 socket ours has a prefix."""
    lines = [line("10.0.0.2", 40_000, "other"), line("::ffff:10.0.0.1", 40_000, "own")]
    asked = [Request("10.0.0.1", 40_000), Request("10.0.0.3", 40_000), Request("10.0.0.1", 40_001)]
    assert servers(asked, lines) == ["own", None, None]


def test_port_that_was_used_twice_is_matched_in_order_of_time() -> None:
    """Whatever the order of the lines; a third request has none."""
    lines = [line("c", 7, "second", 2), line("c", 7, "first", 1)]
    assert servers([Request("c", 7)] * 3, lines) == ["first", "second", None]


def test_requests_on_a_kept_connection_share_its_line() -> None:
    """The log has one line of the whole connection in `mode tcp`."""
    assert servers([Request("c", 7, kept=True)] * 2, [line("c", 7, "a")]) == ["a", "a"]
