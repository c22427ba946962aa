"""Raw HTTP answers from a plain socket, and requests for them."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from calorimeter.core.deployment import address
from calorimeter.load.http.client import Answer, Client, RequestTimeouts
from calorimeter.load.http.connection import Endpoint, endpoint

Conversation = Callable[[socket.socket], None]

GET = b"GET /v1/stacks HTTP/1.1\r\nHost: heat\r\n\r\n"
POST = b"POST /v1/stacks HTTP/1.1\r\nHost: heat\r\nContent-Length: 2\r\n\r\n{}"
HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
QUICK = RequestTimeouts(connect_s=0.3, first_byte_s=0.3, whole_s=0.6)


def ask(
    to: Endpoint, *requests: bytes, timeouts: RequestTimeouts = QUICK, repeatable: bool = True
) -> list[Answer]:
    """The answers to these requests, in order, from one client."""
    client = Client(to, timeouts=timeouts)
    answers = [client.send(request, repeatable) for request in requests]
    client.close()
    return answers


def read_request(sock: socket.socket) -> bytes:
    """One request with its body, or the bytes before the end of the stream."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = sock.recv(65536)
        if not more:
            return data
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            missing = int(line.partition(b":")[2]) - len(body)
            while missing > 0:
                more = sock.recv(65536)
                missing -= len(more)
                data += more
    return data


def answering(*answers: bytes) -> Conversation:
    """A conversation that gives these answers, one to each request, and then closes."""

    def converse(sock: socket.socket) -> None:
        for answer in answers:
            if not read_request(sock):
                return
            sock.sendall(answer)

    return converse


@contextmanager
def serving(
    *conversations: Conversation, host: str = "127.0.0.1", certificate: tuple[Path, Path] | None = None
) -> Iterator[Endpoint]:
    """A server whose n-th connection holds the n-th conversation; it closes later connections at once."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, 0), family=family)
    threads: list[threading.Thread] = []

    def accept() -> None:
        for number in range(1000):
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            conversation = conversations[number] if number < len(conversations) else answering()
            thread = threading.Thread(target=_run, args=(sock, conversation, certificate), daemon=True)
            thread.start()
            threads.append(thread)

    acceptor = threading.Thread(target=accept, daemon=True)
    acceptor.start()
    port = listener.getsockname()[1]
    try:
        yield endpoint(address(f"[{host}]:{port}" if ":" in host else f"{host}:{port}"))
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        acceptor.join(5)
        for thread in threads:
            thread.join(5)


def _run(sock: socket.socket, conversation: Conversation, certificate: tuple[Path, Path] | None) -> None:
    try:
        if certificate is not None:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(*certificate)
            sock = context.wrap_socket(sock, server_side=True)
        conversation(sock)
        if certificate is not None:
            sock.unwrap()
    except OSError:
        pass
    finally:
        sock.close()
