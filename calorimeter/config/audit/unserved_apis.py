"""The APIs of the Heat files that no server line of a proxy means."""

from __future__ import annotations

from collections.abc import Iterator

from calorimeter.config.audit.listeners import ApiName, ConfiguredApi, Listeners
from calorimeter.config.audit.subject import AuditedFiles
from calorimeter.config.haproxy import HAProxyServer


def unserved(subject: AuditedFiles, api: ApiName) -> Iterator[ConfiguredApi]:
    """The configured APIs that no server is, and that no server of an unresolved name can be.

    One at an address of the proxy itself is left out, and so are all if the proxies serve no such API.
    """
    servers = [server for _, server in subject.servers]
    if not any(found == api for found, _ in subject.api_services):
        return
    binds = {bind.text for service in subject.services for bind in service.front.binds}
    for configured in subject.listeners.of(api):
        if configured.listener.text in binds:
            continue
        if not any(_may_be(subject.listeners, configured, server) for server in servers):
            yield configured


def _may_be(listeners: Listeners, configured: ConfiguredApi, server: HAProxyServer) -> bool:
    """Whether a server is an API of the files, or can be it because it is no other one."""
    same = listeners.is_at(configured, server)
    return bool(same) or (same is None and listeners.at(configured.api, server) is None)
