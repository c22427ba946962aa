"""A Keystone that is hostile or none: no secret goes to another place, and each answer is one line."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from calorimeter.core import deployment as deployments
from calorimeter.core.deployment import Deployment
from calorimeter.core.errors import InputError
from calorimeter.gates import doctor
from calorimeter.gates.evidence import identity
from calorimeter.load.apis.keystone_tokens import Token
from tests.core.test_deployment import SMALLEST, written
from tests.core.test_foreign import JSON
from tests.load.http.raw_server import Conversation, answering, read_request, serving

PASSWORD = "s3cr3t-of-keystone"


@pytest.fixture
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """The password of the deployment's user."""
    monkeypatch.setenv("WORD", PASSWORD)


USER = 'username = "u"\npassword = { env = "WORD" }\nproject = "p"\n'
DISCOVERS = """
auth_type = "password"
[identity.auth]
username = "u"
password = { env = "WORD" }
user_domain_id = "default"
project_id = "p"
"""
"""The plugin that asks for the list of versions first, as most clouds.yaml have it."""


def described(folder: Path, port: int, account: str = USER) -> Deployment:
    """A deployment whose Keystone listens on this port of loopback."""
    table = f'[identity]\nauth_url = "http://127.0.0.1:{port}"\n{account}'
    return deployments.read(written(folder, SMALLEST + table))


def token(body: object, subject: str = "t") -> bytes:
    """An answer to a request for a token."""
    text = json.dumps(body).encode()
    head = f"HTTP/1.1 201 Created\r\nX-Subject-Token: {subject}\r\nContent-Length: {len(text)}\r\n\r\n"
    return head.encode("latin-1") + text


def redirect(status: int, to: str) -> bytes:
    """A redirect."""
    return f"HTTP/1.1 {status} X\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n".encode()


GOOD: dict[str, Any] = {
    "methods": ["password"],
    "issued_at": "2026-01-01T00:00:00.000000Z",
    "expires_at": "2126-01-01T00:00:00.000000Z",
    "user": {"id": "u", "name": "u", "domain": {"id": "default", "name": "Default"}},
    "project": {"id": "p", "name": "p", "domain": {"id": "default", "name": "Default"}},
}


def listening(seen: list[bytes]) -> Conversation:
    """A server of somebody else, who notes what it is sent."""

    def converse(sock: socket.socket) -> None:
        seen.append(read_request(sock))
        sock.sendall(token({"token": GOOD}))

    return converse


@pytest.mark.parametrize("status", [301, 302, 303, 305, 307, 308])
def test_no_redirect_of_keystone_takes_the_password_away(status: int, tmp_path: Path, secret: None) -> None:
    """Also not to another port of the host; the line names both URLs, and no secret."""
    seen: list[bytes] = []
    with serving(listening(seen)) as other:
        away = f"http://127.0.0.1:{other.port}/v3/auth/tokens?x={PASSWORD}"
        with serving(answering(redirect(status, away))) as to, pytest.raises(InputError) as refused:
            Token(described(tmp_path, to.port))
    assert seen == []
    line = str(refused.value)
    assert f"http://127.0.0.1:{to.port}/v3 leads to http://127.0.0.1:{other.port}/v3/auth/tokens:" in line
    assert PASSWORD not in line and "\n" not in line


def test_a_redirect_on_the_same_host_is_followed(tmp_path: Path, secret: None) -> None:
    """As from `/v3` to `/identity/v3`, which some web servers do; the address may be a path."""
    with serving(answering(redirect(307, "/id/v3/auth/tokens"), token({"token": GOOD}))) as to:
        assert Token(described(tmp_path, to.port)).bytes == b"t"


def test_a_list_of_versions_does_not_take_the_password_away(tmp_path: Path, secret: None) -> None:
    """Many a Keystone does not know its own name: the password goes to the host of the deployment file."""
    seen: list[bytes] = []
    with serving(listening(seen)) as other:
        link = {"rel": "self", "href": f"http://127.0.0.1:{other.port}/v3/"}
        version = {"id": "v3.14", "status": "stable", "links": [link], "media-types": []}
        listed = token({"versions": {"values": [version]}}).replace(b"201 Created", b"300 Multiple")
        with serving(answering(listed, token({"token": GOOD}))) as to:
            assert Token(described(tmp_path, to.port, DISCOVERS)).bytes == b"t"
    assert seen == []


def test_a_token_does_not_follow_a_redirect_of_heat(tmp_path: Path, secret: None) -> None:
    """Nor does that of a session which adds it to each request."""
    seen: list[bytes] = []
    with serving(listening(seen)) as other:
        away = redirect(302, f"http://127.0.0.1:{other.port}/v1/p/services")
        with serving(answering(token({"token": GOOD}), away)) as to:
            who = identity.session(described(tmp_path, to.port))
            with pytest.raises(InputError, match="no secret is sent there"):
                who.session.get(f"http://127.0.0.1:{to.port}/v1/p/services")
    assert seen == []


GATES = (
    lambda found: identity.session(found).project_id(),
    lambda found: identity.session(found).access(),
    lambda found: identity.session(found).orchestration_endpoint(),
    lambda found: [part.found.encode() for part in doctor.examine(found) if part.name == "identity"],
)
"""How gates and the doctor use a token."""


@pytest.mark.parametrize(
    "body",
    [
        *([], "x", 1, None, {}, {"token": []}, {"token": {}}, {"token": {**GOOD, "expires_at": "x"}}),
        {"token": {**GOOD, "expires_at": 10**400}},
        {"token": {**GOOD, "project": {"id": "p\r\nDELETE /x HTTP/1.1", "name": "p"}}},
        {"token": {**GOOD, "project": ["p"]}},
        {"token": {**GOOD, "user": "u"}},
        {"token": {**GOOD, "user": {"name": ["\x1b[2J"]}}},
        {"token": {**GOOD, "catalog": [{"type": "orchestration", "endpoints": {"a": 1}}]}},
        {"token": {**GOOD, "catalog": [{"type": "orchestration", "endpoints": [{"url": "http://["}]}]}},
    ],
)
def test_a_token_of_another_form_is_one_line(body: object, tmp_path: Path, secret: None) -> None:
    """For loads, for gates and for the doctor; what one of them does not use may have any form."""
    for login in (Token, *GATES):
        with serving(answering(token(body))) as to:
            try:
                login(described(tmp_path, to.port))
            except InputError as problem:
                assert "\n" not in str(problem) and PASSWORD not in str(problem)


@pytest.mark.parametrize("subject", ["a b", "a\x80b", "a\tb", "x" * 20_000, ""])
def test_a_token_that_no_header_may_have_is_one_line(subject: str, tmp_path: Path, secret: None) -> None:
    """It would go into the head of each request."""
    with serving(answering(token({"token": GOOD}, subject))) as to, pytest.raises(InputError):
        Token(described(tmp_path, to.port))


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=JSON | st.dictionaries(st.sampled_from(sorted(GOOD)), JSON).map(lambda t: {"token": GOOD | t}))
def test_any_answer_of_keystone_is_a_token_or_one_line(body: object, tmp_path: Path, secret: None) -> None:
    """No other error, whatever the JSON is."""
    with serving(answering(token(body))) as to:
        try:
            assert Token(described(tmp_path, to.port)).bytes == b"t"
        except InputError as problem:
            assert "\n" not in str(problem)
