"""The `openstack` client's calls, with small programs in its place."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from calorimeter.core.deployment import Api, Backend, Clients, Deployment, Identity
from calorimeter.core.errors import InputError
from calorimeter.core.secrets import Secret
from calorimeter.core.verdict import Outcome
from calorimeter.gates.context import Context, Settings
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable
from calorimeter.gates.proxy import openstack_client as experiment
from calorimeter.gates.proxy.front import client_works
from calorimeter.gates.proxy.openstack_client import _Client, client_calls

SCRIPT = """
# openstack stack VERB …: a client with one stack, whose name is the last word of `create`
[ "$OS_PASSWORD" = s3cr3t ] && [ -n "$OS_CLIENT_CONFIG_FILE" ] || exit 3
for last; do :; done
case $2 in
create) echo "$last" > {folder}/stack ;;
list) cat {folder}/stack 2>/dev/null || true ;;
show) echo '{{"stack_status": "CREATE_COMPLETE"}}' ;;
delete) {delete} ;;
esac
"""


def client(folder: Path, script: str, locked_out: str = "") -> _Client:
    """A client that is this shell script."""
    return _Client(
        ["sh", "-c", script, "openstack"], {"PATH": "/usr/bin:/bin"}, str(folder), lambda: locked_out
    )


def test_failed_call_keeps_its_last_word_and_whether_keystone_serves(tmp_path: Path) -> None:
    """Keystone is asked only after a call that failed."""
    good, bad = (
        client(tmp_path, "echo done", "away"),
        client(tmp_path, "echo a; echo b >&2; exit 1", "away"),
    )
    assert (good.stack("delete"), bad.stack("delete")) == ("done\n", "")
    assert [(c.calls[0].status, c.calls[0].said, c.calls[0].keystone) for c in (good, bad)] == [
        (0, "", ""),
        (1, "b", "away"),
    ]


def test_client_without_heats_commands_is_no_word_of_heat(tmp_path: Path) -> None:
    """The client is there, and its plugin for Heat is not."""
    lacking = client(tmp_path, "echo \"openstack: 'stack list' is not an openstack command.\" >&2; exit 2")
    with pytest.raises(EvidenceUnavailable, match="python-heatclient is not installed"):
        lacking.stack("list")


@pytest.fixture(autouse=True)
def word(monkeypatch: pytest.MonkeyPatch) -> None:
    """The password of the deployment."""
    monkeypatch.setenv("P3_WORD", "s3cr3t")


def context(folder: Path, delete: str) -> Context:
    """A deployment whose client is a script that deletes like this."""
    script = folder / "openstack"
    script.write_text(SCRIPT.format(folder=folder, delete=delete), encoding="utf-8")
    identity = Identity(auth_url="http://k/v3", username="u", password=Secret(env="P3_WORD"), project="p")
    backend = Backend(name="a", address="10.0.0.2:8004")
    rest = Api(url="http://10.0.0.1:8004/v1", proxy_section="r", backends=(backend,))
    clients = Clients(openstack=f"sh {script}")
    return Context(Deployment(name="d", rest=rest, identity=identity, clients=clients), Settings())


def keystone(answers: list[str]) -> Any:
    """Keystone's sessions: it lets in, or says why not, and names the proxy's endpoint."""

    def session(_: Deployment) -> Any:
        if why := answers.pop(0):
            raise InputError("deployment.toml: identity", why)
        at_proxy = SimpleNamespace(get_endpoint=lambda **_: "http://10.0.0.1:8004/v1/p")
        return SimpleNamespace(session=at_proxy)

    return session


def test_six_commands_are_the_evidence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """List, create, list, show, delete, list, with the environment of the deployment alone."""
    monkeypatch.setattr(experiment, "session", keystone(["", ""]))
    seen = client_calls(context(tmp_path, f"rm {tmp_path}/stack"))
    assert [call.words[1] for call in seen.calls] == ["list", "create", "list", "show", "delete", "list"]
    judgement = client_works(seen)
    assert judgement.outcome is Outcome.PASS
    assert (judgement.figures["commands"], judgement.figures["missed_rate_95"]) == (6, 0.393038)


def test_keystone_that_goes_meanwhile_is_no_word_of_heat(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A delete that failed while Keystone let nobody in is INCONCLUSIVE; while it did, FAIL."""
    judged = []
    for why in ("cannot be reached", ""):
        monkeypatch.setattr(experiment, "session", keystone(["", why, ""]))
        judged.append(
            client_works(client_calls(context(tmp_path, "echo Unauthorized >&2; exit 1"))).outcome
        )
    assert judged == [Outcome.INCONCLUSIVE, Outcome.FAIL]


def test_keystone_that_lets_nobody_in_is_asked_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then nothing is asked of Heat, and the gate is INCONCLUSIVE with the reason."""
    monkeypatch.setattr(experiment, "session", keystone(["cannot be reached"]))
    with pytest.raises(InputError, match="cannot be reached"):
        client_calls(context(tmp_path, "true"))


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
def test_endpoint_is_the_front_by_whatever_name(url: str, endpoint: str, same: bool) -> None:
    """A TLS front has its port from the scheme; catalogs name hosts, deployment files addresses."""
    backend = Backend(name="a", address="10.0.0.2:8004")
    api = Api(url=url, proxy_section="r", backends=(backend,))
    assert experiment._at_front(api, endpoint) is same
