"""The client of Heat and its token."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
import requests

from calorimeter.core.errors import InputError
from calorimeter.gates.clients import heat_client
from calorimeter.gates.context import Context


class Identity:
    """A Keystone that issues a new token each time, until it is down."""

    def __init__(self) -> None:
        self.login = SimpleNamespace(verify=True)
        self.given = 0
        self.away = False

    def token(self) -> str:
        """The next token."""
        if self.away:
            raise InputError("identity", "Keystone cannot be reached")
        self.given += 1
        return f"token-{self.given}"

    def rest_url(self) -> str:
        """Heat's URL."""
        return "http://127.0.0.1:1/v1/p"


def test_each_call_has_a_token_that_is_valid_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """A token may expire in a long run; while Keystone is down the last one is sent."""
    identity, sent = Identity(), []

    def send(_: object, request: requests.PreparedRequest, **__: Any) -> requests.Response:
        sent.append((request.url, request.headers["X-Auth-Token"]))
        raise requests.ConnectionError

    monkeypatch.setattr(heat_client, "session", lambda _: identity)
    monkeypatch.setattr(requests.Session, "send", send)
    deployment = SimpleNamespace(
        expect=SimpleNamespace(rpc_timeout_s=1.0),
        clients=SimpleNamespace(sources=()),
        cfn=None,
        identity=None,
    )
    client = heat_client.HeatClient(cast("Context", SimpleNamespace(deployment=deployment)))
    client.list_stacks()
    client.list_stacks()
    identity.away = True
    client.list_stacks()
    url = "http://127.0.0.1:1/v1/p/stacks?limit=1"
    assert sent == [(url, "token-2"), (url, "token-3"), (url, "token-3")]
