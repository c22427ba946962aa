"""The suite's identity at Keystone: one session, whose token is renewed automatically."""

from __future__ import annotations

from typing import Any

from keystoneauth1 import exceptions
from keystoneauth1.identity import v3
from keystoneauth1.session import Session

from calorimeter.core.deployment import Deployment
from calorimeter.core.errors import InputError
from calorimeter.core.keystone_session import keystone_session

TIMEOUT_S = 30.0


class KeystoneIdentity:
    """A keystoneauth1 session of the deployment's user; `session` adds and renews its token.

    The token is a secret: it is used only in requests.
    """

    def __init__(self, deployment: Deployment, session: Session) -> None:
        self._deployment = deployment
        self.session = session

    def token(self) -> str:
        """A token that is valid now."""
        return str(_asked(self._deployment, self.session.get_token))

    def project_id(self) -> str:
        """The id of the deployment's project."""
        return str(_asked(self._deployment, self.session.get_project_id))

    def rest_url(self, path: str = "") -> str:
        """The URL of `path` (`/stacks`) at the REST API's front address; the catalog is not used."""
        return f"{self._deployment.rest.url.rstrip('/')}/{self.project_id()}{path}"


def session(deployment: Deployment) -> KeystoneIdentity:
    """Log in at the deployment's Keystone.

    Raises `InputError` if [identity] is missing, Keystone cannot be reached, or user, password or project
    are wrong.
    """
    who = deployment.identity
    if who is None:
        raise InputError(str(deployment.path), "[identity] is missing", "valid: auth_url, username, …")
    auth = v3.Password(
        auth_url=_versioned(who.auth_url),
        username=who.username,
        password=deployment.reveal(who.password),
        project_name=who.project,
        user_domain_name=who.user_domain,
        project_domain_name=who.project_domain,
    )
    made = keystone_session(deployment, who.auth_url, TIMEOUT_S, auth)
    identity = KeystoneIdentity(deployment, made)
    identity.token()
    return identity


def _versioned(url: str) -> str:
    url = url.rstrip("/")
    return url if url.endswith("/v3") else f"{url}/v3"


def _asked(deployment: Deployment, ask: Any) -> Any:
    who = deployment.identity
    assert who is not None
    where = f"{deployment.path}: identity"
    try:
        return ask()
    except exceptions.Unauthorized:
        raise InputError(
            where, f"Keystone refuses user {who.username!r} in project {who.project!r}",
            "valid: the user's password, domain and project",
        ) from None  # fmt: skip
    except (exceptions.ConnectFailure, exceptions.DiscoveryFailure):
        raise InputError(where, f"Keystone cannot be reached at {who.auth_url}") from None
    except exceptions.NotFound:
        raise InputError(where, f"{who.auth_url} is not a Keystone with the v3 API") from None
    except exceptions.ClientException as problem:
        raise InputError(where, f"Keystone fails at {who.auth_url} ({type(problem).__name__})") from None
