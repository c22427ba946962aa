"""What a front address answers, asked on real sockets."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from calorimeter.deployment import Api, Backend, Tls
from verify.checks.front import Version
from verify.experiments.front import asked

BODY = b'{"versions": [{"id": "v1.0", "status": "CURRENT", "links": [{"href": "http://f/v1/"}]}]}'
ANSWER = b"HTTP/1.1 300 Choices\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)


@contextmanager
def serving(answers: int) -> Iterator[tuple[Api, list[str]]]:
    """A server that answers so often and then closes without a word; and who came."""
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


def test_every_source_asks_on_a_connection_of_its_own() -> None:
    """Each request comes from its source, and its document is read."""
    with serving(answers=9) as (api, came):
        replies = list(asked(api, ["127.16.0.1", "127.16.0.2", None], Tls()))
    assert came == ["127.16.0.1", "127.16.0.2", "127.0.0.1"]
    assert [reply.status for reply in replies] == [300, 300, 300]
    assert replies[1].versions == (Version(id="v1.0", status="CURRENT", href="http://f/v1/"),)


def test_the_first_without_an_answer_is_the_last() -> None:
    """More of them would only take time: each may take as long as an answer may."""
    with serving(answers=1) as (api, _):
        replies = list(asked(api, [None] * 5, Tls()))
    assert [reply.status for reply in replies] == [300, 0]
    assert replies[1].error == "ConnectionError"
