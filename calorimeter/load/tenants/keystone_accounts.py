"""Projects, users and EC2 credentials of a run's tenants: created in Keystone, found by name, removed.

Nothing is stored: a tenant is named after the run, and its password is derived (HMAC-SHA256) from the
password of the deployment's own identity. So each worker, and `calorimeter clean` later, can log in as the
tenant's user, and nobody else can.
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
"""The roles of a tenant's user, if Keystone has them; quotas do not apply to an administrator's role."""


def name(run_id: str, number: int) -> str:
    """The name of a tenant's project and of its user."""
    return f"{leftovers.prefix(run_id)}tenant-{number}"


def identity(deployment: Deployment, named: str) -> tuple[Identity, str]:
    """The identity of a tenant's user, and its password."""
    owner = identity_of(deployment)
    key = deployment.reveal(owner.password).encode()
    password = hmac.new(key, named.encode(), "sha256").hexdigest()
    new: dict[str, Any] = {"username": named, "project": named, "ec2_access": None, "ec2_secret": None}
    new["user_domain"] = owner.project_domain
    return owner.model_copy(update=new), password


class TenantAccounts:
    """The identity API, with the rights of the deployment's own user."""

    def __init__(self, deployment: Deployment, token: Token) -> None:
        self._deployment = deployment
        self._where = f"identity.username {identity_of(deployment).username!r}"
        self._token = token
        self._root = _root(deployment)

    def create(self, run_id: str, count: int) -> None:
        """Create the tenants of a run. Raises InputError, and leaves nothing, if Keystone refuses."""
        try:
            domain = self._token.auth.get_access(self._token.session).project_domain_id or ""
            roles = [role["id"] for role in self._get("roles") if role["name"] in ROLES]
            for number in range(count):
                self._create(name(run_id, number), domain, roles)
        except exceptions.ClientException as problem:
            self.remove(run_id)
            raise InputError(
                self._where,
                f"Keystone refuses to create tenants ({_reason(problem)})",
                "valid: a user who may create projects and users, or [[tenants]] in the deployment file",
            ) from problem

    def _create(self, named: str, domain: str, roles: list[str]) -> None:
        _, password = identity(self._deployment, named)
        project = self._post("projects", "project", name=named, domain_id=domain)
        user = self._post("users", "user", name=named, domain_id=domain, password=password)
        for role in roles:
            self._call("PUT", f"projects/{project}/users/{user}/roles/{role}")
        self._call("POST", f"users/{user}/credentials/OS-EC2", json={"tenant_id": project})

    def names(self, run_id: str) -> list[str]:
        """The names of a run's existing tenants.

        None exist if the user may not list them, because then it cannot have created any. Raises InputError
        if Keystone fails.
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
        """Remove the tenants of a run; returns how many are left. An unreadable list counts as one."""
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
        prefix = f"{leftovers.prefix(run_id)}tenant-"
        return (entry for entry in self._get(kind) if str(entry["name"]).startswith(prefix))

    def _get(self, kind: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._call("GET", kind).json()[kind]
        return found

    def _post(self, kind: str, single: str, **values: str) -> str:
        return str(self._call("POST", kind, json={single: values}).json()[single]["id"])

    def _call(self, method: str, path: str, **more: Any) -> Any:
        return self._token.session.request(f"{self._root}/{path}", method, auth=self._token.auth, **more)


def ec2_of(deployment: Deployment, token: Token) -> tuple[str, str]:
    """The EC2 access key and secret of a tenant's user. Raises InputError if it has none."""
    url = f"{_root(deployment)}/users/{token.user_id}/credentials/OS-EC2"
    try:
        answer = token.session.get(url, auth=token.auth)
        credential = answer.json()["credentials"][0]
    except (exceptions.ClientException, IndexError, KeyError) as problem:
        where = f"identity.auth_url {identity_of(deployment).auth_url}"
        raise InputError(where, "a tenant has no EC2 credentials") from problem
    return str(credential["access"]), str(credential["secret"])


def _root(deployment: Deployment) -> str:
    url = identity_of(deployment).auth_url.rstrip("/")
    return url if url.endswith("/v3") else f"{url}/v3"


def _reason(problem: Exception) -> str:
    return str(problem).partition(" (HTTP")[0].partition("\n")[0]
