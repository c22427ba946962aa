"""`deployment.toml`: everything that the suite knows about a deployment, whether lab or cloud."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, Field, PrivateAttr, model_validator

from calorimeter.core import bounds, broker_table, engine_groups, files, toml
from calorimeter.core.broker_table import Broker
from calorimeter.core.control import commands_of_parts
from calorimeter.core.control.control_table import Control
from calorimeter.core.control.controlled_part import APIS, KINDS, Part
from calorimeter.core.database_table import Database
from calorimeter.core.engine_groups import EngineGroup
from calorimeter.core.errors import InputError, nearest
from calorimeter.core.expect import Expect
from calorimeter.core.login.identities import Identity
from calorimeter.core.secrecy.secrets import Secret
from calorimeter.core.toml import Model, Name, Seconds
from calorimeter.core.upgrade_table import UpgradeTable
from calorimeter.core.urls import HttpUrl, LogUrl, StatsUrl, check_host
from calorimeter.core.vrrp import Vrrp


class Address(Model):
    """A host and a TCP or UDP port, written `HOST:PORT` with IPv6 addresses in brackets."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def address(text: str) -> Address:
    """Parse `HOST:PORT`. Raises ValueError if `text` is not of this form."""
    host, _, port = text.rpartition(":")
    try:
        number = bounds.PORT.parse(port if host else "")
    except ValueError as problem:
        raise ValueError("an address is HOST:PORT, with a port from 1 to 65535") from problem
    host = host.removeprefix("[").removesuffix("]")
    if ":" in host:
        ip_address(host)
    return Address(host=check_host(host), port=number)


def address_of_url(parts: SplitResult) -> Address:
    """The host and port of an http or https URL; the port of its scheme if it names none."""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return Address(host=parts.hostname or "", port=port)


def _host_port(text: str) -> str:
    address(text)
    return text


HostPort = Annotated[str, AfterValidator(_host_port)]


class Consent(StrEnum):
    """How far the suite may go: read and send a few requests, saturate, or trace and inject faults."""

    PASSIVE = "passive"
    LOAD = "load"
    INVASIVE = "invasive"

    def allows(self, needed: Consent) -> bool:
        """Whether this consent includes the level `needed`."""
        order = list(Consent)
        return order.index(needed) <= order.index(self)


class Backend(Model):
    """One API process behind the proxy: the name of its server line in HAProxy, and its own address.

    `tls` is whether it speaks TLS there, as `ssl` on its server line says.
    """

    name: Name
    address: HostPort
    tls: bool = False


class Api(Model):
    """One of the two APIs, REST or CFN, as clients see it.

    `url` is the front address with the path before the project (`http://10.0.0.1:8004/v1`).
    `proxy_section` is the HAProxy `listen` or `backend` section that serves it.
    """

    url: HttpUrl
    proxy_section: str
    backends: tuple[Backend, ...] = Field(min_length=1)

    @property
    def parts(self) -> SplitResult:
        """The parts of `url`."""
        return urlsplit(self.url)

    @property
    def front(self) -> Address:
        """The front address: the proxy's address for this API."""
        return address_of_url(self.parts)


class Checks(Model):
    """How a proxy's configuration checks its servers. Defaults are HAProxy's.

    `fastinter_s` is the interval while a server is going down or up, `downinter_s` while it is down (both:
    default `inter_s`). `timeout_check_s` limits how long a check waits for its answer (default `inter_s`).
    `timeout_connect_s` and `inter_s` limit how long it waits for its connection.
    `calorimeter.core.detection_bounds` computes what follows from them.
    """

    inter_s: Seconds = 2.0
    fall: Annotated[int, bounds.HAPROXY_INTEGER] = 3
    rise: Annotated[int, bounds.HAPROXY_INTEGER] = 2
    fastinter_s: Seconds | None = None
    downinter_s: Seconds | None = None
    timeout_check_s: Seconds | None = None
    timeout_connect_s: Seconds | None = None


