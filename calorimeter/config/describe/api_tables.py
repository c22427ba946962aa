"""The tables [rest] and [cfn]: the front URL of an API, its section and its backends."""

from __future__ import annotations

from calorimeter.config.audit.subject import ApiName, AuditedFiles
from calorimeter.config.haproxy import Bind, ProxiedService
from calorimeter.config.hosts import WILDCARDS, host_port
from calorimeter.core.deployment import Api, Backend
from calorimeter.core.errors import InputError


def api(subject: AuditedFiles, name: ApiName, url: str | None) -> Api | None:
    """The table of an API; None if no section serves it. `url` is its front URL, if the owner gives it.

    Raises InputError if the section has no usable server, or if the front address cannot be determined.
    """
    services = [service for found, service in subject.api_services if found == name]
    if not services:
        return None
    servers = {server.name: server for service in services for server in service.back.servers}
    backends = [
        Backend(name=server.name, address=server.text)
        for server in servers.values()
        if server.port is not None and server.port > 0
    ]
    if not backends:
        raise InputError(services[0].name, "has no server with an address and a port")
    return Api(
        url=url or _front_url(subject, name, services),
        proxy_section=services[0].name,
        backends=tuple(backends),
    )


def _front_url(subject: AuditedFiles, name: ApiName, services: list[ProxiedService]) -> str:
    binds = [bind for service in services for bind in service.front.binds if bind.port]
    for bind in binds:
        host = _front_host(subject, bind)
        if host:
            scheme = "https" if "ssl" in bind.options else "http"
            return f"{scheme}://{host_port(host, bind.port)}/v1"
    raise InputError(
        f"{name}.url",
        f"{services[0].front.name} is bound to {', '.join(b.text for b in binds) or 'no port'}",
        f"valid: --{name}-url http://HOST:PORT/v1, the address that clients use",
    )


def _front_host(subject: AuditedFiles, bind: Bind) -> str | None:
    """The host of a bind; for a wildcard, that of a Heat file with the port (the guide's machine A)."""
    if bind.host not in WILDCARDS:
        return bind.host
    servers = {server.text for _, server in subject.servers}
    hosts = (
        listener.host
        for _, _, listener in subject.api_listeners
        if listener.port == bind.port and not listener.wildcard and listener.text not in servers
    )
    return next(hosts, None)
