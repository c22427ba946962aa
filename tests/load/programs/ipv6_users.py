"""40 users over IPv6, where fd00:ca1::/64 is local. Prints the error of a prefix that is not."""

from __future__ import annotations

import socket
import threading

from calorimeter.core.deployment import address
from calorimeter.core.errors import InputError
from calorimeter.core.source_addresses import SourceAddresses
from calorimeter.load.http.client import Client
from calorimeter.load.http.connection import endpoint

listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
seen: list[str] = []


def serve(sock: socket.socket) -> None:
    """Answer each request."""
    while sock.recv(65536):
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


def accept() -> None:
    """Serve each connection, and note its source."""
    while True:
        sock, peer = listener.accept()
        seen.append(peer[0])
        threading.Thread(target=serve, args=(sock,), daemon=True).start()


threading.Thread(target=accept, daemon=True).start()
to = endpoint(address(f"[::1]:{listener.getsockname()[1]}"))
sources = SourceAddresses(["127.16.0.0/12", "fd00:ca1::/64"]).of_family(to.family)
sources.check()
clients = [Client(to, sources.of_user(number)) for number in range(40)]
for client in clients * 3:
    assert client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").status == 200
assert seen == [sources.of_user(number) for number in range(40)], seen
assert len(set(seen)) == 40 and sum(client.connections for client in clients) == 40
try:
    SourceAddresses(["2001:db8::/64"]).check()
except InputError as problem:
    print(problem)
