"""The APIs of the Heat files that no server line of a proxy means."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from calorimeter.config.audit.sections.listeners import ApiName, ConfiguredApi, Listeners
from calorimeter.config.audit.subject import AuditedFiles
from calorimeter.config.haproxy import HAProxyServer, ProxiedService


def unserved(subject: AuditedFiles, api: ApiName) -> Iterator[ConfiguredApi]:
    """The configured APIs that no server is, and that no server of an unresolved name can be.

    One at an address of the proxy itself is left out, and so are all if the proxies serve no such API, or
    if a server is a socket, or its address has a variable that is not set: it may be any.
    """
    if not any(found == api for found, _ in subject.api_services):
        return
    if any(server.unset or server.socket for _, server in subject.servers):
        return
    listeners = subject.listeners
    ports: set[int | None] = set()
    places: set[tuple[str, int | None]] = set()
    unresolved: list[HAProxyServer] = []
    servers = [one for service, server in subject.servers for one in _at_ports(service, server)]
    for server in servers:
        known = listeners.addresses(server.host)
        ports.add(server.port)
        places.update((address, server.port) for address in known)
        if not known:
            unresolved.append(server)
    binds = {bind.text for service in subject.services for bind in service.front.binds}
    for configured in listeners.of(api):
        at = configured.listener
        known = listeners.addresses(at.host)
        served = at.wildcard and at.port in ports
        served = served or at.text in binds or any((address, at.port) in places for address in known)
        others = unresolved if known else servers
        if not served and not any(_may_be(listeners, configured, server) for server in others):
            yield configured


def _at_ports(service: ProxiedService, server: HAProxyServer) -> Iterator[HAProxyServer]:
    """The server at each port that it has for a client of the service."""
    ports = {server.port_behind(bind) for bind in service.front.binds} or {server.port}
    return (replace(server, port=port) for port in ports)


def _may_be(listeners: Listeners, configured: ConfiguredApi, server: HAProxyServer) -> bool:
    """Whether a server is an API of the files, or can be it because it is no other one."""
    same = listeners.is_at(configured, server)
    return bool(same) or (same is None and listeners.at(configured.api, server) is None)
