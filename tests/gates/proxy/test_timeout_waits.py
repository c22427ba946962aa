"""What is sent to begin a wait."""

from __future__ import annotations

import ssl
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest

from calorimeter.core.deployment import Api, Backend, Tls
from calorimeter.gates.evidence.proxy_log import Connection
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable
from calorimeter.gates.proxy import timeout_waits
from calorimeter.gates.proxy.timeouts import Wait


def front(url: str) -> Api:
    """An API at this URL."""
    return Api(url=url, proxy_section="r", backends=(Backend(name="a", address="127.0.0.1:1"),))


def test_the_path_of_an_upload_is_that_of_the_url(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the URL leaves its port to the scheme."""
    identity = SimpleNamespace(token=lambda: "t", rest_url=lambda path: f"https://heat.example/v1/p{path}")
    monkeypatch.setattr(timeout_waits, "session", lambda _: identity)
    context: Any = SimpleNamespace(deployment=None, api=lambda _: front("https://heat.example/v1"))
    lines = timeout_waits._without_body(context).split(b"\r\n")
    assert lines[:2] == [b"POST /v1/p/stacks HTTP/1.1", b"Host: heat.example:443"]


def test_a_tls_front_is_spoken_to_through_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    """The payload goes through the wrapped connection, whose certificate must name the front's host."""
    plain, sent = object(), []

    def wrap(context: ssl.SSLContext, connection: object, server_hostname: str) -> object:
        sent.append((connection, server_hostname, context.verify_mode))
        return SimpleNamespace(sendall=sent.append)

    monkeypatch.setattr(timeout_waits, "connect", lambda *_: plain)
    monkeypatch.setattr(ssl.SSLContext, "wrap_socket", wrap)
    timeout_waits._sent(front("https://heat.example/v1"), None, b"GET", Tls())
    assert sent == [(plain, "heat.example", ssl.CERT_REQUIRED), b"GET"]


def test_sources_that_are_tried_are_counted_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """One client machine has one, however many would be tried."""
    one = SimpleNamespace(source="10.0.0.1", server="b")
    way = SimpleNamespace(visits=lambda *_: SimpleNamespace(visits=(one, one, one)))
    monkeypatch.setattr(timeout_waits, "strongest", lambda *_: nullcontext(way))
    monkeypatch.setattr(timeout_waits, "sources", lambda *_: [None])
    nobody: Any = None
    with pytest.raises(EvidenceUnavailable, match="1 of 1 sources could be placed, none of them on a"):
        timeout_waits._source_of(nobody, [], front("http://10.0.0.9:8004/v1"), "a")
    assert timeout_waits._source_of(nobody, [], front("http://10.0.0.9:8004/v1"), "b") == "10.0.0.1"


def test_termination_is_that_of_the_own_connection() -> None:
    """Others may come from the same port of another address; on an IPv6 socket ours has a prefix."""
    other, own = (
        Connection.model_construct(client=client, client_port=40_000, termination=termination)
        for client, termination in (("10.0.0.2", "--"), ("::ffff:10.0.0.1", "cD"))
    )
    way: Any = SimpleNamespace(log=SimpleNamespace(connections=lambda _: [other, own]))
    made = Wait(api="rest", mode="tcp", what="silent", ended_s=2.0, gave_up_s=5.0)
    api = front("http://10.0.0.9:8004/v1")
    assert timeout_waits._with_termination(way, api, made, ("10.0.0.1", 40_000)).termination == "cD"
    assert timeout_waits._with_termination(way, api, made, ("10.0.0.3", 40_000)).termination is None
