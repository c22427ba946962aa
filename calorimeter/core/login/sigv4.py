"""AWS Signature Version 4 of requests to Heat's CFN API, computed by botocore."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from calorimeter.core.deployment import Api, Deployment
from calorimeter.core.errors import InputError
from calorimeter.core.login.identities import Identity

_FORM = "application/x-www-form-urlencoded; charset=utf-8"
_REGION = "RegionOne"


def cfn_url(api: Api) -> str:
    """The URL to which CFN actions are posted; without the slash at its end Heat answers 404."""
    return f"{api.url.rstrip('/')}/"


class Signer:
    """Signs CFN actions with one pair of EC2 credentials."""

    def __init__(self, access: str, secret: str, region: str | None) -> None:
        """`region` is part of the signature's scope; None stands for RegionOne, Keystone's default.

        Raises InputError if key or region have characters that no header may have.
        """
        for value in (access, region or _REGION):
            if not value.isascii() or not value.isprintable():
                raise InputError("identity.ec2_access or region", "has a character that no header may have")
        self._auth = SigV4Auth(Credentials(access, secret), "cloudformation", region or _REGION)

    @classmethod
    def of(cls, deployment: Deployment, identity: Identity | None = None) -> Signer | None:
        """The signer of `identity` (default: the deployment's own); None if it has no EC2 credentials."""
        who = identity or deployment.identity
        if who is None or who.ec2_access is None or who.ec2_secret is None:
            return None
        return cls(who.ec2_access, deployment.reveal(who.ec2_secret), who.region)

    def sign(self, url: str, action: str, **form: str) -> tuple[Mapping[str, str], bytes]:
        """The headers, signed now, and the body of a POST of one action; the URL's host is signed too."""
        body = urlencode({"Version": "2010-05-15", "Action": action, **form}).encode("ascii")
        request = AWSRequest("POST", url, headers={"Content-Type": _FORM}, data=body)
        self._auth.add_auth(request)
        return request.headers, body
