"""The experiment of P6: hold connections through the proxy, and read the socket table of its host."""

from __future__ import annotations

import socket
import ssl
import subprocess
import time
from collections.abc import Sequence

from calorimeter.core.deployment import Api, Tls
from calorimeter.core.deployment import address as parse
from calorimeter.gates.clients.http_get import connect, request, tls_context
from calorimeter.gates.clients.sources import in_turn
from calorimeter.gates.clients.visit_rounds import apis, sources
from calorimeter.gates.context import Context
from calorimeter.gates.evidence.proxy_log import plain
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable
from calorimeter.gates.proxy.keepalive import AllKeptAlive, EstablishedSocket, KeptAlive, sockets

HELD = 12
TABLE_S = 30.0
BETWEEN_S = 0.2
"""Between two readings: longer than a health check's connection lasts, shorter than any idle timeout."""

TRIES = 4
"""On a busy host, reading the table may take longer than a short idle timeout allows."""


def kept_alive(context: Context) -> AllKeptAlive:
    """Hold connections to each API after one answer, and read the proxy's sockets.

    Raises EvidenceUnavailable if no part of kind `proxy` has a `sockets` command.
    """
    commands = [part.sockets for part in context.deployment.parts if part.kind == "proxy" and part.sockets]
    if not commands:
        raise EvidenceUnavailable(
            str(context.deployment.path), "no part of kind proxy has the command `sockets`"
        )
    return AllKeptAlive(
        apis=tuple(_kept_alive(context, name, api, commands) for name, api in apis(context).items())
    )


def _kept_alive(context: Context, name: str, api: Api, commands: Sequence[str]) -> KeptAlive:
    for _ in range(TRIES):
        ours, both, lines = _read(context, api, commands)
        if ours:
            break
    else:
        raise EvidenceUnavailable(
            str(api.front),
            f"the proxy closed idle connections while its socket table was read, {TRIES} times",
        )
    backends = {str(parse(backend.address)) for backend in api.backends}
    return KeptAlive(
        api=name,
        wanted=context.deployment.expect.tcp_keepalive,
        front=str(api.front),
        held=tuple(ours),
        client_side=tuple(s for s in both if ours.get(s.peer) == s.local),
        server_side=tuple(s for s in both if s.peer in backends),
        tables=len(commands),
        lines=lines,
    )


def _read(
    context: Context, api: Api, commands: Sequence[str]
) -> tuple[dict[str, str], list[EstablishedSocket], int]:
    """Hold connections, and read the proxy's table twice.

    Returns our end → the proxy's end of the held connections (empty if the proxy closed one of them), the
    sockets that were in both readings, and how many the second one lists.
    """
    opened: list[socket.socket] = []
    try:
        # One by one, so that those opened before a failure are closed.
        for source in in_turn(sources(context, api), HELD):
            opened += [_answered(api, source, context.deployment.tls)]
        ours = {_end(connection.getsockname()): _end(connection.getpeername()) for connection in opened}
        first = _tables(commands)
        time.sleep(BETWEEN_S)
        second = _tables(commands)
        alive = all(_open(connection) for connection in opened)
    finally:
        for connection in opened:
            connection.close()
    both = [found for ends, found in second.items() if ends in first]
    return ours if alive else {}, both, len(second)


def _open(connection: socket.socket) -> bool:
    """Whether the other side has not closed it."""
    connection.setblocking(False)
    try:
        return connection.recv(1) != b""
    except (BlockingIOError, ssl.SSLWantReadError):
        return True
    except OSError:
        return False


def _answered(api: Api, source: str | None, tls: Tls) -> socket.socket:
    """A connection that has had one answer and is idle."""
    try:
        connection = connect(api.front, source, tls=tls_context(api, tls))
        connection.sendall(request(api.front, keep=True))
        connection.recv(65536)
    except OSError as problem:
        raise EvidenceUnavailable(str(api.front), problem.strerror or str(problem)) from problem
    return connection


def _end(name: tuple[str, int]) -> str:
    return f"{plain(name[0])}:{name[1]}"


def _tables(commands: Sequence[str]) -> dict[tuple[str, str], EstablishedSocket]:
    """The connections in the socket tables of all proxies' hosts."""
    found: dict[tuple[str, str], EstablishedSocket] = {}
    for command in commands:
        try:
            done = subprocess.run(
                ["sh", "-c", command],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=TABLE_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise EvidenceUnavailable(command, f"did not end within {TABLE_S:g} s") from None
        if done.returncode != 0:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise EvidenceUnavailable(command, f"ended with status {done.returncode}: {last[:200]}")
        found |= sockets(done.stdout)
    return found
