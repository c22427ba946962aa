"""Signatures of CFN requests."""

from __future__ import annotations

import hashlib
import hmac
import re
from urllib.parse import parse_qs, urlsplit

import pytest

from calorimeter.core.deployment import Api, Backend, Deployment
from calorimeter.core.login.identities import Identity
from calorimeter.core.login.sigv4 import Signer, cfn_url
from calorimeter.core.secrecy.secrets import Secret

URL = "http://127.0.0.1:8000/v1/"


def signature(key: str, scope: str, canonical: str, moment: str) -> str:
    """The signature by the steps of AWS's description, without botocore."""
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    signing = f"AWS4{key}".encode()
    for word in scope.split("/"):
        signing = hmac.new(signing, word.encode(), "sha256").digest()
    text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{digest}"
    return hmac.new(signing, text.encode(), "sha256").hexdigest()


@pytest.mark.parametrize(("region", "signed_for"), [(None, "RegionOne"), ("north", "north")])
def test_signature_is_that_of_the_description(region: str | None, signed_for: str) -> None:
    """Content type, host, time and body are signed for the region; None is RegionOne."""
    headers, body = Signer("key", "secret", region).sign(URL, "DescribeStacks", StackName="a b")
    assert parse_qs(body.decode()) == {
        "Version": ["2010-05-15"],
        "Action": ["DescribeStacks"],
        "StackName": ["a b"],
    }
    moment = headers["X-Amz-Date"]
    scope = f"{moment[:8]}/{signed_for}/cloudformation/aws4_request"
    canonical = "\n".join(
        [
            *(
                "POST",
                "/v1/",
                "",
                f"content-type:{headers['Content-Type']}",
                f"host:{urlsplit(URL).netloc}",
            ),
            *(f"x-amz-date:{moment}", "", "content-type;host;x-amz-date", hashlib.sha256(body).hexdigest()),
        ]
    )
    assert re.sub(", ", "\n", headers["Authorization"]).splitlines() == [
        f"AWS4-HMAC-SHA256 Credential=key/{scope}",
        "SignedHeaders=content-type;host;x-amz-date",
        f"Signature={signature('secret', scope, canonical, moment)}",
    ]


def test_signer_needs_both_halves_of_the_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """No identity, or one without a key or without its secret, gives no signer."""
    monkeypatch.setenv("EC2_SECRET", "s")
    backend = Backend(name="a", address="127.0.0.1:1")
    api = Api(url="http://127.0.0.1:8000/v1", proxy_section="cfn", backends=(backend,))
    password = Secret(env="EC2_SECRET")
    alone = Identity(auth_url="http://k/v3", username="u", password=password, project="p")
    deployment = Deployment(name="d", rest=api)
    assert cfn_url(api) == URL
    assert Signer.of(deployment) is None
    assert Signer.of(deployment, alone) is None
    assert Signer.of(deployment, alone.model_copy(update={"ec2_access": "a"})) is None
    both = alone.model_copy(update={"ec2_access": "a", "ec2_secret": password})
    assert Signer.of(deployment.model_copy(update={"identity": both})) is not None
