"""Requests to one API at its own address that it can only answer through RabbitMQ and an engine."""

from __future__ import annotations

import time
from urllib.parse import urlencode

import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from calorimeter.core.deployment import Api
from calorimeter.gates.context import Context
from calorimeter.gates.evidence.identity import session
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable
from calorimeter.gates.health.trial import Direct

ANSWER_S = 3.0
"""Time for an answer: one that comes later counts as none."""

_FORM = "application/x-www-form-urlencoded; charset=utf-8"


class Rpc:
    """Asks backends for a list of stacks, past the proxy. Raises `EvidenceUnavailable` where it cannot."""

    def __init__(self, context: Context) -> None:
        who = context.identity
        self._identity = session(context.deployment)
        self._region = who.region or "RegionOne"
        self._ec2 = None
        if who.ec2_access is not None and who.ec2_secret is not None:
            self._ec2 = Credentials(who.ec2_access, context.deployment.reveal(who.ec2_secret))
        self._http = requests.Session()
        self._http.trust_env = False

    def ask(self, name: str, api: Api, host: str) -> Direct:
        """One request to the backend at `host` of the API called `name`."""
        request = self._rest(api, host) if name == "rest" else self._cfn(api, host)
        prepared = self._http.prepare_request(request)
        sent, status, error = time.time_ns(), 0, ""
        try:
            status = self._http.send(prepared, timeout=ANSWER_S).status_code
        except requests.RequestException as problem:
            error = type(problem).__name__
        return Direct(sent_ns=sent, done_ns=time.time_ns(), status=status, error=error)

    def _rest(self, api: Api, host: str) -> requests.Request:
        project = self._identity.project_id()
        url = f"http://{host}{api.parts.path.rstrip('/')}/{project}/stacks?limit=1"
        return requests.Request("GET", url, headers={"X-Auth-Token": self._identity.token()})

    def _cfn(self, api: Api, host: str) -> requests.Request:
        if self._ec2 is None:
            raise EvidenceUnavailable("identity", "has no ec2_access and ec2_secret, which CFN needs")
        body = urlencode({"Version": "2010-05-15", "Action": "ListStacks"})
        url = f"http://{host}{api.parts.path.rstrip('/')}/"
        signed = AWSRequest("POST", url, headers={"Content-Type": _FORM}, data=body)
        SigV4Auth(self._ec2, "cloudformation", self._region).add_auth(signed)
        return requests.Request("POST", url, headers=dict(signed.headers.items()), data=body)
