"""Literal evidence of E1: consumers as described, strangers, missing engines."""

from __future__ import annotations

import pytest

from calorimeter.core.verdict import Outcome
from calorimeter.gates.engines.consumers import (
    ConsumerRoster,
    RosterConsumer,
    ServiceEntry,
    as_described,
    why_not_breakable,
)

HOSTS = ("engine-1", "engine-2")
OWN = {host: (host,) for host in HOSTS}
"""Parts with a host of their own name."""
ALONE = dict.fromkeys(HOSTS, (1,))


def consumers(*hosts: str) -> dict[str, tuple[RosterConsumer, ...]]:
    """One consumer on each queue for each host; the engine id is `id-HOST`."""
    return {
        "engine": tuple(RosterConsumer(id=h, name=h, role="heat-engine", server=h) for h in hosts),
        "engine_worker": tuple(
            RosterConsumer(id=f"w-{h}", name=h, role="heat-engine", server=f"id-{h}") for h in hosts
        ),
    }


def evidence(**changes: object) -> ConsumerRoster:
    """Two engines with one worker each, as described."""
    fields: dict[str, object] = {
        "described": dict.fromkeys(HOSTS, 1),
        "expected_queues": ("engine", "engine_worker"),
        "queues": ("engine", "engine_worker"),
        "consumers": consumers(*HOSTS),
        "services": tuple(ServiceEntry(engine_id=f"id-{h}", host=h, up=True) for h in HOSTS),
    }
    return ConsumerRoster.model_validate(fields | changes)


def test_consumers_as_described_pass() -> None:
    """One consumer of each described engine on each queue, and a table that agrees."""
    judgement = as_described(evidence())
    assert judgement.outcome is Outcome.PASS
    assert judgement.figures["consumers_engine"] == 2


def test_missing_engine_fails_and_is_named_with_its_entry_in_the_table() -> None:
    """An engine on another broker has no consumer here, although Heat's table lists it as up."""
    judgement = as_described(evidence(consumers=consumers("engine-1")))
    assert judgement.outcome is Outcome.FAIL
    assert judgement.counter_examples == (
        "engine-2 has 0 consumers on engine, 1 described; the service table lists 1 of it as up",
    )


def test_engine_with_an_empty_server_name_is_missing_but_no_stranger() -> None:
    """A queue named `engine.` gives an engine an empty server name: it is still an engine."""
    nobody = RosterConsumer(id="x", name="x", role="heat-engine", server="")
    nameless = consumers(*HOSTS) | {"engine": (nobody,)}
    judgement = as_described(evidence(consumers=nameless))
    assert judgement.outcome is Outcome.FAIL
    assert not [found for found in judgement.counter_examples if "stranger" in found]


def test_too_many_workers_fail() -> None:
    """One consumer is described, the host has three."""
    judgement = as_described(evidence(consumers=consumers("engine-1", "engine-1", "engine-1", "engine-2")))
    assert judgement.outcome is Outcome.FAIL
    assert judgement.counter_examples[0].startswith("engine-1 has 3 consumers on engine, 1 described")


def test_engine_that_is_not_described_fails() -> None:
    """An engine of another host is named."""
    judgement = as_described(evidence(consumers=consumers(*HOSTS, "engine-9")))
    assert "engine-9 consumes from engine, but is not described: engine-9" in judgement.counter_examples


def test_stranger_fails() -> None:
    """A process that is no heat-engine is a stranger, and so is a heat-engine without its own queue."""
    mine = consumers(*HOSTS)
    for stranger in (
        RosterConsumer(id="s", name="pika@10.0.0.9", role=None, server=None),
        RosterConsumer(id="s", name="pika@10.0.0.9", role="heat-engine", server=None),
    ):
        judgement = as_described(evidence(consumers={**mine, "engine": (*mine["engine"], stranger)}))
        assert judgement.outcome is Outcome.FAIL
        assert judgement.counter_examples == ("a stranger consumes from engine: pika@10.0.0.9",)


UNLISTED = RosterConsumer(
    id="u", name="unlisted (c, channel 1)", role=None, server="engine-2", prefetch=0, listed=False
)


