"""What the doctor says about the identity, with a small Keystone."""

from __future__ import annotations

import pytest

from calorimeter.core.broker_table import Broker, BrokerNode
from calorimeter.core.deployment import Api, Backend, Deployment, Tls
from calorimeter.core.login.identities import Identity
from calorimeter.core.login.keystone_login import Login
from calorimeter.core.secrecy.secrets import Secret
from calorimeter.gates.doctor import PartState, examine
from tests.gates.small_keystone import ENDPOINT, small_keystone


def examined(identity: Identity, tls: Tls | None = None) -> PartState:
    """The state of the identity in a deployment whose REST API is elsewhere than the catalog says."""
    rest = Api(url="http://127.0.0.1:9/v1", proxy_section="r", backends=(Backend(name="a", address="h:1"),))
    deployment = Deployment(name="d", rest=rest, identity=identity, tls=tls or Tls())
    return {part.name: part for part in examine(deployment)}["identity"]


def test_broker_without_management_is_not_described_for_tracing() -> None:
    """Tracing needs the management API: without its URL neither of them is unreachable."""
    rest = Api(url="http://127.0.0.1:9/v1", proxy_section="r", backends=(Backend(name="a", address="h:1"),))
    broker = Broker(nodes=(BrokerNode(amqp="amqp://127.0.0.1:9"),), user="u", password=Secret(env="WORD"))
    states = {part.name: part.state for part in examine(Deployment(name="d", rest=rest, broker=broker))}
    assert states["broker management"] == states["broker trace"] == "not described"


def test_user_scope_and_another_endpoint_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who it is comes from the token; an endpoint of the catalog that is not rest.url is a note."""
    monkeypatch.setenv("WORD", "s3cr3t")
    with small_keystone(False) as keystone:
        state = examined(
            Identity(
                auth_url=keystone.url, username="u", password=Secret(env="WORD"), project="p", region="R"
            )
        )
    assert state == PartState(
        "identity",
        "ok",
        "a token for user 'u' in project 'p' (password, region R, public interface); "
        f"note: the catalog's orchestration endpoint is {ENDPOINT}, not rest.url",
    )


def test_keystone_whose_certificate_is_not_verified_is_pointed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """By `[tls]` once for the whole deployment; by its cloud, at the identity."""
    monkeypatch.setenv("WORD", "s3cr3t")
    monkeypatch.setattr(Login, "tls_warning", "not verified")
    with small_keystone(False, False) as keystone:
        identity = Identity(auth_url=keystone.url, username="u", password=Secret(env="WORD"), project="p")
        assert "; note: not verified" in examined(identity).found
        assert "not verified" not in examined(identity, Tls(verify=False)).found
    assert Tls(verify=False).warning.startswith(
        "TLS certificates of servers are not verified ([tls] verify"
    )
    assert Tls().warning == ""


def test_token_that_cannot_be_renewed_is_pointed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its end is shown; in another region the catalog has no endpoint to compare."""
    monkeypatch.setenv("WORD", "s3cr3t")
    with small_keystone(False) as keystone:
        state = examined(
            Identity(
                auth_url=keystone.url,
                auth_type="v3token",
                auth={
                    "token": Secret(env="WORD"),
                    "project_name": "p",
                    "project_domain_name": "Default",
                },
                region="elsewhere",
                interface="internal",
            )
        )
    assert state.found == (
        "a token for user 'u' in project 'p' (v3token, region elsewhere, internal interface); "
        "note: it expires at 2126-01-01 00:00 UTC and cannot be renewed"
    )


@pytest.mark.parametrize("auth_type", ["v3token", "v3password"])
def test_keystone_that_refuses_is_one_line(auth_type: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The line names Keystone and never the secret."""
    monkeypatch.setenv("WORD", "s3cr3t")
    option = auth_type.removeprefix("v3")
    with small_keystone(True) as keystone:
        state = examined(
            Identity(auth_url=keystone.url, auth_type=auth_type, auth={option: Secret(env="WORD")})
        )
    assert state.state == "unreachable"
    assert f"identity: Keystone gives no token at {keystone.url} (" in state.found
    assert "s3cr3t" not in state.found