class Proxy(Model):
    """One HAProxy, and where its evidence is.

    `stats` lists stats sockets and pages: `unix:///run/haproxy.sock`, `tcp://HOST:PORT`,
    `http://HOST:PORT/stats` (with `stats_user` and `stats_password`). `logs` lists where its log arrives:
    `udp://HOST:PORT` (the suite listens there) or `file:///var/log/haproxy.log`. `config` lists copies of
    its configuration files; `check_with_haproxy` is whether the gates check them with `haproxy -c`, too.
    `version` is recorded only. Without `checks`, no detection bound can be computed. `vrrp` is given if it
    shares the front address with other proxies, which move it between them.
    """

    name: str = "proxy"
    stats: tuple[StatsUrl, ...] = ()
    stats_user: str | None = None
    stats_password: Secret | None = None
    logs: tuple[LogUrl, ...] = ()
    config: tuple[Path, ...] = ()
    check_with_haproxy: bool = False
    version: str | None = None
    checks: Checks | None = None
    vrrp: Vrrp | None = None


UNVERIFIED = (
    "TLS certificates of {who} are not verified ({key}): any machine on the way can read and change "
    "requests and answers, passwords and tokens included."
)


LARGEST_AUTHORITIES = 4 * 2**20
"""Bytes of a file of certificate authorities; a distribution's has a quarter of a million."""


class Tls(Model):
    """How TLS servers are verified: by the system's certificate authorities, or by those in `ca_file`."""

    ca_file: Path | None = None
    verify: bool = True

    @property
    def for_requests(self) -> bool | str:
        """The argument `verify` of requests and keystoneauth. Raises InputError as `authorities`."""
        return str(self.ca_file) if self.verify and self.authorities() else self.verify

    def authorities(self) -> str | None:
        """The text of `ca_file`; None without one. Raises InputError if it is empty or cannot be read."""
        if self.ca_file is None:
            return None
        text = files.read_text(self.ca_file, limit=LARGEST_AUTHORITIES)
        if not text.strip():
            raise InputError(f"tls.ca_file {self.ca_file}", "is empty", "valid: certificates in PEM")
        return text

    @property
    def warning(self) -> str:
        """The sentence for users if certificates are not verified; else empty."""
        return UNVERIFIED.format(who="servers", key="[tls] verify = false") if not self.verify else ""


HeatRole = Literal["rest", "cfn", "engine"]
"""What a Heat process is: the REST API, the CFN API or an engine."""


class HeatConf(Model):
    """Copies of the configuration files of one Heat process, in the order of its `--config-file` options.

    `host` is the machine that it runs on, `roles` what the process is; if empty, the audit determines it
    from the files. Paths are relative to the deployment file. The audit reads them.
    """

    host: Name
    files: tuple[Path, ...] = Field(min_length=1)
    roles: tuple[HeatRole, ...] = ()


class ConsentTable(Model):
    """The `[consent]` table."""

    level: Consent = Consent.PASSIVE


class Clients(Model):
    """The client side: this machine.

    `sources` are the addresses that it may send from, as networks or single addresses (default: the one
    address that the operating system picks). `openstack` is the command of the unmodified client, which
    gate P2 calls. `netns` names a network namespace of this machine (`ip netns`) that the suite enters
    first, so that a namespace can serve as the client host.
    """

    netns: str | None = None
    sources: tuple[str, ...] = ()
    openstack: str = "openstack"


class Scaling(Model):
    """Shell commands that change the number of API and engine processes.

    Each reads the new number from `$N`, and ends when that many processes serve, or fails. A kind of
    process without a command keeps its number.
    """

    rest: str | None = None
    cfn: str | None = None
    engines: str | None = None


