"""What a lab consists of: how it was asked for, its ports, its secrets, its folder."""

from __future__ import annotations

import json
import re
import secrets
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from calorimeter.core import paths
from calorimeter.core.errors import InputError
from calorimeter.core.toml import Model
from calorimeter.lab.programs import Programs
from calorimeter.lab.sample import layout, network

LOOPBACK = "127.0.0.1"
REGION = "RegionOne"
PROJECT = "load"
USER = "load"

SERVICES = ("rabbitmq", "mariadb", "memcached", "keystone")
"""The daemons below Heat, by the names of their parts."""

_PORTS = ("rest", "cfn", "log", "amqp", "management", "epmd", "erlang", "mariadb", "memcached", "keystone")


class Topology(Model):
    """A lab as it was asked for, and the ports that were reserved for it (`lab.json`).

    `weights` are those of the servers in order, REST and CFN alike; a server beyond them has none.
    `rpc_timeout` is Heat's rpc_response_timeout in seconds. `timeouts` are the proxy's that differ from
    the guide's, by name; `maxconn` is that of the whole proxy, `server_maxconn` that of each server.
    `engine_threads` is the executor_thread_pool_size of the engines: what each works at at once.
    `serve` is what the APIs run under: Heat's own programs, or a WSGI server.
    `sample` spreads the lab over the hosts of the guide's sample, where servers have the guide's names.
    """

    name: str
    rest: int = 2
    cfn: int = 2
    engines: int = 3
    workers: int = 1
    proxy: Literal["guide", "checked"] = "checked"
    balance: Literal["source", "roundrobin", "leastconn"] = "source"
    hash_type: Literal["map-based", "consistent"] | None = None
    weights: tuple[int, ...] = ()
    mode: Literal["tcp", "http"] = "tcp"
    timeouts: dict[str, str] = {}
    maxconn: int | None = None
    server_maxconn: int | None = None
    queues: Literal["classic", "quorum"] = "classic"
    rpc_timeout: int | None = None
    health: Literal["shallow", "rpc"] = "shallow"
    engine_threads: int | None = None
    serve: Literal["eventlet", "wsgi"] = "eventlet"
    sample: Literal["guide"] | None = None
    ports: dict[str, int] = {}

    @property
    def rpc_timeout_s(self) -> int:
        """Seconds after which an API gives an engine up, where not asked for otherwise.

        Behind the guide's proxy it is Heat's default, 60, which races the proxy's `timeout server` of a
        minute; behind the checked one the API answers long before the proxy cuts the connection.
        """
        return self.rpc_timeout or (60 if self.proxy == "guide" else 20)

    @property
    def rest_parts(self) -> tuple[str, ...]:
        """`rest-1`, `rest-2`, …; in the sample `rest-server-1`, …"""
        return tuple(f"rest{self._server}-{n + 1}" for n in range(self.rest))

    @property
    def cfn_parts(self) -> tuple[str, ...]:
        """`cfn-1`, `cfn-2`, …; in the sample `cfn-server-1`, …"""
        return tuple(f"cfn{self._server}-{n + 1}" for n in range(self.cfn))

    @property
    def _server(self) -> str:
        return "-server" if self.sample else ""

    @property
    def engine_parts(self) -> tuple[str, ...]:
        """`engine-1`, `engine-2`, …"""
        return tuple(f"engine-{n + 1}" for n in range(self.engines))

    @property
    def heat_parts(self) -> tuple[str, ...]:
        """Every process of Heat, engines first because they take longest to be ready."""
        return (*self.engine_parts, *self.rest_parts, *self.cfn_parts)

    @property
    def parts(self) -> tuple[str, ...]:
        """Every daemon of the lab, in the order of a bring-up."""
        return (*SERVICES, *self.heat_parts, "proxy")

    @property
    def port_names(self) -> tuple[str, ...]:
        """What needs a port; `log` is UDP, and nobody of the lab listens there."""
        return (*_PORTS, *self.rest_parts, *self.cfn_parts)


