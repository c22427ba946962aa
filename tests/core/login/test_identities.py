"""[identity]: the three ways to describe an account, and the one-line errors for mixtures and mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest
from keystoneauth1 import exceptions, loading

from calorimeter.config import deployment_writer
from calorimeter.core import deployment as deployments
from calorimeter.core import toml
from calorimeter.core.errors import InputError
from calorimeter.core.login import keystone_login
from calorimeter.core.login.identities import Identity, is_secret
from calorimeter.core.login.keystone_login import Login
from tests.core.test_deployment import SMALLEST, written

PASSWORD = """
auth_url = "http://10.0.0.1:5000"
username = "perf"
password = { env = "PERF_WORD" }
project = "perf"
"""
CREDENTIAL = """
auth_url = "http://10.0.0.1:5000"
auth_type = "v3applicationcredential"
[identity.auth]
application_credential_id = "c1"
application_credential_secret = { env = "PERF_WORD" }
"""
TOKEN = """
auth_url = "http://10.0.0.1:5000/v3/"
auth_type = "v3token"
auth = { token = { env = "PERF_WORD" }, project_name = "perf", project_domain_name = "Default" }
"""
CLOUD = 'cloud = "c"\nclouds_file = "c.yaml"'
OIDC = """
auth_url = "http://10.0.0.1:5000/v3"
auth_type = "v3oidcpassword"
[identity.auth]
identity_provider = "corp"
protocol = "openid"
client_id = "heat"
discovery_endpoint = "https://sso.example/.well-known/openid-configuration"
client_secret = { env = "PERF_WORD" }
username = "u"
password = { env = "PERF_WORD" }
"""
SYSTEM = """
auth_url = "http://10.0.0.1:5000/v3"
auth_type = "password"
auth = { username = "admin", password = { env = "PERF_WORD" }, system_scope = "all" }
"""


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """The secret that the descriptions name."""
    monkeypatch.setenv("PERF_WORD", "s3cr3t")


def login(tmp_path: Path, table: str) -> Login:
    """How a deployment with this [identity] logs in."""
    return keystone_login.of(deployments.read(written(tmp_path, f"{SMALLEST}[identity]\n{table}")))


@pytest.mark.parametrize(
    ("table", "kind", "renewable", "variables"),
    [
        (PASSWORD, "password", True, {"OS_PASSWORD": "s3cr3t", "OS_PROJECT_NAME": "perf"}),
        (
            CREDENTIAL,
            "application credential",
            True,
            {"OS_APPLICATION_CREDENTIAL_SECRET": "s3cr3t", "OS_AUTH_TYPE": "v3applicationcredential"},
        ),
        (TOKEN, "v3token", False, {"OS_TOKEN": "s3cr3t", "OS_AUTH_TYPE": "v3token"}),
        (OIDC, "v3oidcpassword", True, {"OS_CLIENT_SECRET": "s3cr3t", "OS_IDENTITY_PROVIDER": "corp"}),
        (SYSTEM, "password", True, {"OS_SYSTEM_SCOPE": "all", "OS_USERNAME": "admin"}),
    ],
)
def test_each_kind_logs_in_with_its_own_options(
    tmp_path: Path, table: str, kind: str, renewable: bool, variables: dict[str, str]
) -> None:
    """Plugin, variables for the `openstack` client, and no secret in anything that is printed."""
    found = login(tmp_path, table)
    assert (found.kind, found.renewable, found.api) == (kind, renewable, "http://10.0.0.1:5000/v3")
    assert variables.items() <= found.environment.items()
    assert found.environment["OS_AUTH_URL"] == "http://10.0.0.1:5000/v3"
    assert "s3cr3t" not in f"{found!r} {found.who} {found.refusal(ValueError('x'))}"


@pytest.mark.parametrize(
    "table", [PASSWORD, CREDENTIAL, TOKEN, OIDC, 'cloud = "c"\nclouds_file = "c.yaml"']
)
def test_written_identity_reads_back_the_same(tmp_path: Path, table: str) -> None:
    """The writer keeps plugin options, and secrets as references."""
    found = deployments.read(written(tmp_path, f"{SMALLEST}[identity]\n{table}"))
    text = deployment_writer.render(found)
    assert toml.parse(text, deployments.Deployment, where="test").identity == found.identity
    assert "s3cr3t" not in text


def test_only_a_password_can_be_handed_to_heat(tmp_path: Path) -> None:
    """X-Auth-User and X-Auth-Key exist for a user with a password at Keystone itself."""
    assert login(tmp_path, PASSWORD).password_of_user == ("perf", "s3cr3t")
    for table in (CREDENTIAL, TOKEN, OIDC):
        assert login(tmp_path, table).password_of_user is None
    assert login(tmp_path, CREDENTIAL).lasting_secret == "s3cr3t"
    assert login(tmp_path, TOKEN).lasting_secret is None


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ('cloud = "c"\nusername = "u"', "identity: cloud and username are both given; valid: cloud = "),
        ('cloud = "c"\nuser_domain = "u"', "cloud and user_domain are both given"),
        ('clouds_file = "c.yaml"', "clouds_file is given without cloud"),
        (PASSWORD + 'auth_type = "password"', "its options belong to [identity.auth]"),
        (PASSWORD + 'auth = { token = "t" }', "auth is given without auth_type"),
        ('username = "u"', "auth_url, password, project missing; valid: cloud = "),
        ("", "auth_url, username, password, project missing"),
        (CREDENTIAL.replace("v3app", "v3ap"), "did you mean 'v3applicationcredential'?"),
        (CREDENTIAL.replace("_id =", "_di ="), "did you mean 'application_credential_id'?"),
        (CREDENTIAL.replace("_secret = {", "_name = {"), "application_credential_secret: is missing"),
        (CREDENTIAL.replace('{ env = "PERF_WORD" }', '"hunter2"'), "secret is a secret: name where it is"),
        (TOKEN.replace('{ env = "PERF_WORD" }', "5551234"), "auth.token must be text, { env ="),
        (TOKEN.replace('{ env = "PERF_WORD" }', '{ env = "A", file = "hunter2" }'), "auth.token must be"),
        (TOKEN.replace("v3token", "none"), "'none' gets no token from Keystone's v3 API"),
        (TOKEN.replace("v3token", "v2password"), "'v2password' gets no token from Keystone's v3 API"),
        (TOKEN + "interface = 'publik'", "interface: "),
        (TOKEN.replace("PERF_WORD", "NO_SUCH_WORD"), "$NO_SUCH_WORD: is not set"),
    ],
)
def test_wrong_identity_gets_one_clear_line(tmp_path: Path, table: str, message: str) -> None:
    """Exactly one way, known plugins and options, and secrets by reference; no secret is shown."""
    with pytest.raises(InputError) as refused:
        login(tmp_path, table)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)
    assert "hunter2" not in str(refused.value) and "5551234" not in str(refused.value)


def test_secret_options_are_known_by_their_names() -> None:
    """Every option that a plugin of keystoneauth calls secret must be given by reference, and no other."""
    for name in loading.get_available_plugin_names():
        for option in loading.get_plugin_loader(name).get_options():
            secret = option.secret or option.dest == "idp_otp_key"  # a one-time password
            assert is_secret(option.dest) is bool(secret), (name, option.dest)


@pytest.mark.parametrize(
    ("table", "problem", "line"),
    [
        (
            PASSWORD,
            exceptions.Unauthorized(),
            "Keystone refuses user 'perf' in project 'perf' (401); valid: ",
        ),
        (CREDENTIAL, exceptions.Unauthorized(), "Keystone refuses application credential 'c1' (401); "),
        (TOKEN, exceptions.NotFound(), "the token of [identity.auth] (404): it may have expired; valid: "),
        (TOKEN, exceptions.Unauthorized(), "the token of [identity.auth] (401): it may have expired; "),
        (PASSWORD, exceptions.NotFound(), "is not a Keystone with the v3 API; valid: its URL with /v3"),
        (OIDC, exceptions.Forbidden(), "Keystone forbids user 'u' (v3oidcpassword) to log in (403); "),
        (PASSWORD, exceptions.ConnectFailure("s3cr3t"), "Keystone cannot be reached at http://10.0.0.1"),
        (
            PASSWORD,
            exceptions.BadRequest("s3cr3t"),
            "gives no token at http://10.0.0.1:5000/v3 (BadRequest)",
        ),
        (PASSWORD, exceptions.ServiceUnavailable("away"), "/v3 (away)"),
    ],
)
def test_refusal_is_one_line_without_secrets(
    tmp_path: Path, table: str, problem: Exception, line: str
) -> None:
    """It says who was refused and what to check; Keystone does not find an expired token: 404."""
    refusal = str(login(tmp_path, table).refusal(problem))
    assert line in refusal
    assert "s3cr3t" not in refusal


def test_a_copy_of_a_record_is_valid() -> None:
    """A record that was dumped with its defaults reads back: gates change deployments in this way."""
    given = {"auth_url": "http://k/v3", "username": "u", "password": {"env": "P"}, "project": "p"}
    for fields in (given, {"cloud": "c"}, {"auth_url": "http://k/v3", "auth_type": "v3token"}):
        identity = Identity.model_validate(fields, strict=False)
        assert Identity.model_validate(identity.model_dump(), strict=False) == identity
