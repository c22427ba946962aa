"""Users, roles, services, endpoints and EC2 credentials of Heat and the suite in Keystone."""

from __future__ import annotations

from typing import Any

from calorimeter.lab.daemons.daemon import DaemonError, tail
from calorimeter.lab.lab_state import PROJECT, REGION, USER, Lab

STACK_DOMAIN = "heat"
STACK_DOMAIN_ADMIN = "heat_domain_admin"

LOAD_ROLES = ("member", "heat_stack_owner", "admin")
"""Roles of the load user. It is an administrator because only those may list Heat's engines."""


def create(lab: Lab) -> dict[str, str]:
    """Create everything; return the EC2 credentials as secrets to keep. Raises `DaemonError`."""
    from keystoneauth1 import exceptions  # slow to import, and not needed by `lab part`

    try:
        return _Accounts(lab).create()
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

    def create(self) -> dict[str, str]:
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
        self._service("heat", "orchestration", f"{self.lab.url('rest')}/v1/%(tenant_id)s")
        self._service("heat-cfn", "cloudformation", f"{self.lab.url('cfn')}/v1")
        answer = self.session.post(
            f"{self.root}/users/{user}/credentials/OS-EC2", json={"tenant_id": project}
        )
        credential = answer.json()["credential"]
        return {"ec2_access": credential["access"], "ec2_secret": credential["secret"]}

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
