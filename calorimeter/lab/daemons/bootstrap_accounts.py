"""Users, roles, services, endpoints and EC2 credentials of Heat and the suite in Keystone.

`create` makes them through Keystone's API, once for all labs. `own_values` is the SQL that gives a copy of
them the passwords, addresses and EC2 credential of one lab.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

from calorimeter.lab.daemons import keystone
from calorimeter.lab.daemons.daemon import DaemonError, tail
from calorimeter.lab.lab_state import PROJECT, REGION, USER, Lab

STACK_DOMAIN = "heat"
STACK_DOMAIN_ADMIN = "heat_domain_admin"

LOAD_ROLES = ("member", "heat_stack_owner", "admin")
"""Roles of the load user. It is an administrator because only those may list Heat's engines."""


PASSWORDS = {"admin": "keystone_admin", "heat": "heat", STACK_DOMAIN_ADMIN: "stack_domain", USER: USER}
"""User → name of the secret that is its password."""

_SEALED_SECRETS = Path(__file__).with_name("sealed_secrets.py")

_SET_HASH = (
    "UPDATE keystone.password JOIN keystone.local_user ON local_user_id = local_user.id "
    "SET password_hash = '{hash}' WHERE local_user.name = '{user}';"
)
_SET_URL = (
    "UPDATE keystone.endpoint JOIN keystone.service ON service_id = service.id "
    "SET endpoint.url = '{url}' WHERE service.type = '{kind}';"
)
_SET_EC2 = (
    "REPLACE INTO keystone.credential (id, user_id, project_id, encrypted_blob, type, key_hash, extra) "
    "SELECT '{id}', local_user.user_id, project.id, '{encrypted}', 'ec2', '{key_hash}', '{{}}' "
    "FROM keystone.local_user JOIN keystone.project "
    "WHERE local_user.name = '{user}' AND project.name = '{project}' AND NOT project.is_domain;"
)


def own_values(lab: Lab) -> list[str]:
    """SQL that sets the lab's own passwords, addresses and EC2 credential. Raises `DaemonError`."""
    access = lab.secrets["ec2_access"]
    key = keystone.credential_key(lab)
    # As Keystone's API writes it (keystone/api/users.py).
    blob = {"access": access, "secret": lab.secrets["ec2_secret"], "trust_id": None}
    given = {
        "passwords": {user: lab.secrets[secret] for user, secret in PASSWORDS.items()},
        "rounds": keystone.PASSWORD_ROUNDS,
        "key": key,
        "text": json.dumps(blob),
    }
    sealed = _sealed(lab, given)
    credential = _SET_EC2.format(
        user=USER,
        project=PROJECT,
        id=hashlib.sha256(access.encode()).hexdigest(),
        encrypted=sealed["encrypted"],
        key_hash=hashlib.sha1(key.encode(), usedforsecurity=False).hexdigest(),
    )
    passwords = [_SET_HASH.format(hash=each, user=user) for user, each in sealed["hashes"].items()]
    urls = {kind: url for kind, (_, url) in _services(lab).items()} | {"identity": keystone.public_url(lab)}
    return [*passwords, *(_SET_URL.format(url=url, kind=kind) for kind, url in urls.items()), credential]


def _sealed(lab: Lab, given: dict[str, Any]) -> dict[str, Any]:
    argv = [lab.programs.heat("python"), "-W", "ignore", str(_SEALED_SECRETS)]
    done = subprocess.run(argv, input=json.dumps(given), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise DaemonError("keystone", "its environment cannot hash passwords", done.stderr[-1000:])
    sealed: dict[str, Any] = json.loads(done.stdout)
    return sealed


def _services(lab: Lab) -> dict[str, tuple[str, str]]:
    """Type of a service → its name and URL."""
    return {
        "orchestration": ("heat", f"{lab.url('rest')}/v1/%(tenant_id)s"),
        "cloudformation": ("heat-cfn", f"{lab.url('cfn')}/v1"),
    }


def create(lab: Lab) -> None:
    """Create everything but the EC2 credential, which is a lab's own. Raises `DaemonError`."""
    from keystoneauth1 import exceptions  # slow to import, and not needed by `lab part`

    try:
        _Accounts(lab).create()
    except exceptions.ClientException as problem:
        raise DaemonError(
            "keystone", f"refused to create an account: {problem}", tail(lab.log("keystone"))
        ) from problem


class _Accounts:
    def __init__(self, lab: Lab) -> None:
        import requests
        from keystoneauth1 import session
        from keystoneauth1.identity import v3

        self.lab = lab
        password = v3.Password(
            auth_url=f"{lab.url('keystone')}/v3",
            username="admin",
            password=lab.secrets["keystone_admin"],
            project_name="admin",
            user_domain_id="default",
            project_domain_id="default",
        )
        direct = requests.Session()
        direct.trust_env = False  # $http_proxy does not apply to this machine
        self.session = session.Session(auth=password, timeout=30, session=direct)
        self.root = f"{lab.url('keystone')}/v3"

    def create(self) -> None:
        secrets = self.lab.secrets
        roles = {role["name"]: role["id"] for role in self._get("roles")}
        for name in ("heat_stack_owner", "heat_stack_user"):
            roles[name] = self._post("role", name=name)
        service = self._post("project", name="service", domain_id="default")
        heat = self._post("user", name="heat", domain_id="default", password=secrets["heat"])
        self._put(f"projects/{service}/users/{heat}/roles/{roles['admin']}")
        domain = self._post("domain", name=STACK_DOMAIN)
        admin = self._post(
            "user", name=STACK_DOMAIN_ADMIN, domain_id=domain, password=secrets["stack_domain"]
        )
        self._put(f"domains/{domain}/users/{admin}/roles/{roles['admin']}")
        project = self._post("project", name=PROJECT, domain_id="default")
        user = self._post("user", name=USER, domain_id="default", password=secrets[USER])
        for role in LOAD_ROLES:
            self._put(f"projects/{project}/users/{user}/roles/{roles[role]}")
        for kind, (name, url) in _services(self.lab).items():
            self._service(name, kind, url)

    def _service(self, name: str, kind: str, url: str) -> None:
        service = self._post("service", name=name, type=kind)
        for interface in ("public", "internal", "admin"):
            self._post("endpoint", service_id=service, interface=interface, url=url, region_id=REGION)

    def _get(self, kind: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.session.get(f"{self.root}/{kind}").json()[kind]
        return found

    def _post(self, kind: str, **values: str) -> str:
        answer = self.session.post(f"{self.root}/{kind}s", json={kind: values})
        return str(answer.json()[kind]["id"])

    def _put(self, path: str) -> None:
        self.session.put(f"{self.root}/{path}")
