"""From `describe` to gates that break parts, without a command by hand, on hosts that are reached over ssh.

$CALORIMETER_TEST_GATES are the gates (default: those that break APIs and engines).
The guide's sample gives network, database, Keystone, RabbitMQ and HAProxy. On its hosts B and C, APIs and
engines are ended, and started again as units of a systemd: what the lab knows of them is wrong then.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from calorimeter.core import deployment as deployments
from calorimeter.core.deployment import Deployment
from calorimeter.core.verdict import Outcome
from calorimeter.core.verdict import read as read_verdicts
from calorimeter.lab import lab_state, start_plan
from calorimeter.lab.daemons import daemon, heat
from calorimeter.lab.hosts import network
from tests.conftest import lab_command
from tests.core.control.systemd_host import CAN, WHY, systemd_host

pytestmark = [pytest.mark.lab, pytest.mark.skipif(not CAN, reason=WHY)]

UNITS = {"rest": "heat-api", "cfn": "heat-api-cfn"}
"""Kind → its unit on each host; each engine has a unit of its own, `heat-engine-1`."""

ADDED = """
[clients]
netns = "{netns}"
sources = ["{sources}"]
openstack = "{openstack}"

[control.services]
engine = "heat-{{name}}"
"""


def unit(lab: lab_state.Lab, part: str) -> tuple[str, str]:
    """(name, section [Service]) of the unit that runs what the lab ran."""
    given = start_plan.plan(lab)[part].daemon(lab)
    variables = daemon.environment(lab, part, given.environment)
    # systemd's own quotes: none of these values has a quote or a percent sign.
    lines = [
        f'Environment="{name}={value}"' for name, value in variables.items() if "CALORIMETER" not in name
    ]
    lines += [f"ExecStart={shlex.join(given.argv)}", "Restart=always", "RestartSec=1", "TimeoutStopSec=20"]
    return UNITS.get(heat.kind(part), f"heat-{part}"), "\n".join(lines) + "\n"


def described(lab: lab_state.Lab, folder: Path, ssh_config: Path) -> Path:
    """What an operator does: `describe` from copies of the files, and the keys that no file has."""
    confs = [
        word
        for part in lab.topology.heat_parts
        for word in ("--heat-conf", f"{lab.machine(part)}:{heat.kind(part)}={heat.file(lab, part)}")
    ]
    own = deployments.read(lab.deployment)
    (proxy,), broker = own.proxy, own.broker
    assert broker is not None
    file = folder / "deployment.toml"
    words = [
        "--proxy", str(proxy.config[0]), *confs, "-o", str(file), "--stats", proxy.stats[0],
        "--log", proxy.logs[0], "--cloud", "calorimeter", "--clouds-file", str(lab.clouds),
        "--consent", "invasive", "--control", "systemd", "--ssh", "root@{host}",
        *(word for url in broker.management for word in ("--management-url", url)),
    ]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "calorimeter", "describe", *words],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    text = file.read_text().replace("[control]\n", f'[control]\nssh_options = ["-F", "{ssh_config}"]\n')
    more = ADDED.format(
        netns=own.clients.netns, sources=own.clients.sources[0], openstack=own.clients.openstack
    )
    file.write_text(text + more)
    return file


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The deployment file of a sample whose Heat runs under systemd."""
    name, folder = f"ssh-{os.getpid()}", tmp_path_factory.mktemp("ssh")
    up = lab_command("up", "--sample", "guide", "--name", name)
    try:
        assert up.returncode == 0, up.stderr
        lab = lab_state.open_lab(name)
        for part in lab.topology.heat_parts:
            assert lab_command("part", "--name", name, part, "stop").returncode == 0
        with ExitStack() as stack:
            for host in ("A", "B", "C"):
                here = folder / host
                here.mkdir()
                units = dict(
                    unit(lab, part) for part in lab.topology.heat_parts if lab.machine(part) == host
                )
                stack.enter_context(
                    systemd_host(
                        here, units, namespace=network.namespace(name, host), address=address(lab, host)
                    )
                )
            config = folder / "ssh_config"
            config.write_text(
                "".join(
                    f"Host {address(lab, host)}\n  IdentityFile {folder}/{host}/key\n"
                    for host in ("A", "B", "C")
                )
                + f"Host *\n  UserKnownHostsFile {folder}/known\n  StrictHostKeyChecking accept-new\n"
            )
            yield described(lab, folder, config)
    finally:
        lab_command("down", "--name", name)


def address(lab: lab_state.Lab, host: str) -> str:
    """A host's address in the guide."""
    assert lab.layout is not None
    return lab.layout.hosts[host]


def test_a_whole_acceptance_needs_no_command_by_hand(sample: Path, tmp_path: Path) -> None:
    """The gates that break APIs and engines have the verdicts that the lab's own commands give."""
    written: Deployment = deployments.as_written(sample)
    assert written.parts == ()
    gates = os.environ.get("CALORIMETER_TEST_GATES", "H2,H3,H4,H6,H7,E6,P6,S6")
    command = ["verify", str(sample), "--gates", gates, "--yes-break-it", "--runs", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", "calorimeter", *command], capture_output=True, text=True, check=False
    )
    (run,) = tmp_path.iterdir()
    found = {v.gate: v.judgement for v in read_verdicts(run / "verdicts.json").verdicts}
    bad = {gate: j.why for gate, j in found.items() if j.outcome is not Outcome.PASS}
    assert set(gates.split(",")) <= set(found), done.stderr
    assert not bad, done.stdout[-3000:]


def main() -> int:
    """Run the test. Exit status 1 if a gate did not pass."""
    return int(pytest.main([__file__, "-q", "-p", "no:cacheprovider"]))
