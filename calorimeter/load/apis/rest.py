"""The REST API: requests prepared as bytes, around a token that is renewed now and then."""

from __future__ import annotations

import json

from calorimeter.core.deployment import Api
from calorimeter.load.apis.keystone_tokens import Token
from calorimeter.load.apis.stack_api import Target, UnintelligibleError
from calorimeter.load.http.client import Answer
from calorimeter.load.http.connection import Endpoint
from calorimeter.workload.template import Template

TAG = "calorimeter"
"""The tag of every stack that a load makes through this API, where its mix asks for stacks by tag.

Otherwise they have none: Heat reads the tags of each stack of a list twice, and answers 400 where it is
deleted in between.
"""


class RestApi:
    """One Heat REST API, for one project."""

    name = "rest"
    kind = "REST"
    gone_statuses = frozenset({404})

    def __init__(self, api: Api, endpoint: Endpoint, token: Token, tagged: bool = False) -> None:
        self.tagged = tagged
        self._token = token
        self._project = f"{api.parts.path.rstrip('/')}/{token.project_id}"
        self._tail = (
            f"Host: {endpoint.authority}\r\nUser-Agent: calorimeter\r\n"
            "Accept: application/json\r\nX-Auth-Token: "
        ).encode("ascii")
        self._list = self._listed_with = b""
        self._create_bodies: dict[int, bytes] = {}

    @property
    def project_id(self) -> str:
        """The project in whose name everything is asked for."""
        return self._token.project_id

    def call(self, method: str, path: str, body: object = None, deferred: bool = False) -> bytes:
        """Any request: `path` is what follows the project, quoted as it must be; `body` becomes JSON.

        `deferred` adds what Heat needs to act later in the user's name where it makes no trusts
        (`deferred_auth_method = password`); `openstack stack create --include-password` does the same.
        """
        if body is None:
            return self._get(method, path)
        return self._with_body(method, path, json.dumps(body).encode(), deferred)

    def outside(self, path: str) -> bytes:
        """GET what is not below a project, such as `/` (the versions)."""
        return f"GET {path} HTTP/1.1\r\n".encode("ascii") + self._tail + self._token.bytes + b"\r\n\r\n"

    def _head(self, method: str, below: str) -> bytes:
        return f"{method} {self._project}{below} HTTP/1.1\r\n".encode("ascii") + self._tail

    def _get(self, method: str, below: str) -> bytes:
        return self._head(method, below) + self._token.bytes + b"\r\n\r\n"

    def _with_body(self, method: str, below: str, body: bytes, deferred: bool = False) -> bytes:
        return (
            self._head(method, below)
            + self._token.bytes
            + (self._token.later if deferred else b"")
            + b"\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
            + body
        )

    def list(self) -> bytes:
        """GET /stacks."""
        token = self._token.bytes
        if token is not self._listed_with:
            self._listed_with, self._list = token, self._get("GET", "/stacks")
        return self._list

    def page(self, marker: str, limit: int) -> bytes:
        """GET /stacks, `limit` of them after the stack with id `marker` (empty: from the start)."""
        after = f"&marker={marker}" if marker else ""
        return self._get("GET", f"/stacks?limit={limit}&sort_keys=created_at{after}")

    def show(self, stack: Target) -> bytes:
        """GET /stacks/{name}/{id}."""
        return self._get("GET", f"/stacks/{stack.name}/{stack.identity}?resolve_outputs=false")

    def show_resource(self, stack: Target, resource: str) -> bytes:
        """GET /stacks/{name}/{id}/resources/{resource}."""
        return self._get("GET", f"/stacks/{stack.name}/{stack.identity}/resources/{resource}")

    def create(self, name: str, template: Template) -> bytes:
        """POST /stacks."""
        body = b'{"stack_name": "%b", %b' % (name.encode(), self._body(template))
        return self._with_body("POST", "/stacks", body, template.deferred)

    def _body(self, template: Template) -> bytes:
        """What all creates with a template have in common: JSON without its first brace."""
        body = self._create_bodies.get(id(template))
        if body is None:
            common: dict[str, object] = {"timeout_mins": 10, "disable_rollback": True}
            if self.tagged:
                common["tags"] = TAG
            body = json.dumps({**text_of(template), **common})[1:].encode()
            self._create_bodies[id(template)] = body
        return body

    def delete(self, stack: Target) -> bytes:
        """DELETE /stacks/{name}/{id}."""
        return self._get("DELETE", f"/stacks/{stack.name}/{stack.identity}")

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

    def outputs(self, answer: Answer) -> dict[str, str]:
        """The outputs in a `show` that asks for them, as text."""
        found = _member(answer, "stack").get("outputs")
        if not isinstance(found, list):
            raise UnintelligibleError("a stack without outputs")
        return {str(output.get("output_key")): str(output.get("output_value") or "") for output in found}

    def request_id(self, answer: Answer) -> bytes:
        """X-Openstack-Request-Id."""
        return answer.request_id


def text_of(template: Template) -> dict[str, object]:
    """A template and its files, as a request carries them."""
    return {"template": template.text, **({"files": dict(template.files)} if template.files else {})}


def _member(answer: Answer, name: str) -> dict[str, object]:
    try:
        found = json.loads(answer.body)[name]
    except (ValueError, KeyError, TypeError) as problem:
        raise UnintelligibleError(f"no JSON with {name!r}") from problem
    if not isinstance(found, dict):
        raise UnintelligibleError(f"{name!r} is no object")
    return found
