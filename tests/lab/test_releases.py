"""Heat 24 to 27 under each server: two labs, in each of which parts run different releases."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from pathlib import Path

import pytest
import requests

from calorimeter.core import deployment as deployments
from calorimeter.core import paths
from calorimeter.core.deployment import Deployment
from calorimeter.core.waiting import until
from calorimeter.lab import lab_state, part_faults, processes
from calorimeter.lab.lab_topology import LabTopology
from tests.conftest import lab_command
from tests.lab.stack_walks import cfn_walk, listeners, rest_walk
from tests.places import PROGRAMS

pytestmark = pytest.mark.lab

SHAPES = {
    "24 and 25": {"heat": "24", "releases": {"rest-2": "25", "engine-2": "25"}},
    "26 and 27 under uWSGI": {
        **{"heat": "27", "releases": {"rest-2": "26", "engine-2": "26"}},
        **{"serve": "uwsgi", "health": "rpc"},
    },
}
"""In each, engines understand one another: the RPC of 24 and 25 is another one than that of 26 and 27."""


OF_EACH = pytest.mark.parametrize("mixed", SHAPES, indirect=True)
OF_UWSGI = pytest.mark.parametrize("mixed", list(SHAPES)[1:], indirect=True)


@pytest.fixture(scope="module")
def mixed(request: pytest.FixtureRequest) -> Iterator[Deployment]:
    """A lab of two REST APIs, one CFN API and two engines, of two releases."""
    name = f"r-{os.getpid()}"
    asked = LabTopology(name=name, rest=2, cfn=1, engines=2, **SHAPES[request.param])  # type: ignore[arg-type]
    argv = [sys.executable, str(PROGRAMS / "lab_of_topology.py"), asked.model_dump_json()]
    try:
        up = subprocess.run(argv, capture_output=True, text=True, timeout=400, check=False)
        assert up.returncode == 0, f"{up.stdout}{up.stderr}"
        yield deployments.read(paths.lab(name) / "deployment.toml")
    finally:
        down = lab_command("down", "--name", name)
    assert down.returncode == 0, down.stderr


def topology(lab: Deployment) -> LabTopology:
    """The lab's topology."""
    return lab_state.read(lab.path.parent)


def part(lab: Deployment, name: str, action: str) -> None:
    """Do something to a part."""
    done = lab_command("part", "--name", lab.name, name, action)
    assert done.returncode == 0, done.stderr


def status(lab: Deployment, name: str, timeout_s: float = 10.0) -> int:
    """The status of /healthcheck of a REST API at its own address."""
    address = next(each.address for each in lab.rest.backends if each.name == name)
    return requests.get(f"http://{address}/healthcheck", timeout=timeout_s).status_code


@OF_EACH
def test_each_part_runs_its_release(mixed: Deployment) -> None:
    """Programs are those of the release's environment, and the deployment file names the versions."""
    asked = topology(mixed)
    for name in asked.heat_parts:
        found = processes.running(mixed.path.parent, name)
        loaded = "".join(Path(f"/proc/{each.pid}/maps").read_text() for each in found)
        later = {each for each in ("25", "26", "27") if f"/heat-{each}." in loaded}
        assert later == {asked.release(name)} - {"24"}
        assert ("pyuwsgi" in loaded) == (asked.serve == "uwsgi" and name not in asked.engine_parts)
    assert mixed.versions["heat"].startswith(f"{asked.heat}.")
    assert mixed.versions["heat of rest-2"].startswith(f"{asked.release('rest-2')}.")


@OF_EACH
def test_stacks_are_created_and_deleted_through_the_proxy(mixed: Deployment) -> None:
    """Of each release, an API and an engine have their share."""
    rest_walk(mixed)
    cfn_walk(mixed)


@OF_EACH
def test_a_server_listens_on_its_reserved_port_alone(mixed: Deployment) -> None:
    """uWSGI's router and its worker speak over a socket in the lab's folder."""
    reserved = set(topology(mixed).ports.values())
    found = listeners(mixed.path.parent)
    assert [
        (part, address, port)
        for part, address, port in found
        if not ip_address(address).is_loopback or port not in reserved
    ] == []


@OF_EACH
def test_a_server_takes_the_faults_of_an_api(mixed: Deployment) -> None:
    """It refuses health checks, is stopped by SIGTERM, killed, and comes back each time."""
    name = "rest-2"
    part(mixed, name, "refuse-checks")
    assert status(mixed, name) == 503
    part(mixed, name, "allow-checks")
    for end in ("stop", "kill"):
        part(mixed, name, end)
        assert processes.running(mixed.path.parent, name) == []
        part(mixed, name, "start")
        assert status(mixed, name) == 200
    part(mixed, name, "freeze")
    with pytest.raises(requests.Timeout):
        status(mixed, name, timeout_s=0.5)
    part(mixed, name, "thaw")
    assert status(mixed, name) == 200


@OF_UWSGI
@pytest.mark.skipif(
    "cut-off" not in part_faults.available(), reason="packets are dropped by root, with nft"
)
def test_a_server_that_is_cut_off_from_the_broker_knows(mixed: Deployment) -> None:
    """The packets of a server's workers are the part's; a health check by RPC sees that they are lost."""
    checks_rpc = topology(mixed).health == "rpc"
    part(mixed, "rest-2", "cut-off")
    try:
        until(lambda: status(mixed, "rest-2") == (503 if checks_rpc else 200), 30)
        assert status(mixed, "rest-1") == 200
    finally:
        part(mixed, "rest-2", "join")
    until(lambda: status(mixed, "rest-2") == 200, 60)


@OF_UWSGI
def test_health_checks_end_in_time_without_a_broker(mixed: Deployment) -> None:
    """More checks than the server has threads: each is answered, as a ping has a thread of its own."""
    without_broker = 503 if topology(mixed).health == "rpc" else 200
    part(mixed, "rabbitmq", "kill")
    try:
        with ThreadPoolExecutor(80) as pool:
            assert set(pool.map(lambda _: status(mixed, "rest-1"), range(80))) == {without_broker}
    finally:
        part(mixed, "rabbitmq", "start")
    until(lambda: status(mixed, "rest-1") == 200, 60)


@OF_UWSGI
def test_an_engine_is_stopped_and_started(mixed: Deployment) -> None:
    """The process that leads an engine's worker ends it; a new one consumes again, and works."""
    part(mixed, "engine-2", "stop")
    assert processes.running(mixed.path.parent, "engine-2") == []
    part(mixed, "engine-2", "start")
    rest_walk(mixed)
