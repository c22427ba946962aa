"""P6: TCP keep-alive is set, by the timers of the sockets in the kernel of the proxy's host."""

from __future__ import annotations

import re
from collections.abc import Iterable

from calorimeter.core.toml import Model
from calorimeter.core.verdict import Figure, Judgement, failed, inconclusive
from calorimeter.gates import both_apis
from calorimeter.gates.clients.visits import no_violation


class EstablishedSocket(Model):
    """One established connection in a socket table, and whether a keep-alive timer runs on it."""

    local: str
    peer: str
    keepalive: bool


class KeptAlive(Model):
    """Evidence of P6 for one API: connections held through the proxy, in its host's socket table.

    `held` are our ends (`ADDRESS:PORT`), `front` is the proxy's. `client_side` are the proxy's sockets of
    these connections, `server_side` its sockets to the described backends that were in two readings of the
    table (a health check's is gone by the second). `tables` is how many tables were read, `lines` how many
    connections they list.
    """

    api: str
    wanted: bool
    front: str
    held: tuple[str, ...]
    client_side: tuple[EstablishedSocket, ...]
    server_side: tuple[EstablishedSocket, ...]
    tables: int
    lines: int


class AllKeptAlive(Model):
    """Evidence of P6: all APIs."""

    apis: tuple[KeptAlive, ...]


_ADDRESS = re.compile(r"\[?(?:::ffff:)?(?P<host>[0-9a-fA-F:.]+?)\]?(?:%\w+)?(?:\])?:(?P<port>\d+)")


def sockets(table: str) -> dict[tuple[str, str], EstablishedSocket]:
    """(local, peer) → each established connection in what `ss -tanoe` or `netstat -tano` prints."""
    found = {}
    for line in table.splitlines():
        if not re.search(r"\bESTAB(?:LISHED)?\b", line):
            continue
        ends = [plain for word in line.split() if (plain := _plain(word)) is not None][:2]
        if len(ends) == 2:
            timer = re.search(r"\bkeepalive\b", line) is not None
            found[ends[0], ends[1]] = EstablishedSocket(local=ends[0], peer=ends[1], keepalive=timer)
    return found


def _plain(word: str) -> str | None:
    """`HOST:PORT` of a word of a table, IPv4 addresses on IPv6 sockets as IPv4; None for other words."""
    match = _ADDRESS.fullmatch(word)
    return f"{match['host']}:{match['port']}" if match else None


def keepalive_is_set(evidence: AllKeptAlive) -> Judgement:
    """Whether a keep-alive timer runs on the proxy's connections, to clients and to servers.

    Each side has its own option (`clitcpka`, `srvtcpka`), so what could have been missed is given for the
    side with fewer sockets: with n of them and none in violation, a rate above 1 − 0.05^(1/n) would have
    been seen with 95 % probability.
    """
    return both_apis.check_each_api(evidence.apis, lambda kept: kept.api, _is_set)


def _is_set(evidence: KeptAlive) -> Judgement:
    client, server = evidence.client_side, evidence.server_side
    figures: dict[str, Figure] = {
        "sources": len({end.rpartition(":")[0] for end in evidence.held}),
        "connections": len(evidence.held),
        "sockets": len(client) + len(server),
        "to_clients": len(client),
        "to_clients_with_keepalive": sum(socket.keepalive for socket in client),
        "to_servers": len(server),
        "to_servers_with_keepalive": sum(socket.keepalive for socket in server),
        "wanted": evidence.wanted,
    }
    for side, sockets_of_side in (("client", client), ("server", server)):
        if not sockets_of_side:
            return inconclusive(
                f"none of {evidence.lines} connections in the proxy's socket table is the {side} side of "
                f"one held through {evidence.front}",
                **figures,
            )
    wrong = [*_different("client", client, evidence.wanted), *_different("server", server, evidence.wanted)]
    if wrong:
        state = "have no" if evidence.wanted else "have a"
        wish = "describes one" if evidence.wanted else "describes none"
        return failed(
            f"{len(wrong)} of {len(client) + len(server)} connections of the proxy {state} keep-alive "
            f"timer, but [expect] {wish} (`option tcpka` sets both sides)",
            wrong,
            **figures,
        )
    state = "run" if evidence.wanted else "do not run, as described,"
    why = (
        f"keep-alive timers {state} on all {len(client)} of the proxy's connections to clients and all "
        f"{len(server)} to servers, according to the kernel's socket table"
    )
    return no_violation(
        why, min(len(client), len(server)), "connections with a wrong timer on either side", figures
    )


def _different(side: str, found: Iterable[EstablishedSocket], wanted: bool) -> list[str]:
    state = "no keep-alive timer" if wanted else "a keep-alive timer"
    return [
        f"{side} side {socket.local} → {socket.peer}: {state}"
        for socket in found
        if socket.keepalive is not wanted
    ]
