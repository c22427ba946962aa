"""A lab: its topology, ports, secrets and state folder."""

from __future__ import annotations

import json
import re
import secrets
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from calorimeter import __version__
from calorimeter.core import files, paths
from calorimeter.core.errors import InputError
from calorimeter.core.host import machine, ownership
from calorimeter.lab import tls_files
from calorimeter.lab.hosts import network
from calorimeter.lab.hosts.host_layout import HostLayout
from calorimeter.lab.hosts.layouts import LAYOUTS
from calorimeter.lab.lab_topology import LabTopology
from calorimeter.lab.programs import Programs

_NAME = re.compile(r"[a-z0-9-]{1,20}", re.ASCII)

LOOPBACK = "127.0.0.1"
REGION = "RegionOne"
PROJECT = "load"
USER = "load"

MADE_BY = (__version__, 2)
"""This version of Calorimeter, and of what a lab's folder holds: raise it when that changes."""

_VERSION = re.compile(r"[0-9A-Za-z.+-]{1,40}", re.ASCII)

PROCESS_BYTES = 160 * 2**20
"""Memory of a process of Heat: an engine of Heat 24 was measured with 157 MB."""


@dataclass(frozen=True, slots=True)
class Lab:
    """A lab with everything that is needed to start its daemons."""

    folder: Path
    topology: LabTopology
    secrets: Mapping[str, str]
    programs: Programs

    def port(self, name: str) -> int:
        """The port reserved under `name` (see `LabTopology.port_names`)."""
        return self.topology.ports[name]

    def address(self, name: str) -> str:
        """`HOST:PORT` of the port reserved under `name`."""
        return f"{self.host(name)}:{self.port(name)}"

    def host(self, name: str) -> str:
        """The IP address of a part or port name: loopback, or that of a host."""
        return self.layout.address_of(self.topology.host_name(name)) if self.layout else LOOPBACK

    def namespace(self, part: str) -> str | None:
        """The network namespace that a part runs in; None for this machine's own namespace."""
        on = self.machine(part)
        return network.namespace(self.topology.name, on) if on else None

    @property
    def layout(self) -> HostLayout | None:
        """The hosts of the lab; None if all of it is on loopback."""
        return LAYOUTS.get(self.topology.layout)

    def machine(self, part: str) -> str | None:
        """The host that a part runs on; None on loopback."""
        return self.layout.host_of(self.topology.host_name(part)) if self.layout else None

    def enter_network(self) -> None:
        """Enter the network from which the lab can be reached: that of its client host, if it has one.

        A client host that was lost is made again: without it, nothing could be healed.
        """
        if self.layout:
            network.enter_client_host(self.topology.name, self.layout)

    def url(self, name: str) -> str:
        """The root URL of the port reserved under `name`."""
        return f"{'https' if self.topology.speaks_tls(name) else 'http'}://{self.address(name)}"

    @property
    def tls_folder(self) -> Path:
        """The folder of its certificate and of its authority's (`tls_files`)."""
        return self.folder / "tls"

    @property
    def verify(self) -> str | bool:
        """The argument `verify` of requests and keystoneauth for its servers."""
        return str(tls_files.ca_file(self.tls_folder)) if self.topology.tls else True

    def log(self, part: str) -> Path:
        """The log file of a part."""
        return self.folder / "logs" / f"{part}.log"

    @property
    def deployment(self) -> Path:
        """The lab's `deployment.toml`; it exists once the lab is up."""
        return self.folder / "deployment.toml"

    @property
    def clouds(self) -> Path:
        """The lab's clouds.yaml, for `openstack --os-cloud calorimeter`; mode 600."""
        return self.folder / "clouds.yaml"


def folder(name: str) -> Path:
    """The state folder of the lab called `name`.

    Raises `InputError` if the name is invalid, or the folder is a symbolic link, belongs to another user or
    can be written by others.
    """
    if not _NAME.fullmatch(name):
        raise InputError("--name", f"{name!r} given", "valid: 1 to 20 of a-z, 0-9 and -")
    path = paths.lab(name).absolute()
    if len(str(path)) > 80:
        # A Unix socket's path has at most 107 bytes.
        raise InputError(str(path), "is too long for sockets in it", "valid: a shorter $XDG_STATE_HOME")
    # Its daemons and their configuration run with this user's rights; `lab down` removes all of it.
    return ownership.own(path)


