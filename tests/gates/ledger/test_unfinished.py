"""Literal traces of unfinished work of a crashed engine, and L3's verdict on it."""

from __future__ import annotations

from calorimeter.core.verdict import Judgement, Outcome
from calorimeter.gates.clients.stack_records import StackRecord
from calorimeter.gates.evidence.rpc_message import Delivery
from calorimeter.gates.ledger.accounting import Crash, all_accounted_for
from calorimeter.gates.ledger.unfinished import unfinished
from tests.gates.ledger.test_accounting import ENGINE, evidence
from tests.gates.stack_bursts import record

VICTIM, OTHER = "c3", "c1"
LEAVES = 3
REQUEST = "req-create-10"


def event(kind: str, connection: str, **more: object) -> Delivery:
    """One event of the trace."""
    fields: dict[str, object] = {
        "seq": 0,
        "t_ns": 0,
        "kind": kind,
        "queue": "",
        "exchange": "heat",
        "routing_keys": (),
        "routed": (),
        "connection": connection,
        "channel": 1,
        "redelivered": False,
    }
    return Delivery.model_validate(fields | more)


def create(connection: str = VICTIM) -> Delivery:
    """The create of the stack, delivered to an engine."""
    return event(
        "deliver", connection, queue="engine", method="create_stack", request_id=REQUEST, msg_id="m"
    )


def reply() -> Delivery:
    """The answer to it: a reply contains only the call's id."""
    return event("publish", "pooled", reply=True, msg_id="m")


def work(connection: str = VICTIM) -> Delivery:
    """A resource of the stack, delivered to an engine."""
    return event("deliver", connection, queue="engine_worker", method="check_resource", request_id=REQUEST)


def cast(connection: str = "publisher") -> Delivery:
    """The next resource of the stack, published by an engine."""
    routed = ("engine_worker",)
    return event("publish", connection, routed=routed, method="check_resource", request_id=REQUEST)


def held(*events: Delivery) -> tuple[str, ...]:
    """The victim's unfinished requests; it publishes by a connection of its own."""
    return unfinished(events, {f"{VICTIM}#1"}, {VICTIM, "publisher"}, LEAVES)


def all_of(stuck: StackRecord, crash: Crash) -> Judgement:
    """L3's verdict on one stuck stack beside ten complete ones."""
    return all_accounted_for(evidence(stuck, crashes=(crash,)))


def test_call_without_a_reply_is_unfinished() -> None:
    """Even if it had begun the work."""
    assert held(create(), cast(), cast(), cast()) == (REQUEST,)
    assert held(create(), cast(), cast(), cast(), reply()) == ()


def test_answered_create_is_finished_once_its_work_is_published() -> None:
    """Heat answers a create first and converges the stack in a thread of its own."""
    assert held(create(), reply()) == (REQUEST,)
    assert held(create(), reply(), cast(), cast()) == (REQUEST,)
    assert held(create(), reply(), cast(), cast(), cast("another engine's")) == (REQUEST,)


def test_work_is_finished_once_the_next_is_published() -> None:
    """One publish for each delivery; if there are fewer, any delivery may be the unfinished one."""
    assert held(work()) == (REQUEST,)
    assert held(work(), cast()) == ()
    assert held(cast(), work()) == ()
    assert held(work(), work(), cast()) == (REQUEST,)
    assert held(create(), cast(), work(), reply(), cast(), cast()) == (REQUEST,)


def test_work_of_other_engines_does_not_count() -> None:
    """Neither their deliveries nor their publishes."""
    assert held(create(OTHER), work(OTHER)) == ()
    assert held(work(), cast(OTHER)) == (REQUEST,)


def test_engine_started_in_the_victims_place_finishes_nothing_of_its_work() -> None:
    """In a container it may have the same process id and address."""
    events = [work().model_copy(update={"seq": 1}), cast().model_copy(update={"seq": 7})]
    assert unfinished(events, {f"{VICTIM}#1"}, {VICTIM, "publisher"}, LEAVES, gone=7) == (REQUEST,)
    assert unfinished(events, {f"{VICTIM}#1"}, {VICTIM, "publisher"}, LEAVES, gone=8) == ()


def test_stuck_stack_whose_work_the_victim_had_finished_is_unaccounted_for() -> None:
    """A finished message excuses nothing; an unfinished one makes a loss by name."""
    stuck = record(10, "CREATE_IN_PROGRESS")
    done = ENGINE.model_copy(update={"held": held(work(), cast(), work(OTHER))})
    judgement = all_of(stuck, done)
    assert judgement.outcome is Outcome.FAIL
    assert "no crashed engine held it" in judgement.counter_examples[0]
    assert judgement.figures["in_flight_at_engine-3"] == 0
    open_ = ENGINE.model_copy(update={"held": held(work(), cast(), work())})
    judgement = all_of(stuck, open_)
    assert judgement.outcome is Outcome.PASS
    assert judgement.figures["in_flight_at_engine-3"] == 1
    assert "stack-10 was lost with engine-3" in judgement.why
