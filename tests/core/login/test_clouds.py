"""Clouds of clouds.yaml and of OS_*, as openstacksdk's loader finds them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from calorimeter.core import deployment as deployments
from calorimeter.core.errors import InputError
from calorimeter.core.login import clouds, keystone_login
from calorimeter.core.login.keystone_login import Login
from tests.core.test_deployment import SMALLEST, written

CLOUDS = """
clouds:
  prod:
    auth: {auth_url: "https://keystone:5000/v3", username: perf, project_name: perf,
           user_domain_name: Default, project_domain_name: Default}
    regions: [north, south]
    interface: internal
    cacert: /etc/ca.pem
  credential:
    auth_type: v3applicationcredential
    auth: {auth_url: "https://keystone:5000/v3", application_credential_id: c1,
           application_credential_secret: s3cr3t}
    verify: false
  halved:
    auth_type: v3applicationcredential
    auth: {auth_url: "https://keystone:5000/v3", application_credential_id: c1}
  open:
    auth_type: none
"""
SECURE = "clouds: {prod: {auth: {password: s3cr3t}}}\n"


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clouds.yaml and a secure.yaml beside it, and no variable of the caller's."""
    for name in [name for name in os.environ if name.startswith("OS_")]:
        monkeypatch.delenv(name)
    (tmp_path / "clouds.yaml").write_text(CLOUDS)
    (tmp_path / "secure.yaml").write_text(SECURE)
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "clouds.yaml"))
    monkeypatch.setenv("OS_CLIENT_SECURE_FILE", str(tmp_path / "secure.yaml"))


def login(tmp_path: Path, table: str) -> Login:
    """How a deployment with this [identity] logs in."""
    return keystone_login.of(deployments.read(written(tmp_path, f"{SMALLEST}[identity]\n{table}")))


def test_cloud_has_its_password_from_secure_yaml(tmp_path: Path) -> None:
    """The two files are one cloud; region, interface and certificates are the entry's."""
    found = login(tmp_path, 'cloud = "prod"')
    assert found.password_of_user == ("perf", "s3cr3t")
    assert (found.region, found.interface, found.verify) == ("north", "internal", "/etc/ca.pem")
    assert found.environment["OS_CACERT"] == "/etc/ca.pem"
    assert found.who == f"cloud 'prod' of {tmp_path / 'clouds.yaml'}"
    assert "s3cr3t" not in repr(found)


def test_deployment_file_overrides_region_interface_and_tls(tmp_path: Path) -> None:
    """What the deployment file says counts; `[tls]` replaces the entry's certificates."""
    table = 'cloud = "prod"\nregion = "south"\ninterface = "admin"\n[tls]\nverify = true\n'
    found = login(tmp_path, table)
    assert (found.region, found.interface, found.verify) == ("south", "admin", True)


def test_application_credential_of_a_cloud(tmp_path: Path) -> None:
    """Its kind, its variables, and the entry's `verify: false`."""
    found = login(tmp_path, 'cloud = "credential"')
    assert (found.kind, found.verify) == ("application credential", False)
    assert found.environment["OS_APPLICATION_CREDENTIAL_SECRET"] == "s3cr3t"
    assert found.environment["OS_INSECURE"] == "true"


