"""The addresses at which the APIs of the Heat files listen, and whether a server line means one of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from calorimeter.config.haproxy import HAProxyServer
from calorimeter.config.heat.heat_conf import GROUPS, ApiListener, HeatProcessConf
from calorimeter.config.hosts import as_address, same_host, short_name

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


class Listeners:
    """The APIs whose addresses the Heat files set; `addresses` are those of resolved names."""

    def __init__(
        self, confs: Iterable[HeatProcessConf], addresses: Mapping[str, tuple[str, ...]] | None = None
    ) -> None:
        self._addresses = addresses or {}
        self._by_port: dict[tuple[ApiName, int], list[ConfiguredApi]] = {}
        for conf in confs:
            for api in APIS:
                listener = conf.listener(api)
                if listener.value is not None:
                    group = self._by_port.setdefault((api, listener.port), [])
                    group.append(ConfiguredApi(api, conf, listener))

    def any(self, api: ApiName) -> bool:
        """Whether any file sets the address of this API."""
        return any(found == api for found, _ in self._by_port)

    def of(self, api: ApiName) -> Iterator[ConfiguredApi]:
        """The APIs of the files, by port."""
        return (each for (found, _), group in self._by_port.items() if found == api for each in group)

    def ports(self, api: ApiName) -> set[int]:
        """The ports at which the files say that this API listens."""
        return {port for found, port in self._by_port if found == api}

    def at_port(self, api: ApiName, server: HAProxyServer) -> Iterator[ConfiguredApi]:
        """The APIs of the files that listen at the port of a server."""
        return iter(self._by_port.get((api, server.port), ()) if server.port is not None else ())

    def is_at(self, configured: ConfiguredApi, server: HAProxyServer) -> bool | None:
        """Whether a server line means an API of the files; None if that cannot be told.

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
        names = {
            short_name(host) for host in (server.name, server.host, listener.host) if not as_address(host)
        }
        return True if short_name(configured.machine) in names else None

    def at(self, api: ApiName, server: HAProxyServer) -> bool | None:
        """Whether a server line means an API of the files; None if that cannot be told."""
        answers = {self.is_at(configured, server) for configured in self.at_port(api, server)}
        return True if True in answers else None if None in answers else False

    def exactly_at(self, api: ApiName, server: HAProxyServer) -> ConfiguredApi | None:
        """The API of the files at the address of a server, except one that listens at every address."""
        found = (each for each in self.at_port(api, server) if not each.listener.wildcard)
        return next((each for each in found if self.is_at(each, server)), None)
