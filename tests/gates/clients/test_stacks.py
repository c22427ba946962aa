"""Stacks against a Heat that answers as the test says."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from calorimeter.gates.clients import stacks
from calorimeter.gates.clients.calls import HeatCall
from calorimeter.gates.clients.heat_client import HeatClient
from calorimeter.gates.clients.stack_records import StackRecord, with_traced_request_ids
from calorimeter.gates.evidence.rpc_message import Delivery
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable


class Client:
    """A Heat that answers every request with one status and one body."""

    def __init__(self, status: int, answer: Any) -> None:
        self.status = status
        self.answer = answer

    def call(self, operation: str, *_: object) -> tuple[HeatCall, Any]:
        """One answer."""
        record = HeatCall(operation=operation, request_id=None, sent_ns=0, done_ns=1, status=self.status)
        return record, self.answer


def left(status: int, answer: Any) -> tuple[str, ...]:
    """What is left after the deletes, as that Heat lists it."""
    return stacks.Stacks(cast("HeatClient", Client(status, answer)), 4).delete_all()


def test_a_list_that_nobody_answers_does_not_say_that_nothing_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Until the deadline every list fails: no evidence; an empty list is some."""
    monkeypatch.setattr(stacks, "REMOVE_S", 0.0)
    monkeypatch.setattr(stacks, "POLL_S", 0.001)
    with pytest.raises(EvidenceUnavailable, match="could not be listed after the deletes"):
        left(503, None)
    assert left(200, {"stacks": []}) == ()


class Slow:
    """A Heat with so many stacks, of which one is gone after each `every_s`, until `rest` are left."""

    def __init__(self, count: int, every_s: float, rest: int = 0) -> None:
        self.tag = ""
        self.now_s = 0.0
        self._count, self._every_s, self._rest = count, every_s, rest

    def call(self, operation: str, *_: object) -> tuple[HeatCall, Any]:
        """The list of what is not gone yet."""
        record = HeatCall(operation=operation, request_id=None, sent_ns=0, done_ns=1, status=200)
        left = max(self._count - int(self.now_s / self._every_s), self._rest)
        return record, {"stacks": [self._stack(n) for n in range(left)]}

    def _stack(self, number: int) -> dict[str, str]:
        status = "DELETE_IN_PROGRESS"
        return {"stack_name": f"{self.tag}-{number}", "id": str(number), "stack_status": status}

    def sleep(self, seconds: float) -> None:
        """Time goes by."""
        self.now_s += seconds


