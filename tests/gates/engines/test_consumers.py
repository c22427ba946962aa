"""Golden evidence of E1: consumers as described, strangers, engines that are not there."""

from __future__ import annotations

from calorimeter.core.verdict import Outcome
from calorimeter.gates.engines.consumers import (
    ConsumerRoster,
    Consuming,
    Service,
    as_described,
    why_not_breakable,
)

HOSTS = ("engine-1", "engine-2")


def consumers(*hosts: str) -> dict[str, tuple[Consuming, ...]]:
    """One consumer on each queue for each host; the engine id is `id-HOST`."""
    return {
        "engine": tuple(Consuming(id=h, name=h, role="heat-engine", server=h) for h in hosts),
        "engine_worker": tuple(
            Consuming(id=f"w-{h}", name=h, role="heat-engine", server=f"id-{h}") for h in hosts
        ),
    }


def evidence(**changes: object) -> ConsumerRoster:
    """Two engines with one worker each, all well."""
    fields: dict[str, object] = {
        "described": HOSTS,
        "workers": 1,
        "expected_queues": ("engine", "engine_worker"),
        "queues": ("engine", "engine_worker"),
        "consumers": consumers(*HOSTS),
        "services": tuple(Service(engine_id=f"id-{h}", host=h, up=True) for h in HOSTS),
    }
    return ConsumerRoster.model_validate(fields | changes)


def test_consumers_as_described_pass() -> None:
    """One consumer of each described engine on each queue, and a table that agrees."""
    judgement = as_described(evidence())
    assert judgement.outcome is Outcome.PASS
    assert judgement.figures["consumers_engine"] == 2


def test_missing_engine_fails_and_is_named_with_what_the_table_says() -> None:
    """An engine on another broker has no consumer here, while Heat's table has it as up."""
    judgement = as_described(evidence(consumers=consumers("engine-1")))
    assert judgement.outcome is Outcome.FAIL
    assert judgement.counter_examples == (
        "engine-2 has 0 consumers on engine, 1 described; the service table lists 1 of it as up",
    )


def test_too_many_workers_fail() -> None:
    """Three consumers of one host are not the one that is described."""
    judgement = as_described(evidence(consumers=consumers("engine-1", "engine-1", "engine-1", "engine-2")))
    assert judgement.outcome is Outcome.FAIL
    assert judgement.counter_examples[0].startswith("engine-1 has 3 consumers on engine, 1 described")


def test_engine_that_is_not_described_fails() -> None:
    """An engine of another host is named."""
    judgement = as_described(evidence(consumers=consumers(*HOSTS, "engine-9")))
    assert "engine-9 consumes from engine and is not described" in judgement.counter_examples


def test_stranger_fails() -> None:
    """Who is no heat-engine is a stranger, and so is who calls itself one but has no queue of its own."""
    mine = consumers(*HOSTS)
    for stranger in (
        Consuming(id="s", name="pika@10.0.0.9", role=None, server=None),
        Consuming(id="s", name="pika@10.0.0.9", role="heat-engine", server=None),
    ):
        judgement = as_described(evidence(consumers={**mine, "engine": (*mine["engine"], stranger)}))
        assert judgement.outcome is Outcome.FAIL
        assert judgement.counter_examples == ("a stranger consumes from engine: pika@10.0.0.9",)


UNLISTED = Consuming(
    id="u", name="unlisted (c, channel 1)", role=None, server="engine-2", prefetch=0, listed=False
)


def test_consumer_whose_connection_is_not_listed_is_unknown() -> None:
    """Neither is it called a stranger, nor is the engine missed that it may be."""
    mine = consumers("engine-1")
    judgement = as_described(evidence(consumers={**mine, "engine": (*mine["engine"], UNLISTED)}))
    assert judgement.outcome is Outcome.INCONCLUSIVE
    assert judgement.why.endswith("does not list their connection: unlisted (c, channel 1) on engine")


def test_stranger_beside_an_unknown_consumer_fails() -> None:
    """Who is known to be a stranger is one, whoever the other is."""
    stranger = Consuming(id="s", name="pika@10.0.0.9", role=None, server=None)
    mine = consumers(*HOSTS)
    judgement = as_described(evidence(consumers={**mine, "engine": (*mine["engine"], UNLISTED, stranger)}))
    assert judgement.outcome is Outcome.FAIL
    assert judgement.counter_examples == ("a stranger consumes from engine: pika@10.0.0.9",)


def test_missing_queue_fails() -> None:
    """A queue that is not there is the first thing said."""
    judgement = as_described(evidence(queues=("engine",)))
    assert judgement.counter_examples[0] == "there is no queue engine_worker"


def test_consumer_that_the_table_has_as_down_fails() -> None:
    """Service table and consumers must agree."""
    services = (
        Service(engine_id="id-engine-1", host="engine-1", up=True),
        Service(engine_id="id-engine-2", host="engine-2", up=False),
    )
    judgement = as_described(evidence(services=services))
    assert judgement.outcome is Outcome.FAIL
    assert "the service table does not list it as up" in judgement.counter_examples[0]


def test_entry_of_an_engine_that_was_restarted_is_counted_only() -> None:
    """The table keeps a crashed process as up for two report intervals: that refutes nothing."""
    services = (*evidence().services, Service(engine_id="id-old", host="engine-2", up=True))  # type: ignore[misc]
    judgement = as_described(evidence(services=services))
    assert judgement.outcome is Outcome.PASS
    assert judgement.figures["services_not_yet_down"] == 1


def test_unread_service_table_is_inconclusive() -> None:
    """Without the table nothing agrees with it."""
    judgement = as_described(evidence(services=None, services_unread="user 'x' may not list services"))
    assert judgement.outcome is Outcome.INCONCLUSIVE
    assert "may not list services" in judgement.why


def test_engine_with_a_prefetch_of_its_own_fails() -> None:
    """A limit that the others do not have makes it lose turns under load."""
    mine = consumers("engine-1", "engine-2", "engine-3")
    odd = mine["engine"][2].model_copy(update={"prefetch": 1})
    judgement = as_described(evidence(consumers={**mine, "engine": (*mine["engine"][:2], odd)}))
    assert judgement.outcome is Outcome.FAIL
    assert any("with a prefetch of 1, others with 0" in each for each in judgement.counter_examples)


def test_fault_of_an_engine_that_consumes_nothing_would_show_nothing() -> None:
    """One on another vhost, or that died: it is named before anything is broken, and so is E1."""
    assert why_not_breakable(consumers(*HOSTS), HOSTS) is None
    assert why_not_breakable(consumers("engine-1"), ("engine-1",)) is None
    why = why_not_breakable(consumers("engine-1"), HOSTS)
    assert why is not None
    assert why.startswith("engine-2 does not consume from engine, so its fault would have no effect")
    assert why.endswith("see gate E1")


def test_with_a_stranger_nothing_can_be_laid_to_a_fault() -> None:
    """On either queue; one whose connection the broker does not list is not called a stranger."""
    stranger = Consuming(id="s", name="unnamed@10.0.0.9", role=None, server=None)
    for queue in ("engine", "engine_worker"):
        found = consumers(*HOSTS)
        found[queue] = (*found[queue], stranger)
        why = why_not_breakable(found, HOSTS[:1])
        assert why is not None
        assert why.startswith(f"a stranger consumes from {queue}: unnamed@10.0.0.9; ")
        assert why.endswith("see gate E1")
        found[queue] = (*found[queue][:-1], stranger.model_copy(update={"listed": False}))
        assert why_not_breakable(found, HOSTS[:1]) is None