@dataclass(frozen=True, slots=True)
class Lab:
    """A lab with everything its daemons need to be started."""

    folder: Path
    topology: Topology
    secrets: Mapping[str, str]
    programs: Programs

    def port(self, name: str) -> int:
        """The port reserved under `name` (see `Topology.port_names`)."""
        return self.topology.ports[name]

    def address(self, name: str) -> str:
        """`HOST:PORT` of what is reserved under `name`."""
        return f"{self.host(name)}:{self.port(name)}"

    def host(self, name: str) -> str:
        """The address of a part's host, or of what is reserved under `name`: loopback, but for a sample."""
        return layout.HOSTS[layout.host_of(name)] if self.topology.sample else LOOPBACK

    def namespace(self, part: str) -> str | None:
        """The network namespace that a part runs in; None for this machine's own."""
        if not self.topology.sample:
            return None
        return network.namespace(self.topology.name, layout.host_of(part))

    def url(self, name: str) -> str:
        """The root URL of what is reserved under `name`."""
        return f"http://{self.address(name)}"

    def log(self, part: str) -> Path:
        """The file that a part's output goes to."""
        return self.folder / "logs" / f"{part}.log"

    @property
    def deployment(self) -> Path:
        """The lab's `deployment.toml`; it is there once the lab is up."""
        return self.folder / "deployment.toml"


def folder(name: str) -> Path:
    """The state folder of the lab called `name`; raises `InputError` where that is no name."""
    if not re.fullmatch(r"[a-z0-9-]{1,20}", name):
        raise InputError("--name", f"{name!r} given", "valid: 1 to 20 of a-z, 0-9 and -")
    path = paths.lab(name).absolute()
    if len(str(path)) > 80:
        # A Unix socket's path has at most 107 bytes.
        raise InputError(str(path), "is too long for sockets in it", "valid: a shorter $XDG_STATE_HOME")
    return path


def names(*, whole: bool = True) -> list[str]:
    """The labs that have a state folder; not only the `whole` ones: also what a crash left of one."""
    return sorted(
        path.name
        for path in paths.state().glob("labs/*")
        if path.is_dir() and (not whole or (path / "lab.json").exists())
    )


def write(topology: Topology, path: Path) -> None:
    """Write `lab.json` into the state folder."""
    partial = path / "lab.partial"
    partial.write_text(topology.model_dump_json(indent=2) + "\n", encoding="utf-8")
    partial.replace(path / "lab.json")


def read(path: Path) -> Topology:
    """Read `lab.json` from a state folder; raises `InputError` where there is no readable one."""
    try:
        return Topology.model_validate_json((path / "lab.json").read_text(encoding="utf-8"))
    except FileNotFoundError as problem:
        known = ", ".join(names()) or "none is up"
        raise InputError("--name", f"no lab named {path.name!r}", f"labs: {known}") from problem
    except (OSError, ValidationError) as problem:
        raise InputError(
            str(path / "lab.json"), "is damaged", "`calorimeter lab down` clears it"
        ) from problem


def fresh_secrets() -> dict[str, str]:
    """A lab's own passwords and keys, all of hexadecimal digits, so that no file needs escaping."""
    keys = (
        "amqp",
        "erlang_cookie",
        "mariadb_root",
        "mariadb",
        "keystone_admin",
        "heat",
        "stack_domain",
        USER,
    )
    return {**{key: secrets.token_hex(16) for key in keys}, "auth_encryption_key": secrets.token_hex(16)}


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, from its first moment on."""
    partial = path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)
    partial.touch(mode=0o600)
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def write_secrets(values: Mapping[str, str], path: Path) -> None:
    """Write `secrets.toml` into the state folder."""
    write_private(
        path / "secrets.toml", "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items())
    )


def read_secrets(path: Path) -> dict[str, str]:
    """Read `secrets.toml` from a state folder."""
    try:
        return {k: str(v) for k, v in tomllib.loads((path / "secrets.toml").read_text("utf-8")).items()}
    except (OSError, ValueError) as problem:
        raise InputError(
            str(path / "secrets.toml"), "cannot be read", "`calorimeter lab down`"
        ) from problem


def opened(name: str) -> Lab:
    """The lab called `name`; raises `InputError` where there is none."""
    from calorimeter.lab import programs

    path = folder(name)
    topology = read(path)
    return Lab(path, topology, read_secrets(path), programs.found())
