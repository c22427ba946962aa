"""Keystone tokens: one for all users of a tenant, renewed before it expires."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

import gevent
from keystoneauth1 import exceptions
from keystoneauth1.identity import generic

from calorimeter.core.deployment import Deployment, Identity
from calorimeter.core.errors import InputError
from calorimeter.core.keystone_session import keystone_session
from calorimeter.core.sigv4 import Signer

log = logging.getLogger(__name__)

logging.getLogger("keystoneauth").setLevel(logging.ERROR)  # its warnings repeat what it raises

REQUEST_TIMEOUT_S = 15
RENEW_AT = 0.8
"""The fraction of its lifetime after which a token is renewed."""

RETRY_S = 5.0


def identity_of(deployment: Deployment) -> Identity:
    """The deployment's own identity. Raises InputError if the deployment file has none."""
    if deployment.identity is None:
        raise InputError(str(deployment.path), "has no [identity]", "a load needs one")
    return deployment.identity


def cfn_signer(deployment: Deployment, identity: Identity | None = None) -> Signer:
    """The signer of CFN requests. Raises InputError if `identity` (default: its own) has no EC2 keys."""
    signer = Signer.of(deployment, identity)
    if signer is None:
        raise InputError(
            str(deployment.path),
            "has no EC2 credentials",
            "CFN needs identity.ec2_access and identity.ec2_secret",
        )
    return signer


class Token:
    """The current token and its project. `bytes` changes when the token is renewed."""

    def __init__(
        self, deployment: Deployment, identity: Identity | None = None, password: str = ""
    ) -> None:
        """Fetch the first token. Raises InputError if Keystone cannot be reached, or refuses.

        `identity` defaults to the deployment's own; `password` to the secret that the identity names.
        """
        identity = identity or identity_of(deployment)
        self._where = f"identity.auth_url {identity.auth_url}"
        self._user = identity.username
        password = password or deployment.reveal(identity.password)
        self.auth = generic.Password(
            auth_url=identity.auth_url,
            username=identity.username,
            password=password,
            project_name=identity.project,
            user_domain_name=identity.user_domain,
            project_domain_name=identity.project_domain,
        )
        self.session = keystone_session(deployment, identity.auth_url, REQUEST_TIMEOUT_S)
        self.deferred_headers = f"\r\nX-Auth-User: {identity.username}\r\nX-Auth-Key: {password}".encode()
        """Header lines that let Heat act later on the user's behalf."""
        self.bytes = b""
        self.project_id = self.user_id = ""
        self._lifetime_s = 0.0
        self._fetch()
        self._renewer: gevent.Greenlet | None = None

    def start_renewing(self) -> None:
        """Renew the token in the background from now on."""
        if self._renewer is None:
            self._renewer = gevent.spawn(self._renew)

    def stop_renewing(self) -> None:
        """Stop the renewal in the background."""
        if self._renewer is not None:
            self._renewer.kill(block=False)
            self._renewer = None

    def _fetch(self) -> None:
        try:
            access = self.auth.get_access(self.session)
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
        self.user_id = access.user_id or ""
        self._lifetime_s = (access.expires - datetime.now(UTC)).total_seconds()

    def _renew(self) -> None:
        while True:
            gevent.sleep(max(1.0, self._lifetime_s * RENEW_AT))
            while True:
                try:
                    self.auth.invalidate()
                    self._fetch()
                    break
                except InputError as problem:
                    log.warning("the token cannot be renewed: %s", problem)
                    gevent.sleep(RETRY_S)
