"""A3: no machine uses its own loopback address for a service of another machine."""

from __future__ import annotations

from collections.abc import Iterator

from calorimeter.config.audit.changes import at, at_option, set_option
from calorimeter.config.audit.model import Change, Finding, Rule, Severity, guide, rule
from calorimeter.config.audit.subject import AuditedFiles
from calorimeter.config.heat.heat_conf import HeatProcessConf
from calorimeter.config.hosts import WILDCARDS, host_of_url, is_loopback

_URLS = (
    ("connection", "database", "database"),
    ("sql_connection", "DEFAULT", "database"),
    ("auth_url", "keystone_authtoken", "Keystone"),
    ("www_authenticate_uri", "keystone_authtoken", "Keystone"),
    ("auth_uri", "keystone_authtoken", "Keystone"),
    ("auth_uri", "clients_keystone", "Keystone"),
    ("auth_uri", "ec2authtoken", "Keystone"),
    ("auth_url", "ec2authtoken", "Keystone"),
    ("auth_url", "trustee", "Keystone"),
    ("heat_metadata_server_url", "DEFAULT", "CFN API"),
    ("heat_waitcondition_server_url", "DEFAULT", "CFN API"),
)
"""Option, its group, and the service whose URL it holds."""

_QUOTE = guide(
    "you have to update the loopback addresses found at the sql_connection and rabbit_host properties "
    "to the devstack server's IP, which must be reachable from the remote machine."
)


def _service_machine(subject: AuditedFiles) -> str | None:
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
            return remote[0] if len(remote) == 1 else None
    return None


def _remote_confs(subject: AuditedFiles, service_machine: str | None) -> Iterator[HeatProcessConf]:
    """The Heat files of machines other than that of the database and the broker."""
    machines = {index: host for index, host in subject.machines.items() if not is_loopback(host)}
    known = {*machines.values()} | ({service_machine} if service_machine else set())
    if len(known) < 2:
        return  # according to the files everything is on one machine, where loopback is correct
    for index, conf in enumerate(subject.heat):
        if index in machines and machines[index] != service_machine:
            yield conf


@rule(
    "A3-loopback-service",
    Severity.ERROR,
    remedy="use the address of the machine where the service runs",
    quote=_QUOTE,
)
def loopback_service(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """No machine uses its own loopback address for a service of another machine."""
    address = _service_machine(subject)
    for conf in _remote_confs(subject, address):
        for key, group, service in _URLS:
            value = conf.get(key, group)
            host = host_of_url(value.text) if value else ""
            if value is None or not is_loopback(host):
                continue
            url = value.entry.raw.replace(host, address, 1) if address else None
            yield rule.finding(
                at(value.entry),
                conf.host,
                f"{key} has the host {host}: the {service} of the machine itself",
                f"Heat on {conf.host} finds no {service} there, or another one than the other machines use",
                [set_option(conf, group, key, url)] if url else (),
            )


@rule(
    "A3-loopback-broker",
    Severity.ERROR,
    remedy="use the address of the machine where RabbitMQ runs",
    quote=_QUOTE,
)
def loopback_broker(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """No machine uses its own loopback address for the broker of another machine."""
    address = _service_machine(subject)
    for conf in _remote_confs(subject, address):
        transport = conf.transport
        value = transport.value
        hosts = [node.host for node in transport.hosts if is_loopback(node.host)]
        if not hosts:
            continue
        setting = (
            f"{value.entry.key} has the host {hosts[0]}" if value else "no broker is set, so localhost"
        )
        yield rule.finding(
            at_option(conf, value),
            conf.host,
            f"{setting}: the RabbitMQ of the machine itself",
            f"the engines and APIs of {conf.host} have a queue of their own or none; no other engine "
            "answers the calls sent there",
            _with_broker_host(conf, hosts[0], address),
        )


def _with_broker_host(conf: HeatProcessConf, host: str, address: str | None) -> list[Change]:
    value = conf.transport.value
    if not value or not address or not (conf.transport.old or value.entry.key == "transport_url"):
        return []
    raw = value.entry.raw.replace(host, address, 1)
    return [set_option(conf, value.entry.group, value.entry.key, raw)] if raw != value.entry.raw else []
