"""The calls of the `openstack` client, with a small program in its place and a small Keystone."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from calorimeter.core.deployment import Api, Backend, Clients, Deployment
from calorimeter.core.errors import InputError
from calorimeter.core.login.identities import Identity
from calorimeter.core.secrecy.secrets import Secret
from calorimeter.core.verdict import Outcome
from calorimeter.gates.context import Context, Settings
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable
from calorimeter.gates.proxy.openstack_client import client_works
from calorimeter.gates.proxy.openstack_client_calls import client_calls, leads_to
from tests.gates.small_keystone import Keystone, small_keystone

PROGRAM = Path(__file__).with_name("openstack_with_one_stack.sh")


@pytest.fixture(autouse=True)
def password(monkeypatch: pytest.MonkeyPatch) -> None:
    """The password of the deployment."""
    monkeypatch.setenv("P3_WORD", "s3cr3t")


def context(keystone: Keystone, folder: Path, delete: str, client: str = "") -> Context:
    """A deployment with this client, or with one whose `delete` runs this command."""
    identity = Identity(
        auth_url=keystone.url, username="u", password=Secret(env="P3_WORD"), project="p", region="R"
    )
    rest = Api(
        url="http://10.0.0.1:8004/v1",
        proxy_section="r",
        backends=(Backend(name="a", address="10.0.0.2:8004"),),
    )
    clients = Clients(openstack=client or shlex.join(["sh", str(PROGRAM), str(folder), delete]))
    return Context(Deployment(name="d", rest=rest, identity=identity, clients=clients), Settings())


def test_six_commands_are_the_evidence(tmp_path: Path) -> None:
    """List, create, list, show, delete, list, with the environment of the deployment alone."""
    with small_keystone(False) as keystone:
        evidence = client_calls(context(keystone, tmp_path, f"rm {tmp_path}/stack"))
    assert [call.words[1] for call in evidence.calls] == [
        "list",
        "create",
        "list",
        "show",
        "delete",
        "list",
    ]
    judgement = client_works(evidence)
    assert judgement.outcome is Outcome.PASS
    assert (judgement.figures["commands"], judgement.figures["missed_rate_95"]) == (6, 0.393038)


@pytest.mark.parametrize(("refuses", "outcome"), [(True, Outcome.INCONCLUSIVE), (False, Outcome.FAIL)])
def test_failed_call_is_heats_only_if_keystone_gave_a_token(
    tmp_path: Path, refuses: bool, outcome: Outcome
) -> None:
    """Keystone is asked after the call that failed; the call is quoted by its last line."""
    with small_keystone(False, refuses) as keystone:
        evidence = client_calls(context(keystone, tmp_path, "echo a; echo Unauthorized >&2; exit 1"))
    assert client_works(evidence).outcome is outcome
    (failed,) = [call for call in evidence.calls if call.status]
    assert (failed.words[1], failed.status, failed.said) == ("delete", 1, "Unauthorized")
    assert bool(failed.keystone) is refuses
    assert not any(call.keystone or call.said for call in evidence.calls if not call.status)


def test_client_without_heats_commands_is_unavailable_evidence(tmp_path: Path) -> None:
    """The client is there, and its plugin for Heat is not."""
    lacking = tmp_path / "openstack"
    lacking.write_text("echo \"openstack: 'stack list' is not an openstack command.\" >&2; exit 2\n")
    with (
        small_keystone(False) as keystone,
        pytest.raises(EvidenceUnavailable, match="python-heatclient is not installed"),
    ):
        client_calls(context(keystone, tmp_path, "", client=f"sh {lacking}"))


def test_keystone_that_refuses_is_found_before_any_call(tmp_path: Path) -> None:
    """Then the client is not called at all."""
    with small_keystone(True) as keystone, pytest.raises(InputError, match="identity"):
        client_calls(context(keystone, tmp_path, "true"))
    assert not (tmp_path / "stack").exists()


@pytest.mark.parametrize(
    ("url", "endpoint", "same"),
    [
        ("https://127.0.0.1/v1", "https://127.0.0.1/v1/p", True),
        ("https://127.0.0.1/v1", "https://127.0.0.1:443/v1/p", True),
        ("http://127.0.0.1:8004/v1", "http://localhost:8004/v1/p", True),
        ("http://Localhost:8004/v1", "http://LOCALHOST:8004/v1/p", True),
        ("http://127.0.0.1:8004/v1", "http://127.0.0.1:8005/v1/p", False),
        ("http://127.0.0.1:8004/v1", "http://127.0.0.1/v1/p", False),
        ("http://127.0.0.1:8004/v1", "http://10.0.0.1:8004/v1/p", False),
        ("http://127.0.0.1:8004/v1", "nonsense", False),
        ("http://127.0.0.1:8004/v1", "http://h:nonsense/", False),
    ],
)
def test_endpoint_leads_to_the_front_by_whatever_name(url: str, endpoint: str, same: bool) -> None:
    """A TLS front has its port from the scheme; catalogs name hosts, deployment files addresses."""
    backend = Backend(name="a", address="10.0.0.2:8004")
    api = Api(url=url, proxy_section="r", backends=(backend,))
    assert leads_to(endpoint, api) is same
