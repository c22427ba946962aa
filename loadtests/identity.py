"""Keystone: one token for all users of a process, renewed before it expires."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

import gevent
from botocore.credentials import Credentials
from keystoneauth1 import exceptions
from keystoneauth1.identity import generic
from keystoneauth1.session import Session

from calorimeter.deployment import Deployment
from calorimeter.errors import InputError

log = logging.getLogger(__name__)

logging.getLogger("keystoneauth").setLevel(logging.ERROR)  # its warnings repeat what is raised

REQUEST_TIMEOUT_S = 15
RENEW_AT = 0.8
"""The part of its life after which a token is renewed."""

RETRY_S = 5.0


def ec2_credentials(deployment: Deployment) -> tuple[Credentials, str]:
    """What signs CFN requests, and for which region; raises `InputError` where the deployment has none."""
    identity = deployment.identity
    if identity is None or identity.ec2_access is None or identity.ec2_secret is None:
        raise InputError(
            str(deployment.path),
            "has no EC2 credentials",
            "CFN needs identity.ec2_access and identity.ec2_secret",
        )
    secret = deployment.reveal(identity.ec2_secret)
    return Credentials(identity.ec2_access, secret), identity.region or "RegionOne"


class Token:
    """The present token and the project it is for. `bytes` changes when it is renewed."""

    def __init__(self, deployment: Deployment) -> None:
        """Fetch the first one; raises `InputError` where Keystone cannot be reached or refuses."""
        identity = deployment.identity
        if identity is None:
            raise InputError(str(deployment.path), "has no [identity]", "a load needs one")
        self._where = f"identity.auth_url {identity.auth_url}"
        self._user = identity.username
        password = deployment.reveal(identity.password)
        self._auth = generic.Password(
            auth_url=identity.auth_url,
            username=identity.username,
            password=password,
            project_name=identity.project,
            user_domain_name=identity.user_domain,
            project_domain_name=identity.project_domain,
        )
        tls = deployment.tls
        verify = str(tls.ca_file) if tls.ca_file and tls.verify else tls.verify
        self._session = Session(verify=verify, timeout=REQUEST_TIMEOUT_S)
        self.later = f"\r\nX-Auth-User: {identity.username}\r\nX-Auth-Key: {password}".encode()
        """Header lines with which Heat can act later in the user's name."""
        self.bytes = b""
        self.project_id = ""
        self._lifetime_s = 0.0
        self._fetch()
        self._renewer: gevent.Greenlet | None = None

    def keep_fresh(self) -> None:
        """Renew in the background from now on."""
        if self._renewer is None:
            self._renewer = gevent.spawn(self._renew)

    def _fetch(self) -> None:
        try:
            access = self._auth.get_access(self._session)
        except exceptions.Unauthorized as problem:
            raise InputError(
                self._where,
                f"Keystone refuses user {self._user!r} (401)",
                "check identity.username and password",
            ) from problem
        except exceptions.ClientException as problem:
            reason = str(problem).partition(": HTTP")[0].partition("\n")[0]
            raise InputError(self._where, f"Keystone gives no token: {reason}") from problem
        assert access.auth_token is not None and access.expires is not None
        self.bytes = access.auth_token.encode("ascii")
        self.project_id = access.project_id or ""
        self._lifetime_s = (access.expires - datetime.now(UTC)).total_seconds()

    def _renew(self) -> None:
        while True:
            gevent.sleep(max(1.0, self._lifetime_s * RENEW_AT))
            while True:
                try:
                    self._auth.invalidate()
                    self._fetch()
                    break
                except InputError as problem:
                    log.warning("the token cannot be renewed: %s", problem)
                    gevent.sleep(RETRY_S)