def test_consumer_whose_connection_is_not_listed_is_unknown() -> None:
    """It is not called a stranger, and the engine that it may be is not reported as missing."""
    mine = consumers("engine-1")
    judgement = as_described(evidence(consumers={**mine, "engine": (*mine["engine"], UNLISTED)}))
    assert judgement.outcome is Outcome.INCONCLUSIVE
    assert judgement.why.endswith("does not list their connections: unlisted (c, channel 1) on engine")


def test_stranger_beside_an_unknown_consumer_fails() -> None:
    """A known stranger is FAIL beside an unknown consumer."""
    stranger = RosterConsumer(id="s", name="pika@10.0.0.9", role=None, server=None)
    mine = consumers(*HOSTS)
    judgement = as_described(evidence(consumers={**mine, "engine": (*mine["engine"], UNLISTED, stranger)}))
    assert judgement.outcome is Outcome.FAIL
    assert judgement.counter_examples == ("a stranger consumes from engine: pika@10.0.0.9",)


def test_missing_queue_fails() -> None:
    """A missing queue is reported first."""
    judgement = as_described(evidence(queues=("engine",)))
    assert judgement.counter_examples[0] == "there is no queue engine_worker"


def test_consumer_that_the_table_lists_as_down_fails() -> None:
    """Service table and consumers must agree."""
    services = (
        ServiceEntry(engine_id="id-engine-1", host="engine-1", up=True),
        ServiceEntry(engine_id="id-engine-2", host="engine-2", up=False),
    )
    judgement = as_described(evidence(services=services))
    assert judgement.outcome is Outcome.FAIL
    assert "the service table does not list it as up" in judgement.counter_examples[0]


def test_entry_of_an_engine_that_was_restarted_is_counted_only() -> None:
    """The table lists a crashed process as up for two report intervals: that refutes nothing."""
    services = (*evidence().services, ServiceEntry(engine_id="id-old", host="engine-2", up=True))  # type: ignore[misc]
    judgement = as_described(evidence(services=services))
    assert judgement.outcome is Outcome.PASS
    assert judgement.figures["services_not_yet_down"] == 1


def test_the_broker_decides_where_the_service_table_may_not_be_read() -> None:
    """A member of a project may not list services; the verdict says so in one sentence."""
    judgement = as_described(evidence(services=None, services_unread="user 'x' may not list services"))
    assert judgement.outcome is Outcome.PASS
    assert judgement.why.endswith("; the service table was not compared: user 'x' may not list services")
    assert judgement.figures["services_up"] is None


def test_engine_with_another_prefetch_fails() -> None:
    """A limit that the others do not have makes it lose turns under load."""
    mine = consumers("engine-1", "engine-2", "engine-3")
    odd = mine["engine"][2].model_copy(update={"prefetch": 1})
    judgement = as_described(evidence(consumers={**mine, "engine": (*mine["engine"][:2], odd)}))
    assert judgement.outcome is Outcome.FAIL
    assert any("with a prefetch of 1, others with 0" in each for each in judgement.counter_examples)


def test_engine_that_does_not_consume_is_not_breakable() -> None:
    """It is on another vhost or dead: the engine and gate E1 are named before anything is broken."""
    assert why_not_breakable(consumers(*HOSTS), OWN, ALONE) is None
    assert why_not_breakable(consumers("engine-1"), {"engine-1": ("engine-1",)}, ALONE) is None
    why = why_not_breakable(consumers("engine-1"), OWN, ALONE)
    assert why is not None
    assert why.startswith("engine-2 does not consume from engine, so its fault would have no effect")
    assert why.endswith("see gate E1")


def test_with_a_stranger_no_engine_is_breakable() -> None:
    """On either queue; a consumer without a listed connection is not called a stranger."""
    stranger = RosterConsumer(id="s", name="unnamed@10.0.0.9", role=None, server=None)
    for queue in ("engine", "engine_worker"):
        found = consumers(*HOSTS)
        found[queue] = (*found[queue], stranger)
        why = why_not_breakable(found, {"engine-1": ("engine-1",)}, ALONE)
        assert why is not None
        assert why.startswith(f"a stranger consumes from {queue}: unnamed@10.0.0.9; ")
        assert why.endswith("see gate E1")
        found[queue] = (*found[queue][:-1], stranger.model_copy(update={"listed": False}))
        assert why_not_breakable(found, {"engine-1": ("engine-1",)}, ALONE) is None


