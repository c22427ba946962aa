"""Requests of the CloudFormation API, signed with the deployment's EC2 credentials."""

from __future__ import annotations

from urllib.parse import urlencode

import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from calorimeter.core.deployment import Deployment

_FORM = "application/x-www-form-urlencoded; charset=utf-8"


class CfnSigner:
    """Makes signed requests to the CFN API at the proxy."""

    def __init__(self, url: str, region: str, credentials: Credentials) -> None:
        self._url = f"{url.rstrip('/')}/"  # without the slash at its end Heat answers 404
        self._signer = SigV4Auth(credentials, "cloudformation", region)

    @classmethod
    def of(cls, deployment: Deployment) -> CfnSigner | None:
        """For the deployment's own CFN API; None where it has none, or the suite no credentials for it."""
        who, api = deployment.identity, deployment.cfn
        if api is None or who is None or who.ec2_access is None or who.ec2_secret is None:
            return None
        credentials = Credentials(who.ec2_access, deployment.reveal(who.ec2_secret))
        return cls(api.url, who.region or "RegionOne", credentials)

    def request(self, action: str, **form: str) -> requests.Request:
        """One action, signed now."""
        body = urlencode({"Version": "2010-05-15", "Action": action, **form})
        signed = AWSRequest("POST", self._url, headers={"Content-Type": _FORM}, data=body)
        self._signer.add_auth(signed)
        return requests.Request("POST", self._url, headers=dict(signed.headers.items()), data=body)
