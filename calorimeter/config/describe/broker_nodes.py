"""Describes the broker: the nodes of `transport_url`."""

from __future__ import annotations

from collections import Counter

from calorimeter.config.audit.subject import AuditedFiles
from calorimeter.config.describe.gathered import Gathered
from calorimeter.config.describe.owner_answers import Answers
from calorimeter.config.heat.transport_url import Transport
from calorimeter.config.hosts import host_port, is_loopback
from calorimeter.core.broker_table import Broker, BrokerNode, paired

MANAGEMENT_PORT = 15672
"""RabbitMQ's default of `management.tcp.port`."""


def broker(subject: AuditedFiles, answers: Answers, gathered: Gathered) -> Broker | None:
    """The broker that the Heat files use; None if no file sets one."""
    transports = [(index, conf.transport) for index, conf in enumerate(subject.heat)]
    named = [(index, each) for index, each in transports if each.value and each.hosts]
    if not named:
        if subject.heat:
            fault = next((each.fault for _, each in transports if each.fault), None)
            what = f"transport_url {fault}" if fault else "no transport_url names a host"
            what = f"RabbitMQ: {what}"
            gathered.lacks("broker", what, "transport_url in heat.conf")
        return None
    # On the broker's own machine the file may name localhost; those of other machines have the address.
    remote = [pair for pair in named if not is_loopback(pair[1].hosts[0].host)]
    usual, _ = Counter(each.hosts for _, each in remote or named).most_common(1)[0]
    index, transport = next(pair for pair in remote or named if pair[1].hosts == usual)
    hosts = [_address(subject, index, node.host) for node in transport.hosts]
    if not answers.management_urls:
        gathered.lacks(
            "broker.management",
            "RabbitMQ's management API (often at port 15672)",
            " ".join(f"--management-url http://{host_port(host, MANAGEMENT_PORT)}" for host in hosts),
        )
    first = transport.hosts[0]
    amqp = [_url(transport, host, node.port) for host, node in zip(hosts, usual, strict=True)]
    return Broker(
        nodes=tuple(BrokerNode(**node) for node in paired(amqp, answers.management_urls)),
        user=first.user,
        password=gathered.secret("broker_password", first.password),
        vhost=transport.vhost,
    )


def _url(transport: Transport, host: str, port: int) -> str:
    return f"{'amqps' if transport.tls else 'amqp'}://{host_port(host, port)}"


def _address(subject: AuditedFiles, index: int, host: str) -> str:
    """The address of a node; for loopback that of the machine of the Heat file `index`, if it is known."""
    return subject.machines.get(index, host) if is_loopback(host) else host
