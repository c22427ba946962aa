"""The message, engine and step that lost a stack, from literal events."""

from __future__ import annotations

from calorimeter.core.recorded.upgrade_record import LostStack, PlannedStep, UpgradeRecord, UpgradeStep
from calorimeter.gates.evidence.rpc_message import Delivery
from calorimeter.studies.upgrade.upgrade_trace import VhostMessages, lost_stacks

S = 10**9


def event(kind: str, at_s: float, unique_id: str, *, request: str = "req-1", **more: object) -> Delivery:
    """A message of check_resource."""
    fields = {
        "seq": 0, "t_ns": int(at_s * S), "kind": kind,
        "queue": "engine_worker" if kind == "deliver" else "",
        "exchange": "heat", "routing_keys": ("engine_worker",), "routed": ("engine_worker",),
        "connection": "c-old", "channel": 1, "redelivered": False, "method": "check_resource",
        "request_id": request, "unique_id": unique_id, **more,
    }  # fmt: skip
    return Delivery.model_validate(fields)


def step(number: int, action: str, began_s: float) -> UpgradeStep:
    """A step that was done within a second."""
    planned = PlannedStep(number=number, title="t", action=action, part="engine/engine-3")
    return UpgradeStep(
        planned=planned, began_ns=int(began_s * S), ended_ns=int((began_s + 1) * S), end="done"
    )


RECORD = UpgradeRecord(
    procedure="heat", from_release="24", to_release="25", old_vhost="/", new_vhost="heat-25",
    steps=(step(1, "stop", 10), step(2, "start", 20)),
)  # fmt: skip

NAMES = {"c-old": "engine-3", "c-new": "engine-4"}


def found(*events: Delivery, vhost: str = "/", request: str = "req-1") -> LostStack:
    """What is said of one lost stack."""
    entry = LostStack(stack="s", stack_id="1", accepted_ns=S, request_id=request)
    (lost,) = lost_stacks([entry], [VhostMessages(vhost, events, NAMES)], RECORD)
    return lost


def test_a_message_that_was_never_delivered_names_its_virtual_host_and_step() -> None:
    """It is the last one, even if another was delivered later."""
    lost = found(
        event("publish", 9, "m1"), event("deliver", 9.1, "m1"),
        event("publish", 10.5, "m2"), event("deliver", 10.9, "m1"),
    )  # fmt: skip
    assert str(lost) == "s: check_resource on /, never delivered in step 1, stop engine-3"


def test_a_message_that_was_delivered_names_the_engine() -> None:
    """The engine had it, and did not go on."""
    lost = found(event("publish", 19, "m1"), event("deliver", 20.5, "m1"))
    assert str(lost) == "s: check_resource on /, delivered to engine-3 in step 2, start engine-3"
    assert lost.published_ns == 19 * S


def test_of_two_virtual_hosts_the_later_message_counts() -> None:
    """A stack may be changed through both."""
    entry = LostStack(stack="s", stack_id="1", accepted_ns=S, request_id="req-1")
    old = VhostMessages("/", (event("publish", 1, "a"), event("deliver", 2, "a")), NAMES)
    new_events = (event("publish", 3, "b"), event("deliver", 4, "b", connection="c-new"))
    new = VhostMessages("heat-25", new_events, NAMES)
    (lost,) = lost_stacks([entry], [new, old], RECORD)
    assert (lost.vhost, lost.engine) == ("heat-25", "engine-4")


def test_without_a_message_that_is_said() -> None:
    """Replies and messages of other requests are none of it; before the first step there is no step."""
    reply = event("publish", 5, "r", reply=True, request_id=None)
    assert str(found(reply, event("publish", 5, "x", request="req-2"))) == "s: no message of it was seen"
    assert found(event("publish", 5, "m")).step == ""


def test_an_unknown_connection_keeps_its_name() -> None:
    """The broker did not list it when the suite looked."""
    assert found(event("publish", 1, "m"), event("deliver", 2, "m", connection="c-x")).engine == "c-x"
