"""Kept-alive clients: where the requests of one connection go.

In `mode tcp` HAProxy chooses a server for each connection, so a kept-alive client stays where its
connection is, whatever the policy. In `mode http` it chooses for each request, unless `option
prefer-last-server` says otherwise. The log has a line for each choice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from calorimeter.gates.clients.visits import KeptClient, Visits, by_source


def kept_alive(evidence: Visits) -> str:
    """What kept-alive clients saw, as the end of a verdict's sentence; empty if there were none."""
    kept = [client for client in evidence.kept if client.servers]
    if not kept:
        return ""
    sent = f"{len(kept)} kept-alive clients sent {kept[0].requests} requests each over one connection"
    if not any(client.each_request for client in kept):
        return f"; {sent}, and each connection has one server (`mode tcp`)"
    moved = sum(len(set(client.servers)) > 1 for client in kept)
    return f"; {sent}: HAProxy chose for each request (`mode http`), {moved} of them met several servers"


def strayed(evidence: Visits) -> Iterator[str]:
    """The kept-alive clients whose requests did not all go where their new connections went."""
    homes = by_source(evidence)
    for client in evidence.kept:
        home = homes.get(client.source)
        if home is not None and client.servers and set(client.servers) - set(home):
            yield f"{client.source}: new connections to {_listed(home)}, {_kept(client)}"


def _kept(client: KeptClient) -> str:
    how = "requests" if client.each_request else "a connection"
    return f"{how} of a kept-alive client to {_listed(client.servers)}"


def _listed(servers: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(servers))
