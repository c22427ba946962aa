"""Golden traces of what an engine had in hand when it crashed, and what L3 makes of it."""

from __future__ import annotations

from calorimeter.core.verdict import Judgement, Outcome
from calorimeter.gates.clients.stack_records import StackRecord
from calorimeter.gates.evidence.rpc_message import Delivery
from calorimeter.gates.ledger.accounting import Crash, all_accounted_for
from calorimeter.gates.ledger.unfinished import unfinished
from tests.gates.ledger.test_accounting import ENGINE, accounts
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
    """The create of the stack, handed to an engine."""
    return event(
        "deliver", connection, queue="engine", method="create_stack", request_id=REQUEST, msg_id="m"
    )


def reply() -> Delivery:
    """The answer to it: a reply bears nothing but the call's id."""
    return event("publish", "pooled", reply=True, msg_id="m")


def work(connection: str = VICTIM) -> Delivery:
    """A resource of the stack, handed to an engine."""
    return event("deliver", connection, queue="engine_worker", method="check_resource", request_id=REQUEST)


def cast(connection: str = "publisher") -> Delivery:
    """The next resource of the stack, handed on by an engine."""
    routed = ("engine_worker",)
    return event("publish", connection, routed=routed, method="check_resource", request_id=REQUEST)


def held(*events: Delivery) -> tuple[str, ...]:
    """What the victim had not finished; it publishes by a connection of its own."""
    return unfinished(events, {f"{VICTIM}#1"}, {VICTIM, "publisher"}, LEAVES)


def all_of(stuck: StackRecord, crash: Crash) -> Judgement:
    """L3's verdict on one stuck stack beside ten complete ones."""
    return all_accounted_for(accounts(stuck, crashes=(crash,)))


def test_call_without_a_reply_is_unfinished() -> None:
    """Whatever it had begun of it already."""
    assert held(create(), cast(), cast(), cast()) == (REQUEST,)
    assert held(create(), cast(), cast(), cast(), reply()) == ()


def test_create_that_is_answered_is_finished_once_its_work_is_handed_out() -> None:
    """Heat answers a create first and converges the stack in a thread of its own."""
    assert held(create(), reply()) == (REQUEST,)
    assert held(create(), reply(), cast(), cast()) == (REQUEST,)
    assert held(create(), reply(), cast(), cast(), cast("another engine's")) == (REQUEST,)


def test_work_is_finished_once_it_is_handed_on() -> None:
    """One delivery, one publish; where there are fewer, any may be the one that is open."""
    assert held(work()) == (REQUEST,)
    assert held(work(), cast()) == ()
    assert held(cast(), work()) == ()
    assert held(work(), work(), cast()) == (REQUEST,)
    assert held(create(), cast(), work(), reply(), cast(), cast()) == (REQUEST,)


def test_work_of_other_engines_is_none_of_the_victims() -> None:
    """Neither what they had, nor what they handed on."""
    assert held(create(OTHER), work(OTHER)) == ()
    assert held(work(), cast(OTHER)) == (REQUEST,)


def test_what_is_started_in_the_victims_place_finishes_nothing_of_its() -> None:
    """In a container it may have the same process id and address."""
    events = [work().model_copy(update={"seq": 1}), cast().model_copy(update={"seq": 7})]
    assert unfinished(events, {f"{VICTIM}#1"}, {VICTIM, "publisher"}, LEAVES, gone=7) == (REQUEST,)
    assert unfinished(events, {f"{VICTIM}#1"}, {VICTIM, "publisher"}, LEAVES, gone=8) == ()


def test_stuck_stack_of_which_the_victim_had_finished_all_is_unaccounted_for() -> None:
    """Having had a message once excuses nothing; an unfinished one is a loss by name."""
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
