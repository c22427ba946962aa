"""Run a command on a host of a lab, as the lab's user."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence

from calorimeter.core.errors import InputError, unknown
from calorimeter.core.host import netns
from calorimeter.lab import lab_state, processes
from calorimeter.lab.hosts import network
from calorimeter.lab.lab_state import PROJECT, REGION, USER, Lab


def run(name: str, host: str, command: Sequence[str]) -> None:
    """Replace this process by the command. Raises `InputError` if that is not possible."""
    lab = lab_state.open_lab(name)
    if lab.layout is None:
        raise InputError(
            f"lab {name}", "has no hosts", "valid: a lab started with --sample guide or --proxies 2"
        )
    if host not in lab.layout.hosts:
        raise unknown("--host", "host", host, lab.layout.hosts)
    environment = {**os.environ, **_user(lab), **processes.marks(lab.folder, "visitor")}
    environment["PATH"] = (
        f"{os.environ.get('PATH', os.defpath)}{os.pathsep}{lab.programs.heat_venv / 'bin'}"
    )
    program = shutil.which(command[0], path=environment["PATH"])
    if program is None:
        raise InputError("lab exec", f"no program {command[0]!r}", "valid: a command of this machine")
    netns.enter(network.namespace(name, host), f"lab {name}")
    os.execve(program, list(command), environment)  # noqa: S606


def _user(lab: Lab) -> dict[str, str]:
    """Environment variables of the openstack client."""
    return {
        "OS_AUTH_URL": f"{lab.url('keystone')}/v3",
        "OS_USERNAME": USER,
        "OS_PASSWORD": lab.secrets[USER],
        "OS_PROJECT_NAME": PROJECT,
        "OS_USER_DOMAIN_NAME": "Default",
        "OS_PROJECT_DOMAIN_NAME": "Default",
        "OS_REGION_NAME": REGION,
        "OS_IDENTITY_API_VERSION": "3",
        **({"OS_CACERT": str(lab.verify)} if lab.topology.tls else {}),
    }
