"""Requests to one API at its own address that it can answer only through RabbitMQ and an engine."""

from __future__ import annotations

import time

import requests

from calorimeter.core.deployment import Api
from calorimeter.core.login.http_session import HttpSession
from calorimeter.core.login.sigv4 import Signer
from calorimeter.gates.clients.own_address import OwnAddress, of_backend
from calorimeter.gates.context import Context
from calorimeter.gates.evidence.identity import session
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable
from calorimeter.gates.health.trial import DirectRequest

ANSWER_S = 3.0
"""Time for an answer: one that comes later counts as none."""


class RpcClient:
    """Asks backends for a list of stacks, past the proxy. Raises `EvidenceUnavailable` if [identity] is
    missing, or its EC2 credentials for CFN."""

    def __init__(self, context: Context) -> None:
        self._signer = Signer.of(context.deployment, context.identity)
        self._identity = session(context.deployment)
        apis = [api for api in (context.deployment.rest, context.deployment.cfn) if api is not None]
        tls = context.deployment.tls
        urls = [of_backend(backend, tls).url for api in apis for backend in api.backends]
        self._http = HttpSession("backends", *urls, verify=tls.for_requests)

    def ask(self, name: str, api: Api, own: OwnAddress) -> DirectRequest:
        """Send one request to a backend, at its own address, of the API called `name`."""
        request = self._rest(api, own) if name == "rest" else self._cfn(api, own)
        prepared = self._http.prepare_request(request)
        sent_ns, status, error = time.time_ns(), 0, ""
        try:
            status = self._http.send(prepared, timeout=ANSWER_S).status_code
        except requests.RequestException as problem:
            error = type(problem).__name__
        return DirectRequest(sent_ns=sent_ns, done_ns=time.time_ns(), status=status, error=error)

    def _rest(self, api: Api, own: OwnAddress) -> requests.Request:
        project = self._identity.project_id()
        url = f"{own.url}{api.parts.path.rstrip('/')}/{project}/stacks?limit=1"
        return requests.Request("GET", url, headers={"X-Auth-Token": self._identity.token()})

    def _cfn(self, api: Api, own: OwnAddress) -> requests.Request:
        if self._signer is None:
            raise EvidenceUnavailable("identity", "has no ec2_access and ec2_secret, which CFN needs")
        url = f"{own.url}{api.parts.path.rstrip('/')}/"
        headers, body = self._signer.sign(url, "ListStacks")
        return requests.Request("POST", url, headers=dict(headers.items()), data=body)
