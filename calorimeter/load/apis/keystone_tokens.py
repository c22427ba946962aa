"""Keystone tokens: one for all users of a tenant, renewed before it expires."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

import gevent

from calorimeter.core import foreign
from calorimeter.core.deployment import Deployment
from calorimeter.core.errors import InputError
from calorimeter.core.login import keystone_login
from calorimeter.core.login.identities import Identity
from calorimeter.core.login.keystone_login import Login
from calorimeter.core.login.sigv4 import Signer

log = logging.getLogger(__name__)

REQUEST_TIMEOUT_S = 15
RENEW_AT = 0.8
"""The fraction of its lifetime after which a token is renewed."""

RETRY_S = 5.0


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

    def __init__(self, deployment: Deployment, login: Login | None = None) -> None:
        """Fetch the first token with `login` (default: the deployment's own identity).

        Raises InputError if Keystone cannot be reached, or refuses, and for a token without a project.
        """
        self.login = login or keystone_login.of(deployment)
        self.session = self.login.session(deployment, REQUEST_TIMEOUT_S)
        self.deferred_headers = _deferred(self.login)
        """Header lines that let Heat act later on the user's behalf; only a password can do that."""
        self.bytes = b""
        self._fetch()
        if not self.project_id:
            raise self.login.needs_project()
        self._renewer: gevent.Greenlet | None = None

    def check_lasts(self, duration_s: float) -> None:
        """Raise InputError if the token cannot be renewed and expires within this time."""
        if not self.login.renewable and self._lifetime_s < duration_s:
            raise InputError(
                self.login.where,
                f"{self.login.who} expires in {self._lifetime_s:.0f} s and cannot be renewed; "
                f"the load takes {duration_s:.0f} s",
                "valid: a newer token, a shorter --duration, or a password or application credential",
            )

    def start_renewing(self) -> None:
        """Renew the token in the background from now on, if Keystone gives another."""
        if self._renewer is None and self.login.renewable:
            self._renewer = gevent.spawn(self._renew)

    def stop_renewing(self) -> None:
        """Stop the renewal in the background."""
        if self._renewer is not None:
            self._renewer.kill(block=False)
            self._renewer = None

    def _fetch(self) -> None:
        self.login.asked(self._read)

    def _read(self) -> None:
        access = self.login.plugin.get_access(self.session)
        fetched = foreign.token(access.auth_token).encode("ascii")
        assert access.expires is not None
        lifetime_s = (access.expires - datetime.now(UTC)).total_seconds()
        self.project_id = foreign.identifier(access.project_id) if access.project_id else ""
        self.project_name = str(access.project_name or "")
        self.domain_id = foreign.identifier(access.project_domain_id) if access.project_domain_id else ""
        self.user_id = str(access.user_id or "")
        self.restricted = keystone_login.restricted(access)
        self._lifetime_s = lifetime_s
        self.bytes = fetched

    def _renew(self) -> None:
        while True:
            gevent.sleep(max(1.0, self._lifetime_s * RENEW_AT))
            while True:
                try:
                    self.login.plugin.invalidate()
                    self._fetch()
                    break
                except InputError as problem:
                    log.warning("the token cannot be renewed: %s", problem)
                    gevent.sleep(RETRY_S)


def _deferred(login: Login) -> bytes:
    known = login.password_of_user
    if known and not all(value.isprintable() for value in known):
        raise InputError(login.where, "user or password has a character that no header may have")
    return f"\r\nX-Auth-User: {known[0]}\r\nX-Auth-Key: {known[1]}".encode() if known else b""
