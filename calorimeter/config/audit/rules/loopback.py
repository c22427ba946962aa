"""A3: no machine looks for a service of another machine on itself."""

from __future__ import annotations

from collections.abc import Iterator

from calorimeter.config.audit.changes import group_place, of, option
from calorimeter.config.audit.model import Change, Problem, Rule, Severity, guide
from calorimeter.config.audit.subject import Subject
from calorimeter.config.heat import heat_conf
from calorimeter.config.heat.heat_conf import WILDCARDS, HeatConf

_LOOPBACK = (
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


def _home(subject: Subject) -> str | None:
    """The machine that the others point at for their database or broker, where they agree."""
    hosts = set()
    for conf in subject.heat:
        hosts |= {host.host for host in conf.transport.hosts if not heat_conf.loopback(host.host)}
        if conf.database and not heat_conf.loopback(heat_conf.host_of(conf.database.text)):
            hosts.add(heat_conf.host_of(conf.database.text))
    fronts = {b.host for _, _, s in subject.services for b in s.front.binds if b.host not in WILDCARDS}
    fronts = {host for host in fronts if not heat_conf.loopback(host)}
    candidates = hosts or fronts
    return candidates.pop() if len(candidates) == 1 else None


def _remote(subject: Subject) -> Iterator[HeatConf]:
    """The Heat files of machines that are not the one with the database and the broker."""
    home = _home(subject)
    machines = {place: host for place, host in subject.machines.items() if not heat_conf.loopback(host)}
    known = {*machines.values()} | ({home} if home else set())
    if len(known) < 2:
        return  # all on one machine, as far as the files tell: loopback is right there
    for place, conf in enumerate(subject.heat):
        if place in machines and machines[place] != home:
            yield conf


def _loopback_service(subject: Subject) -> Iterator[Problem]:
    home = _home(subject)
    for conf in _remote(subject):
        for key, group, what in _LOOPBACK:
            value = conf.get(key, group)
            host = heat_conf.host_of(value.text) if value else ""
            if value is None or not heat_conf.loopback(host):
                continue
            there = value.entry.raw.replace(host, home, 1) if home else None
            yield Problem(
                of(value.entry),
                conf.host,
                f"{key} names {host}: the {what} of the machine itself",
                f"Heat on {conf.host} finds no {what} there, or another one than the other machines use",
                (option(conf, group, key, there),) if there else (),
            )


LOOPBACK_SERVICE = Rule(
    "A3-loopback-service",
    Severity.ERROR,
    "No machine looks for a service of another machine on itself",
    "name the address of the machine where the service runs",
    guide(
        "you have to update the loopback addresses found at the sql_connection and rabbit_host properties "
        "to the devstack server's IP, which must be reachable from the remote machine."
    ),
    _loopback_service,
)


def _loopback_broker(subject: Subject) -> Iterator[Problem]:
    home = _home(subject)
    for conf in _remote(subject):
        transport = conf.transport
        hosts = [host.host for host in transport.hosts if heat_conf.loopback(host.host)]
        if not hosts:
            continue
        value = transport.value
        changes: tuple[Change, ...] = ()
        if value and home and (transport.old or value.entry.key == "transport_url"):
            raw = value.entry.raw.replace(hosts[0], home, 1)
            changed = option(conf, value.entry.group, value.entry.key, raw)
            changes = (changed,) if raw != value.entry.raw else ()
        says = f"{value.entry.key} names {hosts[0]}" if value else "no broker is named: localhost is taken"
        yield Problem(
            of(value.entry) if value else group_place(conf),
            conf.host,
            f"{says}: the RabbitMQ of the machine itself",
            f"the engines and APIs of {conf.host} are on a queue of their own or on none; calls that they "
            "take are answered by no other engine",
            changes,
        )


LOOPBACK_BROKER = Rule(
    "A3-loopback-broker",
    Severity.ERROR,
    "No machine looks for the broker of another machine on itself",
    "name the address of the machine where RabbitMQ runs",
    guide(
        "you have to update the loopback addresses found at the sql_connection and rabbit_host properties "
        "to the devstack server's IP, which must be reachable from the remote machine."
    ),
    _loopback_broker,
)

RULES = (LOOPBACK_SERVICE, LOOPBACK_BROKER)
