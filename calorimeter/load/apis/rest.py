"""The REST API: requests prepared as bytes, with the current token."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from calorimeter.core import foreign
from calorimeter.core.deployment import Api
from calorimeter.core.foreign import UnintelligibleError
from calorimeter.load.apis.keystone_tokens import Token
from calorimeter.load.apis.stack_api import StackIdentity
from calorimeter.load.http.client import Answer
from calorimeter.load.http.connection import Endpoint
from calorimeter.load.http.request_line import request_line
from calorimeter.workload.template import Template

TAG = "calorimeter"
"""The tag of every stack that a load creates, if the load's mix lists stacks by tag.

Otherwise stacks have no tags: Heat reads the tags of each listed stack twice, and answers 400 if the stack
is deleted in between.
"""


class RestApi:
    """One Heat REST API, for one project."""

    name = "rest"
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
        """The id of the token's project."""
        return self._token.project_id

    def call(self, method: str, path: str, body: object = None, deferred: bool = False) -> bytes:
        """Any request: `path`, already quoted, follows the project; `body` becomes JSON.

        `deferred` adds the user's password: Heat needs it to act later on the user's behalf if it creates
        no trusts (`deferred_auth_method = password`); so does `openstack stack create --include-password`.
        """
        if body is None:
            return self._without_body(method, path)
        return self._with_body(method, path, json.dumps(body).encode(), deferred)

    def outside(self, path: str) -> bytes:
        """GET a path outside the project, such as `/` (the versions)."""
        return request_line("GET", path) + self._tail + self._token.bytes + b"\r\n\r\n"

    def _head(self, method: str, below: str) -> bytes:
        return request_line(method, self._project + below) + self._tail

    def _without_body(self, method: str, below: str) -> bytes:
        return self._head(method, below) + self._token.bytes + b"\r\n\r\n"

    def _with_body(self, method: str, below: str, body: bytes, deferred: bool = False) -> bytes:
        return (
            self._head(method, below)
            + self._token.bytes
            + (self._token.deferred_headers if deferred else b"")
            + b"\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
            + body
        )

    def list(self) -> bytes:
        """GET /stacks."""
        token = self._token.bytes
        if token is not self._listed_with:
            self._listed_with, self._list = token, self._without_body("GET", "/stacks")
        return self._list

    def page(self, marker: str, limit: int) -> bytes:
        """GET /stacks: the `limit` stacks after the one with id `marker` (empty: from the start)."""
        after = f"&marker={marker}" if marker else ""
        return self._without_body("GET", f"/stacks?limit={limit}&sort_keys=created_at{after}")

    def show(self, stack: StackIdentity) -> bytes:
        """GET /stacks/{name}/{id}."""
        return self._without_body("GET", f"/stacks/{stack.name}/{stack.identity}?resolve_outputs=false")

    def show_resource(self, stack: StackIdentity, resource: str) -> bytes:
        """GET /stacks/{name}/{id}/resources/{resource}."""
        place = f"/stacks/{stack.name}/{stack.identity}"
        return self._without_body("GET", f"{place}/resources/{quote(resource, safe='')}")

    def create(self, name: str, template: Template) -> bytes:
        """POST /stacks."""
        body = b'{"stack_name": "%b", %b' % (name.encode(), self._body(template))
        return self._with_body("POST", "/stacks", body, template.deferred)

    def _body(self, template: Template) -> bytes:
        """The part of the body that all creates with a template share: JSON without its first brace."""
        body = self._create_bodies.get(id(template))
        if body is None:
            common: dict[str, object] = {"timeout_mins": 10, "disable_rollback": True}
            if self.tagged:
                common["tags"] = TAG
            body = json.dumps({**text_of(template), **common})[1:].encode()
            self._create_bodies[id(template)] = body
        return body

    def delete(self, stack: StackIdentity) -> bytes:
        """DELETE /stacks/{name}/{id}."""
        return self._without_body("DELETE", f"/stacks/{stack.name}/{stack.identity}")

    def check_list(self, answer: Answer) -> None:
        """Check only the beginning: parsing a long list would cost the generator too much."""
        if not answer.body.startswith(b'{"stacks": ['):
            raise UnintelligibleError("not a list of stacks")

    def created(self, answer: Answer, name: str) -> StackIdentity:
        """The new stack's id."""
        stack_id = id_in(answer, "stack", "id")
        return StackIdentity(name, stack_id, stack_id)

    def state(self, answer: Answer) -> str:
        """`stack_status`."""
        return foreign.text(foreign.member(foreign.json_value(answer.body), "stack", "stack_status"))

    def outputs(self, answer: Answer) -> dict[str, str]:
        """The outputs in an answer to a `show` that resolves them, those that are text."""
        found = foreign.objects(foreign.member(foreign.json_value(answer.body), "stack", "outputs"))
        pairs = ((foreign.text(output.get("output_key")), output.get("output_value")) for output in found)
        return {name: foreign.text(value) for name, value in pairs if isinstance(value, str)}


def text_of(template: Template) -> dict[str, object]:
    """A template and its files, as members of a request's body."""
    return {"template": template.text, **({"files": dict(template.files)} if template.files else {})}


def id_in(answer: Answer, *names: str) -> str:
    """The id at the path `names` in a JSON answer. Raises UnintelligibleError if it is absent."""
    return foreign.identifier(foreign.member(foreign.json_value(answer.body), *names))


def listed(answer: Answer, name: str) -> list[dict[str, Any]]:
    """The objects in the list `name` of a JSON answer. Raises UnintelligibleError."""
    return foreign.objects(foreign.member(foreign.json_value(answer.body), name))


def ids_in(answer: Answer, name: str) -> list[str]:
    """The ids of the objects in the list `name` of a JSON answer. Raises UnintelligibleError."""
    return [foreign.identifier(each.get("id")) for each in listed(answer, name)]
