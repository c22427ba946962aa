"""Signals: a user signals the wait conditions of its stack, as a booting server would."""

from __future__ import annotations

import json
from collections.abc import Mapping
from urllib.parse import quote

import gevent

from calorimeter.core import foreign
from calorimeter.core.clock import now_ns
from calorimeter.load.apis.rest import RestApi
from calorimeter.load.http.client import Answer
from calorimeter.load.http.request_line import request_line
from calorimeter.load.operations.operation import Actor, Operation, Stack
from calorimeter.load.operations.subjects import (
    ALARM_URL,
    COMPLETE,
    CONDITION_URL,
    HANDLES,
    operation,
    stack_for,
)
from calorimeter.workload.template import Template

HANDLE_WAIT = Operation("rest", "wait-handle", frozenset({200, 404}))
"""The polls of a new stack until its handle can be signalled; at first the resource may not exist."""

OUTPUTS = Operation("rest", "addresses", frozenset({200}))
"""Reading a stack's outputs, which have the addresses at which it takes signals."""

_MADE = b"CREATE_COMPLETE"


def signal_waits(actor: Actor, stack: Stack) -> None:
    """Signal each handle that a new stack waits for, as many times as the stack waits for it."""
    for handle, count in stack.template.waits.items():
        if _await_handle(actor, stack, handle):
            for _ in range(count):
                _signal(actor, stack, handle)


def _await_handle(actor: Actor, stack: Stack, handle: str) -> bool:
    until = actor.until_ns(actor.complete_within_s)
    while now_ns() < until:
        answer, _ = actor.request(HANDLE_WAIT, actor.api.show_resource(stack.target, handle))
        if not answer.error and _MADE in answer.body:
            return True
        gevent.sleep(actor.poll_s)
    return False


def _signal(actor: Actor, stack: Stack, handle: str) -> None:
    if handle not in stack.template.signal_outputs:
        signal_resource(actor, SIGNAL, stack, handle)
        return
    until = actor.until_ns(actor.complete_within_s)
    while handle not in stack.urls and now_ns() < until:  # the address appears shortly after the handle
        learn_urls(actor, stack)
        if handle not in stack.urls:
            gevent.sleep(actor.poll_s)
    if handle in stack.urls:
        signal_url(actor, SIGNAL_WAIT_CONDITION, stack, handle)


def signal_resource(actor: Actor, operation: Operation, stack: Stack, handle: str) -> None:
    """POST …/resources/{name}/signal, with the user's own token."""
    assert isinstance(actor.api, RestApi)
    body = {"status": "SUCCESS", "reason": "load", "data": "calorimeter", "id": _id(stack)}
    place = f"/stacks/{stack.target.name}/{stack.target.identity}"
    path = f"{place}/resources/{quote(handle, safe='')}/signal"
    actor.request(operation, actor.api.call("POST", path, body))


def signal_url(actor: Actor, operation: Operation, stack: Stack, handle: str) -> None:
    """PUT or POST to the signed address of a resource, which is an address of the CFN API."""
    url = foreign.url(stack.urls[handle])
    body = json.dumps(
        {"Status": "SUCCESS", "Reason": "load", "Data": "calorimeter", "UniqueId": _id(stack)}
    )
    rest = (
        f"Host: {url.netloc}\r\nUser-Agent: calorimeter\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    )
    data = request_line(operation.method, f"{url.path or '/'}?{url.query}") + rest.encode("ascii")
    actor.request(operation, data)


def _id(stack: Stack) -> str:
    """An id that is unique among the signals of a stack: a wait condition counts distinct ids."""
    return f"{now_ns() - stack.entry.accepted_ns}"


def learn_urls(actor: Actor, stack: Stack) -> None:
    """Read the addresses at which a stack's resources take signals, from its outputs."""
    assert isinstance(actor.api, RestApi)
    path = f"/stacks/{stack.target.name}/{stack.target.identity}"
    outputs = actor.api.outputs

    def read(answer: Answer) -> dict[str, str]:
        return _urls(outputs(answer), stack.template)

    _, found = actor.request(OUTPUTS, actor.api.call("GET", path), read)
    stack.urls.update(found or {})


def _urls(outputs: Mapping[str, str], template: Template) -> dict[str, str]:
    """The addresses by handle. Before its resource exists, an output is another text."""
    found = {}
    for name, (output, _) in template.signal_outputs.items():
        text = outputs.get(output, "")
        if text.startswith("{"):
            text = str(foreign.table(foreign.json_value(text)).get("alarm_url"))
        if text.startswith("http"):
            found[name] = foreign.url(text).geturl()
    return found


def signal_stack(actor: Actor, operation: Operation) -> None:
    """Signal a resource of one of the user's stacks (REST)."""
    stack = stack_for(actor, operation)
    signal_resource(actor, operation, stack, actor.random.choice(stack.template.handles))


def signal_stack_url(actor: Actor, operation: Operation) -> None:
    """Signal the address of a resource of one of the user's stacks (CFN)."""
    stack = stack_for(actor, operation)
    outputs = stack.template.signal_outputs.items()
    name = actor.random.choice([name for name, (_, method) in outputs if method == operation.method])
    if name not in stack.urls:
        learn_urls(actor, stack)
    if name in stack.urls:
        signal_url(actor, operation, stack, name)


SIGNAL = operation(
    *(
        "rest",
        "signal",
        "POST",
        "/stacks/{stack_name}/{stack_id}/resources/{resource_name}/signal",
        "signal",
    ),
    signal_stack,
    subject=COMPLETE,
    trait=HANDLES,
)
SIGNAL_WAIT_CONDITION = operation(
    *("cfn", "SignalWaitCondition", "PUT", "/waitcondition/{arn:.*}", "update_waitcondition"),
    signal_stack_url,
    subject=COMPLETE,
    trait=CONDITION_URL,
    repeatable=False,
    asked_by="rest",
)
SIGNAL_RESOURCE = operation(
    *("cfn", "SignalResource", "POST", "/signal/{arn:.*}", "signal"),
    signal_stack_url,
    subject=COMPLETE,
    trait=ALARM_URL,
    repeatable=False,
    asked_by="rest",
)
"""Both signal stacks that were created through the REST API: Keystone does not let a user with EC2
credentials delegate to Heat, so a stack with such resources cannot be created through the CFN API."""
