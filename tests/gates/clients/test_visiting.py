"""Visits against small servers on real sockets."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from calorimeter.core.deployment import Api, Backend, Tls
from calorimeter.core.waiting import until
from calorimeter.gates.clients.visiting import visit_all
from calorimeter.gates.clients.visits import Visit

SOURCES = [f"127.16.1.{n}" for n in range(1, 101)]


@contextmanager
def serving(
    refused_from: int, hangs: bool = False, held: list[socket.socket] | None = None
) -> Iterator[Api]:
    """A server that answers; from connection `refused_from` on it closes, or `hangs` (and is `held`)."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=256)
    held = [] if held is None else held

    def serve() -> None:
        for number in range(100_000):
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            if number < refused_from:
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 300 Choices\r\nContent-Length: 0\r\n\r\n")
            elif hangs:
                held.append(connection)
                continue
            connection.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    host, port = listening.getsockname()
    backend = Backend(name="a", address=f"{host}:{port}")
    try:
        yield Api(url=f"http://{host}:{port}/v1", proxy_section="r", backends=(backend,))
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()
        for connection in held:
            connection.close()


def made(api: Api, give_up: int | None) -> list[Visit]:
    """Three visits of each source."""
    return visit_all(api, SOURCES * 3, Tls(), in_flight=8, give_up=give_up)


def test_every_source_visits_in_rounds() -> None:
    """All visits are made, in the order of the sources, round by round."""
    with serving(refused_from=1000) as api:
        visits = made(api, 20)
    assert [visit.source for visit in visits] == SOURCES * 3
    assert all(visit.served for visit in visits)


def test_visits_are_given_up_after_some_without_an_answer() -> None:
    """Twenty unanswered visits, and those in flight then, are enough."""
    with serving(refused_from=50) as api:
        visits = made(api, 20)
    lost = [visit for visit in visits if not visit.served]
    assert 20 <= len(lost) <= 28
    assert len(visits) < 100


def test_without_giving_up_all_visits_are_made() -> None:
    """All are made, whatever became of the earlier ones."""
    with serving(refused_from=50) as api:
        assert len(made(api, None)) == 300


def test_an_interrupt_ends_visits_that_hang() -> None:
    """Ctrl-C cancels the visits in flight, and no other starts."""
    held: list[socket.socket] = []
    with serving(refused_from=0, hangs=True, held=held) as api:

        def interrupt() -> None:
            until(lambda: len(held) == 8, 10)
            os.kill(os.getpid(), signal.SIGINT)

        began = time.monotonic()
        threading.Thread(target=interrupt, daemon=True).start()
        with pytest.raises(KeyboardInterrupt):
            visit_all(api, SOURCES, Tls(), in_flight=8)
        assert time.monotonic() - began < 3
        assert len(held) == 8