def shared(*pids: int) -> dict[str, tuple[RosterConsumer, ...]]:
    """One worker with each of these process ids, all under the host name `heat`."""
    return {
        topic: tuple(
            RosterConsumer(
                id=f"{topic}-{n}", name=f"heat-engine[{n}]@10.0.0.1", role="heat-engine",
                server=server.format(n),
            )
            for n in pids
        )
        for topic, server in (("engine", "heat"), ("engine_worker", "id-{}"))
    }  # fmt: skip


def shared_host(*pids: int) -> ConsumerRoster:
    """These workers consume; four are described, and Heat's table lists them all as up."""
    services = tuple(ServiceEntry(engine_id=f"id-{n}", host="heat", up=True) for n in pids)
    return evidence(described={"heat": 4}, consumers=shared(*pids), services=services)


def test_engines_that_share_a_host_name_are_counted_together() -> None:
    """Two heat-engine with two workers each under one name have four consumers."""
    judgement = as_described(shared_host(11, 12, 21, 22))
    assert judgement.outcome is Outcome.PASS
    assert "4 consumers each (4 of heat)" in judgement.why


@pytest.mark.parametrize("pids", [(11, 12), (11, 12, 21), (11, 12, 21, 22, 31)])
def test_more_or_fewer_engines_on_a_shared_host_fail(pids: tuple[int, ...]) -> None:
    """One of two processes is missing, one of its workers is, or there is one too many: all are named."""
    judgement = as_described(shared_host(*pids))
    assert judgement.outcome is Outcome.FAIL
    (wrong, *_) = judgement.counter_examples
    assert wrong.startswith(
        f"heat has {len(pids)} consumers on engine, 4 described; the service table lists {len(pids)} of it "
        "as up: heat-engine[11]@10.0.0.1, heat-engine[12]@10.0.0.1"
    )
    assert wrong.endswith(" and 1 more") == (len(pids) > 4)


def test_stranger_on_a_shared_host_fails() -> None:
    """A program of another kind consumes under the host's address: it is no engine, and named."""
    whole = shared(11, 12, 21, 22)
    stranger = RosterConsumer(id="s", name="pika[9]@10.0.0.1", role="pika", server="heat")
    found = {**whole, "engine": (*whole["engine"], stranger)}
    judgement = as_described(shared_host(11, 12, 21, 22).model_copy(update={"consumers": found}))
    assert judgement.counter_examples == ("a stranger consumes from engine: pika[9]@10.0.0.1",)


def test_engines_of_a_shared_host_are_breakable_if_all_consume() -> None:
    """A part may be either of two engines; with another number it is unknown what makes one engine."""
    hosts, described = {"unit-1": ("heat",)}, {"heat": (2, 2)}
    assert why_not_breakable(shared(11, 12, 21, 22), hosts, described) is None
    why = why_not_breakable(shared(11, 12), hosts, described)
    assert why == (
        "heat has 2 consumers on engine, 4 described, so it is unknown which of them make one engine and "
        "nothing was broken: see gate E1"
    )
    why = why_not_breakable(shared(), hosts, described)
    assert why is not None and why.startswith("unit-1 does not consume from engine")
    # An engine that is alone on its host has all consumers there, however many are described.
    assert why_not_breakable(shared(11, 12), hosts, {"heat": (1,)}) is None


def counted(**counts: int) -> ConsumerRoster:
    """Without the management API: numbers of consumers, as AMQP tells them."""
    return evidence(
        consumers={}, services=None, unlisted="broker management http://b cannot be reached", counts=counts
    )


def test_numbers_alone_do_not_show_who_consumes() -> None:
    """As many as described prove nothing: a stranger may be one of them."""
    judgement = as_described(counted(engine=2, engine_worker=2))
    assert judgement.outcome is Outcome.INCONCLUSIVE
    assert judgement.why == (
        "engine and engine_worker have 2 consumers each, as described, but which processes these are, with "
        "which prefetch, and whether a stranger is among them, is not known: broker management http://b "
        "cannot be reached"
    )


def test_another_number_than_described_is_a_finding() -> None:
    """However it was counted."""
    judgement = as_described(counted(engine=1, engine_worker=2))
    assert judgement.outcome is Outcome.FAIL
    assert judgement.why == "engine has 1 consumers, 2 described (counted over AMQP)"
    gone = counted(engine=2, engine_worker=2).model_copy(update={"queues": ("engine",)})
    assert as_described(gone).counter_examples == ("there is no queue engine_worker",)
