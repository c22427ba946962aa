"""Traced messages, read; literals as oslo.messaging and RabbitMQ 3.10.8 gave them, with made-up secrets."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calorimeter.gates.evidence.rpc_message import Delivery, read

SECRETS = ("gAAAAASECRETTOKEN", "SECRETINFO", "SECRETPW", "SECRETPARAM", "SECRETTRUST")

HEADERS = {
    "exchange_name": "heat",
    "routing_keys": ["engine"],
    "properties": {"expiration": "60000", "priority": 0, "delivery_mode": 2},
    "node": "rabbit@localhost",
    "vhost": "/",
    "connection": "127.0.0.1:50564 -> 127.0.0.1:25972",
    "channel": 1,
    "user": "heat",
}


def envelope(message: dict[str, Any]) -> bytes:
    """A message in oslo.messaging's envelope."""
    return json.dumps({"oslo.version": "2.0", "oslo.message": json.dumps(message)}).encode()


CALL = {
    "method": "create_stack",
    "args": {
        "stack_name": "s1",
        "template": {"resources": {"r": {"properties": {"value": "SECRETPARAM"}}}},
        "params": {"parameters": {"password": "SECRETPARAM"}},
        "args": {},
        "owner_id": None,
    },
    "version": "1.36",
    "_msg_id": "2e8242d78ac046ce8f476262d2fff630",
    "_reply_q": "reply_8e5cb0c0636c49cfada3387f3c982fdb",
    "_timeout": None,
    "_unique_id": "a5f7710e5b554061858d8eeb94e45851",
    "_context_request_id": "req-073614d9-68cb-4d47-8e91-0f9a1478a3ec",
    "_context_auth_token": "gAAAAASECRETTOKEN",
    "_context_auth_token_info": {"token": {"user": "SECRETINFO"}},
    "_context_password": "SECRETPW",
    "_context_trust_id": "SECRETTRUST",
    "_context_user_id": "u",
}


def test_a_delivered_call_is_read() -> None:
    """Its queue, its request and its ids are read; the rest is left out."""
    headers = {**HEADERS, "redelivered": 0}
    assert read(3, 42, "deliver.engine", headers, envelope(CALL)) == Delivery(
        seq=3,
        t_ns=42,
        kind="deliver",
        queue="engine",
        exchange="heat",
        routing_keys=("engine",),
        routed=(),
        connection="127.0.0.1:50564 -> 127.0.0.1:25972",
        channel=1,
        redelivered=False,
        method="create_stack",
        request_id="req-073614d9-68cb-4d47-8e91-0f9a1478a3ec",
        msg_id="2e8242d78ac046ce8f476262d2fff630",
        unique_id="a5f7710e5b554061858d8eeb94e45851",
        reply_q="reply_8e5cb0c0636c49cfada3387f3c982fdb",
        stack_name="s1",
    )


@pytest.mark.parametrize("key", ["publish.heat", "deliver.engine"])
def test_no_secret_leaves_the_reader(key: str) -> None:
    """Neither repr nor dump nor JSON of an event contains a token, password, trust or parameters."""
    event = read(0, 0, key, HEADERS, envelope(CALL))
    shown = repr(event) + str(event.model_dump()) + event.model_dump_json()
    assert [secret for secret in SECRETS if secret in shown] == []


def test_convergence_work_has_its_resource() -> None:
    """check_resource on engine_worker carries resource, traversal and the same request id."""
    work = {
        "method": "check_resource",
        "args": {"resource_id": 7, "current_traversal": "aaa", "data": {}, "is_update": False},
        "_unique_id": "800dd994536c4e8298184641e8d93e18",
        "_context_request_id": "req-1",
    }
    event = read(0, 0, "deliver.engine_worker", HEADERS, envelope(work))
    assert (event.method, event.resource_id, event.traversal, event.msg_id) == (
        "check_resource",
        "7",
        "aaa",
        None,
    )


def test_a_stack_is_read_from_its_identity() -> None:
    """Calls that name a stack by identity give its id and name, but no tenant."""
    call = {
        "method": "delete_stack",
        "args": {"stack_identity": {"stack_id": "i-1", "stack_name": "s1", "tenant": "t", "path": ""}},
    }
    event = read(0, 0, "deliver.engine", HEADERS, envelope(call))
    assert (event.stack_id, event.stack_name) == ("i-1", "s1")


def test_a_published_message_has_its_routes() -> None:
    """A publish event has the queues that the message was routed to, but no `queue`."""
    event = read(0, 0, "publish.heat", {**HEADERS, "routed_queues": ["engine"]}, envelope(CALL))
    assert (event.kind, event.queue, event.routed) == ("publish", "", ("engine",))


def test_a_reply_has_only_its_call() -> None:
    """A reply has the call's msg_id and whether it failed; its result is not read."""
    reply = {"result": {"secret": "SECRETPW"}, "failure": None, "ending": True, "_msg_id": "2e82"}
    event = read(0, 0, "publish.", HEADERS, envelope(reply))
    assert (event.reply, event.failure, event.msg_id, event.method) == (True, False, "2e82", None)
    failed = read(0, 0, "publish.", HEADERS, envelope({**reply, "failure": "SECRETPW"}))
    assert (failed.reply, failed.failure) == (True, True)
    assert "SECRETPW" not in repr(event) + repr(failed)


def test_a_redelivery_is_read() -> None:
    """RabbitMQ writes 0 or 1."""
    assert read(0, 0, "deliver.engine", {**HEADERS, "redelivered": 1}, b"").redelivered


@pytest.mark.parametrize("key", ["", "return.engine", "engine"])
def test_another_routing_key_is_no_trace_event(key: str) -> None:
    """A message that is neither publish nor deliver is refused."""
    with pytest.raises(ValueError, match="routing key"):
        read(0, 0, key, HEADERS, b"")


def test_headers_without_a_connection_are_refused() -> None:
    """An event without a connection proves nothing."""
    headers = {key: value for key, value in HEADERS.items() if key != "connection"}
    with pytest.raises(ValueError, match="not the headers of a trace event"):
        read(0, 0, "deliver.engine", headers, envelope(CALL))


@given(st.binary(max_size=200) | st.text(max_size=50).map(lambda text: json.dumps(text).encode()))
def test_any_body_is_an_event_without_ids(body: bytes) -> None:
    """Any other message gives an event without an RPC's fields."""
    assert read(0, 0, "deliver.engine", HEADERS, body).method is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@pytest.mark.slow
@given(st.fixed_dictionaries({}, optional=dict.fromkeys((*CALL, "result", "failure"), JSON)))
def test_any_message_is_read(message: dict[str, Any]) -> None:
    """Fields of unexpected types are left out."""
    event = read(0, 0, "deliver.engine", HEADERS, envelope(message))
    assert Delivery.model_validate_json(event.model_dump_json()) == event


def test_a_body_nested_too_deep_is_an_event_without_ids() -> None:
    """A body that exhausts the JSON reader does not end the recording."""
    assert read(0, 0, "deliver.engine", HEADERS, b"[" * 200_000).method is None
