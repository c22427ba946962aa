"""The join of requests with the proxy's log."""

from __future__ import annotations

from typing import NamedTuple

from calorimeter.gates.evidence.log_join import log_lines
from calorimeter.gates.evidence.proxy_log import Connection, parse


class Sent(NamedTuple):
    """A request from 127.0.0.1."""

    port: int
    sent_ns: int
    source: str = "127.0.0.1"


def line(port: int, second: int, server: str) -> Connection:
    """A connection of the proxy's log."""
    found = parse(
        f"127.0.0.1:{port} [22/Nov/2026:19:00:{second:02}.000] r r/{server} 1/0/5 300 -- 1/1/1/1/0 0/0"
    )
    assert isinstance(found, Connection)
    return found


def servers(found: list[Connection | None]) -> list[str | None]:
    """The servers of lines."""
    return [line.server if line else None for line in found]


def test_a_port_used_twice_is_matched_in_order_of_time() -> None:
    """The order of the requests and of the lines does not matter; the result is in the requests' order."""
    lines = [line(5, 9, "b"), line(5, 1, "a")]
    assert servers(log_lines([Sent(5, 20), Sent(5, 10)], lines)) == ["b", "a"]


def test_requests_on_a_kept_connection_share_its_line() -> None:
    """A connection that its client keeps has one line."""
    requests = [Sent(6, 1), Sent(6, 2)]
    assert servers(log_lines(requests, [line(6, 1, "a")], kept=lambda request: True)) == ["a", "a"]


def test_a_request_without_a_line_has_none() -> None:
    """A request with another port or address, or beyond the number of lines, is not matched."""
    requests = [Sent(5, 1), Sent(5, 2), Sent(7, 3), Sent(5, 4, "127.0.0.2")]
    assert servers(log_lines(requests, [line(5, 1, "a")])) == ["a", None, None, None]
