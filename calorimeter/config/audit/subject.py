"""The files of proxies and Heat hosts: their texts, the values in force, and the sections of each API."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

from calorimeter.config import haproxy
from calorimeter.config.haproxy import HAProxyConfig, HAProxyServer, ProxiedService
from calorimeter.config.heat import heat_conf
from calorimeter.config.heat.heat_conf import DEFAULT_PORTS, ApiListener, HeatProcessConf
from calorimeter.core.deployment import Address

ApiName = Literal["rest", "cfn"]
APIS: tuple[ApiName, ...] = ("rest", "cfn")
Role = Literal["rest", "cfn", "engine"]
Texts = tuple[tuple[str, str], ...]
"""(name, text) of files, in order."""


@dataclass(frozen=True, slots=True)
class HeatFiles:
    """The configuration files of one Heat process, in the order of its `--config-file` options.

    `host` is its machine. `roles` is what the process is, as its owner says it (None: not said).
    """

    host: str
    files: Texts
    roles: frozenset[Role] | None = None


@dataclass(frozen=True, slots=True)
class Inputs:
    """The input of an audit: texts only, so that corrected texts can be audited again.

    `proxies` are (name of the proxy, files). `sections` names the proxy section of an API whose section
    cannot be determined. `fronts` are the front addresses by API. `engines` are the hosts that run
    heat-engine (None: unknown, every Heat file may be an engine's). `addresses` are the addresses of host
    names, if they could be resolved. `expect_balance` is the balance that the owner wants by API,
    `heat_release` the major version of Heat, `rabbitmq_release` the version of RabbitMQ as (major, minor)
    (None: not said). `ask_haproxy` names the proxies that run on this machine, so that `haproxy -c` can
    check their files.
    """

    proxies: tuple[tuple[str, Texts], ...] = ()
    heat: tuple[HeatFiles, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    sections: Mapping[str, str] = field(default_factory=dict)
    fronts: Mapping[str, Address] = field(default_factory=dict)
    engines: frozenset[str] | None = None
    addresses: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    max_detection_s: float = 20.0
    expect_balance: Mapping[str, str] = field(default_factory=dict)
    heat_release: int | None = None
    rabbitmq_release: tuple[int, int] | None = None
    database_connections: int | None = None
    ask_haproxy: frozenset[str] = frozenset()

    @property
    def texts(self) -> dict[str, str]:
        """File name → text, of all files."""
        groups = (*(files for _, files in self.proxies), *(process.files for process in self.heat))
        return {name: text for files in groups for name, text in files}

    def with_texts(self, texts: Mapping[str, str]) -> Inputs:
        """A copy with other texts for some files."""

        def changed(files: Texts) -> Texts:
            return tuple((name, texts.get(name, text)) for name, text in files)

        return replace(
            self,
            proxies=tuple((name, changed(files)) for name, files in self.proxies),
            heat=tuple(replace(process, files=changed(process.files)) for process in self.heat),
        )


@dataclass(frozen=True, slots=True)
class HeatProxy:
    """One HAProxy in front of Heat: its configuration, and the services of each API."""

    name: str
    configuration: HAProxyConfig
    services: Mapping[ApiName, tuple[ProxiedService, ...]]

    @property
    def api_services(self) -> Iterator[tuple[ApiName, ProxiedService]]:
        """Every service, with its API."""
        return ((api, service) for api in APIS for service in self.services[api])


class Listeners:
    """The addresses at which the APIs of the Heat files listen, indexed by API."""

    def __init__(self, confs: Iterable[HeatProcessConf]) -> None:
        self._addresses: dict[str, set[tuple[str, int | None]]] = {api: set() for api in APIS}
        for conf in confs:
            for api in APIS:
                listener = conf.listener(api)
                if listener.value is not None:
                    self._addresses[api].add(("*" if listener.wildcard else listener.host, listener.port))

    def any(self, api: str) -> bool:
        """Whether any file sets the address of this API."""
        return bool(self._addresses[api])

    def at(self, api: str, server: HAProxyServer) -> bool:
        """Whether an API of the files can be the one at a server's address."""
        return not {(server.host, server.port), ("*", server.port)}.isdisjoint(self._addresses[api])


@dataclass(frozen=True)
class AuditedFiles:
    """The parsed and resolved files."""

    inputs: Inputs
    proxies: tuple[HeatProxy, ...]
    heat: tuple[HeatProcessConf, ...]
    listeners: Listeners

    @property
    def api_services(self) -> Iterator[tuple[ApiName, ProxiedService]]:
        """Every service of every proxy, with its API."""
        return (pair for proxy in self.proxies for pair in proxy.api_services)

    @property
    def services(self) -> Iterator[ProxiedService]:
        """Every service of every proxy."""
        return (service for _, service in self.api_services)

    @property
    def servers(self) -> Iterator[tuple[ProxiedService, HAProxyServer]]:
        """Every server, with its service."""
        return ((service, server) for service in self.services for server in service.back.servers)

    @property
    def api_listeners(self) -> Iterator[tuple[HeatProcessConf, ApiName, ApiListener]]:
        """Every API of every Heat file, with the address at which it listens."""
        return ((conf, api, conf.listener(api)) for conf in self.heat for api in APIS)

    @property
    def engines(self) -> tuple[HeatProcessConf, ...]:
        """The Heat files of engines; all Heat files if none of the known engines is among them.

        An engine is known by its machine, or by the option `host`.
        """
        known = self.inputs.engines or frozenset()
        found = tuple(conf for conf in self.heat if not known.isdisjoint((conf.host, _own_name(conf))))
        return found or self.heat

    @property
    def serves_cfn(self) -> bool:
        """Whether a CFN API is deployed, according to the files."""
        if self.proxies:
            return any(proxy.services["cfn"] for proxy in self.proxies)
        return any(conf.listener("cfn").value for conf in self.heat)

    @property
    def rpc_response_timeout_s(self) -> int:
        """The longest time in seconds that an API waits for an engine."""
        return max((conf.rpc_response_timeout_s for conf in self.heat), default=60)

    @cached_property
    def machines(self) -> dict[int, str]:
        """Index of a Heat file → address of its machine, if that can be determined."""
        by_port: dict[tuple[str, int | None], set[str]] = {}
        for api, service in self.api_services:
            for server in service.back.servers:
                by_port.setdefault((api, server.port), set()).add(server.host)
        own = [[(api, conf.listener(api)) for api in APIS] for conf in self.heat]
        claimed = {listener.host for pair in own for _, listener in pair}
        found: dict[int, str] = {}
        for index, pair in enumerate(own):
            named = [listener.host for _, listener in pair if not listener.wildcard]
            free = set[str]().union(*(by_port.get((api, at.port), set()) for api, at in pair)) - claimed
            if named:
                found[index] = named[0]
            elif len(free) == 1:
                found[index] = free.pop()
        return found


def _own_name(conf: HeatProcessConf) -> str:
    value = conf.get("host")
    return value.text if value else conf.host


def build(inputs: Inputs) -> AuditedFiles:
    """Parse and resolve all files; never raises."""
    confs = tuple(heat_conf.parse(process.host, *process.files) for process in inputs.heat)
    listeners = Listeners(confs)
    proxies = []
    for name, files in inputs.proxies:
        configuration = haproxy.resolve(haproxy.parse(files, inputs.environment))
        proxies.append(HeatProxy(name, configuration, services(configuration, listeners, inputs.sections)))
    return AuditedFiles(inputs, tuple(proxies), confs, listeners)


def services(
    configuration: HAProxyConfig, listeners: Listeners, sections: Mapping[str, str]
) -> dict[ApiName, tuple[ProxiedService, ...]]:
    """The services of Heat's REST API and of its CFN API; services of neither are left out."""
    found: dict[ApiName, list[ProxiedService]] = {"rest": [], "cfn": []}
    for service in configuration.services:
        api = _api(service, listeners, sections)
        if api:
            found[api].append(service)
    return {api: tuple(group) for api, group in found.items()}


def _api(service: ProxiedService, listeners: Listeners, sections: Mapping[str, str]) -> ApiName | None:
    for api in APIS:
        if sections.get(api) in (service.name, service.front.name):
            return api
    votes: Counter[ApiName] = Counter()
    for server in service.back.servers:
        for api in APIS:
            votes[api] += listeners.at(api, server)
    name = f"{service.front.name} {service.name}".lower()
    ports = {server.port for server in service.back.servers} | {bind.port for bind in service.front.binds}
    for api in APIS:
        votes[api] += DEFAULT_PORTS[api] in ports
    if not any(votes.values()):
        return "cfn" if "cfn" in name else "rest" if "heat" in name or "rest_api" in name else None
    if votes["rest"] == votes["cfn"]:
        return "cfn" if "cfn" in name else "rest"
    return votes.most_common(1)[0][0]
