"""Connections held through the proxy, and its host's socket table meanwhile."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Sequence

from calorimeter.core.deployment import Api
from calorimeter.core.deployment import address as parse
from calorimeter.gates.clients.held_connections import connect, request
from calorimeter.gates.clients.visit_rounds import sources
from calorimeter.gates.context import Context
from calorimeter.gates.evidence.proxy_log import plain
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable
from calorimeter.gates.proxy.keepalive import AllKeptAlive, KeptAlive, Socket, sockets

HELD = 12
TABLE_S = 30.0
BETWEEN_S = 0.2
"""Between two looks: longer than a health check's connection lives, shorter than any idle timeout."""

TRIES = 4
"""A busy host may take longer for its table than a short idle timeout lets connections live."""


def kept_alive(context: Context) -> AllKeptAlive:
    """Hold connections to each API after one answer, and look at the proxy's sockets.

    Raises `EvidenceUnavailable` where no `sockets` command is given for a part of kind `proxy`.
    """
    commands = [part.sockets for part in context.deployment.parts if part.kind == "proxy" and part.sockets]
    if not commands:
        raise EvidenceUnavailable(
            str(context.deployment.path), "no part of kind proxy has the command `sockets`"
        )
    names = [name for name in ("rest", "cfn") if context.deployment.api(name) is not None]
    return AllKeptAlive(apis=tuple(_kept_alive(context, name, commands) for name in names))


def _kept_alive(context: Context, name: str, commands: Sequence[str]) -> KeptAlive:
    api = context.api(name)
    for _ in range(TRIES):
        ours, both, lines = _looked(context, api, commands)
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


def _looked(
    context: Context, api: Api, commands: Sequence[str]
) -> tuple[dict[str, str], list[Socket], int]:
    """Our end → the proxy's end of held connections, those of its table that lived through two looks, and
    how many that lists; no ends where the proxy closed one meanwhile."""
    opened: list[socket.socket] = []
    try:
        who = sources(context, api)
        # One by one, so that those opened before a failure are closed.
        for number in range(HELD):
            opened += [_answered(api, who[number % len(who)])]
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
        return connection.recv(1, socket.MSG_PEEK) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


def _answered(api: Api, source: str | None) -> socket.socket:
    """A connection that has had one answer and is idle."""
    try:
        connection = connect(api, source)
        if api.parts.scheme == "http":
            connection.sendall(request(api))
            connection.recv(65536)
    except OSError as problem:
        raise EvidenceUnavailable(str(api.front), problem.strerror or str(problem)) from problem
    return connection


def _end(name: tuple[str, int]) -> str:
    return f"{plain(name[0])}:{name[1]}"


def _tables(commands: Sequence[str]) -> dict[tuple[str, str], Socket]:
    """The connections in the socket tables of all proxies' hosts."""
    found: dict[tuple[str, str], Socket] = {}
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
            last = (done.stderr.strip().splitlines() or ["nothing was said"])[-1]
            raise EvidenceUnavailable(command, f"ended with status {done.returncode}: {last[:200]}")
        found |= sockets(done.stdout)
    return found
