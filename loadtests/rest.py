"""The REST API: requests prepared as bytes, around a token that is renewed now and then."""

from __future__ import annotations

import json

from calorimeter.deployment import Api
from loadtests.api import Target, UnintelligibleError
from loadtests.client import Answer
from loadtests.connection import Endpoint
from loadtests.identity import Token


class RestApi:
    """One Heat REST API, for one project."""

    name = "rest"
    kind = "REST"
    gone_statuses = frozenset({404})

    def __init__(self, api: Api, endpoint: Endpoint, token: Token, template: str = "") -> None:
        self._token = token
        self._path = f"{api.parts.path.rstrip('/')}/{token.project_id}/stacks"
        self._tail = (
            f"Host: {endpoint.authority}\r\nUser-Agent: calorimeter\r\n"
            "Accept: application/json\r\nX-Auth-Token: "
        ).encode("ascii")
        create = {"template": template, "timeout_mins": 10, "disable_rollback": True}
        self._create_body = json.dumps(create)[1:].encode()
        self._list = self._listed_with = b""
        self._create_head = self._head("POST", "")

    def _head(self, method: str, below: str) -> bytes:
        return f"{method} {self._path}{below} HTTP/1.1\r\n".encode("ascii") + self._tail

    def _get(self, method: str, below: str) -> bytes:
        return self._head(method, below) + self._token.bytes + b"\r\n\r\n"

    def list(self) -> bytes:
        """GET /stacks."""
        token = self._token.bytes
        if token is not self._listed_with:
            self._listed_with, self._list = token, self._get("GET", "")
        return self._list

    def page(self, marker: str, limit: int) -> bytes:
        """GET /stacks, `limit` of them after the stack with id `marker` (empty: from the start)."""
        after = f"&marker={marker}" if marker else ""
        return self._get("GET", f"?limit={limit}&sort_keys=created_at{after}")

    def show(self, stack: Target) -> bytes:
        """GET /stacks/{name}/{id}."""
        return self._get("GET", f"/{stack.name}/{stack.identity}?resolve_outputs=false")

    def create(self, name: str) -> bytes:
        """POST /stacks."""
        body = b'{"stack_name": "' + name.encode("ascii") + b'", ' + self._create_body
        return (
            self._create_head
            + self._token.bytes
            + b"\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
            + body
        )

    def delete(self, stack: Target) -> bytes:
        """DELETE /stacks/{name}/{id}."""
        return self._get("DELETE", f"/{stack.name}/{stack.identity}")

    def check_list(self, answer: Answer) -> None:
        """The beginning tells; to parse all of a long list would cost the generator too much."""
        if not answer.body.startswith(b'{"stacks": ['):
            raise UnintelligibleError("no list of stacks")

    def created(self, answer: Answer, name: str) -> Target:
        """The new stack's id."""
        stack = _member(answer, "stack")
        stack_id = stack.get("id")
        if not isinstance(stack_id, str):
            raise UnintelligibleError("a create without an id")
        return Target(name, stack_id, stack_id)

    def state(self, answer: Answer) -> str:
        """`stack_status`."""
        return str(_member(answer, "stack").get("stack_status", ""))

    def request_id(self, answer: Answer) -> bytes:
        """X-Openstack-Request-Id."""
        return answer.request_id


def _member(answer: Answer, name: str) -> dict[str, object]:
    try:
        found = json.loads(answer.body)[name]
    except (ValueError, KeyError, TypeError) as problem:
        raise UnintelligibleError(f"no JSON with {name!r}") from problem
    if not isinstance(found, dict):
        raise UnintelligibleError(f"{name!r} is no object")
    return found
