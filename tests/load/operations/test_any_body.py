"""Whatever a body holds, each request has one outcome, and nothing of it ends a line of another request."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from random import Random
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calorimeter.core.clock import now_ns
from calorimeter.core.deployment import Api, Backend, address
from calorimeter.core.foreign import UnintelligibleError
from calorimeter.core.login.sigv4 import Signer
from calorimeter.load.apis.cfn import CfnApi
from calorimeter.load.apis.quota import Quota
from calorimeter.load.apis.rest import RestApi
from calorimeter.load.apis.stack_api import StackIdentity
from calorimeter.load.http import answers
from calorimeter.load.http.client import Answer
from calorimeter.load.http.connection import endpoint
from calorimeter.load.operations import operation_table
from calorimeter.load.operations.operation import Operation, SoftwareConfig, Stack
from calorimeter.load.recording.recorder import LedgerRow
from calorimeter.workload.template import Template
from tests.core.test_foreign import JSON

API = Api(url="http://127.0.0.1:1/v1", proxy_section="r", backends=(Backend(name="a", address="h:1"),))
TO = endpoint(address("127.0.0.1:1"))
TEMPLATE = Template(
    *("t", "heat_template_version: 2018-08-31"),
    parameters=frozenset({"value", "hold_s"}),
    resources={"a b": "OS::Heat::ScalingPolicy"},
    outputs=("o",),
    waits={"a b": 1},
    signal_outputs={"a b": ("o", "POST"), "c": ("u", "PUT")},
)
CRLF = "x\r\nDELETE /v1/p/stacks/others HTTP/1.1\r\n\r\n"
NAMES = {name for _, name in operation_table.REGISTRY}
T = TypeVar("T")


class Token:
    """A token without a Keystone."""

    bytes, deferred_headers, project_id = b"token", b"", "p"


@dataclass
class User:
    """A user whose every request is answered with this body, in the status that is expected."""

    body: bytes
    location: bytes
    api: Any
    stacks: list[Stack] = field(default_factory=list)
    configs: list[SoftwareConfig] = field(default_factory=list)
    abandoned: list[bytes] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    rows: list[Any] = field(default_factory=list)
    outcomes: list[str] = field(default_factory=list)
    sent: int = 0
    names: int = 0
    number: int = 1
    poll_s: float = 0.0
    complete_within_s: float = 0.0005  # some polls
    stacks_max: int = 99
    quota: Quota = field(default_factory=Quota)
    templates: tuple[Template, ...] = (TEMPLATE,)
    random: Random = field(default_factory=lambda: Random(1))

    def request(self, operation: Operation, data: bytes, understand: Any = None) -> tuple[Answer, Any]:
        """As a user of a load does it, but only the error that parsers may raise is caught."""
        self.sent += 1
        head = data.partition(b"\r\n\r\n")[0].split(b"\r\n")
        assert head[0].count(b" ") == 2 and head[0].endswith(b" HTTP/1.1")
        assert all(b"\n" not in line and line[:26] != b"DELETE /v1/p/stacks/others" for line in head)
        assert len(head) <= 9
        answer = Answer()
        answer.status, answer.body, answer.location = min(operation.expected), self.body, self.location
        answer.done_ns = now_ns()
        value = None
        try:
            value = understand(answer) if understand else None
        except UnintelligibleError:
            answer.error = "body"
        self.outcomes.append(answer.error)
        return answer, value

    def until_ns(self, within_s: float) -> int:
        """So long from now."""
        return now_ns() + int(within_s * 1e9)

    def next_name(self) -> str:
        """The next name."""
        self.names += 1
        return f"cal-r-1-{self.names}"

    def accepted(self, stack: Stack) -> None:
        """Keep it."""
        self.stacks.append(stack)

    def finish(self, stack: Stack) -> None:
        """Write its row, as the ledger does."""
        self.stacks.remove(stack)
        self._row(stack.entry)

    def acted(self, action: Any, problem: str) -> None:
        """Write its row."""
        self._row(action)

    def completed(self, entry: Any, problem: str) -> None:
        """Nothing."""

    def unaccounted(self, name: str) -> None:
        """Note it."""
        self.lost.append(name)

    def _row(self, row: Any) -> None:
        self.rows.append(row)
        for text in (row.stack_id, row.request_id, row.final_state):
            assert text.isascii() and len(text) < 300


def user(api: str, body: bytes, location: bytes) -> User:
    """A user who has one of everything, so that every operation is possible."""
    rest: Any = RestApi(API, TO, Token())  # type: ignore[arg-type]
    found = User(body, location, rest if api == "rest" else CfnApi(API, TO, Signer("a", "s", None)))
    entry = LedgerRow("id", "cal-r-1-0", found.api.name, "req", 1, 1)
    stack = Stack(
        StackIdentity("cal-r-1-0", "id", "id"), entry, TEMPLATE, "CREATE_COMPLETE", 0, ["s"], ("r", "e")
    )
    found.stacks.append(stack)
    found.configs.append(SoftwareConfig("c", ["d"]))
    found.abandoned.append(b'{"template": {}}')
    return found


def perform_all(body: bytes, location: bytes) -> list[str]:
    """The outcomes of the requests of all operations that users of both APIs may have in their mix."""
    outcomes = []
    for api in ("rest", "cfn"):
        for operation in operation_table.mixable(api).values():
            who = user(api, body, location)
            assert operation.perform is not None
            if operation.subject is None or operation.subject.of(who):
                operation.perform(who, operation)
            assert len(who.outcomes) == who.sent
            outcomes += who.outcomes
    return outcomes


LISTS = st.lists(st.dictionaries(st.sampled_from(["id", "output_key", "output_value"]), JSON), max_size=11)
SHAPES = st.dictionaries(
    st.sampled_from(["stack", "stacks", "events", "id", "software_config", "template"]),
    JSON
    | LISTS
    | st.dictionaries(st.sampled_from(["id", "stack_status", "outputs", "description"]), JSON | LISTS),
    max_size=3,
)
"""JSON of the form that Heat's answers have, with anything in it."""


