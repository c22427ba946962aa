"""A3: no machine uses its own loopback address for a service of another machine."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from calorimeter.config.audit.model import Change, Finding, Rule, Severity, guide, rule
from calorimeter.config.audit.patches.changes import at, at_option, set_option
from calorimeter.config.audit.subject import AuditedFiles
from calorimeter.config.heat.heat_conf import HeatProcessConf
from calorimeter.config.heat.oslo import OptionValue
from calorimeter.config.hosts import WILDCARDS, host_of_url, is_loopback, same_host, with_brackets
from calorimeter.core.deployment import HeatRole

_APIS: frozenset[HeatRole] = frozenset({"rest", "cfn"})
_ENGINE: frozenset[HeatRole] = frozenset({"engine"})
_CFN: frozenset[HeatRole] = frozenset({"cfn"})

_URLS = (
    ("auth_url", "keystone_authtoken", "Keystone", _APIS),
    ("www_authenticate_uri", "keystone_authtoken", "Keystone", _APIS | _ENGINE),
    ("auth_uri", "keystone_authtoken", "Keystone", _APIS | _ENGINE),
    ("auth_uri", "clients_keystone", "Keystone", _APIS | _ENGINE),
    ("auth_uri", "ec2authtoken", "Keystone", _CFN),
    ("auth_url", "ec2authtoken", "Keystone", _CFN),
    ("auth_url", "trustee", "Keystone", _ENGINE),
    ("heat_metadata_server_url", "DEFAULT", "CFN API", _ENGINE),
    ("heat_waitcondition_server_url", "DEFAULT", "CFN API", _ENGINE),
)
"""Option, its group, the service whose URL it holds, and the processes that read it."""

_QUOTE = guide(
    "you have to update the loopback addresses found at the sql_connection and rabbit_host properties "
    "to the devstack server's IP, which must be reachable from the remote machine."
)


@dataclass(frozen=True, slots=True)
class _Service:
    """A service that the Heat files name: its name, and its hosts and option in one file."""

    name: str
    roles: frozenset[HeatRole]
    hosts_of: Callable[[HeatProcessConf], tuple[str, ...]]
    value_of: Callable[[HeatProcessConf], OptionValue | None]


def _url_service(key: str, group: str, name: str, roles: frozenset[HeatRole]) -> _Service:
    return _url(name, roles, lambda conf: conf.get(key, group))


def _url(
    name: str, roles: frozenset[HeatRole], value_of: Callable[[HeatProcessConf], OptionValue | None]
) -> _Service:
    def hosts_of(conf: HeatProcessConf) -> tuple[str, ...]:
        value = value_of(conf)
        host = host_of_url(value.text) if value else ""
        return (host,) if host else ()

    return _Service(name, roles, hosts_of, value_of)


_SERVICES = (
    _url("database", _ENGINE, lambda conf: conf.database),
    *(_url_service(*each) for each in _URLS),
)
_BROKER = _Service(
    "RabbitMQ",
    _APIS | _ENGINE,
    lambda conf: tuple(node.host for node in conf.transport.hosts),
    lambda conf: conf.transport.value,
)


@dataclass(frozen=True, slots=True)
class _Loopback:
    """A file with a loopback host; `address` is where all other files have the service, if they agree."""

    conf: HeatProcessConf
    host: str
    address: str | None
    certain: bool


def _loopbacks(subject: AuditedFiles, service: _Service) -> Iterator[_Loopback]:
    """The files that name loopback for a service of another machine.

    It is another machine if the other files name one. If all have loopback, it is the one that the files
    use for database and broker, or else the proxy's.
    """
    readers = [i for i, conf in enumerate(subject.heat) if not conf.roles.isdisjoint(service.roles)]
    hosts = {index: service.hosts_of(subject.heat[index]) for index in readers}
    remote = {host: index for index, each in hosts.items() for host in each if not is_loopback(host)}
    used = list(remote) or _service_machines(subject)
    for index in readers:
        own = [host for host in hosts[index] if is_loopback(host)]
        machine = subject.machines.get(index, "localhost")
        if not own or is_loopback(machine):
            continue
        same = [same_host(machine, host, subject.inputs.addresses) for host in used]
        if True not in same:
            agreed = next(iter(remote)) if len(remote) == 1 else None
            yield _Loopback(subject.heat[index], own[0], agreed, None not in same)


def _service_machines(subject: AuditedFiles) -> list[str]:
    """The address that the files use for database or broker (or else the proxy's), if they agree on one."""
    services, proxies = set(), set()
    for conf in subject.heat:
        services |= {node.host for node in conf.transport.hosts}
        if conf.database:
            services.add(host_of_url(conf.database.text))
    for service in subject.services:
        proxies |= {bind.host for bind in service.front.binds if bind.host not in WILDCARDS}
    for hosts in (services, proxies):
        remote = [host for host in hosts if not is_loopback(host)]
        if remote:
            return remote if len(remote) == 1 else []
    return []


def _several_machines(subject: AuditedFiles) -> bool:
    """Whether the files name more than one machine; on a single one loopback is correct."""
    machines = {host for host in subject.machines.values() if not is_loopback(host)}
    return len(machines | {*_service_machines(subject)}) > 1


@rule(
    "A3-loopback-service",
    Severity.ERROR,
    remedy="use the address of the machine where the service runs",
    quote=_QUOTE,
)
def loopback_service(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """No machine uses its own loopback address for a service of another machine."""
    for service in _SERVICES if _several_machines(subject) else ():
        for found in _loopbacks(subject, service):
            conf, value = found.conf, service.value_of(found.conf)
            if value is None:
                continue
            yield rule.finding(
                at(value.entry),
                conf.host,
                f"{value.entry.key} has the host {found.host}: the {service.name} of the machine itself",
                f"Heat on {conf.host} finds no {service.name} there, or another one than the other "
                "machines use",
                _with_address(found, value),
                severity=None if found.certain else Severity.NOTE,
            )


@rule(
    "A3-loopback-broker",
    Severity.ERROR,
    remedy="use the address of the machine where RabbitMQ runs",
    quote=_QUOTE,
)
def loopback_broker(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """No machine uses its own loopback address for the broker of another machine."""
    for found in _loopbacks(subject, _BROKER) if _several_machines(subject) else ():
        conf, value = found.conf, _BROKER.value_of(found.conf)
        setting = (
            f"{value.entry.key} has the host {found.host}" if value else "no broker is set, so localhost"
        )
        yield rule.finding(
            at_option(conf, value),
            conf.host,
            f"{setting}: the RabbitMQ of the machine itself",
            f"the engines and APIs of {conf.host} have a queue of their own or none; no other engine "
            "answers the calls sent there",
            _with_address(found, value) if value and _names_hosts(value) else (),
            severity=None if found.certain else Severity.NOTE,
        )


def _names_hosts(value: OptionValue) -> bool:
    return value.entry.key in ("transport_url", "rabbit_host", "rabbit_hosts")


def _with_address(found: _Loopback, value: OptionValue) -> list[Change]:
    """The option with the address that the other files have; nothing if they do not agree on one."""
    if not found.certain or not found.address:
        return []
    # The host, where it stands for itself: not as a user or a part of another name.
    written = rf"(?:^|(?<=[/@,\s])){re.escape(with_brackets(found.host))}(?=[:/?,\s]|$)(?![^/?,@]*@)"
    raw = re.sub(written, with_brackets(found.address), value.entry.raw, count=1, flags=re.IGNORECASE)
    if raw == value.entry.raw:
        return []
    return [set_option(found.conf, value.entry.group, value.entry.key, raw)]
