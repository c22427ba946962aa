"""The addresses at which the APIs of the Heat files listen, and whether a server line means one of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from calorimeter.config.haproxy import HAProxyServer
from calorimeter.config.heat.heat_conf import GROUPS, ApiListener, HeatProcessConf
from calorimeter.config.hosts import addresses_of, as_address, same_host, short_name

ApiName = Literal["rest", "cfn"]
APIS: tuple[ApiName, ...] = ("rest", "cfn")


@dataclass(frozen=True, slots=True)
class ConfiguredApi:
    """An API whose address a Heat file sets."""

    api: ApiName
    conf: HeatProcessConf
    listener: ApiListener

    @property
    def machine(self) -> str:
        """Its machine, as the owner names it."""
        return self.conf.host

    @property
    def text(self) -> str:
        """`[heat_api] of B`."""
        return f"[{GROUPS[self.api]}] of {self.machine}"


@dataclass(slots=True)
class _Group:
    """The APIs at one port: by address, those at every address, and those at names without an address."""

    every: list[ConfiguredApi] = field(default_factory=list)
    by_address: dict[str, ConfiguredApi] = field(default_factory=dict)
    wildcard: bool = False
    unresolved: list[ConfiguredApi] = field(default_factory=list)


def listeners_of(conf: HeatProcessConf) -> Iterator[tuple[ApiName, ApiListener]]:
    """Each API that a process is, with the address at which it listens."""
    return ((api, conf.listener(api)) for api in APIS if api in conf.roles)


class Listeners:
    """The APIs whose addresses the Heat files set; `addresses` are those of resolved names."""

    def __init__(
        self, confs: Iterable[HeatProcessConf], addresses: Mapping[str, tuple[str, ...]] | None = None
    ) -> None:
        self._addresses = addresses or {}
        self._groups: dict[tuple[ApiName, int], _Group] = {}
        for conf in confs:
            for api, listener in listeners_of(conf):
                if listener.value is not None:
                    self._add(ConfiguredApi(api, conf, listener))

    def _add(self, configured: ConfiguredApi) -> None:
        listener = configured.listener
        group = self._groups.setdefault((configured.api, listener.port), _Group())
        group.every.append(configured)
        group.wildcard = group.wildcard or listener.wildcard
        known = self.addresses(listener.host)
        for address in known:
            group.by_address.setdefault(address, configured)
        if not known and not listener.wildcard:
            group.unresolved.append(configured)

    def addresses(self, host: str) -> tuple[str, ...]:
        """The addresses of a host, in their shortest form; empty if it is a name that was not resolved."""
        return addresses_of(host, self._addresses)

    def any(self, api: ApiName) -> bool:
        """Whether any file sets the address of this API."""
        return any(found == api for found, _ in self._groups)

    def of(self, api: ApiName) -> Iterator[ConfiguredApi]:
        """The APIs of the files, by port."""
        return (each for (found, _), group in self._groups.items() if found == api for each in group.every)

    def ports(self, api: ApiName) -> set[int]:
        """The ports at which the files say that this API listens."""
        return {port for found, port in self._groups if found == api}

    def at_port(self, api: ApiName, server: HAProxyServer) -> list[ConfiguredApi]:
        """The APIs of the files that listen at the port of a server."""
        return self._group(api, server).every

    def is_at(self, configured: ConfiguredApi, server: HAProxyServer) -> bool | None:
        """Whether a server line means an API of the files; None if that cannot be determined.

        A name that was not resolved means the machine that its owner calls the same. An API that listens at
        every address of its machine can be that of any server with its port.
        """
        listener = configured.listener
        if listener.port != server.port:
            return False
        if listener.wildcard:
            return True
        same = same_host(server.host, listener.host, self._addresses)
        if same is not None:
            return same
        hosts = (server.name, server.host, listener.host)
        names = {short_name(host) for host in hosts if not as_address(host)}
        return True if short_name(configured.machine) in names else None

    def at(self, api: ApiName, server: HAProxyServer) -> bool | None:
        """Whether a server line means an API of the files; None if that cannot be determined."""
        if self._group(api, server).wildcard:
            return True
        exact, unknown = self._found(api, server)
        return True if exact else None if unknown else False

    def exactly_at(self, api: ApiName, server: HAProxyServer) -> ConfiguredApi | None:
        """The API of the files at the address of a server, except one that listens at every address."""
        return self._found(api, server)[0]

    def _found(self, api: ApiName, server: HAProxyServer) -> tuple[ConfiguredApi | None, bool]:
        """The API at the address of a server, or None and whether there may be one."""
        group = self._group(api, server)
        known = self.addresses(server.host)
        for address in known:
            if address in group.by_address:
                return group.by_address[address], False
        unknown = False
        for configured in group.unresolved if known else group.every:
            is_at = None if configured.listener.wildcard else self.is_at(configured, server)
            if is_at:
                return configured, False
            unknown = unknown or (is_at is None and not configured.listener.wildcard)
        return None, unknown

    def _group(self, api: ApiName, server: HAProxyServer) -> _Group:
        return self._groups.get((api, server.port or 0), _NONE)


_NONE = _Group()
