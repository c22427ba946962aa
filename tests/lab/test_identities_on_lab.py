"""Every kind of identity at the lab's Keystone: what `doctor`, a load and gates make of it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from calorimeter.config import deployment_writer
from calorimeter.core import verdict
from calorimeter.core.deployment import Deployment
from calorimeter.core.login.identities import Identity
from calorimeter.core.secrecy.secrets import Secret
from calorimeter.gates.evidence.identity import KeystoneIdentity, session
from calorimeter.lab.deployment_file import CLOUD

pytestmark = pytest.mark.lab

LOAD = ["--users", "4", "--duration", "5s"]


def calorimeter(*words: str, timeout_s: float = 150) -> subprocess.CompletedProcess[str]:
    """Run a command as a user does."""
    command = [sys.executable, "-m", "calorimeter", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)


def with_identity(lab: Deployment, folder: Path, identity: Identity, secret: str = "") -> Path:
    """A copy of the lab's deployment file with this identity; its secret has the key `mine`."""
    secrets = folder / "secrets.toml"
    secrets.touch(mode=0o600)
    text = (lab.path.parent / "secrets.toml").read_text(encoding="utf-8")
    secrets.write_text(f"{text}\nmine = {json.dumps(secret)}\n", encoding="utf-8")
    assert lab.identity is not None
    ec2 = {"ec2_access": lab.identity.ec2_access, "ec2_secret": lab.identity.ec2_secret}
    file = folder / "deployment.toml"
    deployment_writer.write(lab.model_copy(update={"identity": identity.model_copy(update=ec2)}), file)
    return file


def by_plugin(lab: Deployment, auth_type: str, **auth: str | Secret) -> Identity:
    """An identity by a plugin of keystoneauth; its secret is `MINE`."""
    assert lab.identity is not None
    return Identity(
        auth_url=lab.identity.auth_url, auth_type=auth_type, auth=auth, region=lab.identity.region
    )


MINE = Secret(file=Path("secrets.toml"), key="mine")


@contextmanager
def application_credential(lab: Deployment, *, unrestricted: bool) -> Iterator[dict[str, Any]]:
    """An application credential of the lab's load user."""
    who = session(lab)
    base = f"{who.login.api}/users/{who.access().user_id}/application_credentials"
    asked = {"name": f"cal-{unrestricted}", "unrestricted": unrestricted}
    made = who.session.post(base, json={"application_credential": asked}).json()["application_credential"]
    try:
        yield made
    finally:
        who.session.delete(f"{base}/{made['id']}")


@contextmanager
def system_role(who: KeystoneIdentity) -> Iterator[None]:
    """The role admin on the whole system, for the load user."""
    roles = who.session.get(f"{who.login.api}/roles?name=admin").json()["roles"]
    url = f"{who.login.api}/system/users/{who.access().user_id}/roles/{roles[0]['id']}"
    who.session.put(url)
    try:
        yield
    finally:
        who.session.delete(url)


def found_by_doctor(file: Path) -> str:
    """What `doctor` says about the identity."""
    done = calorimeter("doctor", str(file))
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("identity ")]
    return " ".join(line.split())


def works(file: Path, runs: Path, scenario: str = "first-mix", gates: tuple[str, ...] = ("E1",)) -> str:
    """Run a short load, and gates: E1 lists stacks, P3 is the `openstack` client; what the load said."""
    done = calorimeter("run", scenario, "--deployment", str(file), *LOAD, "--runs", str(runs / "load"))
    assert done.returncode == 0, done.stderr
    judged = calorimeter("verify", str(file), "--gates", ",".join(gates), "--runs", str(runs / "gates"))
    (kept,) = (runs / "gates").glob("*/verdicts.json")
    found = {v.gate: str(v.judgement.outcome) for v in verdict.read(kept).verdicts}
    assert found == dict.fromkeys(gates, "PASS"), judged.stdout
    return done.stderr


def test_cloud_of_the_labs_own_clouds_yaml(lab: Deployment, tmp_path: Path) -> None:
    """The lab writes a private clouds.yaml; with it everything works without a password in the file."""
    clouds = lab.path.with_name("clouds.yaml")
    assert clouds.stat().st_mode & 0o777 == 0o600
    file = with_identity(lab, tmp_path, Identity(cloud=CLOUD, clouds_file=clouds))
    said = found_by_doctor(file)
    assert "ok a token for user 'load' in project 'load' (password, region RegionOne, public" in said
    assert f"interface), from cloud 'calorimeter' of {clouds}" in said
    assert "note:" not in said
    works(file, tmp_path)


