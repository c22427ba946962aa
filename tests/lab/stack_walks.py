"""Walks through a lab's APIs as a client, and what shows that a lab keeps to itself and is gone."""

from __future__ import annotations

import json
import sys
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from calorimeter.core import paths
from calorimeter.core.deployment import Deployment
from calorimeter.core.host import netns
from calorimeter.core.waiting import until
from calorimeter.lab import ports, processes

TEMPLATE = {
    "heat_template_version": "2016-10-14",
    "resources": {
        "test": {"type": "OS::Heat::TestResource", "properties": {"value": "x"}},
        "random": {"type": "OS::Heat::RandomString"},
        "value": {"type": "OS::Heat::Value", "properties": {"value": "x"}},
    },
}

CFN_TEMPLATE = {
    "AWSTemplateFormatVersion": "2010-09-09",
    "Resources": {"random": {"Type": "OS::Heat::RandomString"}},
}


def token(lab: Deployment) -> tuple[str, str]:
    """A token of the load user, and its project."""
    assert lab.identity is not None
    who = lab.identity
    user = {"name": who.username, "domain": {"name": who.user_domain}, "password": lab.reveal(who.password)}
    body = {
        "auth": {
            "identity": {"methods": ["password"], "password": {"user": user}},
            "scope": {"project": {"name": who.project, "domain": {"name": who.project_domain}}},
        }
    }
    verify = lab.tls.for_requests
    answer = requests.post(f"{who.auth_url}/auth/tokens", json=body, timeout=30, verify=verify)
    return answer.headers["X-Subject-Token"], answer.json()["token"]["project"]["id"]


def _fresh_name(api: str) -> str:
    """A name of its own: a walk that failed may have left its stack."""
    return f"{api}-{uuid.uuid4().hex[:8]}"


def rest_walk(lab: Deployment) -> None:
    """Create a stack through REST, see it complete, delete it, see it gone."""
    secret, project = token(lab)
    with requests.Session() as session:
        session.trust_env = False  # $REQUESTS_CA_BUNDLE would replace the authority of the lab
        session.verify = lab.tls.for_requests
        session.headers["X-Auth-Token"] = secret
        created = session.post(
            f"{lab.rest.url}/{project}/stacks",
            json={"stack_name": _fresh_name("rest"), "template": TEMPLATE},
            timeout=60,
        )
        assert created.status_code == 201, created.text
        (link,) = created.json()["stack"]["links"]
        url = link["href"]
        # The catalogue's and the answer's addresses are the proxy's.
        assert url.startswith(f"{lab.rest.url}/")
        state: Callable[[], Any] = lambda: session.get(url, timeout=60).json()["stack"]["stack_status"]  # noqa: E731
        until(lambda: state() == "CREATE_COMPLETE", 60, every_s=0.2)
        assert session.delete(url, timeout=60).status_code == 204
        # By name, because a deleted stack can still be asked for by its id.
        by_name = url.rpartition("/")[0]
        until(lambda: session.get(by_name, timeout=60).status_code == 404, 60, every_s=0.2)


def cfn(lab: Deployment, action: str, **parameters: str) -> requests.Response:
    """Send one signed CFN request."""
    assert lab.cfn is not None and lab.identity is not None and lab.identity.ec2_secret is not None
    body = urlencode({"Action": action, "Version": "2010-05-15", **parameters})
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Host": str(lab.cfn.front)}
    request = AWSRequest("POST", f"{lab.cfn.url}/", data=body, headers=headers)
    keys = Credentials(lab.identity.ec2_access, lab.reveal(lab.identity.ec2_secret))
    SigV4Auth(keys, "cloudformation", lab.identity.region).add_auth(request)
    return requests.post(
        request.url, data=body, headers=dict(request.headers), timeout=60, verify=lab.tls.for_requests
    )


def cfn_walk(lab: Deployment) -> None:
    """Create a stack through CFN, see it complete, delete it, see it gone."""
    name = _fresh_name("cfn")
    created = cfn(lab, "CreateStack", StackName=name, TemplateBody=json.dumps(CFN_TEMPLATE))
    assert created.status_code == 200, created.text
    until(lambda: "CREATE_COMPLETE" in cfn(lab, "DescribeStacks", StackName=name).text, 60, every_s=0.2)
    assert cfn(lab, "DeleteStack", StackName=name).status_code == 200
    until(lambda: cfn(lab, "DescribeStacks", StackName=name).status_code == 400, 60, every_s=0.2)


def nothing_left(name: str, reserved: dict[str, int]) -> None:
    """No process, listening port, folder or lock of the lab is there."""
    folder = paths.lab(name)
    assert processes.running(folder) == []
    assert {found.port for found in ports.listening()} & set(reserved.values()) == set()
    assert not folder.exists()
    assert not folder.with_suffix(".lock").exists()


def listeners(folder: Path) -> list[tuple[str, str, int]]:
    """(part, address, port) of every TCP socket that a process of the lab listens on."""
    owner: dict[int, str] = {}
    for process in processes.running(folder):
        descriptors: list[Path] = []
        with suppress(OSError):  # the process ended
            descriptors = list(Path(f"/proc/{process.pid}/fd").iterdir())
        for descriptor in descriptors:
            with suppress(OSError):  # it was closed
                target = str(descriptor.readlink())
                if target.startswith("socket:["):
                    owner[int(target[8:-1])] = process.part
    return [(owner[x.inode], x.address, x.port) for x in ports.listening() if x.inode in owner]


if __name__ == "__main__":
    deployed = netns.open_deployment(sys.argv[1])
    rest_walk(deployed)
    cfn_walk(deployed)