def test_clouds_file_is_relative_to_the_deployment_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is read instead of the files that the environment names, with the secure.yaml beside it."""
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "clouds.yaml").write_text(CLOUDS)
    (folder / "secure.yaml").write_text(SECURE.replace("s3cr3t", "other"))
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", "/nowhere.yaml")
    found = login(tmp_path, 'cloud = "prod"\nclouds_file = "mine/clouds.yaml"')
    assert found.password_of_user == ("perf", "other")


def test_environment_is_a_cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`envvars` is what a sourced openrc says; `OS_CLOUD` goes before it, as for the `openstack` client."""
    with pytest.raises(InputError, match=r"no OS_\* variable describes a cloud; `source openrc.sh`"):
        login(tmp_path, 'cloud = "envvars"')
    for name, value in {
        "OS_AUTH_URL": "http://k:5000",
        "OS_USERNAME": "u",
        "OS_PASSWORD": "s3cr3t",
        "OS_PROJECT_NAME": "p",
        "OS_USER_DOMAIN_NAME": "Default",
        "OS_PROJECT_DOMAIN_NAME": "Default",
        "OS_REGION_NAME": "west",
    }.items():
        monkeypatch.setenv(name, value)
    found = login(tmp_path, 'cloud = "envvars"')
    assert (found.password_of_user, found.who) == (("u", "s3cr3t"), "cloud 'envvars' of OS_*")
    assert found.region == "west"
    monkeypatch.setenv("OS_CLOUD", "credential")
    assert login(tmp_path, 'cloud = "envvars"').kind == "application credential"


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            'cloud = "prid"',
            "clouds.yaml has no cloud 'prid'; valid: credential, halved, open, prod; did you",
        ),
        ('cloud = "prod"\nregion = "east"', "Region east is not a valid region name"),
        ('cloud = "halved"', "You must provide an auth secret"),
        ('cloud = "prod"', "has a user without a password; valid: in secure.yaml"),
        ('cloud = "open"', "its auth_type 'none' gets no token from Keystone"),
        ('cloud = "prod"\nclouds_file = "none.yaml"', "none.yaml does not exist; valid: a clouds.yaml"),
        ('cloud = "prod"\nclouds_file = "broken.yaml"', "broken.yaml cannot be read, or is not YAML"),
        ('cloud = "prod"\nclouds_file = "list.yaml"', "list.yaml"),
        ('cloud = "prod"\nclouds_file = "empty.yaml"', "empty.yaml has no cloud 'prod'"),
        ('cloud = "prod"\nclouds_file = "text.yaml"', "identity"),
        ('cloud = "prod"\nclouds_file = "names.yaml"', "identity"),
    ],
)
def test_cloud_that_cannot_be_used_is_one_line(tmp_path: Path, table: str, message: str) -> None:
    """Where it was looked for, what is there, and the nearest match; no secret and no traceback."""
    (tmp_path / "secure.yaml").unlink()
    for name, text in {
        "broken": "clouds: {prod: [s3cr3t",
        "list": "- s3cr3t\n",
        "empty": "clouds: {}\n",
        "text": "clouds: s3cr3t\n",
        "names": "clouds: [prod]\n",
    }.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    with pytest.raises(InputError) as refused:
        login(tmp_path, table)
    assert message in str(refused.value)
    assert "s3cr3t" not in str(refused.value) and "\n" not in str(refused.value)


def test_missing_clouds_yaml_names_where_it_was_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line lists the places, and what to do."""
    from openstack.config import loader

    monkeypatch.setattr(loader, "CONFIG_FILES", [])
    monkeypatch.setattr(loader, "CONFIG_SEARCH_PATH", [str(tmp_path / "none"), "/etc/none"])
    monkeypatch.delenv("OS_CLIENT_CONFIG_FILE")
    with pytest.raises(InputError) as refused:
        login(tmp_path, 'cloud = "prod"')
    assert f"no clouds.yaml (looked for: {tmp_path}/none/clouds.yaml, /etc/none/" in str(refused.value)
    assert "or set clouds_file or $OS_CLIENT_CONFIG_FILE" in str(refused.value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (os.mkfifo, "is a pipe; valid: the path of a regular file"),
        (lambda path: path.symlink_to("/dev/zero"), "is a device; valid"),
        (
            lambda path: path.write_bytes(b"a" * (2**20 + 1)),
            "is too large to be read; valid: 1 MiB or less",
        ),
    ],
)
@pytest.mark.parametrize("name", ["given.yaml", "secure.yaml"])
def test_a_file_of_clouds_is_a_plain_small_file(
    tmp_path: Path, name: str, make: Callable[[Path], object], message: str
) -> None:
    """A pipe is not waited for, and a file without end is not read."""
    (tmp_path / "secure.yaml").unlink()
    (tmp_path / "given.yaml").write_text(CLOUDS)
    (tmp_path / name).unlink(missing_ok=True)
    make(tmp_path / name)
    with pytest.raises(InputError, match=f"{name}: {message}"):
        clouds.read("prod", tmp_path / "given.yaml")
