"""How each part of a lab comes up, and which parts must serve before it is started.

The order of a bring-up follows from this table alone: a part is started as soon as all parts that it needs
serve. Parts that need none of the others start at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from threading import Event
from typing import Protocol

from calorimeter.lab import database_template
from calorimeter.lab.daemons import (
    haproxy,
    heat,
    keepalived,
    keystone,
    mariadb,
    memcached,
    messaging,
    rabbitmq,
)
from calorimeter.lab.daemons.daemon import Daemon
from calorimeter.lab.lab_state import Lab

Prepare = Callable[[Lab, Event | None], None]
"""Writes a part's files; ends early with `CancelledError` once the event is set."""


class PartKind(Protocol):
    """A module of daemons of which a lab has several."""

    def prepare(self, lab: Lab, part: str) -> None:
        """Write the files of a part."""

    def daemon(self, lab: Lab, part: str) -> Daemon:
        """The daemon of a part."""


@dataclass(frozen=True, slots=True)
class PartStart:
    """How one part comes up: `prepare` writes its files, and no other part must serve for that.

    `needs`: the parts that must serve before the daemon is started. `check` looks at the part once it
    serves, before parts that need it are started; it raises `InputError` if the lab cannot use it.
    `in_turn`: it loads for seconds on one core, which would slow down the brokers, for which others wait.
    While they start, it waits for its turn, in the order of the plan; they have a core of their own.
    """

    part: str
    daemon: Callable[[Lab], Daemon]
    prepare: Prepare = lambda lab, cancel: None
    needs: tuple[str, ...] = ()
    in_turn: bool = False
    check: Callable[[Lab], None] = lambda lab: None


def plan(lab: Lab) -> dict[str, PartStart]:
    """All parts of the lab, by name, in the order of their turns."""
    topology = lab.topology
    brokers = topology.broker_parts
    # An engine repeats its first connection to the broker, after 1 s, 3 s, 5 s and so on. A single broker
    # serves before the engine has loaded its plugins; a cluster needs longer.
    early = len(brokers) == 1 and topology.messaging != "recommended"
    engine_needs = ("mariadb",) if early else ("mariadb", *brokers)
    apis = (*topology.rest_parts, *topology.cfn_parts)
    starts = (
        *(replace(_of(rabbitmq, part), check=messaging.check_broker) for part in brokers),
        PartStart("mariadb", mariadb.daemon, database_template.prepare),
        PartStart("memcached", memcached.daemon),
        PartStart(
            "keystone", keystone.daemon, _writes(keystone.prepare), ("mariadb", "memcached"), in_turn=True
        ),
        # They connect to all others with the first request.
        *(_of(heat, part, in_turn=True) for part in apis),
        *(_of(heat, part, *engine_needs, in_turn=True) for part in topology.engine_parts),
        # Its health checks would find APIs that do not serve yet, and wait before they look again.
        *(_of(haproxy, part, *apis) for part in topology.proxy_parts),
        # One after the other, so that the first proxy has the address.
        *(
            _of(keepalived, part, *topology.proxy_parts, *topology.keepalived_parts[:number])
            for number, part in enumerate(topology.keepalived_parts)
        ),
    )
    return {start.part: start for start in starts}


def _writes(prepare: Callable[[Lab], None]) -> Prepare:
    """A preparation that takes no time worth cancelling."""
    return lambda lab, cancel: prepare(lab)


def _of(kind: PartKind, part: str, *needs: str, in_turn: bool = False) -> PartStart:
    """A part of such a kind."""
    return PartStart(
        part, partial(kind.daemon, part=part), _writes(partial(kind.prepare, part=part)), needs, in_turn
    )
