"""A broker, a Heat client and a fault injector for experiments without a lab."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

from calorimeter.core.deployment import Deployment
from calorimeter.core.engine_groups import EngineGroup
from calorimeter.core.faults.schedule import FaultCommands
from calorimeter.core.faults.shell_command import CommandResult
from calorimeter.gates.clients.calls import HeatCall
from calorimeter.gates.context import Context, Settings
from calorimeter.gates.engines.liveness_watch import LivenessWatch
from calorimeter.gates.engines.traced_calls import BrokerTrace
from calorimeter.gates.evidence.broker_api import BrokerApi
from calorimeter.gates.evidence.broker_records import (
    BrokerConnection,
    BrokerConsumer,
    EngineConsumer,
    Queue,
    join_consumers,
)
from calorimeter.gates.evidence.firehose import Firehose
from calorimeter.gates.evidence.rpc_message import Delivery

UUID = "00000000-0000-0000-0000-000000000000"

OWN_HOSTS = (EngineGroup(hosts=("engine-1", "engine-2")),)
"""Two engines, each alone on its host."""


@dataclass(frozen=True)
class Engine:
    """An engine process; `peer` is the address that it reaches the broker from."""

    host: str
    pid: int
    connection: str
    peer: str = ""

    def consumers(self) -> Iterator[BrokerConsumer]:
        """Its consumers on both topics, and on its own queue of each."""
        queues = ("engine", f"engine.{self.host}"), ("engine_worker", f"engine_worker.id-{self.connection}")
        for channel, names in enumerate(queues, 1):
            for queue in names:
                yield BrokerConsumer(
                    queue=queue, tag=queue, connection=self.work if channel == 2 else self.connection,
                    channel=channel, prefetch=0, acknowledges=True, exclusive=False, user="heat",
                )  # fmt: skip

    @property
    def work(self) -> str:
        """The name of its connection for `engine_worker`."""
        return f"{self.connection}-work"

    def connections(self) -> Iterator[BrokerConnection]:
        """Its two connections."""
        for name in (self.connection, self.work):
            yield BrokerConnection(
                name=name, peer_host=self.peer or self.host, peer_port=1, user="heat", state="running",
                given_name=f"heat-engine:{self.pid}:{UUID}", product="py-amqp",
            )  # fmt: skip


@dataclass
class FakeBroker:
    """The management API: these engines consume, and its counter reads `counts`, one per poll, the last
    for ever. `on_poll` is called at each poll."""

    engines: list[Engine] = field(default_factory=list)
    counts: list[int | None] = field(default_factory=lambda: [None])
    polls: int = 0
    on_poll: Callable[[], None] = lambda: None
    where: str = "broker"

    def connections(self) -> tuple[BrokerConnection, ...]:
        """The connections of all engines."""
        return tuple(c for engine in self.engines for c in engine.connections())

    def settled(self) -> tuple[tuple[BrokerConsumer, ...], tuple[BrokerConnection, ...]]:
        """All consumers and connections."""
        return tuple(c for engine in self.engines for c in engine.consumers()), self.connections()

    def engine_consumers(self, topic: str) -> tuple[EngineConsumer, ...]:
        """The consumers of a topic."""
        return join_consumers(topic, *self.settled())

    def queue(self, name: str) -> Queue:
        """A queue, with the next count of deliveries."""
        count = self.counts[min(self.polls, len(self.counts) - 1)]
        self.polls += 1
        self.on_poll()
        return Queue(
            name=name, type="classic", state="running", durable=False, ready=0, unacked=0, consumers=0,
            delivered=count, redelivered=0,
        )  # fmt: skip


@dataclass
class FakeFirehose:
    """A recorded trace."""

    events: list[Delivery] = field(default_factory=list)
    why_incomplete: str | None = None
    where: str = "trace"

    def settle(self) -> None:
        """Everything is here."""

    def since(self, number: int) -> tuple[Delivery, ...]:
        """The events from this number on."""
        return tuple(self.events[number:])

    def deliveries(self) -> tuple[Delivery, ...]:
        """All events."""
        return tuple(self.events)

    def __len__(self) -> int:
        return len(self.events)


class FakeLiveness:
    """A liveness watch; `problem` is what has gone away."""

    def __init__(self) -> None:
        self.problem: Exception | None = None

    def exclude(self, names: object) -> None:
        """Nothing is watched."""

    def check(self) -> None:
        """Raise the problem, if there is one."""
        if self.problem:
            raise self.problem


def broker_trace(context: Context, broker: FakeBroker, firehose: FakeFirehose | None = None) -> BrokerTrace:
    """A trace of that broker."""
    return BrokerTrace(
        context,
        cast("BrokerApi", broker),
        cast("Firehose", FakeFirehose() if firehose is None else firehose),
        {},
        cast("LivenessWatch", FakeLiveness()),
        {},
    )


class FakeClient:
    """A Heat that answers every call at once, and whose stacks are never listed."""

    speaks_cfn = False

    def __init__(self, _: Context) -> None:
        pass

    def call(self, operation: str, *_: object) -> tuple[HeatCall, Any]:
        """One call and its answer."""
        now = time.time_ns()
        call = HeatCall(operation=operation, request_id="req", sent_ns=now, done_ns=now, status=200)
        return call, {"stack": {"id": "i"}, "stacks": []}

    def list_stacks(self) -> HeatCall:
        """One call."""
        return self.call("list")[0]

    list_refused = list_stacks


class FakeInjector:
    """A fault injector that records what it does; `on_inject` is called after each fault."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.on_inject = lambda: None

    def inject(self, commands: FaultCommands) -> CommandResult:
        """Inject a fault."""
        self.done.append(f"{commands.fault} {commands.part}")
        self.on_inject()
        return self._ended()

    def heal(self, commands: FaultCommands) -> CommandResult:
        """End a fault."""
        self.done.append(f"heal {commands.part}")
        return self._ended()

    def heal_all(self) -> None:
        """End all faults."""
        self.done.append("heal all")

    @staticmethod
    def _ended() -> CommandResult:
        return CommandResult(began_ns=time.time_ns(), ended_ns=time.time_ns(), at_ns=None)


class FakeContext(Context):
    """A context of these engines, two engines' parts and one API, with an injector that breaks nothing."""

    def __init__(self, groups: tuple[EngineGroup, ...] = OWN_HOSTS) -> None:
        self.fake_injector = FakeInjector()
        commands = dict.fromkeys(("kill", "start", "stop", "freeze", "thaw"), "true")
        api = {
            "url": "http://127.0.0.1:1/v1",
            "proxy_section": "rest",
            "backends": [{"name": "rest-1", "address": "127.0.0.1:2"}],
        }
        described = Deployment.model_validate(
            {
                "name": "cloud",
                "rest": api,
                "broker": {
                    "nodes": [{"amqp": "amqp://127.0.0.1:3", "management": "http://127.0.0.1:4"}],
                    "user": "heat",
                    "password": {"env": "UNUSED"},
                    "statistics_lag_s": 0.001,
                },
                "engines": groups,
                "parts": [{"name": f"engine-{n}", "kind": "engine", **commands} for n in (1, 2)],
                "expect": {"rpc_timeout_s": 1.0},
            },
            strict=False,
        )
        super().__init__(described, Settings())

    @property
    def injector(self) -> Any:
        """The fake injector."""
        return self.fake_injector


@contextmanager
def joined_requests(*_: object) -> Iterator[object]:
    """A joiner that is never asked."""
    yield SimpleNamespace()