@pytest.mark.parametrize(
    ("heat", "left", "ended_s"),
    [
        (Slow(11, 10.0), 0, 110),  # longer than REMOVE_S, never without progress
        (Slow(2, 1000.0), 2, 90),  # no progress
        (Slow(3, 20.0, rest=2), 2, 110),  # none since 20 s
        (Slow(99, 5.0), 75, 120),  # beyond the stacks' own timeout
    ],
)
def test_deletes_are_waited_for_while_the_list_gets_shorter(
    heat: Slow, left: int, ended_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow machine is given the time that its stacks have; one that deletes nothing is not."""
    clock = SimpleNamespace(monotonic=lambda: heat.now_s, sleep=heat.sleep, time_ns=lambda: 0)
    monkeypatch.setattr(stacks, "time", clock)
    created = stacks.Stacks(cast("HeatClient", heat), 4)
    heat.tag = created.tag
    assert len(created.delete_all()) == left
    assert ended_s <= heat.now_s <= ended_s + 2 * stacks.POLL_S


def test_burst_asks_by_the_apis_in_turn_for_what_is_still_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten creates, and further ones until something has happened: here once twelve were created."""
    asked: list[bool] = []
    created = stacks.Stacks(cast("HeatClient", None), 4)
    monkeypatch.setattr(created, "create", lambda *, cfn: asked.append(cfn))
    created.burst(40, 1, apis=("cfn",), wanted=lambda number: number < 10 or len(asked) < 12)
    assert asked == [True] * 12
    asked.clear()
    created.burst(4, 1, apis=("rest", "cfn"))
    assert asked == [False, True, False, True]


class Late:
    """A Heat that answers all creates but the last, whose stack it lists once others were deleted.

    The first `unheard` deletes of that one are not answered.
    """

    def __init__(self, unheard: int = 0) -> None:
        self.there: dict[str, str] = {}
        self.late = ""
        self.unheard = unheard

    def call(self, operation: str, _: str, path: str, body: Any = None) -> tuple[HeatCall, Any]:
        """One answer."""
        status, answer = 200, None
        if operation == "create" and body["stack_name"].endswith("-3"):
            status, self.late = 504, body["stack_name"]
        elif operation == "create":
            self.there[body["stack_name"]] = "CREATE_COMPLETE"
            answer = {"stack": {"id": "i"}}
        elif operation == "delete" and path.split("/")[2].endswith("-3") and self.unheard:
            status, self.unheard = 504, self.unheard - 1
        elif operation == "delete":
            self.there.pop(path.split("/")[2])
            if self.late:
                self.there[self.late], self.late = "CREATE_COMPLETE", ""
        else:
            listed = self.there.items()
            answer = {"stacks": [{"stack_name": n, "id": "i", "stack_status": s} for n, s in listed]}
        return HeatCall(operation=operation, request_id=None, sent_ns=0, done_ns=1, status=status), answer


@pytest.mark.parametrize("unheard", [0, 1])
def test_stack_that_is_listed_late_is_deleted_too(unheard: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody else asks for its delete, and where that is not answered it is asked for again."""
    monkeypatch.setattr(stacks, "POLL_S", 0.001)
    monkeypatch.setattr(stacks, "REMOVE_S", 0.5)
    created = stacks.Stacks(cast("HeatClient", Late(unheard)), 4)
    created.burst(3, 1)
    created.await_final(0)
    assert created.delete_all() == ()
    assert [entry.delete is not None for entry in created.records] == [True, True, True]


def test_look_that_is_answered_late_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list that was asked for before another and answered after it tells of an earlier moment."""
    clock = SimpleNamespace(now=1.0)
    monkeypatch.setattr(
        stacks, "time", SimpleNamespace(monotonic=lambda: clock.now, time_ns=lambda: 0, sleep=None)
    )
    created = stacks.Stacks(cast("HeatClient", Late()), 4)
    created.burst(1, 1)
    (name,) = (entry.name for entry in created.records)

    def listed() -> dict[str, tuple[str, str]]:
        """While this list is on its way another is asked for and answered."""
        clock.now = 2.0
        monkeypatch.setattr(created, "listed", lambda: {name: ("i", "CREATE_COMPLETE")})
        created.poll()
        return {name: ("i", "CREATE_IN_PROGRESS")}

    monkeypatch.setattr(created, "listed", listed)
    created.poll()
    assert [state.status for state in created.records[0].states] == ["CREATE_COMPLETE"]


def test_create_that_was_cut_off_has_its_request_id_from_the_trace() -> None:
    """The proxy gave its client none; the engine was handed the stack's name with it."""
    call = HeatCall(operation="create", request_id=None, sent_ns=0, done_ns=1, status=0, error="Timeout")
    entries = (
        StackRecord(name="cut", create=call),
        StackRecord(name="never", create=call),
        StackRecord(name="well", create=call.model_copy(update={"request_id": "req-w"})),
    )
    assert [e.create.request_id for e in with_traced_request_ids(entries, (handed("cut", "req-c"),))] == [
        "req-c",
        None,
        "req-w",
    ]


def handed(name: str, request_id: str) -> Delivery:
    """A create, handed to an engine."""
    return Delivery(
        seq=0, t_ns=0, kind="deliver", queue="engine", exchange="heat", routing_keys=(), routed=(),
        connection="c", channel=1, redelivered=False, method="create_stack", stack_name=name,
        request_id=request_id,
    )  # fmt: skip
