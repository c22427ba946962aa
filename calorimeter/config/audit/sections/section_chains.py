"""Sections of one proxy that send to one another, such as a frontend for TLS before a plain one."""

from __future__ import annotations

from collections.abc import Sequence

from calorimeter.config.haproxy import Bind, HAProxyServer, ProxiedService, ProxySection
from calorimeter.config.hosts import is_loopback

_LONGEST = 4
"""Sections in a chain, beyond which it is not followed."""


def is_bound(bind: Bind, server: HAProxyServer) -> bool:
    """Whether a bind has the address of a server; a bind to every address has that of the loopback."""
    return bind.port == server.port and (
        bind.host == server.host or (bind.host in ("*", "0.0.0.0") and is_loopback(server.host))  # noqa: S104 - read, not bound
    )


def receivers(services: Sequence[ProxiedService], server: HAProxyServer) -> list[ProxiedService]:
    """The services whose frontend is bound to the address of a server."""
    return [each for each in services if any(is_bound(bind, server) for bind in each.front.binds)]


def ends(services: Sequence[ProxiedService], service: ProxiedService) -> list[ProxiedService]:
    """The services at the ends of the chains that start with a service; itself if it starts none."""
    found = {id(each): each for each in _ends(services, service, (service.front.name,))}
    return list(found.values()) or [service]


def inner(services: Sequence[ProxiedService], front: ProxySection) -> list[ProxiedService]:
    """The services that a frontend reaches through other sections of the proxy, near ones first."""
    found: list[ProxiedService] = []
    waiting = [each for each in services if each.front is front]
    while waiting:
        servers = waiting.pop(0).back.servers
        new = [each for server in servers for each in receivers(services, server)]
        new = [each for each in new if each.front is not front and not any(each is one for one in found)]
        found += new
        waiting += new
    return found


def _ends(
    services: Sequence[ProxiedService], service: ProxiedService, seen: tuple[str, ...]
) -> list[ProxiedService]:
    """As `ends`, but none if a server of the service is no section, or leads back to one `seen`."""
    inner: list[ProxiedService] = []
    for server in service.back.servers:
        group = receivers(services, server)
        if not group:
            return []
        inner += group
    if len(seen) > _LONGEST or any(each.front.name in seen for each in inner):
        return []
    return [end for each in inner for end in _ends(services, each, (*seen, each.front.name)) or [each]]
