"""Projects, users and EC2 credentials of a run's tenants: created in Keystone, found by name, removed.

Nothing is stored: a tenant is named after the run, and its password is derived (HMAC-SHA256) from the
secret of the deployment's own identity: its password, or that of its application credential. So each
worker, and `calorimeter clean` later, can log in as the tenant's user, and nobody else can.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import quote

from keystoneauth1 import exceptions

from calorimeter.core import foreign
from calorimeter.core.deployment import Deployment
from calorimeter.core.errors import InputError
from calorimeter.core.foreign import UnintelligibleError
from calorimeter.core.login import keystone_login
from calorimeter.core.login.keystone_login import Login
from calorimeter.load.apis.keystone_tokens import Token
from calorimeter.load.tenants import leftovers

ROLES = ("member", "heat_stack_owner")
"""The roles of a tenant's user, if Keystone has them; quotas do not apply to an administrator's role."""


def name(run_id: str, number: int) -> str:
    """The name of a tenant's project and of its user."""
    return f"{leftovers.prefix(run_id)}tenant-{number}"


def password(owner: Login, named: str) -> str:
    """The password of a tenant's user. Raises InputError if `owner` has no secret that stays the same."""
    secret = owner.lasting_secret
    if secret is None:
        raise InputError(
            owner.where,
            f"{owner.who} cannot create tenants: their passwords are derived from a secret that stays the "
            f"same, and {owner.auth_type} has none",
            "valid: a password or an application credential, or [[tenants]] in the deployment file",
        )
    return hmac.new(secret.encode(), named.encode(), "sha256").hexdigest()


def log_in(deployment: Deployment, owner: Token, named: str) -> Token:
    """A token of a tenant's user; `owner` is that of the deployment's own identity. Raises InputError."""
    login = keystone_login.of_tenant(owner.login, named, owner.domain_id, password(owner.login, named))
    return Token(deployment, login)


class TenantAccounts:
    """The identity API, with the rights of the deployment's own user."""

    def __init__(self, token: Token) -> None:
        self._where = token.login.where
        self._token = token

    def create(self, run_id: str, count: int) -> None:
        """Create the tenants of a run. Raises InputError, and leaves nothing, if Keystone refuses."""
        try:
            roles = [
                foreign.identifier(role.get("id"))
                for role in self._get("roles")
                if role.get("name") in ROLES
            ]
            for number in range(count):
                self._create(name(run_id, number), self._token.domain_id, roles)
        except (exceptions.ClientException, UnintelligibleError) as problem:
            self.remove(run_id)
            raise InputError(
                self._where,
                f"Keystone refuses {self._token.login.who} to create tenants ({_reason(problem)})",
                "valid: a user who may create projects and users, or [[tenants]] in the deployment file",
            ) from problem

    def _create(self, named: str, domain: str, roles: list[str]) -> None:
        project = self._post("projects", "project", name=named, domain_id=domain)
        secret = password(self._token.login, named)
        user = self._post("users", "user", name=named, domain_id=domain, password=secret)
        for role in roles:
            self._call("PUT", f"projects/{project}/users/{user}/roles/{role}")

    def names(self, run_id: str) -> list[str]:
        """The names of a run's existing tenants.

        None exist if the user may not list them, because then it cannot have created any. Raises InputError
        if Keystone fails.
        """
        return self._listed(lambda: (entry["name"] for entry in self._of(run_id, "projects")))

    def usable(self, run_id: str) -> list[str]:
        """The tenants among `names` whose user has a role in the project.

        The others can own nothing: their run was killed before it had made them whole, or they are removed
        in part. Nobody can log in there.
        """
        return self._listed(lambda: self._usable(run_id))

    def _usable(self, run_id: str) -> Iterator[str]:
        users = {entry["name"]: foreign.identifier(entry.get("id")) for entry in self._of(run_id, "users")}
        for project in self._of(run_id, "projects"):
            user, within = users.get(project["name"]), foreign.identifier(project.get("id"))
            if user and self._has_role(user, within):
                yield project["name"]

    def _has_role(self, user: str, project: str) -> bool:
        try:
            return bool(self._get(f"projects/{project}/users/{user}/roles", "roles"))
        except exceptions.NotFound:  # somebody else removes them at this moment
            return False
        except exceptions.Forbidden:  # then its own login shows it
            return True

    def _listed(self, names: Callable[[], Iterable[str]]) -> list[str]:
        try:
            return sorted(set(names()))
        except exceptions.Forbidden:
            return []
        except (exceptions.ClientException, UnintelligibleError) as problem:
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
                    if not self._removed(f"{kind}/{foreign.identifier(entry.get('id'))}")
                }
            except exceptions.Forbidden:
                continue
            except (exceptions.ClientException, UnintelligibleError):
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
        return (entry for entry in self._get(kind) if str(entry.get("name")).startswith(prefix))

    def _get(self, path: str, kind: str = "") -> list[dict[str, Any]]:
        answer = foreign.json_value(self._call("GET", path).content)
        return foreign.objects(foreign.member(answer, kind or path))

    def _post(self, kind: str, single: str, **values: str) -> str:
        answer = self._call("POST", kind, json={single: values})
        return foreign.identifier(foreign.member(foreign.json_value(answer.content), single, "id"))

    def _call(self, method: str, path: str, **more: Any) -> Any:
        url = f"{self._token.login.api}/{path}"
        return self._token.session.request(url, method, auth=self._token.login.plugin, **more)


def ec2_of(token: Token) -> tuple[str, str]:
    """The EC2 access key and secret of a tenant's user, who creates them if there are none.

    Keystone lets no application credential of the owner create them. Raises InputError.
    """
    url = f"{token.login.api}/users/{quote(token.user_id, safe='')}/credentials/OS-EC2"
    auth = token.login.plugin
    try:
        there = foreign.json_value(token.session.get(url, auth=auth).content)
        found = foreign.objects(foreign.member(there, "credentials"))
        if not found:
            made = token.session.post(url, auth=auth, json={"tenant_id": token.project_id})
            found = [foreign.table(foreign.member(foreign.json_value(made.content), "credential"))]
        return foreign.identifier(found[0].get("access")), foreign.token(found[0].get("secret"))
    except (exceptions.ClientException, UnintelligibleError) as problem:
        raise InputError(
            token.login.where, f"a tenant has no EC2 credentials ({_reason(problem)})"
        ) from problem


def _reason(problem: Exception) -> str:
    return str(problem).partition(" (HTTP")[0].partition("\n")[0]
