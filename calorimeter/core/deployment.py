"""`deployment.toml`: everything the suite knows of a deployment, lab or cloud alike."""

from __future__ import annotations

from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, Field, PrivateAttr, model_validator

from calorimeter.core import toml
from calorimeter.core.secrets import Secret
from calorimeter.core.toml import Model


class Address(Model):
    """A host and a TCP or UDP port; written `HOST:PORT`, IPv6 in brackets."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def address(text: str) -> Address:
    """Parse `HOST:PORT`; ValueError with a plain sentence where it is none."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError("an address is HOST:PORT, with a port from 1 to 65535")
    host = host.removeprefix("[").removesuffix("]")
    if ":" in host:
        ip_address(host)
    return Address(host=host, port=int(port))


def _host_port(text: str) -> str:
    address(text)
    return text


def _without_password(text: str) -> str:
    if urlsplit(text).password is not None:
        raise ValueError("a URL here must not hold a password; give it as password = { env = … }")
    return text


def _schemes(*schemes: str) -> AfterValidator:
    def check(text: str) -> str:
        parts = urlsplit(text)
        if parts.port == 0:  # above 65535 or no number: this raises by itself
            raise ValueError("Port out of range 0-65535")
        if parts.scheme not in schemes or not (parts.hostname or parts.scheme in ("unix", "file")):
            raise ValueError(f"a URL here starts with {' or '.join(f'{s}://' for s in schemes)}")
        return _without_password(text)

    return AfterValidator(check)


HostPort = Annotated[str, AfterValidator(_host_port)]
HttpUrl = Annotated[str, _schemes("http", "https")]
AmqpUrl = Annotated[str, _schemes("amqp", "amqps")]
StatsUrl = Annotated[str, _schemes("unix", "tcp", "http", "https")]
LogUrl = Annotated[str, _schemes("udp", "file")]
Seconds = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


class Consent(StrEnum):
    """How far the suite may go: look, saturate, or trace and break."""

    PASSIVE = "passive"
    LOAD = "load"
    INVASIVE = "invasive"

    def allows(self, needed: Consent) -> bool:
        """Whether this consent covers what needs `needed`."""
        order = list(Consent)
        return order.index(needed) <= order.index(self)


class Backend(Model):
    """One API process behind the proxy: its server name in HAProxy and its own address."""

    name: str
    address: HostPort


class Api(Model):
    """One of the two APIs, REST or CFN, as clients see it.

    `url` is the front address with its path up to and without the project
    (`http://10.0.0.1:8004/v1`); `proxy_section` is the HAProxy `listen` or `backend` section
    that serves it.
    """

    url: HttpUrl
    proxy_section: str
    backends: tuple[Backend, ...] = Field(min_length=1)

    @property
    def parts(self) -> SplitResult:
        """The URL, split."""
        return urlsplit(self.url)

    @property
    def front(self) -> Address:
        """The proxy's address for this API."""
        parts = self.parts
        port = parts.port or (443 if parts.scheme == "https" else 80)
        return Address(host=parts.hostname or "", port=port)


class Checks(Model):
    """How a proxy checks its servers, as its configuration says; what is not given is HAProxy's default.

    `fastinter_s` counts while a server is going down or up, `downinter_s` while it is down, both `inter_s`
    where not given. `timeout_check_s` limits a check's answer (else `inter_s` does), `timeout_connect_s`
    its connection, with `inter_s`.
    """

    inter_s: Seconds = 2.0
    fall: Count = 3
    rise: Count = 2
    fastinter_s: Seconds | None = None
    downinter_s: Seconds | None = None
    timeout_check_s: Seconds | None = None
    timeout_connect_s: Seconds | None = None


class Proxy(Model):
    """One HAProxy and where it can be looked at.

    `stats` lists stats sockets and pages: `unix:///run/haproxy.sock`, `tcp://HOST:PORT`,
    `http://HOST:PORT/stats` (with `stats_user` and `stats_password`). `logs` lists where its log is
    received: `udp://HOST:PORT` (the suite listens there) or `file:///var/log/haproxy.log`.
    `config` is a copy of its configuration, where there is one; `version` is for the record. `checks` is
    how it checks its servers; without it no bound on the time to detection can be computed.
    """

    name: str = "proxy"
    stats: tuple[StatsUrl, ...] = ()
    stats_user: str | None = None
    stats_password: Secret | None = None
    logs: tuple[LogUrl, ...] = ()
    config: tuple[Path, ...] = ()
    version: str | None = None
    checks: Checks | None = None


class Broker(Model):
    """RabbitMQ: AMQP for the trace, the management API for counts and names."""

    amqp: AmqpUrl
    management: HttpUrl | None = None
    user: str
    password: Secret
    vhost: str = "/"
    statistics_lag_s: Seconds = 10.0
    """How far the management API may be behind: `collect_statistics_interval` and the shortest interval of
    `management.sample_retention_policies` together, 5 s each unless they were changed."""


class Engines(Model):
    """The heat-engine processes expected on the broker, by host name of their part."""

    names: tuple[str, ...] = Field(min_length=1)
    workers: Count = 1


class Identity(Model):
    """Keystone and who the suite is there; EC2 credentials sign CFN requests."""

    auth_url: HttpUrl
    username: str
    password: Secret
    project: str
    user_domain: str = "Default"
    project_domain: str = "Default"
    region: str | None = None
    ec2_access: str | None = None
    ec2_secret: Secret | None = None


class Tls(Model):
    """How servers are verified: against the system's authorities, or those in `ca_file`."""

    ca_file: Path | None = None
    verify: bool = True

    @property
    def for_requests(self) -> bool | str:
        """The `verify` of requests and its kin."""
        return str(self.ca_file) if self.verify and self.ca_file else self.verify


