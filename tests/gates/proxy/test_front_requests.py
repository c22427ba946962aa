"""Requests to a front address, on real sockets."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from calorimeter.core.deployment import Api, Backend, Tls
from calorimeter.gates.proxy.front import ApiVersion
from calorimeter.gates.proxy.front_requests import replies

BODY = b'{"versions": [{"id": "v1.0", "status": "CURRENT", "links": [{"href": "http://f/v1/"}]}]}'
ANSWER = b"HTTP/1.1 300 Choices\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)


@contextmanager
def serving(answers: int) -> Iterator[tuple[Api, list[str]]]:
    """A server that gives this many answers and then closes without one; and the clients that came."""
    listening = socket.create_server(("127.0.0.1", 0))
    came: list[str] = []

    def serve() -> None:
        while True:
            try:
                connection, (client, _) = listening.accept()
            except OSError:
                return
            with connection:
                came.append(client)
                connection.recv(4096)
                if len(came) <= answers:
                    connection.sendall(ANSWER)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    host, port = listening.getsockname()
    try:
        yield (
            Api(
                url=f"http://{host}:{port}/v1",
                proxy_section="r",
                backends=(Backend(name="a", address="h:1"),),
            ),
            came,
        )
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()


def test_every_source_has_its_own_connection() -> None:
    """Each request comes from its source, and its document is read."""
    with serving(answers=9) as (api, came):
        got = replies(api, ["127.16.0.1", "127.16.0.2", None], Tls())
    assert came == ["127.16.0.1", "127.16.0.2", "127.0.0.1"]
    assert [reply.status for reply in got] == [300, 300, 300]
    assert got[1].versions == (ApiVersion(id="v1.0", status="CURRENT", href="http://f/v1/"),)


def test_the_first_without_an_answer_is_the_last() -> None:
    """Further ones would only take time: each may take as long as an answer may."""
    with serving(answers=1) as (api, _):
        got = replies(api, [None] * 5, Tls())
    assert [reply.status for reply in got] == [300, 0]
    assert (got[1].error, got[1].unsent) == ("closed without an answer", False)


def test_refused_connection_was_sent() -> None:
    """It left this machine, so it says something about the front."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    backend = Backend(name="a", address="h:1")
    api = Api(url=f"http://127.0.0.1:{port}/v1", proxy_section="r", backends=(backend,))
    (reply,) = replies(api, [None], Tls())
    assert (reply.status, reply.error, reply.unsent) == (0, "Connection refused", False)


def test_a_source_that_is_no_address_of_this_machine_sends_nothing() -> None:
    """Nothing left this machine, so nothing is known of the front."""
    with serving(answers=1) as (api, came):
        (reply,) = replies(api, ["192.0.2.1"], Tls())
    assert (reply.error, reply.unsent, came) == ("Cannot assign requested address", True, [])
