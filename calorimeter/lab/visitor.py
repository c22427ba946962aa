"""Run a command, or a shell, as the user of a lab: with the environment of the openstack client."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from calorimeter.core.errors import InputError, unknown
from calorimeter.core.host import netns
from calorimeter.lab import lab_state, processes
from calorimeter.lab.hosts import network
from calorimeter.lab.lab_state import PROJECT, REGION, USER, Lab

_BASH_START = """\
[ -r ~/.bashrc ] && . ~/.bashrc
PS1="(lab {name}) ${{PS1:-\\\\$ }}"
"""


def run(name: str, host: str | None, command: Sequence[str]) -> None:
    """Replace this process by the command. Raises `InputError` if that is not possible.

    It runs on `host` if the lab has hosts (default: the client host). `lab down` ends it there.
    """
    lab = lab_state.open_lab(name)
    environment = _environment(lab)
    if lab.layout:
        environment |= processes.marks(lab.folder, "visitor")
    program = shutil.which(command[0], path=environment["PATH"])
    if program is None:
        raise InputError("lab exec", f"no program {command[0]!r}", "valid: a command of this machine")
    _go_to(lab, host)
    os.execve(program, list(command), environment)  # noqa: S606


def shell(name: str, host: str | None) -> None:
    """Replace this process by the user's shell, with the lab's name in the prompt of bash and sh."""
    lab = lab_state.open_lab(name)
    program = os.environ.get("SHELL") or "/bin/sh"
    if shutil.which(program) is None:
        raise InputError("$SHELL", f"{program!r} is no program", "valid: the path of a shell")
    argv, environment = [program], _environment(lab)
    if Path(program).name == "bash":
        # Through a pipe: bash sets its prompt in ~/.bashrc, after its environment.
        reader, writer = os.pipe()
        os.write(writer, _BASH_START.format(name=name).encode())
        os.close(writer)
        os.set_inheritable(reader, True)
        argv += ["--rcfile", f"/dev/fd/{reader}"]
    else:
        environment["PS1"] = f"(lab {name}) $ "
    _go_to(lab, host)
    os.execve(program, argv, environment)  # noqa: S606


def _go_to(lab: Lab, host: str | None) -> None:
    """Enter the network of a host, or of the client host."""
    if lab.layout is None:
        if host is not None:
            valid = "valid: without it; a lab with hosts is one of --sample guide or --proxies 2"
            raise InputError("--host", f"{host!r} given for a lab without hosts", valid)
        return
    if host is None:
        lab.enter_network()
        return
    if host not in lab.layout.hosts:
        raise unknown("--host", "host", host, lab.layout.hosts)
    netns.enter(network.namespace(lab.topology.name, host), f"lab {lab.topology.name}")


def _environment(lab: Lab) -> dict[str, str]:
    """This environment with what the openstack client and Calorimeter need for the lab, and nothing else
    that an openstack client reads."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OS_")}
    path = f"{os.environ.get('PATH', os.defpath)}{os.pathsep}{lab.programs.heat_venv / 'bin'}"
    return {**kept, "PATH": path, "CALORIMETER_DEPLOYMENT": str(lab.deployment), **_user(lab)}


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