FurtherFault = Literal["unreachable", "slow", "errors", "refuse-checks", "cut-off", "deaf", "mute"]
"""Faults beyond those that a part has commands of its own for."""


class Injection(Model):
    """The commands for one further fault: `inject` brings it about, `heal` ends it and may be repeated."""

    inject: str
    heal: str


class Part(Model):
    """One process or host and the commands its owner allows on it; each is run by `sh -c`.

    A command that is not given is not allowed. `kill` crashes (SIGKILL), `stop` stops cleanly,
    `start` brings back from either, `freeze` and `thaw` stop and continue it, `drain` and `undrain`
    take it out of the proxy and back, `sockets` prints its host's socket table (`ss -tanoe`). What
    brings back may be repeated. `faults` are further ones: packets to and from it vanish (`unreachable`),
    answers come late (`slow`), every answer is a 5xx (`errors`), only health checks are refused
    (`refuse-checks`), it is cut off from RabbitMQ (`cut-off`); of packets only those to it (`deaf`) or only
    those from it (`mute`) vanish.
    """

    name: str
    kind: Literal["rest", "cfn", "engine", "proxy", "broker", "host"]
    kill: str | None = None
    stop: str | None = None
    start: str | None = None
    freeze: str | None = None
    thaw: str | None = None
    drain: str | None = None
    undrain: str | None = None
    sockets: str | None = None
    faults: dict[FurtherFault, Injection] = {}


class Expect(Model):
    """What the owner wants; gates judge the configuration's own bounds against it."""

    balance: str = "source"
    hash_type: str = "map-based"
    weights: dict[str, int] = {}
    server_maxconn: int | None = None
    timeout_client_s: Seconds | None = None
    timeout_server_s: Seconds | None = None
    timeout_connect_s: Seconds | None = None
    timeout_queue_s: Seconds | None = None
    timeout_http_request_s: Seconds | None = None
    tcp_keepalive: bool = True
    max_detection_s: Seconds | None = None
    max_recovery_s: Seconds | None = None
    cut_sessions: bool = False
    rpc_timeout_s: Seconds = 60.0


class HeatConf(Model):
    """Copies of the heat.conf of one Heat process, in the order of its `--config-file`s.

    `host` is the machine it runs on; paths are relative to the deployment file. The audit reads them.
    """

    host: str
    files: tuple[Path, ...] = Field(min_length=1)


class ConsentTable(Model):
    """The `[consent]` table."""

    level: Consent = Consent.PASSIVE


class Clients(Model):
    """Source addresses this machine may send from, as networks or single addresses.

    Empty: the one address that the operating system picks. `openstack` is the command of the unmodified
    client, which one gate calls. `netns` names the network namespace of this machine (`ip netns`) that the
    suite goes to first: a client host that is no machine of its own.
    """

    netns: str | None = None
    sources: tuple[str, ...] = ()
    openstack: str = "openstack"


class Scaling(Model):
    """The shell commands that change how many APIs and engines there are; what has none is not changed.

    Each finds the number wanted as `$N`, and ends when so many serve (or fails).
    """

    rest: str | None = None
    cfn: str | None = None
    engines: str | None = None


class Deployment(Model):
    """A scaled-out Heat, as its owner describes it.

    `usage` is a shell command that prints, once a second until its standard input is closed, what each
    part uses: a JSON object a line, `{"t_ns": …, "processes": [{"part", "cpu_s", "rss_bytes"}]}`.
    `versions` says of what is deployed which version it is, for the record. `scale` changes its size.
    """

    name: str
    rest: Api
    cfn: Api | None = None
    proxy: tuple[Proxy, ...] = ()
    broker: Broker | None = None
    engines: Engines | None = None
    identity: Identity | None = None
    tenants: tuple[Identity, ...] = ()
    tls: Tls = Tls()
    clients: Clients = Clients()
    parts: tuple[Part, ...] = ()
    heat_conf: tuple[HeatConf, ...] = ()
    expect: Expect = Expect()
    consent: ConsentTable = ConsentTable()
    waive: dict[str, str] = {}
    usage: str | None = None
    scale: Scaling = Scaling()
    versions: dict[str, str] = {}

    _path: Path = PrivateAttr(default=Path("deployment.toml"))

    @model_validator(mode="after")
    def _names_are_unique(self) -> Deployment:
        for what, names in (
            ("rest.backends", [backend.name for backend in self.rest.backends]),
            ("cfn.backends", [backend.name for backend in self.cfn.backends] if self.cfn else []),
            ("parts", [part.name for part in self.parts]),
            ("proxy", [proxy.name for proxy in self.proxy]),
        ):
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"{what} has two entries named {twice[0]!r}")
        return self

    @property
    def path(self) -> Path:
        """The file this was read from."""
        return self._path

    def api(self, name: str) -> Api | None:
        """The API called `rest` or `cfn`."""
        return self.rest if name == "rest" else self.cfn

    def reveal(self, secret: Secret) -> str:
        """A secret that this deployment refers to (see `Secret.reveal`)."""
        return secret.reveal(self._path.parent)


def read(path: Path) -> Deployment:
    """Read a deployment file; raises `InputError` (see `toml.read`). A relative `ca_file` is beside it."""
    deployment = toml.read(path, Deployment)
    if deployment.tls.ca_file is not None:
        beside = path.absolute().parent / deployment.tls.ca_file
        tls = deployment.tls.model_copy(update={"ca_file": beside})
        deployment = deployment.model_copy(update={"tls": tls})
    deployment._path = path.absolute()
    return deployment
