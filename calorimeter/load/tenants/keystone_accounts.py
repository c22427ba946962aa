"""Projects, users and EC2 credentials of a run's tenants: made in Keystone, found by name, removed.

Nothing has to be handed on or kept: a tenant is named after the run, and its password is derived from the
password that the deployment's owner keeps (HMAC-SHA256), so every worker and a later `calorimeter clean`
can be that user too, and no one else.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from typing import Any

from keystoneauth1 import exceptions

from calorimeter.core.deployment import Deployment, Identity
from calorimeter.core.errors import InputError
from calorimeter.load.apis.keystone_tokens import Token, identity_of
from calorimeter.load.tenants import leftovers

ROLES = ("member", "heat_stack_owner")
"""Of a tenant's user, where Keystone has them; never an administrator's, for whom no quota counts."""


def name(run_id: str, number: int) -> str:
    """Of the project and of its user."""
    return f"{leftovers.prefix(run_id)}tenant-{number}"


def identity(deployment: Deployment, named: str) -> tuple[Identity, str]:
    """Who a tenant's user is, and the password."""
    owner = identity_of(deployment)
    key = deployment.reveal(owner.password).encode()
    password = hmac.new(key, named.encode(), "sha256").hexdigest()
    new: dict[str, Any] = {"username": named, "project": named, "ec2_access": None, "ec2_secret": None}
    new["user_domain"] = owner.project_domain
    return owner.model_copy(update=new), password


class Keystone:
    """The identity API, as the deployment's own user may use it."""

    def __init__(self, deployment: Deployment, token: Token) -> None:
        self._deployment = deployment
        self._where = f"identity.username {identity_of(deployment).username!r}"
        self._token = token
        url = identity_of(deployment).auth_url.rstrip("/")
        self._root = url if url.endswith("/v3") else f"{url}/v3"

    def make(self, run_id: str, count: int) -> None:
        """Make the tenants of a run; raises `InputError`, and leaves nothing, where that is refused."""
        try:
            domain = self._token.auth.get_access(self._token.session).project_domain_id or ""
            roles = [role["id"] for role in self._get("roles") if role["name"] in ROLES]
            for number in range(count):
                self._make(name(run_id, number), domain, roles)
        except exceptions.ClientException as problem:
            self.remove(run_id)
            raise InputError(
                self._where,
                f"Keystone refuses to make tenants ({_reason(problem)})",
                "valid: a user who may make projects and users, or [[tenants]] in the deployment file",
            ) from problem

    def _make(self, named: str, domain: str, roles: list[str]) -> None:
        _, password = identity(self._deployment, named)
        project = self._post("projects", "project", name=named, domain_id=domain)
        user = self._post("users", "user", name=named, domain_id=domain, password=password)
        for role in roles:
            self._call("PUT", f"projects/{project}/users/{user}/roles/{role}")
        self._call("POST", f"users/{user}/credentials/OS-EC2", json={"tenant_id": project})

    def names(self, run_id: str) -> list[str]:
        """The tenants of a run that there are; none where the user may not know, and so has made none.

        Raises `InputError` where Keystone does not say.
        """
        try:
            return sorted({entry["name"] for entry in self._of(run_id, "projects")})
        except exceptions.Forbidden:
            return []
        except exceptions.ClientException as problem:
            raise InputError(
                self._where, f"Keystone does not list tenants ({_reason(problem)})"
            ) from problem

    def remove(self, run_id: str) -> int:
        """Remove the tenants of a run; how many could not be, one where Keystone does not say."""
        left: set[str] = set()
        for kind in ("users", "projects"):
            try:
                left |= {
                    str(entry["name"])
                    for entry in self._of(run_id, kind)
                    if not self._removed(f"{kind}/{entry['id']}")
                }
            except exceptions.Forbidden:
                continue
            except exceptions.ClientException:
                left.add(kind)
        return len(left)

    def _removed(self, path: str) -> bool:
        try:
            self._call("DELETE", path)
        except exceptions.NotFound:
            return True
        except exceptions.ClientException:
            return False
        return True

    def _of(self, run_id: str, kind: str) -> Iterator[dict[str, Any]]:
        begin = f"{leftovers.prefix(run_id)}tenant-"
        return (entry for entry in self._get(kind) if str(entry["name"]).startswith(begin))

    def _get(self, kind: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._call("GET", kind).json()[kind]
        return found

    def _post(self, kind: str, single: str, **values: str) -> str:
        return str(self._call("POST", kind, json={single: values}).json()[single]["id"])

    def _call(self, method: str, path: str, **more: Any) -> Any:
        return self._token.session.request(f"{self._root}/{path}", method, auth=self._token.auth, **more)


def ec2_of(deployment: Deployment, token: Token) -> tuple[str, str]:
    """The EC2 credentials that a tenant's user has; raises `InputError` where there are none."""
    url = identity_of(deployment).auth_url.rstrip("/")
    root = url if url.endswith("/v3") else f"{url}/v3"
    try:
        answer = token.session.get(f"{root}/users/{token.user_id}/credentials/OS-EC2", auth=token.auth)
        credential = answer.json()["credentials"][0]
    except (exceptions.ClientException, IndexError, KeyError) as problem:
        raise InputError(f"identity.auth_url {url}", "a tenant has no EC2 credentials") from problem
    return str(credential["access"]), str(credential["secret"])


def _reason(problem: Exception) -> str:
    return str(problem).partition(" (HTTP")[0].partition("\n")[0]
