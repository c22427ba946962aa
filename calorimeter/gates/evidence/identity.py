"""The suite's identity at Keystone: one session, whose token is renewed automatically."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keystoneauth1.session import Session

from calorimeter.core import foreign
from calorimeter.core.deployment import Api, Deployment
from calorimeter.core.errors import InputError
from calorimeter.core.login import keystone_login
from calorimeter.core.login.keystone_login import Login
from calorimeter.gates.evidence import proxy_polling

if TYPE_CHECKING:
    from keystoneauth1.access import AccessInfo

TIMEOUT_S = 30.0


class KeystoneIdentity:
    """A keystoneauth1 session of the deployment's user; `session` adds and renews its token.

    The token is a secret: it is used only in requests.
    """

    def __init__(self, deployment: Deployment, login: Login) -> None:
        self._deployment = deployment
        self.login = login
        self.session: Session = login.session(deployment, TIMEOUT_S, with_token=True)

    def token(self) -> str:
        """A token that is valid now."""
        return self.login.asked(lambda: foreign.token(self.session.get_token()))

    def project_id(self) -> str:
        """The id of the deployment's project. Raises InputError if the token has none."""
        found = self.login.asked(self.session.get_project_id)
        if not found:
            raise self.login.needs_project()
        return self.login.asked(lambda: foreign.identifier(found))

    def access(self) -> AccessInfo:
        """The token with what Keystone says about it."""

        def read() -> AccessInfo:
            access = self.login.plugin.get_access(self.session)
            # keystoneauth reads each part of the answer only when it is asked for.
            for name in (access.username, access.project_name):
                foreign.text(name or "")
            _ = access.project_id, access.expires
            return access

        return self.login.asked(read)

    def rest_url(self, path: str = "") -> str:
        """The URL of `path` (`/stacks`) at the REST API's front address; the catalog is not used."""
        return f"{self._deployment.rest.url.rstrip('/')}/{self.project_id()}{path}"

    def orchestration_endpoint(self) -> str | None:
        """Heat's endpoint in the catalog, for the identity's region and interface; None without one."""
        try:
            found = self.login.asked(
                lambda: self.session.get_endpoint(
                    service_type="orchestration",
                    interface=self.login.interface,
                    region_name=self.login.region,
                )
            )
        except InputError:
            return None
        return str(found) if found else None


def session(deployment: Deployment) -> KeystoneIdentity:
    """Log in at the deployment's Keystone.

    Raises `InputError` if [identity] is missing or cannot be used, Keystone cannot be reached, or it
    refuses.
    """
    identity = KeystoneIdentity(deployment, keystone_login.of(deployment))
    identity.token()
    return identity


def leads_to(endpoint: str, api: Api) -> bool:
    """Whether an endpoint is the front address, also by another name of its host or its usual port."""
    try:
        return proxy_polling.same_place(api.model_copy(update={"url": endpoint}).front, api.front)
    except foreign.MISREAD:
        return False
