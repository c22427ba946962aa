"""The URLs at which clients reach an API through the proxy, and which of several is described."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address

from calorimeter.config.audit.sections.routes import Route
from calorimeter.config.audit.subject import ApiName, AuditedFiles, HeatProxy
from calorimeter.config.describe.owner_answers import Answers
from calorimeter.config.haproxy import Bind, ProxiedService
from calorimeter.config.hosts import WILDCARDS, as_address, host_port, is_loopback, same_host, split_url
from calorimeter.core.deployment import Address, address_of_url

_KEYSTONE_OF_CLIENTS = (("www_authenticate_uri", "keystone_authtoken"), ("auth_uri", "keystone_authtoken"))
_URLS_OF_HEAT = (
    *_KEYSTONE_OF_CLIENTS,
    ("heat_waitcondition_server_url", "DEFAULT"),
    ("heat_metadata_server_url", "DEFAULT"),
)


@dataclass(frozen=True, slots=True)
class Front:
    """One address at which clients may reach an API: a bind, or the host name that a rule asks for.

    `host` is None if the proxy is bound to every address of its machine and no file names one, or if the
    address has a variable that is not set.
    """

    service: ProxiedService
    bind: Bind
    route: Route
    host: str | None

    @property
    def tls(self) -> bool:
        """Whether clients must use https."""
        return "ssl" in self.bind.options or (self.service.front.word("mode") == "tcp" and self._by_sni)

    @property
    def _by_sni(self) -> bool:
        return bool(self.route.hosts) and self.bind.port == 443

    @property
    def url(self) -> str:
        """Its URL, with the path before the project."""
        prefix = next(iter(self.route.paths), "").rstrip("/")
        path = prefix if prefix.endswith("/v1") else f"{prefix}/v1"
        return f"{'https' if self.tls else 'http'}://{host_port(self.host or 'HOST', self.bind.port)}{path}"


def fronts(subject: AuditedFiles, api: ApiName, answers: Answers) -> list[Front]:
    """The fronts of an API, the clients' first.

    The order: the section that the owner named; the one at the URL that the owner gives; no loopback; the
    host of the other API's URL, or of the user's Keystone; the host at which Heat tells clients to find
    Keystone (`www_authenticate_uri`); the backend that a frontend uses by default; TLS; the lowest address
    of a frontend, its binds in order.
    """
    found: list[Front] = []
    own = [at for url in (*answers.urls.values(), answers.keystone_url) if (at := _address(url))]
    for proxy in subject.proxies:
        for service in proxy.services[api]:
            way = proxy.sections.route(service)
            binds = [bind for bind in service.front.binds if bind.port and _routed(way, bind)]
            found += [Front(service, bind, way, _host(subject, proxy, way, bind, own)) for bind in binds]
    given = subject.inputs.sections.get(api)
    at = _address(answers.urls[api])
    addresses = subject.inputs.addresses
    told = [host for url in _urls(subject, _KEYSTONE_OF_CLIENTS) if not is_loopback(host := url.host)]

    def rank(front: Front) -> tuple[object, ...]:
        host = front.host or ""
        return (
            given is not None and given not in (front.service.name, front.service.front.name),
            at is not None and not _is_at(front, at, subject),
            not host or is_loopback(host),
            not any(same_host(host, each.host, addresses) for each in own),
            not any(same_host(host, each, addresses) for each in told),
            front.route.conditional,
            not front.tls,
            min(_order(bind) for bind in front.service.front.binds),
        )

    return sorted(found, key=rank)


def _address(url: str | None) -> Address | None:
    parts = split_url(url or "")
    return address_of_url(parts) if parts and parts.hostname else None


def _is_at(front: Front, at: Address, subject: AuditedFiles) -> bool:
    """Whether a front can have an address that the owner gave."""
    same = front.host is None or same_host(front.host, at.host, subject.inputs.addresses)
    return at.port == front.bind.port and same is not False


def _routed(way: Route, bind: Bind) -> bool:
    return not way.ports or bind.port in way.ports


def _order(bind: Bind) -> tuple[int, int, str]:
    address = as_address(bind.host)
    number = int(ip_address(address)) if address else 0
    return (4 if address is None else ip_address(address).version, number, bind.text)


def _host(
    subject: AuditedFiles, proxy: HeatProxy, way: Route, bind: Bind, own: list[Address]
) -> str | None:
    """The host of a front: the one that a rule asks for, that of the bind, or for a wildcard a known one.

    A wildcard's is that of a Heat file with the port and without a server (the guide's machine A), or that
    of a URL of Keystone or Heat whose port the proxy binds, too. `own` are those of the owner's URLs.
    """
    if way.hosts:
        return way.hosts[0].partition(":")[0]
    if bind.unset:
        return None
    if bind.host not in WILDCARDS:
        return bind.host
    servers = {server.text for _, server in subject.servers}
    for _, _, listener in subject.api_listeners:
        if listener.port == bind.port and not listener.wildcard and listener.text not in servers:
            return listener.host
    ports = {
        b.port for section in proxy.configuration.proxies for b in section.binds if b.host in WILDCARDS
    }
    urls = (*own, *_urls(subject, _URLS_OF_HEAT))
    return next((url.host for url in urls if url.port in ports and not is_loopback(url.host)), None)


def _urls(subject: AuditedFiles, options: tuple[tuple[str, str], ...]) -> Iterator[Address]:
    """The addresses of the URLs in options of the Heat files."""
    for conf in subject.heat:
        for key, group in options:
            value = conf.get(key, group)
            if value and (at := _address(value.text)):
                yield at
