"""Entering a network namespace of this machine. Sockets that are opened afterwards are opened in it."""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path

from calorimeter.core import files, paths
from calorimeter.core.deployment import Deployment, read
from calorimeter.core.errors import InputError
from calorimeter.core.faults.journal import heal_leftovers

FOLDER = Path("/run/netns")
"""Where `ip netns` keeps the namespaces, by name."""

_CLONE_NEWNET = 0x40000000
_NEEDED = 1 << 12 | 1 << 21
"""CAP_NET_ADMIN and CAP_SYS_ADMIN, which `ip netns add` needs: linux/capability.h."""


def may_be_made() -> bool:
    """Whether this process has the rights to make network namespaces, as root has outside a container."""
    status = files.read_text(Path("/proc/self/status"))
    (mask,) = (line.split()[1] for line in status.splitlines() if line.startswith("CapEff:"))
    return int(mask, 16) & _NEEDED == _NEEDED


def open_deployment(given: str | Path | None) -> Deployment:
    """Read the deployment file of a command (see `paths.deployment`), and enter its clients' namespace.

    What a killed run left broken in the deployment is healed first. Raises InputError.
    """
    path = paths.deployment(given)
    deployment = read(path)
    heal_leftovers(path)
    if "CALORIMETER_EC2_OF" in os.environ:  # a command that started this one lends them
        from calorimeter.core.login import lent_ec2

        deployment = lent_ec2.inherited(deployment)
    return enter_client_netns(deployment)


def enter_client_netns(deployment: Deployment) -> Deployment:
    """Enter the network namespace `clients.netns`, if the deployment names one. Returns the deployment.

    Every command that touches a deployment calls this before its first thread and its first connection:
    threads and processes inherit the namespace when they start. Raises InputError (see `enter`).
    """
    if deployment.clients.netns is not None:
        enter(deployment.clients.netns, f"{deployment.path}: clients.netns")
    return deployment


def enter(name: str, where: str) -> None:
    """Move this thread into a namespace. Raises InputError if it does not exist or is forbidden."""
    if Path(name).name != name:
        raise InputError(where, f"{name!r} is no name", "valid: one of `ip netns`, not a path")
    try:
        descriptor = os.open(FOLDER / name, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError) as problem:
        raise InputError(where, f"no network namespace {name!r}", "valid: one of `ip netns`") from problem
    try:
        # os.setns needs Python 3.12.
        if ctypes.CDLL(None, use_errno=True).setns(descriptor, _CLONE_NEWNET) != 0:
            number = ctypes.get_errno()
            advice = "run it as root" if number == errno.EPERM else "valid: one of `ip netns`"
            raise InputError(where, f"{name!r} cannot be entered ({os.strerror(number)})", advice)
    finally:
        os.close(descriptor)


def within(name: str | None, *argv: str) -> tuple[str, ...]:
    """The command that runs `argv` in a namespace, or in the caller's own if `name` is None."""
    return (*(("nsenter", f"--net={FOLDER / name}", "--") if name else ()), *argv)
