"""A lab with TLS at its fronts, to its APIs and at its broker: all that is done there is verified."""

from __future__ import annotations

import os
import ssl
import stat
import subprocess
import sys
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pyarrow.compute as pc
import pytest
import requests

from calorimeter.core import deployment as deployments
from calorimeter.core import paths, verdict
from calorimeter.core.deployment import Deployment
from calorimeter.core.recorded.recorded_tables import RecordedRows
from calorimeter.core.recorded.rundir import RunDir
from calorimeter.core.waiting import until
from calorimeter.lab import lab_state, tls_files
from calorimeter.lab.daemons import haproxy
from tests.conftest import lab_command
from tests.lab.stack_walks import cfn_walk, listeners, nothing_left, rest_walk

pytestmark = pytest.mark.lab

FEW = ("--sources", "40", "--visits", "3", "--stacks", "12")

SCENARIO = """\
name = "tls"
about = "Lists and creates on both APIs."
users = 4
spawn_per_s = 10
duration_s = 5
think_s = [0.1, 0.3]

[rest]
users = 1
template = "tiny.yaml"
mix = { list = 3, create = 1, show = 1, delete = 1 }
stacks_per_user = 1

[cfn]
users = 1
template = "tiny-cfn.json"
mix = { ListStacks = 1 }
"""


@pytest.fixture(scope="module")
def secure() -> Iterator[Deployment]:
    """The lab; a test that breaks something mends it. A busy machine's late checks are no fault here."""
    name = f"tls-{os.getpid()}"
    shape = ("--rest", "2", "--cfn", "1", "--engines", "2", "--timeouts", "check=10s")
    shape += ("--messaging", "quorum", "--weights", "1,2")
    up = lab_command("up", "--name", name, "--tls", "proxy,backends,broker", *shape)
    if up.returncode != 0:
        pytest.fail(f"the lab did not come up:\n{up.stderr}", pytrace=False)
    reserved = lab_state.read(paths.lab(name)).ports
    try:
        yield deployments.read(paths.lab(name) / "deployment.toml")
    finally:
        down = lab_command("down", "--name", name)
    assert down.returncode == 0, down.stderr
    nothing_left(name, reserved)


def calorimeter(*words: str, timeout_s: float = 400) -> subprocess.CompletedProcess[str]:
    """Run a command of the suite."""
    command = [sys.executable, "-m", "calorimeter", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)


def act(lab: Deployment, *words: str) -> None:
    """Do something to the lab."""
    done = lab_command(words[0], "--name", lab.name, *words[1:])
    assert done.returncode == 0, done.stderr


def test_clients_that_verify_create_stacks_through_both_apis(secure: Deployment) -> None:
    """REST, by the links of its answers, and CFN."""
    assert [api.url.partition(":")[0] for api in (secure.rest, secure.cfn) if api] == ["https", "https"]
    rest_walk(secure)
    cfn_walk(secure)


def test_openstack_client_finds_the_authority_in_clouds_yaml(secure: Deployment) -> None:
    """As an operator calls it; without the authority it fails."""
    clouds = secure.path.parent / "clouds.yaml"
    command = [secure.clients.openstack, "--os-cloud", "calorimeter", "stack", "list"]

    def called(file: Path) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "OS_CLIENT_CONFIG_FILE": str(file)}
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=120, check=False
        )

    assert called(clouds).returncode == 0
    without = secure.path.parent / "clouds-without.yaml"
    lines = clouds.read_text(encoding="utf-8").splitlines(keepends=True)
    without.touch(mode=0o600)
    without.write_text("".join(line for line in lines if "cacert" not in line), encoding="utf-8")
    refused = called(without)
    without.unlink()
    assert refused.returncode != 0
    assert "certificate verify failed" in refused.stderr


