"""Stacks of an experiment, against a Heat that answers as the test says."""

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
    """The stacks left after the deletes, as that Heat lists them."""
    return stacks.Stacks(cast("HeatClient", Client(status, answer)), 4).delete_all()


def test_list_without_an_answer_does_not_prove_that_nothing_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """If every list fails until the deadline there is no evidence; an empty list is evidence."""
    monkeypatch.setattr(stacks, "REMOVE_S", 0.0)
    monkeypatch.setattr(stacks, "POLL_S", 0.001)
    with pytest.raises(EvidenceUnavailable, match="could not be listed after the deletes"):
        left(503, None)
    assert left(200, {"stacks": []}) == ()


@pytest.mark.parametrize(
    "answer",
    [
        *(None, [], "x", {}, {"stacks": 1}, {"stacks": [1]}, {"stack": []}, {"stack": {"id": ["a"]}}),
        {"stack": {"id": "a\r\nDELETE"}, "stacks": [{"stack_name": ["x"]}]},
    ],
)
def test_create_whose_answer_cannot_be_read_is_searched_for(answer: object) -> None:
    """The record has no id; a list that cannot be read is none, and does not prove that nothing is left."""
    made = stacks.Stacks(cast("HeatClient", Client(201, answer)), 4)
    record = made.create()
    assert (record.stack_id, record.create.ok) == (None, True)
    made.poll()
    assert made.listed() is None and made.records == (record,)


class Slow:
    """A Heat with `count` stacks, of which one goes every `every_s` seconds until `rest` are left."""

    def __init__(self, count: int, every_s: float, rest: int = 0) -> None:
        self.tag = ""
        self.now_s = 0.0
        self._count, self._every_s, self._rest = count, every_s, rest

    def call(self, operation: str, *_: object) -> tuple[HeatCall, Any]:
        """The list of the stacks that are not gone yet."""
        record = HeatCall(operation=operation, request_id=None, sent_ns=0, done_ns=1, status=200)
        left = max(self._count - int(self.now_s / self._every_s), self._rest)
        return record, {"stacks": [self._stack(n) for n in range(left)]}

    def _stack(self, number: int) -> dict[str, str]:
        status = "DELETE_IN_PROGRESS"
        return {"stack_name": f"{self.tag}-{number}", "id": str(number), "stack_status": status}

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
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
def test_deletes_are_awaited_while_the_list_gets_shorter(
    heat: Slow, left: int, ended_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow machine gets the stacks' own timeout; a machine that deletes nothing does not."""
    clock = SimpleNamespace(monotonic=lambda: heat.now_s, sleep=heat.sleep, time_ns=lambda: 0)
    monkeypatch.setattr(stacks, "time", clock)
    created = stacks.Stacks(cast("HeatClient", heat), 4)
    heat.tag = created.tag
    assert len(created.delete_all()) == left
    assert ended_s <= heat.now_s <= ended_s + 2 * stacks.POLL_S


class Counting:
    """A Heat that accepts every create, and records by which API it came."""

    def __init__(self) -> None:
        self.apis: list[str] = []

    def call(self, operation: str, *_: object) -> tuple[HeatCall, Any]:
        """One create by REST."""
        self.apis.append("rest")
        return HeatCall(operation=operation, request_id=None, sent_ns=0, done_ns=1, status=201), None

    def cfn(self, operation: str, **_: object) -> tuple[HeatCall, str]:
        """One create by CFN."""
        self.apis.append("cfn")
        return HeatCall(operation=operation, request_id=None, sent_ns=0, done_ns=1, status=200), ""


def test_burst_uses_the_apis_in_turn_and_skips_unwanted_stacks() -> None:
    """Ten creates, and further ones until something happens: here after twelve creates."""
    heat = Counting()
    created = stacks.Stacks(cast("HeatClient", heat), 4)
    created.burst(40, 1, apis=("cfn",), wanted=lambda number: number < 10 or len(heat.apis) < 12)
    assert heat.apis == ["cfn"] * 12
    heat.apis.clear()
    created.burst(4, 1, apis=("rest", "cfn"))
    assert heat.apis == ["rest", "cfn", "rest", "cfn"]


class Late:
    """A Heat that answers all creates except the last, whose stack it lists after others are deleted.

    The first `unheard` deletes of that stack get no answer.
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
    """Its delete is requested then, and repeated if it gets no answer."""
    monkeypatch.setattr(stacks, "POLL_S", 0.001)
    monkeypatch.setattr(stacks, "REMOVE_S", 0.5)
    created = stacks.Stacks(cast("HeatClient", Late(unheard)), 4)
    created.burst(3, 1)
    created.await_final(0)
    assert created.delete_all() == ()
    assert [entry.delete is not None for entry in created.records] == [True, True, True]


class Overtaking(Late):
    """A Heat whose first list is answered after a second one, which is requested in between."""

    def __init__(self) -> None:
        super().__init__()
        self.created: stacks.Stacks | None = None

    def call(self, operation: str, method: str, path: str, body: Any = None) -> tuple[HeatCall, Any]:
        """One answer; the stacks of the first list are in progress, those of the second complete."""
        call, answer = super().call(operation, method, path, body)
        created, self.created = self.created, None
        if operation == "list" and created:
            answer["stacks"][0]["stack_status"] = "CREATE_IN_PROGRESS"
            created.poll()
        return call, answer


def test_poll_that_is_answered_late_changes_nothing() -> None:
    """A list requested before another and answered after it shows an earlier state."""
    heat = Overtaking()
    created = stacks.Stacks(cast("HeatClient", heat), 4)
    created.burst(1, 1)
    heat.created = created
    created.poll()
    assert [state.status for state in created.records[0].states] == ["CREATE_COMPLETE"]


def test_create_that_was_cut_off_has_its_request_id_from_the_trace() -> None:
    """The proxy returned none to the client; the engine got the stack's name with it."""
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
    """A create, delivered to an engine."""
    return Delivery(
        seq=0, t_ns=0, kind="deliver", queue="engine", exchange="heat", routing_keys=(), routed=(),
        connection="c", channel=1, redelivered=False, method="create_stack", stack_name=name,
        request_id=request_id,
    )  # fmt: skip
