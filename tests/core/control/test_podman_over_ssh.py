"""The driver `podman` against a real podman, on a host with a systemd and an sshd of its own."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from calorimeter.core.control import packet_faults
from calorimeter.core.control.service_commands import container
from calorimeter.core.faults.shell_command import CommandFailed
from calorimeter.core.waiting import poll, until
from tests.core.control.systemd_host import CAN, SBIN, SystemdHost, systemd_host

PROGRAMS = ("podman", "runc", "conmon")
CAN_RUN = CAN and all(shutil.which(name, path=SBIN) or Path(f"/usr/libexec/podman/{name}").exists()
                      for name in PROGRAMS)  # fmt: skip
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CAN_RUN, reason="needs root, podman and runc (bin/setup --tests)"),
]

# Where no rights are to be had (a virtual machine without CAP_SYS_RESOURCE), limits stay as they are.
CONTAINERS = """\
[containers]
log_driver = "k8s-file"
pids_limit = 0
netns = "host"
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
runtime = "runc"
tmp_dir = "/run/libpod"
"""

STORAGE = """\
[storage]
driver = "vfs"
graphroot = "/run/containers-storage"
runroot = "/run/containers-run"
"""

SUPERVISED = """\
Environment={environment}
ExecStart={podman} start --attach supervised
ExecStop={podman} stop --time 1 supervised
Restart=always
RestartSec=0
"""


def root_of(folder: Path) -> Path:
    """A root file system with `sleep` and what it needs."""
    root, sleep = folder / "root", Path("/bin/sleep").resolve()
    listed = subprocess.run(["ldd", str(sleep)], capture_output=True, text=True, check=True).stdout
    for file in [str(sleep), *re.findall(r"(/\S+) \(0x", listed)]:
        place = root / file.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(Path(file).resolve(), place)
    for name in ("proc", "sys", "dev", "tmp", "run", "etc", "var"):
        (root / name).mkdir(exist_ok=True)
    for name in ("etc/resolv.conf", "etc/hosts", "etc/hostname", "run/.containerenv"):
        (root / name).touch()
    (root / "etc/mtab").symlink_to("/proc/mounts")
    return root


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SystemdHost]:
    """A host with two containers: `alone`, with a restart policy, and `supervised`, by a systemd unit."""
    folder = tmp_path_factory.mktemp("podman")
    (folder / "containers.conf").write_text(CONTAINERS)
    (folder / "storage.conf").write_text(STORAGE)
    environment = {
        "CONTAINERS_CONF": f"{folder}/containers.conf",
        "CONTAINERS_STORAGE_CONF": f"{folder}/storage.conf",
        "PATH": SBIN.replace(" ", ""),
    }
    sleep, root = Path("/bin/sleep").resolve(), root_of(folder)
    unit = SUPERVISED.format(
        environment=" ".join(f"{name}={value}" for name, value in environment.items()),
        podman=shutil.which("podman", path=SBIN),
    )
    with systemd_host(folder, {"kolla-supervised-container": unit}, environment) as found:
        for name, policy in (("alone", "always"), ("supervised", "no")):
            create = f"podman create --name {name} --restart={policy} --rootfs {root} {sleep} 1000"
            found.act(found.reached.script(create))
        found.act(found.reached.script("podman start alone"))
        found.act(
            found.reached.script("systemctl reset-failed; systemctl start kolla-supervised-container")
        )
        until(lambda: state(found, "supervised") == "running", 20)
        yield found


def state(host: SystemdHost, name: str) -> str:
    """The state of a container."""
    return host.output(f"podman container inspect --format '{{{{.State.Status}}}}' {name}")


@pytest.mark.parametrize(
    ("name", "supervisor"), [("alone", None), ("supervised", "kolla-supervised-container")]
)
def test_a_container_is_broken_and_healed(host: SystemdHost, name: str, supervisor: str | None) -> None:
    """Neither its restart policy nor its systemd unit brings it back; healing may be repeated."""
    commands = container(host.reached, "podman", name, supervisor)
    for break_it in (commands.kill, commands.stop):
        host.act(host.reached.breaking(break_it))
        assert not poll(lambda: state(host, name) == "running", 3.0)
        with pytest.raises(CommandFailed, match="exited"):
            host.act(host.reached.breaking(break_it))
        for _ in range(2):
            host.act(host.reached.script(commands.start))
        until(lambda: state(host, name) == "running", 20)
    host.act(host.reached.breaking(commands.freeze))
    assert state(host, name) == "paused"
    for _ in range(2):
        host.act(host.reached.script(commands.thaw))
        assert state(host, name) == "running"


def test_a_container_is_cut_off_by_its_cgroup(host: SystemdHost) -> None:
    """nft takes the cgroup that podman made, and the table goes."""
    commands = container(host.reached, "podman", "alone", None)
    (injection,) = packet_faults.of_group(host.reached, "rest", "alone", commands.group, [5672]).values()
    host.act(injection.inject)
    assert "libpod" in host.output("nft list ruleset")
    host.act(injection.heal)
    assert "calorimeter" not in host.output("nft list tables")


def test_a_container_that_is_not_there_fails(host: SystemdHost) -> None:
    """A wrong name is no success, neither of a fault nor of its healing."""
    commands = container(host.reached, "podman", "no-such", None)
    for script in (commands.kill, commands.stop, commands.freeze, commands.thaw, commands.start):
        with pytest.raises(CommandFailed):
            host.act(host.reached.script(script))