def test_no_server_trusts_or_is_trusted_without_the_authority(secure: Deployment) -> None:
    """Neither front, nor backend, nor broker; and none of them speaks without TLS."""
    assert secure.broker is not None
    (management,) = secure.broker.management
    backend = secure.rest.backends[0]
    for url in (secure.rest.url, f"https://{backend.address}", management):
        with requests.Session() as client:
            client.trust_env = False
            with pytest.raises(requests.exceptions.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
                client.get(url, timeout=10)
            assert client.get(url, timeout=10, verify=secure.tls.for_requests).status_code < 500
            with pytest.raises(requests.exceptions.ConnectionError):
                client.get(url.replace("https", "http"), timeout=10).raise_for_status()


def test_private_keys_are_their_owners(secure: Deployment) -> None:
    """Mode 600, each."""
    folder = secure.path.parent
    keys = [file for file in folder.rglob("*") if file.is_file() and b"PRIVATE KEY" in file.read_bytes()]
    own = paths.state() / "authority" / "authority.pem"
    assert keys == [tls_files.key(folder / "tls")]
    assert [stat.S_IMODE(each.stat().st_mode) for each in (*keys, own)] == [0o600, 0o600]


def test_it_keeps_to_itself(secure: Deployment) -> None:
    """TLS listens at no other address than without."""
    found = listeners(secure.path.parent)
    assert found
    assert [each for each in found if not ip_address(each[1]).is_loopback] == []


def test_gates_pass(secure: Deployment, tmp_path: Path) -> None:
    """They reach fronts, backends and broker through TLS; no key is kept in the run's folder."""
    gates = "P1,P2,S1,H1,E1,A2"
    done = calorimeter("verify", str(secure.path), "--gates", gates, "--runs", str(tmp_path), *FEW)
    (kept,) = tmp_path.glob("*/verdicts.json")
    found = {each.gate: each.judgement for each in verdict.read(kept).verdicts}
    outcomes = {gate: judgement.outcome.value for gate, judgement in found.items()}
    assert outcomes == dict.fromkeys(gates.split(","), "PASS"), (found, done.stderr)
    assert not any(b"PRIVATE KEY" in file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())


def test_load_has_no_errors_and_is_followed_to_its_engines(secure: Deployment, tmp_path: Path) -> None:
    """Locust's client verifies the fronts; the trace reads the broker's events over amqps."""
    scenario, runs = tmp_path / "tls.toml", tmp_path / "runs"
    scenario.write_text(SCENARIO, encoding="utf-8")
    load = (sys.executable, "-m", "calorimeter", "run", str(scenario), "--deployment", str(secure.path))
    done = calorimeter(
        "trace", "--runs", str(runs), str(secure.path), "--", *load, "--runs", str(runs), timeout_s=200
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (run,) = (RunDir(file.parent) for file in runs.glob("*/run.json"))
    statuses: set[int] = set()
    for batch in RecordedRows(run, "samples").batches(("status",)):
        statuses |= set(pc.unique(batch["status"]).to_pylist())
    assert statuses
    assert all(200 <= status < 400 for status in statuses)


def test_faults_of_a_backend_break_what_they_say_through_tls(secure: Deployment) -> None:
    """Wrong answers come through TLS, too: a proxy that verifies its backends still gets them."""
    if "errors" not in next(part for part in secure.parts if part.name == "rest-1").faults:
        pytest.skip("dropping packets needs root, nftables and conntrack")
    url = f"https://{secure.rest.backends[0].address}/healthcheck"

    def asked() -> int:
        with requests.Session() as client:
            client.trust_env = False
            return client.get(url, timeout=10, verify=secure.tls.for_requests).status_code

    assert asked() == 200
    act(secure, "part", "rest-1", "errors")
    try:
        assert asked() == 503
    finally:
        act(secure, "part", "rest-1", "no-errors")
    assert asked() == 200


def test_links_are_https_in_mode_tcp_where_apis_are_reached_by_tls(secure: Deployment) -> None:
    """There the proxy sets no header; each API sees TLS itself. Scaling and another proxy keep TLS."""
    act(secure, "proxy", "--mode", "tcp", "--timeouts", "check=10s")
    try:
        rest_walk(deployments.read(secure.path))
        act(secure, "scale", "--cfn", "2")
        cfn_walk(deployments.read(secure.path))
        act(secure, "scale", "--cfn", "1")
    finally:
        act(secure, "proxy", "--timeouts", "check=10s")
    opened = lab_state.open_lab(secure.name)
    assert opened.topology.mode == "http"
    servers = haproxy.config(opened).listens[0].servers
    assert all("ssl verify required" in server.words[-1] for server in servers)


def test_proxy_accepts_only_backends_of_its_own_lab(secure: Deployment, tmp_path: Path) -> None:
    """A server with a certificate of another lab, from the same authority, is DOWN."""
    tls_files.write(tmp_path, "another", ())
    lab = lab_state.open_lab(secure.name)
    act(secure, "part", "rest-2", "kill")
    host, port = lab.host("rest-2"), lab.port("rest-2")
    server = ("openssl", "s_server", "-quiet", "-WWW", "-accept", f"{host}:{port}")
    files = ("-cert", str(tls_files.certificate(tmp_path)), "-key", str(tls_files.key(tmp_path)))
    impostor = subprocess.Popen([*server, *files], cwd=tmp_path, stderr=subprocess.DEVNULL)
    (tmp_path / "healthcheck").write_text("OK", encoding="utf-8")
    try:
        until(lambda: "TLS" in _greeting(tmp_path, host, port), 20)
        until(lambda: ",DOWN," in _row(lab, "rest-2") and "L6" in _row(lab, "rest-2"), 60)
    finally:
        impostor.kill()
        impostor.wait()
        act(secure, "part", "rest-2", "start")
    until(lambda: ",UP," in _row(lab, "rest-2"), 60)


def _greeting(folder: Path, host: str, port: int) -> str:
    """The version of TLS that a server speaks with its own certificate; empty if it does not."""
    try:
        text = ssl.get_server_certificate((host, port), timeout=2)
    except OSError:
        return ""
    return "TLS" if text == tls_files.certificate(folder).read_text() else ""


def _row(lab: lab_state.Lab, server: str) -> str:
    """The proxy's line on a server."""
    lines = haproxy.command(lab, "show stat").splitlines()
    return next(line for line in lines if f",{server}," in line)
