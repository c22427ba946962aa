"""A host for tests: a network namespace with its own systemd and sshd (`programs/systemd_host.sh`)."""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from calorimeter.core.control.control_host import ControlHost
from calorimeter.core.faults.shell_command import CommandFailed, CommandResult, run
from calorimeter.core.host import netns
from calorimeter.core.waiting import until

PROGRAM = Path(__file__).parent / "programs/systemd_host.sh"
SBIN = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
NEEDED = ("sshd", "ssh-keygen", "nft", "systemctl", "unshare", "nsenter", "ss")
CAN = os.geteuid() == 0 and all(shutil.which(name, path=SBIN) for name in NEEDED)
WHY = "needs root, openssh-server, nftables and systemd (bin/setup --tests)"

_SSHD = """\
ListenAddress {address}:22
HostKey {folder}/hostkey
AuthorizedKeysFile {folder}/key.pub
StrictModes no
UsePAM no
PasswordAuthentication no
PidFile none
"""

_SSH = """\
Host *
    IdentityFile {folder}/key
    IdentitiesOnly yes
    UserKnownHostsFile {folder}/known_hosts
    StrictHostKeyChecking accept-new
"""

_UNIT = "[Unit]\nDefaultDependencies=no\n[Service]\n"


@dataclass(frozen=True, slots=True)
class SystemdHost:
    """A host that runs; `pid` is its systemd, `address` that of its sshd."""

    folder: Path
    pid: int
    address: str

    @property
    def reached(self) -> ControlHost:
        """How the suite reaches it: from inside its own network namespace."""
        return ControlHost(f"root@{self.address}", ("-F", str(self.folder / "ssh_config")))

    def within(self, command: str) -> str:
        """A shell command that runs in the host's network."""
        return shlex.join(("nsenter", "-t", str(self.pid), "-n", "--", "sh", "-c", command))

    def act(self, command: str | None) -> CommandResult:
        """Run a command of a part there. Raises CommandFailed."""
        assert command is not None
        return run(self.within(command))

    def output(self, script: str) -> str:
        """What a script prints on the host, over ssh, whatever its exit status."""
        command = self.within(self.reached.script(script))
        done = subprocess.run(
            ["sh", "-c", command], capture_output=True, text=True, timeout=30, check=False
        )
        return done.stdout.strip()


@contextmanager
def systemd_host(
    folder: Path,
    units: dict[str, str],
    environment: dict[str, str] | None = None,
    *,
    namespace: str | None = None,
    address: str = "127.0.0.1",
) -> Iterator[SystemdHost]:
    """Start a host with these units: name → the lines of its section [Service].

    Commands over ssh get the variables of `environment`. The host has a network of its own, or that of
    `namespace` (`ip netns`), where its sshd listens at `address`.
    """
    (folder / "units").mkdir()
    (folder / "none").mkdir()
    for key in ("hostkey", "key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / key)], check=True)
    set_env = " ".join(f"{name}={value}" for name, value in (environment or {}).items())
    set_env = f"SetEnv {set_env}\n" if set_env else ""
    (folder / "sshd_config").write_text(_SSHD.format(folder=folder, address=address) + set_env)
    (folder / "ssh_config").write_text(_SSH.format(folder=folder))
    sshd = f"ExecStart=/usr/sbin/sshd -D -e -f {folder}/sshd_config\nKillMode=process\n"
    for name, lines in {"sshd": sshd, **units}.items():
        (folder / f"units/{name}.service").write_text(_UNIT + lines)
    wanted = " ".join(f"{name}.service" for name in ("sshd", *units))
    (folder / "units/host.target").write_text(f"[Unit]\nWants={wanted}\n")
    network = () if namespace else ("--net",)
    new = (
        "--mount",
        "--pid",
        "--fork",
        "--mount-proc",
        "--cgroup",
        "--uts",
        "--ipc",
        "--kill-child",
        *network,
    )
    group = _own_group()
    enter = f'echo $$ >{group}/cgroup.procs && exec "$@"'
    argv = ("sh", "-c", enter, "-", "unshare", *new, "sh", str(PROGRAM), str(folder))
    with (folder / "log").open("w") as log:
        outer = subprocess.Popen(
            netns.within(namespace, *argv),
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, "PATH": SBIN},
        )  # fmt: skip
    try:
        host = SystemdHost(folder, until(lambda: _child(outer.pid), 10), address)

        def answers() -> bool:
            assert outer.poll() is None, (folder / "log").read_text()
            with suppress(CommandFailed):
                host.act(host.reached.script("systemctl is-active host.target"))
                return True
            return False

        until(answers, 30)
        yield host
    finally:
        outer.kill()
        outer.wait()
        until(lambda: _removed(group), 20)


def _own_group() -> Path:
    """A new cgroup of version 2, which is the root of the host's: two hosts must not share one."""
    mounted = (line.split() for line in Path("/proc/mounts").read_text().splitlines())
    root = next(Path(place) for _, place, kind, *_ in mounted if kind == "cgroup2")
    group = root / f"calorimeter-test-{os.getpid()}-{secrets.token_hex(4)}"
    group.mkdir()
    return group


def _removed(group: Path) -> bool:
    """Whether a cgroup and those below it, whose processes have ended, could be removed."""
    try:
        for folder, _, _ in os.walk(group, topdown=False):
            Path(folder).rmdir()
    except OSError:
        return False
    return True


def _child(pid: int) -> int:
    """The one child of a process; 0 while it has none."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(children[0]) if children else 0