@settings(max_examples=8)
@given(
    st.binary(max_size=40) | (JSON | SHAPES).map(lambda value: json.dumps(value).encode()),
    st.binary(max_size=20),
)
def test_any_body_is_an_outcome_of_any_operation(body: bytes, location: bytes) -> None:
    """No operation raises, each of its requests has one outcome, and the ledger's rows can be written."""
    assert perform_all(body, location)


HOSTILE = {
    "an id with a request in it": json.dumps(
        {
            **{"id": CRLF, "template": {"description": CRLF}, "stacks": [{"id": CRLF}] * 10},
            **{
                "events": [{"id": CRLF}],
                "software_config": {"id": CRLF},
                "software_deployment": {"id": CRLF},
            },
            "stack": {
                **{"id": CRLF, "stack_status": CRLF},
                "outputs": [
                    {"output_key": "o", "output_value": json.dumps({"alarm_url": f"http://h/{CRLF}"})},
                    {"output_key": "u", "output_value": f"http://h{CRLF}/?a"},
                ],
            },
        }
    ).encode(),
    "deep": b'{"stack": ' + b"[" * 100_000,
    "a list where a table should be": b'[{"stack": []}]',
    "a broken URL": b'{"stack": {"outputs": [{"output_key": "u", "output_value": "http://[::1"}]}}',
    "an id that is not ASCII": '{"id": "é", "stack": {"id": "é"}, "stacks": [{"id": "é"}]}'.encode(),
    "half a surrogate pair": rb'{"id": "\ud800", "stack": {"id": "\ud800"}, "template": {"a": "\ud800"}}',
    "an entity": b'<!DOCTYPE a [<!ENTITY e "x">]><a><StackId>&e;</StackId></a>',
    "an ARN with a request in it": f"<a><StackId>{CRLF}</StackId><StackStatus>x</StackStatus></a>".encode(),
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
def test_hostile_bodies(body: bytes) -> None:
    """Each is an answer with the error `body` where the operation reads it."""
    outcomes = perform_all(body, b"http://[broken\r\nX: y")
    assert outcomes.count("body") > 10


def test_a_stack_whose_id_cannot_be_read_is_searched_for() -> None:
    """It has no row in the ledger, its create counts as unknown, and its name is noted for the search."""
    who = user("rest", HOSTILE["an id with a request in it"], b"")
    create = operation_table.REGISTRY["rest", "create"]
    assert create.perform is not None
    create.perform(who, create)  # type: ignore[arg-type]
    assert (who.outcomes, who.lost, len(who.stacks), who.quota.taken) == (["body"], ["cal-r-1-1"], 1, 1)
    assert answers.meaning_of(201, "body").outcome == "unknown"
