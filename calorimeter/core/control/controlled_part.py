"""`[[parts]]` of a deployment file: a process or a host, and the commands that its owner allows on it."""

from __future__ import annotations

from typing import Literal, get_args

from calorimeter.core.toml import Model, Name

FurtherFault = Literal[
    "unreachable", "slow", "errors", "refuse-checks", "cut-off", "deaf", "mute", "partitioned"
]
"""Faults with commands in `[parts.faults.…]`; `kill`, `freeze` and so on are keys of the part itself."""

PartKind = Literal["rest", "cfn", "engine", "proxy", "keepalived", "broker", "host"]
"""What a part is: an API, an engine, HAProxy, keepalived, RabbitMQ, or a whole machine."""

KINDS: tuple[PartKind, ...] = get_args(PartKind)
APIS: tuple[PartKind, ...] = ("rest", "cfn")


class Injection(Model):
    """The commands for one fault: `inject` causes it; `heal` ends it, and may run repeatedly."""

    inject: str
    heal: str


class Part(Model):
    """One process or host, and the commands that its owner allows on it. Each runs with `sh -c`.

    `kill` crashes the part (SIGKILL), `stop` stops it cleanly, `start` starts it after either. `freeze`
    pauses it, `thaw` continues it. `drain` takes it out of the proxy, `undrain` puts it back. `sockets`
    prints its host's socket table (`ss -tanoe`), `addresses` its host's addresses (`ip -o address`).
    `proxy` names the proxy that a host carries or a keepalived watches. `start`, `thaw` and `undrain` may
    run repeatedly. `faults` has further faults: packets to and from the part are dropped (`unreachable`),
    or only those to it (`deaf`) or from it (`mute`); its answers are delayed (`slow`); every answer is a
    5xx (`errors`); it refuses health checks only (`refuse-checks`); it loses its connection to RabbitMQ
    (`cut-off`); a node of a cluster of brokers loses all others (`partitioned`).

    A command that is not given is not allowed, unless `[control]` writes it (`control = false`: it does
    not). `host` is the machine that `[control]` reaches the part on, `service` its systemd unit or
    container.
    """

    name: str
    kind: PartKind
    host: Name | None = None
    service: Name | None = None
    control: bool = True
    kill: str | None = None
    stop: str | None = None
    start: str | None = None
    freeze: str | None = None
    thaw: str | None = None
    drain: str | None = None
    undrain: str | None = None
    sockets: str | None = None
    addresses: str | None = None
    proxy: str | None = None
    faults: dict[FurtherFault, Injection] = {}