class Deployment(Model):
    """A scaled-out Heat, as its owner describes it.

    `usage` is a shell command that prints what each part uses, once a second until its standard input is
    closed, one JSON object per line: `{"t_ns": …, "processes": [{"part", "cpu_s", "rss_bytes"}]}`.
    `versions` (component → version) is recorded; the audit reads those of `heat` and `rabbitmq`. `scale`
    changes the deployment's size, `upgrade` its release of Heat. `control` names the driver that writes the
    commands of parts; `read` adds them to `parts`.
    """

    name: str
    rest: Api
    cfn: Api | None = None
    proxy: tuple[Proxy, ...] = ()
    broker: Broker | None = None
    database: Database | None = None
    engines: tuple[EngineGroup, ...] = ()
    identity: Identity | None = None
    tenants: tuple[Identity, ...] = ()
    tls: Tls = Tls()
    clients: Clients = Clients()
    control: Control | None = None
    parts: tuple[Part, ...] = ()
    heat_conf: tuple[HeatConf, ...] = ()
    expect: Expect = Expect()
    consent: ConsentTable = ConsentTable()
    waive: dict[str, str] = {}
    usage: str | None = None
    scale: Scaling = Scaling()
    upgrade: UpgradeTable = UpgradeTable()
    versions: dict[str, str] = {}

    _path: Path = PrivateAttr(default=Path("deployment.toml"))

    @model_validator(mode="after")
    def _names_are_unique(self) -> Deployment:
        for what, names in (
            ("rest.backends", [backend.name for backend in self.rest.backends]),
            ("cfn.backends", [backend.name for backend in self.cfn.backends] if self.cfn else []),
            *((f"parts of kind {kind}", [p.name for p in self.parts if p.kind == kind]) for kind in KINDS),
            ("proxy", [proxy.name for proxy in self.proxy]),
            ("engines", [name for group in self.engines for name in group.names]),
        ):
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"{what} has two entries named {twice[0]!r}")
        return self

    @model_validator(mode="after")
    def _parts_are_of_proxies(self) -> Deployment:
        names = [proxy.name for proxy in self.proxy]
        for part in self.parts:
            if part.proxy is not None and part.proxy not in names:
                close = nearest(part.proxy, names)
                meant = f"; did you mean {close!r}?" if close else ""
                raise ValueError(
                    f"parts: {part.name!r} has proxy {part.proxy!r}, which is none; "
                    f"valid: {', '.join(names)}{meant}"
                )
        return self

    @model_validator(mode="after")
    def _weights_are_of_backends(self) -> Deployment:
        rest = {backend.name for backend in self.rest.backends}
        cfn = {backend.name for backend in self.cfn.backends} if self.cfn else rest
        for where, weights, names in (
            ("expect.weights", self.expect.weights, rest | cfn),
            ("expect.rest.weights", self.expect.rest.weights or {}, rest),
            ("expect.cfn.weights", self.expect.cfn.weights or {}, cfn),
        ):
            for name in weights.keys() - names:
                close = nearest(name, names)
                meant = f"; did you mean {close!r}?" if close else ""
                raise ValueError(
                    f"{where} has {name!r}, which is no backend; valid: {', '.join(sorted(names))}{meant}"
                )
        return self

    @property
    def engine_consumers(self) -> dict[str, int]:
        """Host → consumers of the queue `engine` of its engines; empty if none are described."""
        return engine_groups.consumers(self.engines)

    @property
    def path(self) -> Path:
        """The file that this was read from."""
        return self._path

    def api(self, name: str) -> Api | None:
        """The API called `rest` or `cfn`."""
        return self.rest if name == "rest" else self.cfn

    def parts_of(self, kind: str) -> tuple[Part, ...]:
        """The parts of a kind; those of an API in the order of its backends."""
        parts = {part.name: part for part in self.parts if part.kind == kind}
        api = self.api(kind) if kind in APIS else None
        names = [backend.name for backend in api.backends] if api else list(parts)
        return tuple(parts[name] for name in names if name in parts)

    def part_label(self, kind: str, name: str) -> str:
        """The name of a part; `KIND/NAME` if parts of several kinds have that name."""
        alike = [part for part in self.parts if part.name == name]
        return name if len(alike) == 1 else f"{kind}/{name}"

    def reveal(self, secret: Secret) -> str:
        """The value of a secret that this deployment refers to. Raises InputError (see `Secret.reveal`)."""
        return secret.reveal(self._path.parent)


def _renewed(tree: dict[str, Any]) -> Iterator[str]:
    """Rewrite the tables of older files; yield a line about each."""
    yield from engine_groups.renewed(tree)
    yield from broker_table.renewed(tree)


def read(path: Path) -> Deployment:
    """As `as_written`, with the commands that the file's `[control]` writes for its parts."""
    written = as_written(path)
    deployment = commands_of_parts.with_commands(written)
    deployment._path = written.path
    return deployment


def as_written(path: Path) -> Deployment:
    """Read a deployment file; `ca_file` is relative to it. Raises InputError (see `toml.read`)."""
    deployment = toml.read(path, Deployment, _renewed)
    if deployment.tls.ca_file is not None:
        beside = path.absolute().parent / deployment.tls.ca_file
        tls = deployment.tls.model_copy(update={"ca_file": beside})
        deployment = deployment.model_copy(update={"tls": tls})
    deployment._path = path.absolute()
    return deployment
