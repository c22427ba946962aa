"""The clients of a trial, against a small HTTP server on a real socket."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator

import pytest

from calorimeter.core.deployment import Api, Backend, Tls, address
from calorimeter.core.waiting import until
from calorimeter.gates.clients.own_address import OwnAddress
from calorimeter.gates.evidence.proxy_log import LoggedConnection, parse
from calorimeter.gates.health.probes import Probes, attributed
from calorimeter.gates.health.trial import Attempt

pytestmark = pytest.mark.slow

SOURCES = [f"127.16.0.{n}" for n in range(1, 9)]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """An HTTP server that keeps connections and takes 20 ms; it does not answer `GET /hang`."""
    loop = asyncio.new_event_loop()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                await asyncio.sleep(60 if head.startswith(b"GET /hang") else 0.02)
                writer.write(b"HTTP/1.1 300 Choices\r\nContent-Length: 2\r\n\r\nok")
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            writer.transport.abort()

    listening = loop.run_until_complete(asyncio.start_server(serve, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    host, port = listening.sockets[0].getsockname()
    yield f"{host}:{port}"
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.run_until_complete(ended(listening, loop))
    loop.close()


async def ended(listening: asyncio.Server, loop: asyncio.AbstractEventLoop) -> None:
    """Stop accepting, then end every connection, so that none is left for the next test."""
    listening.close()
    while serving := asyncio.all_tasks(loop) - {asyncio.current_task(loop)}:
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
    await listening.wait_closed()
    await asyncio.sleep(0)


def probes(server: str, path: str = "/") -> Probes:
    """Eight clients, two of which keep their connection, and a direct probe."""
    backend = Backend(name="a", address=server)
    api = Api(url=f"http://{server}/v1", proxy_section="r", backends=(backend,))
    return Probes(
        {"rest": api}, {"rest": SOURCES}, 2, {"a": (OwnAddress(address(server)), path)}, Tls(), 5.0
    )


def test_no_request_is_lost_when_the_clients_end(server: str) -> None:
    """Whenever the clients are stopped, requests that were due before are answered: none is a failure."""
    for pause_s in (0.51, 0.57, 0.63, 0.71):
        clients = probes(server)
        clients.start()
        time.sleep(pause_s)  # the moment of the stop within the clients' interval is what is tested
        clients.stop(3.0)
        assert [a for a in clients.attempts if not a.ok] == []
        assert {a.source for a in clients.attempts} == set(SOURCES)
        assert all(d.healthy for d in clients.directs["a"])


def test_kept_connections_are_kept_and_others_are_not(server: str) -> None:
    """The last clients use one port for all their requests, the others a new one each time."""
    clients = probes(server)
    clients.start()
    until(lambda: len(clients.attempts) >= 3 * len(SOURCES), 10)
    clients.stop(3.0)
    for source in SOURCES:
        mine = [a for a in clients.attempts if a.source == source]
        assert len(mine) >= 2
        assert len({a.port for a in mine}) == (1 if mine[0].kept else len(mine))
        assert mine[0].kept == (source in SOURCES[-2:])


def test_a_request_that_hangs_is_recorded_and_delays_no_other(server: str) -> None:
    """Direct requests that are not answered within 2 s say so; new ones are sent on time."""
    clients = probes(server, "/hang")
    clients.start()
    until(lambda: len(clients.directs["a"]) >= 3, 10)
    clients.stop(0.0)
    unanswered = clients.directs["a"]
    assert {d.error for d in unanswered} == {"no answer within 2 s"}
    assert max(d.sent_ns for d in unanswered) - min(d.sent_ns for d in unanswered) < 0.6e9


def line(port: int, when: str, server: str) -> LoggedConnection:
    """A connection of the proxy's log."""
    found = parse(f"127.0.0.1:{port} [22/Nov/2026:19:00:{when}] r r/{server} 1/0/5 300 -- 1/1/1/1/0 0/0")
    assert isinstance(found, LoggedConnection)
    return found


def test_attempts_get_the_server_of_their_connection() -> None:
    """Matched by address and port in order of time; requests on a kept connection share its line."""
    lines = [line(5, "01.000", "a"), line(5, "09.000", "b"), line(6, "01.000", "b")]

    def attempt(port: int, sent: int, *, kept: bool = False) -> Attempt:
        return Attempt(
            api="rest", source="127.0.0.1", port=port, kept=kept,
            due_ns=sent, sent_ns=sent, done_ns=sent + 1, status=300,
        )  # fmt: skip

    made = [attempt(5, 2), attempt(5, 1), attempt(6, 3, kept=True), attempt(6, 4, kept=True), attempt(7, 5)]
    assert [a.server for a in attributed(made, lines)] == ["a", "b", "b", "b", None]
