"""The token of a load, from a small Keystone."""

from __future__ import annotations

import pytest

from calorimeter.core.deployment import Api, Backend, Deployment
from calorimeter.core.errors import InputError
from calorimeter.core.login.identities import Identity
from calorimeter.core.secrecy.secrets import Secret
from calorimeter.load.apis.keystone_tokens import Token
from tests.gates.small_keystone import small_keystone


def token(auth_type: str, monkeypatch: pytest.MonkeyPatch) -> Token:
    """A token of a Keystone that gives one."""
    monkeypatch.setenv("WORD", "s3cr3t")
    rest = Api(url="http://127.0.0.1:9/v1", proxy_section="r", backends=(Backend(name="a", address="h:1"),))
    option = auth_type.removeprefix("v3")
    with small_keystone(False) as keystone:
        auth: dict[str, str | Secret] = {option: Secret(env="WORD"), "project_id": "p"}
        identity = Identity(auth_url=keystone.url, auth_type=auth_type, auth=auth)
        return Token(Deployment(name="d", rest=rest, identity=identity))


def test_token_that_cannot_be_renewed_must_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """A load that takes longer is refused; no renewal is started."""
    found = token("v3token", monkeypatch)
    assert (found.project_id, found.domain_id, found.restricted) == ("p", "default", False)
    found.check_lasts(3600)
    found._lifetime_s = 60.0
    with pytest.raises(InputError, match=r"expires in 60 s and cannot be renewed; the load takes 61 s"):
        found.check_lasts(61)
    found.start_renewing()
    assert found._renewer is None
    assert found.deferred_headers == b""


def test_password_may_be_shorter_lived_than_the_load(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its token is renewed."""
    found = token("v3password", monkeypatch)
    found._lifetime_s = 60.0
    found.check_lasts(3600)
