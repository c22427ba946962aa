"""Resolves the host names in the files of proxies and Heat, so that they can be compared with addresses."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping
from dataclasses import replace
from threading import Thread
from time import monotonic

from calorimeter.config.audit.subject import AuditedFiles, Inputs, build
from calorimeter.config.hosts import WILDCARDS, as_address, host_of_url, is_loopback, without_brackets

DEADLINE_S = 2.0
_MOST_NAMES = 200


def with_addresses(inputs: Inputs, urls: Iterable[str | None] = ()) -> Inputs:
    """A copy of the inputs with the addresses of the names that matter, as far as they resolve in 2 s.

    Names matter only if there are addresses to compare them with: those of the Heat files, or of clients.
    `urls` are those that the user gives: their hosts decide between the fronts of the proxy.
    """
    names = _names(build(inputs), [host for url in urls if (host := host_of_url(url or ""))])
    return replace(inputs, addresses={**inputs.addresses, **resolved(names)}) if names else inputs


def resolved(names: Iterable[str], deadline_s: float = DEADLINE_S) -> Mapping[str, tuple[str, ...]]:
    """Name → its addresses, of the names that resolve before the deadline.

    Loopback addresses are left out: what this machine calls itself is another machine's business.
    """
    found: dict[str, tuple[str, ...]] = {}

    def resolve(name: str) -> None:
        try:
            answers = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            return
        addresses = dict.fromkeys(str(answer[4][0]).partition("%")[0] for answer in answers)
        found[name] = tuple(address for address in addresses if not is_loopback(address))

    threads = [
        Thread(target=resolve, args=(name,), daemon=True) for name in sorted(set(names))[:_MOST_NAMES]
    ]
    end = monotonic() + deadline_s
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, end - monotonic()))
    return {name: addresses for name, addresses in found.copy().items() if addresses}


def _names(subject: AuditedFiles, given: list[str]) -> set[str]:
    """The names of servers, APIs, binds, fronts, brokers and databases that are compared."""
    listeners = [listener.host for _, _, listener in subject.api_listeners if listener.value is not None]
    fronts = [*given, *(front.host for front in subject.inputs.fronts.values())]
    hosts = [*listeners, *fronts]
    if listeners:
        hosts += [server.host for _, server in subject.servers]
    if fronts:
        hosts += [bind.host for service in subject.services for bind in service.front.binds]
    plain = {_plain(host) for host in hosts}
    if not any(as_address(host) for host in plain):
        plain = set()
    return {host for host in plain | _used_differently(subject) if _is_name(host)}


def _used_differently(subject: AuditedFiles) -> set[str]:
    """The hosts of broker and database, if not all Heat files write them alike."""
    brokers = [{_plain(node.host) for node in conf.transport.hosts} for conf in subject.heat]
    urls = [conf.database.text for conf in subject.engines if conf.database]
    databases = [{_plain(host_of_url(url))} for url in urls]
    differing = (group for group in (brokers, databases) if any(hosts != group[0] for hosts in group))
    return {host for group in differing for hosts in group for host in hosts}


def _plain(host: str) -> str:
    return without_brackets(host).lower().rstrip(".")


def _is_name(host: str) -> bool:
    shaped = host.isascii() and host.replace("-", "").replace(".", "").replace("_", "").isalnum()
    return shaped and host not in WILDCARDS and not as_address(host) and not is_loopback(host)
