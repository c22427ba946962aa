"""Adds the commands that `[control]` writes to the parts of a deployment. What the owner wrote stays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from calorimeter.core.control import packet_faults
from calorimeter.core.control.control_host import ControlHost
from calorimeter.core.control.control_table import Control, filled
from calorimeter.core.control.controlled_part import APIS, Part, PartKind
from calorimeter.core.control.server_state import AdminSocket
from calorimeter.core.control.service_commands import ServiceCommands, container, systemd_unit

if TYPE_CHECKING:
    from calorimeter.core.deployment import Deployment, Proxy


@dataclass(frozen=True, slots=True)
class _Place:
    """A part that the deployment describes, and where it is.

    `host` is None for this machine. `number` counts the engines of a host, of which there are `several`.
    `address` and `section` are those of an API's backend.
    """

    kind: PartKind
    name: str
    host: str | None
    number: int = 1
    several: bool = False
    address: tuple[str, int] | None = None
    section: str | None = None


def with_commands(deployment: Deployment) -> Deployment:
    """The deployment with the commands that its `[control]` writes; the same one if it has none."""
    control = deployment.control
    if control is None:
        return deployment
    writer = _Writer(deployment, control)
    given = {(part.kind, part.name): part for part in deployment.parts}
    places = {(place.kind, place.name): place for place in _places(deployment)}
    for key, part in given.items():
        places.setdefault(key, _Place(part.kind, part.name, part.host))
    parts = (
        writer.part(given.get(key) or Part(name=place.name, kind=place.kind), place)
        for key, place in places.items()
        if key in given or place.kind in control.kinds
    )
    return deployment.model_copy(update={"parts": tuple(parts)})


def _places(deployment: Deployment) -> Iterator[_Place]:
    """All that the deployment describes: backends, engines, proxies and brokers."""
    for kind in APIS:
        api = deployment.api(kind)
        for backend in api.backends if api else ():
            host, _, port = backend.address.rpartition(":")
            ip = host.strip("[]")
            yield _Place(
                kind, backend.name, ip, address=(ip, int(port)), section=api.proxy_section if api else None
            )
    for group in deployment.engines:
        for host in group.names:
            for number in range(1, group.processes + 1):
                name = host if group.processes == 1 else f"{host}-{number}"
                yield _Place("engine", name, host, number, group.processes > 1)
    for proxy in deployment.proxy:
        if proxy.stats:
            yield _Place("proxy", proxy.name, _host_of(proxy))
    for url in deployment.broker.amqp if deployment.broker else ():
        host = urlsplit(url).hostname or ""
        yield _Place("broker", host, host)


def _host_of(proxy: Proxy) -> str | None:
    """The host of a proxy's stats; None if it is a socket of this machine."""
    return next((urlsplit(url).hostname for url in proxy.stats if not url.startswith("unix:")), None)


class _Writer:
    """Writes the commands of a deployment's parts."""

    def __init__(self, deployment: Deployment, control: Control) -> None:
        self._control = control
        self._netns = deployment.clients.netns
        self._hosts = {(part.kind, part.name): part.host for part in deployment.parts}
        brokers = deployment.broker.amqp if deployment.broker else ()
        self._clustered = len(brokers) > 1
        self._ports = {
            url.port or (5671 if url.scheme == "amqps" else 5672) for url in map(urlsplit, brokers)
        }
        self._sockets = tuple(filter(None, map(self._admin_socket, deployment.proxy)))

    def part(self, part: Part, place: _Place) -> Part:
        """A part with the commands that its owner did not write."""
        if not part.control:
            return part
        host, service = self._host(part.host or place.host), self._service(part, place)
        more = Part(
            name=part.name,
            kind=part.kind,
            sockets=host.script(host.words("ss", "-tanoe")),
            addresses=host.script(host.words("ip", "-o", "address")),
        )
        if service is not None:
            more = _of_service(more, host, service)
        if part.kind in APIS and service is not None and self._ports:
            cut = packet_faults.of_group(host, part.kind, part.name, service.group, self._ports)
            more = more.model_copy(update={"faults": cut})
        if place.address is not None:
            dropped = packet_faults.of_address(host, part.kind, part.name, place.address)
            more = more.model_copy(update={"faults": {**more.faults, **dropped}})
        if place.section is not None and self._sockets:
            more = more.model_copy(update=self._drains(place.section, place.name))
        if part.kind == "broker" and self._clustered:
            more = more.model_copy(update={"faults": packet_faults.of_node(host, part.name)})
        written = part.model_dump(exclude_none=True, exclude={"faults"})
        return more.model_copy(update={**written, "faults": {**more.faults, **part.faults}})

    def _host(self, name: str | None) -> ControlHost:
        control = self._control
        if name is None or control.ssh is None:
            return ControlHost(sudo=control.sudo, netns=self._netns)
        destination = filled(control.ssh, host=control.hosts.get(name, name))
        return ControlHost(destination, control.ssh_options, control.sudo, self._netns)

    def _service(self, part: Part, place: _Place) -> ServiceCommands | None:
        control, where = self._control, part.host or place.host or ""
        values = {"name": part.name, "host": where, "number": str(place.number)}
        service = part.service or control.service(part.kind, **values)
        if service is None or (place.several and self._shared(service, place)):
            return None
        host = self._host(part.host or place.host)
        if control.driver == "systemd":
            return systemd_unit(host, service)
        supervisor = filled(control.supervisor, service=service) if control.supervisor else None
        return container(host, control.driver, service, supervisor)

    def _shared(self, service: str, place: _Place) -> bool:
        """Whether another engine of the host has the same service: one of them cannot be broken alone."""
        other = {"name": f"{place.name}+", "host": place.host or "", "number": f"{place.number}+"}
        return self._control.service(place.kind, **other) == service

    def _admin_socket(self, proxy: Proxy) -> AdminSocket | None:
        """The socket that servers of a proxy are drained by; None if none is known."""
        path = self._control.haproxy_socket
        if path is not None:
            return AdminSocket(
                self._host(self._hosts.get(("proxy", proxy.name)) or _host_of(proxy)), f"unix://{path}"
            )
        urls = (url for url in proxy.stats if url.startswith(("unix:", "tcp:")))
        return next((AdminSocket(ControlHost(netns=self._netns), url) for url in urls), None)

    def _drains(self, section: str, server: str) -> dict[str, str]:
        """Commands that drain a server in every proxy, and put it back."""
        states = {"drain": "drain", "undrain": "ready"}
        return {
            key: " && ".join(socket.set_state(section, server, state) for socket in self._sockets)
            for key, state in states.items()
        }


def _of_service(part: Part, host: ControlHost, service: ServiceCommands) -> Part:
    return part.model_copy(
        update={
            "kill": host.breaking(service.kill),
            "stop": host.breaking(service.stop),
            "start": host.script(service.start),
            "freeze": host.breaking(service.freeze),
            "thaw": host.script(service.thaw),
        }
    )
