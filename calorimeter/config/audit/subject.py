"""The files of proxies and Heat hosts: their texts, the values in force, and the sections of each API."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from calorimeter.config import haproxy
from calorimeter.config.audit.sections import api_sections
from calorimeter.config.audit.sections.api_sections import ApiSections
from calorimeter.config.audit.sections.listeners import APIS, ApiName, Listeners, listeners_of
from calorimeter.config.haproxy import HAProxyConfig, HAProxyServer, ProxiedService
from calorimeter.config.heat import heat_conf
from calorimeter.config.heat.heat_conf import ApiListener, HeatProcessConf
from calorimeter.config.heat.known_options import LookedUp, look_up
from calorimeter.config.heat.oslo import OptionValue
from calorimeter.config.heat.roles import with_roles
from calorimeter.core.deployment import Address, HeatRole

__all__ = [
    "APIS",
    "ApiName",
    "AuditedFiles",
    "HeatFiles",
    "HeatProxy",
    "Inputs",
    "Texts",
    "build",
]

Texts = tuple[tuple[str, str], ...]
"""(name, text) of files, in order."""


@dataclass(frozen=True, slots=True)
class HeatFiles:
    """The configuration files of one Heat process, in the order of its `--config-file` options.

    `host` is its machine. `roles` is what the process is, as its owner says it (None: not said).
    """

    host: str
    files: Texts
    roles: frozenset[HeatRole] | None = None


@dataclass(frozen=True, slots=True)
class Inputs:
    """The input of an audit: texts only, so that corrected texts can be audited again.

    `proxies` are (name of the proxy, files). `sections` names the proxy section of an API whose section
    cannot be determined. `fronts` are the front addresses by API. `engines` are the hosts that run
    heat-engine (None: unknown, every Heat file may be an engine's). `addresses` are the addresses of host
    names, if they could be resolved. What the owner wants, None or absent if not said: `max_detection_s`,
    `tcp_keepalive`, and `expect_balance` by API. `heat_release` is the major version of Heat,
    `rabbitmq_release` the version of RabbitMQ as (major, minor) (None: not said). `ask_haproxy` names the
    proxies that run on this machine, so that `haproxy -c` can check their files.
    """

    proxies: tuple[tuple[str, Texts], ...] = ()
    heat: tuple[HeatFiles, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    sections: Mapping[str, str] = field(default_factory=dict)
    fronts: Mapping[str, Address] = field(default_factory=dict)
    engines: frozenset[str] | None = None
    addresses: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    max_detection_s: float | None = None
    tcp_keepalive: bool | None = None
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
    """One HAProxy in front of Heat: its configuration, and the sections of each API."""

    name: str
    configuration: HAProxyConfig
    sections: ApiSections

    @property
    def services(self) -> Mapping[ApiName, tuple[ProxiedService, ...]]:
        """The services of each API."""
        return self.sections.services

    @property
    def api_services(self) -> Iterator[tuple[ApiName, ProxiedService]]:
        """Every service, with its API."""
        return ((api, service) for api in APIS for service in self.services[api])


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
        return ((conf, api, listener) for conf in self.heat for api, listener in listeners_of(conf))

    def having(self, *roles: HeatRole) -> tuple[HeatProcessConf, ...]:
        """The Heat processes with one of these roles."""
        return tuple(conf for conf in self.heat if not conf.roles.isdisjoint(roles))

    @property
    def engines(self) -> tuple[HeatProcessConf, ...]:
        """The Heat files of engines; all that can be an engine's if no known engine is among them.

        An engine is known by its machine, or by the option `host`.
        """
        known = self.inputs.engines or frozenset()
        possible = self.having("engine")
        found = tuple(conf for conf in possible if not known.isdisjoint((conf.host, _own_name(conf))))
        return found or possible

    @property
    def serves_cfn(self) -> bool:
        """Whether a CFN API is deployed, according to the files."""
        if any(conf.roles == {"cfn"} for conf in self.heat):
            return True
        if self.proxies:
            return any(proxy.services["cfn"] for proxy in self.proxies)
        return any(conf.listener("cfn").value for conf in self.having("cfn"))

    @property
    def rpc_response_timeout_s(self) -> int:
        """The longest time in seconds that an API waits for an engine."""
        apis = self.having("rest", "cfn") or self.heat
        return max((conf.rpc_response_timeout_s for conf in apis), default=60)

    @cached_property
    def looked_up(self) -> tuple[tuple[HeatProcessConf, OptionValue, LookedUp], ...]:
        """Every setting in force of each Heat file, with what the release of the files makes of it."""
        release = self.inputs.heat_release
        return tuple(
            (conf, value, look_up(group, key, release))
            for conf in self.heat
            for (group, key), value in conf.options.values.items()
        )

    @cached_property
    def machines(self) -> dict[int, str]:
        """Index of a Heat file → address of its machine, if that can be determined.

        It is where an API of the machine listens, or else the only address of the machine's name.
        """
        by_port: dict[tuple[str, int | None], set[str]] = {}
        for api, service in self.api_services:
            for server in service.back.servers:
                by_port.setdefault((api, server.port), set()).add(server.host)
        own = [list(listeners_of(conf)) for conf in self.heat]
        claimed = {listener.host for pair in own for _, listener in pair}
        found: dict[int, str] = {}
        for index, pair in enumerate(own):
            named = [listener.host for _, listener in pair if not listener.wildcard]
            free = set[str]().union(*(by_port.get((api, at.port), set()) for api, at in pair)) - claimed
            if named:
                found[index] = named[0]
            elif len(free) == 1:
                found[index] = free.pop()
        resolved = self.inputs.addresses.items()
        by_host = {name: each[0] for name, each in resolved if len(each) == 1}
        by_host |= {self.heat[index].host: address for index, address in found.items()}
        for index, conf in enumerate(self.heat):
            if conf.host in by_host:
                found.setdefault(index, by_host[conf.host])
        return found


def _own_name(conf: HeatProcessConf) -> str:
    value = conf.get("host")
    return value.text if value else conf.host


@dataclass(frozen=True, slots=True)
class ParsedFiles:
    """Files that were parsed already, for audits of texts that differ in few of them."""

    heat: dict[HeatFiles, HeatProcessConf] = field(default_factory=dict)
    proxies: dict[Texts, HAProxyConfig] = field(default_factory=dict)


def build(inputs: Inputs, parsed: ParsedFiles | None = None) -> AuditedFiles:
    """Parse and resolve all files; never raises. `parsed` is looked up, and extended."""
    known = parsed or ParsedFiles()
    for process in inputs.heat:
        if process not in known.heat:
            known.heat[process] = heat_conf.parse(process.host, *process.files)
    confs = with_roles(
        [known.heat[process] for process in inputs.heat], [process.roles for process in inputs.heat]
    )
    listeners = Listeners(confs, inputs.addresses)
    proxies = []
    for name, files in inputs.proxies:
        if files not in known.proxies:
            known.proxies[files] = haproxy.resolve(haproxy.parse(files, inputs.environment))
        configuration = known.proxies[files]
        sections = api_sections.find(configuration, listeners, inputs.sections)
        proxies.append(HeatProxy(name, configuration, sections))
    return AuditedFiles(inputs, tuple(proxies), confs, listeners)