def test_unrestricted_application_credential(lab: Deployment, tmp_path: Path) -> None:
    """A load with tenants that it creates, E1 and P3; its secret is in no file of the runs."""
    with application_credential(lab, unrestricted=True) as made:
        identity = by_plugin(
            lab,
            "v3applicationcredential",
            application_credential_id=made["id"],
            application_credential_secret=MINE,
        )
        file = with_identity(lab, tmp_path, identity, made["secret"])
        said = found_by_doctor(file)
        assert "in project 'load' (application credential, " in said
        assert "note:" not in said
        assert "restricted" not in works(file, tmp_path, "noisy-neighbour", ("E1", "P3"))
        kept = [path for name in ("load", "gates") for path in (tmp_path / name).rglob("*")]
        assert not [
            path for path in kept if path.is_file() and made["secret"].encode() in path.read_bytes()
        ]


def test_restricted_application_credential_is_pointed_out(lab: Deployment, tmp_path: Path) -> None:
    """Doctor and a load say that Heat can create no trusts with it; this lab's Heat needs none."""
    with application_credential(lab, unrestricted=False) as made:
        identity = by_plugin(
            lab,
            "v3applicationcredential",
            application_credential_id=made["id"],
            application_credential_secret=MINE,
        )
        file = with_identity(lab, tmp_path, identity, made["secret"])
        assert "note: it is restricted: Heat creates a trust for each stack" in found_by_doctor(file)
        assert "is restricted: Heat creates a trust for each stack" in works(file, tmp_path)


def test_token_is_used_until_it_ends(lab: Deployment, tmp_path: Path) -> None:
    """It cannot be renewed: a load that takes longer is refused, and a revoked one is one clear line."""
    who = session(lab)
    value = who.token()
    identity = by_plugin(lab, "v3token", token=MINE, project_name="load", project_domain_name="Default")
    file = with_identity(lab, tmp_path, identity, value)
    assert "note: it expires at " in found_by_doctor(file)
    works(file, tmp_path)
    long = calorimeter("run", "--deployment", str(file), "--duration", "48h", "--runs", str(tmp_path / "r"))
    assert long.returncode == 2
    assert "s and cannot be renewed; the load takes 172800 s; valid: a newer token" in long.stderr
    who.session.delete(f"{who.login.api}/auth/tokens", headers={"X-Subject-Token": value})
    refused = r"identity: Keystone refuses the token of \[identity.auth\] \(40[14]\): it may have expired"
    said = found_by_doctor(file)
    assert re.search(rf"unreachable .*{refused}", said), said
    for words in (
        ["run", "--deployment", str(file)],
        ["verify", str(file), "--gates", "E1", "--runs", str(tmp_path / "none")],
    ):
        done = calorimeter(*words)
        assert done.returncode == 2
        assert re.search(refused, done.stderr.splitlines()[-1]), done.stderr
        assert "Traceback" not in done.stderr


def test_system_scope_cannot_call_heat(lab: Deployment, tmp_path: Path) -> None:
    """Doctor says so; a load and a gate that calls Heat are refused with one line."""
    who = session(lab)
    assert lab.identity is not None and lab.identity.password is not None
    auth: dict[str, str | Secret] = {
        "username": "load",
        "user_domain_name": "Default",
        "password": lab.identity.password,
        "system_scope": "all",
    }
    with system_role(who):
        file = with_identity(lab, tmp_path, by_plugin(lab, "v3password", **auth))
        said = found_by_doctor(file)
        assert "user 'load' in no project (system or domain scope) (password, " in said
        assert "note: Heat's REST API needs a project" in said
        done = calorimeter("run", "--deployment", str(file), "--runs", str(tmp_path / "none"))
        assert done.returncode == 2
        assert "has no project (system or domain scope)" in done.stderr
        judged = calorimeter("verify", str(file), "--gates", "E1", "--runs", str(tmp_path / "gates"))
        assert "Traceback" not in judged.stdout + judged.stderr
        assert "has no project (system or domain scope)" in judged.stdout + judged.stderr
