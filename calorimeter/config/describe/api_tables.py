"""The tables [rest] and [cfn]: the front URL of an API, its section and its backends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from calorimeter.config.audit.subject import ApiName, AuditedFiles, HeatProxy
from calorimeter.config.describe.front_urls import Front, fronts
from calorimeter.config.describe.owner_answers import Answers, Missing
from calorimeter.config.haproxy import ProxiedService
from calorimeter.config.hosts import host_port, is_loopback
from calorimeter.core.deployment import Api, Backend
from calorimeter.core.errors import InputError


@dataclass(frozen=True, slots=True)
class ApiTable:
    """The table of an API and the service that it describes; both None if no section serves the API.

    `notes` are the choices made for it.
    """

    table: Api | None = None
    service: ProxiedService | None = None
    missing: tuple[Missing, ...] = ()
    notes: tuple[str, ...] = ()


def describe_api(subject: AuditedFiles, api: ApiName, answers: Answers) -> ApiTable:
    """Describe an API.

    Raises InputError if the section has no usable server, or if the front address cannot be determined.
    """
    services = [service for found, service in subject.api_services if found == api]
    if not services:
        return ApiTable(missing=tuple(_unclear(subject.proxies, api)))
    ranked = fronts(subject, api, answers)
    front = ranked[0] if ranked else None
    service = front.service if front else services[0]
    url = answers.urls[api] or _url(api, front, services)
    table = Api(url=url, proxy_section=service.name, backends=_backends(service, front))
    missing = []
    if front and front.route.dynamic and url == front.url:
        how = f"{front.service.front.name} chooses the backend with {front.route.dynamic}"
        what = f"the host name that clients use: {how}"
        missing.append(Missing(f"{api}.url", what, f"--{api}-url {replace(front, host=None).url}"))
    return ApiTable(table, service, tuple(missing), tuple(_notes(api, table, services, ranked[1:])))


def _url(api: ApiName, front: Front | None, services: list[ProxiedService]) -> str:
    if front and front.host:
        return front.url
    names = ", ".join(dict.fromkeys(service.front.name for service in services))
    binds = dict.fromkeys(bind.text for service in services for bind in service.front.binds if bind.port)
    raise InputError(
        f"{api}.url",
        f"{names} is bound to {', '.join(binds) or 'no port'}",
        f"valid: --{api}-url {front.url if front else 'http://HOST:PORT/v1'}, the address that clients use",
    )


def _backends(service: ProxiedService, front: Front | None) -> tuple[Backend, ...]:
    """The servers of a section; one without a port has the port that the client asked for."""
    found: dict[str, Backend] = {}
    for server in service.back.servers:
        if server.unset:
            names = ", ".join(dict.fromkeys(server.unset))
            raise InputError(
                service.name,
                f"the address {server.text} of server {server.name} has a variable that is not set here",
                f"valid: the environment that HAProxy starts with: {names}",
            )
        port = server.port_behind(front.bind) if front else server.port
        if port and server.name not in found and not server.socket:
            address = host_port(server.host, port)
            found[server.name] = Backend(name=server.name, address=address, tls=server.has("ssl"))
    if not found:
        raise InputError(service.name, "has no server with an address and a port")
    return tuple(found.values())


def _notes(api: ApiName, table: Api, services: list[ProxiedService], others: list[Front]) -> Iterator[str]:
    """The fronts and sections of the API that are not described."""
    own = is_loopback(table.front.host)
    also = dict.fromkeys(
        f"{front.url} (section {front.service.name})"
        for front in others
        if front.url != table.url and (own or not is_loopback(front.host or ""))
    )
    if also:
        yield (
            f"{api}: {table.url} is described; clients may also use {', '.join(also)}: "
            f"give --{api}-url or --{api}-section for it"
        )
    described = {(backend.name, backend.address) for backend in table.backends}
    different = {
        service.name
        for service in services
        if service.name != table.proxy_section
        and {(server.name, server.text) for server in service.back.servers} != described
    }
    if different:
        yield (
            f"{api}: section {table.proxy_section} is described; "
            f"{', '.join(sorted(different))} has other servers, and is not part of it"
        )


def _unclear(proxies: tuple[HeatProxy, ...], api: ApiName) -> Iterator[Missing]:
    """The question for an API of which no section is plainly the one."""
    for proxy in proxies:
        if proxy.sections.unclear.get(api):
            what = f"the section of the {api.upper()} API; not plainly one: {proxy.sections.listed(api)}"
            yield Missing(f"{api}.proxy_section", what, f"--{api}-section NAME")
