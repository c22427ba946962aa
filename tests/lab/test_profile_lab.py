"""A lab of a profile that runs the user's own builds, in one bring-up."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from calorimeter.core import deployment as deployments
from calorimeter.core.deployment import Deployment
from calorimeter.lab import lab_state, processes, programs
from tests.conftest import lab_command
from tests.lab.stack_walks import cfn_walk, nothing_left, rest_walk

pytestmark = pytest.mark.lab

NAME = f"test-profile-{os.getpid()}"
SHAPE = ("--heat", "24", "--serve", "gunicorn", "--rest", "1", "--cfn", "1", "--engines", "1")


@pytest.fixture(scope="module")
def builds(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Copies of HAProxy and of RabbitMQ's whole tree, as builds of one's own."""
    folder = tmp_path_factory.mktemp("builds")
    shutil.copy(programs.found().haproxy, folder / "haproxy")
    shutil.copytree(programs.RABBITMQ.resolve().parents[1], folder / "rabbitmq", symlinks=True)
    return folder / "haproxy", folder / "rabbitmq" / "sbin" / "rabbitmq-server"


@pytest.fixture(scope="module")
def kolla(builds: tuple[Path, Path]) -> Iterator[tuple[Deployment, str]]:
    """A small lab of kolla-ansible's profile with one broker, and what `lab up` said."""
    haproxy, rabbitmq = map(str, builds)
    own = ("--haproxy", haproxy, "--rabbitmq", rabbitmq)
    done = lab_command("up", "--name", NAME, "--profile", "kolla", "--brokers", "1", *SHAPE, *own)
    try:
        assert done.returncode == 0, done.stderr
        yield deployments.read(lab_state.folder(NAME) / "deployment.toml"), done.stderr
    finally:
        lab_command("down", "--name", NAME)


def program_of(part: str) -> set[Path]:
    """The programs that the processes of a part run."""
    return {
        Path(psutil.Process(each.pid).exe()) for each in processes.running(lab_state.folder(NAME), part)
    }


def test_it_serves_and_says_what_the_profile_set(kolla: tuple[Deployment, str]) -> None:
    """REST and CFN through the profile's proxy, with one database connection for each process."""
    described, said = kolla
    rest_walk(described)
    cfn_walk(described)
    assert "  proxy.check: inter 2000, rise 2, fall 5\n" in said
    assert "brokers 1 (not 3), partition_handling none (not pause_minority)" in said
    assert (described.expect.balance, described.expect.max_detection_s) == ("roundrobin", 60.0)


def test_parts_run_the_own_builds_whenever_they_start(
    kolla: tuple[Deployment, str], builds: tuple[Path, Path]
) -> None:
    """Also after `lab part`; the file names their versions."""
    assert program_of("proxy") == {builds[0]}
    for action in ("kill", "start"):
        assert lab_command("part", "proxy", action, "--name", NAME).returncode == 0
    assert program_of("proxy") == {builds[0]}
    (libraries,) = {
        Path(psutil.Process(process.pid).environ()["ERL_LIBS"].partition(":")[0])
        for process in processes.running(lab_state.folder(NAME), "rabbitmq")
        if Path(psutil.Process(process.pid).exe()).name == "beam.smp"
    }
    assert {each.resolve().parents[1] for each in libraries.iterdir()} == {builds[1].parents[1]}
    assert kolla[0].versions["rabbitmq"] == programs.RABBITMQ.resolve().parents[1].name.rpartition("-")[2]


def test_another_proxy_configuration_keeps_the_profiles(kolla: tuple[Deployment, str]) -> None:
    """`lab proxy`: what is not given is as the profile has it."""
    assert lab_command("proxy", "--name", NAME, "--balance", "leastconn").returncode == 0
    folder = lab_state.folder(NAME)
    text = (folder / "haproxy" / "apis-proxy.conf").read_text()
    assert text.count("balance  leastconn") == 2
    assert text.count("check inter 2000 fall 5 rise 2") == 2
    assert "\n    maxconn 8000\n" in text
    assert deployments.read(folder / "deployment.toml").expect.balance == "leastconn"


def test_it_goes_without_a_trace(kolla: tuple[Deployment, str]) -> None:
    """As every lab does."""
    reserved = lab_state.read(lab_state.folder(NAME)).ports
    assert lab_command("down", "--name", NAME).returncode == 0
    nothing_left(NAME, reserved)