def check_room(processes: int, where: str) -> None:
    """Raise InputError if this machine has no room for so many further processes of Heat."""
    memory, free = machine.free_memory(), machine.free_processes()
    fit = processes if memory is None else memory // PROCESS_BYTES
    if free is not None:
        fit = min(fit, free)
    if processes > fit:
        given = f"{processes} processes of Heat need {processes * PROCESS_BYTES >> 20} MiB of memory, "
        given += f"this machine has room for {fit}"
        raise InputError(where, given, "valid: fewer --rest, --cfn, --engines or --workers")


def names(*, whole: bool = True) -> list[str]:
    """Names of the labs with a state folder; with `whole=False` also remnants of crashed labs."""
    return sorted(
        path.name
        for path in paths.state().glob("labs/*")
        if _NAME.fullmatch(path.name)
        and path.is_dir()
        and not path.is_symlink()
        and (not whole or (path / "lab.json").exists())
    )


def write(topology: LabTopology, path: Path) -> None:
    """Write `lab.json` into the state folder: the topology, and which Calorimeter made the lab."""
    maker, number = MADE_BY
    content = {"made_by": maker, "format": number, **topology.model_dump(mode="json")}
    write_private(path / "lab.json", json.dumps(content, indent=2) + "\n")


def read(path: Path) -> LabTopology:
    """Read `lab.json` from a state folder.

    Raises `InputError` if it is absent or damaged, or if another version of Calorimeter made the lab.
    """
    advice = f"take it down with `calorimeter lab down --name {path.name}`"
    try:
        content = files.read_json(path / "lab.json")
    except files.MissingFileError as problem:
        known = ", ".join(names()) or "none is up"
        raise InputError("--name", f"no lab named {path.name!r}", f"labs: {known}") from problem
    except InputError as problem:
        raise InputError(str(path / "lab.json"), "is damaged", advice) from problem
    if isinstance(content, dict) and (content.get("made_by"), content.get("format")) != MADE_BY:
        maker = str(content.get("made_by"))
        is_named = maker != __version__ and "made_by" in content and _VERSION.fullmatch(maker)
        version = f"Calorimeter {maker}" if is_named else "another version of Calorimeter"
        raise InputError(f"lab {path.name}", f"was made by {version}", advice)
    try:
        topology = {key: value for key, value in content.items() if key not in ("made_by", "format")}
        return LabTopology.model_validate_json(json.dumps(topology))
    except (AttributeError, ValidationError) as problem:
        raise InputError(str(path / "lab.json"), "is damaged", advice) from problem


def fresh_secrets() -> dict[str, str]:
    """New passwords and keys, in hexadecimal digits so that no file format needs escaping."""
    services = ("amqp", "erlang_cookie", "mariadb_root", "mariadb", "keystone_admin", "heat")
    accounts = ("mariadb_observer", "stack_domain", USER, "ec2_access", "ec2_secret")
    made = {key: secrets.token_hex(16) for key in (*services, *accounts, "auth_encryption_key")}
    return {**made, "credential_key": secrets.token_hex(32)}


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read."""
    files.write(path, text, mode=files.PRIVATE)


def write_secrets(values: Mapping[str, str], path: Path) -> None:
    """Write `secrets.toml` into the state folder."""
    files.write_secrets(path / "secrets.toml", values)


def read_secrets(path: Path) -> dict[str, str]:
    """Read `secrets.toml` from a state folder."""
    try:
        return {k: str(v) for k, v in tomllib.loads(files.read_text(path / "secrets.toml")).items()}
    except ValueError as problem:
        raise InputError(
            str(path / "secrets.toml"), "cannot be read", "`calorimeter lab down`"
        ) from problem


def open_lab(name: str) -> Lab:
    """The lab called `name`. Raises `InputError` if there is none."""
    from calorimeter.lab import programs

    path = folder(name)
    topology = read(path)
    return Lab(path, topology, read_secrets(path), programs.found(topology.haproxy, topology.rabbitmq))
