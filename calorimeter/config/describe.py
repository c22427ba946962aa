"""A `deployment.toml` from the files of a deployment; what only a person knows is asked for by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from calorimeter.config.audit.subject import APIS, ApiName, Inputs, ProxySide, Subject, build
from calorimeter.config.haproxy import Bind, Server, Service
from calorimeter.config.heat import heat_conf
from calorimeter.config.heat.heat_conf import WILDCARDS, Transport
from calorimeter.core.deployment import (
    Api,
    Backend,
    Broker,
    Checks,
    Consent,
    ConsentTable,
    Deployment,
    Engines,
    Expect,
    Identity,
    Proxy,
    Tls,
)
from calorimeter.core.deployment import HeatConf as HeatFiles
from calorimeter.core.errors import InputError
from calorimeter.core.secrets import Secret


@dataclass(frozen=True, slots=True)
class Known:
    """What a person says; what is None is taken from the files, or asked for."""

    name: str = "heat"
    rest_url: str | None = None
    cfn_url: str | None = None
    stats: tuple[str, ...] = ()
    logs: tuple[str, ...] = ()
    management_url: str | None = None
    engines: tuple[str, ...] = ()
    engine_workers: int | None = None
    auth_url: str | None = None
    username: str | None = None
    password_env: str = "OS_PASSWORD"  # noqa: S105 - a variable's name
    project: str | None = None
    user_domain: str = "Default"
    project_domain: str = "Default"
    region: str | None = None
    ca_file: Path | None = None
    consent: Consent = Consent.PASSIVE


@dataclass(frozen=True, slots=True)
class Missing:
    """Something that only a person knows: its place in deployment.toml, what it is, how to give it."""

    key: str
    what: str
    option: str


@dataclass(slots=True)
class Described:
    """The deployment, the secrets it refers to by key, and what is missing in it."""

    deployment: Deployment
    secrets: dict[str, str] = field(default_factory=dict)
    missing: list[Missing] = field(default_factory=list)
    auth_url: str | None = None


def describe(inputs: Inputs, known: Known, *, folder: Path, secrets_file: str) -> Described:
    """Fill a deployment from files; paths in it are relative to `folder`.

    Raises `InputError` where no section serves the REST API, or clients' address cannot be told.
    """
    subject = build(inputs)
    try:
        return _Describer(subject, known, folder, secrets_file).describe()
    except ValidationError as problem:
        error = problem.errors(include_url=False)[0]
        where = ".".join(str(part) for part in error["loc"]) or "deployment"
        message = error["msg"].removeprefix("Value error, ")
        raise InputError(where, f"{error['input']!r} was read or given", message) from problem


class _Describer:
    def __init__(self, subject: Subject, known: Known, folder: Path, secrets_file: str) -> None:
        self.subject = subject
        self.known = known
        self.folder = folder
        self.secrets_file = Path(secrets_file)
        self.secrets: dict[str, str] = {}
        self.missing: list[Missing] = []

    def describe(self) -> Described:
        rest = self._api("rest", self.known.rest_url)
        if rest is None:
            places = ", ".join(name for _, files in self.subject.inputs.proxies for name, _ in files)
            raise InputError(
                places or "--proxy", "no section serves Heat's REST API", "name it with --rest-section"
            )
        deployment = Deployment(
            name=self.known.name,
            rest=rest,
            cfn=self._api("cfn", self.known.cfn_url),
            proxy=tuple(self._proxy(side) for side in self.subject.proxies),
            broker=self._broker(),
            engines=self._engines(),
            identity=self._identity(),
            tls=Tls(ca_file=self.known.ca_file),
            heat_conf=tuple(self._heat_files()),
            expect=self._expect(),
            consent=ConsentTable(level=self.known.consent),
        )
        return Described(deployment, self.secrets, self.missing, self._auth_url)

    def _ask(self, key: str, what: str, option: str) -> None:
        self.missing.append(Missing(key, what, option))

    def _secret(self, key: str, value: str) -> Secret:
        self.secrets[key] = value
        return Secret(file=self.secrets_file, key=key)

    def _services(self, api: ApiName) -> list[Service]:
        return [service for _, name, service in self.subject.services if name == api]

    def _api(self, api: ApiName, url: str | None) -> Api | None:
        services = self._services(api)
        if not services:
            return None
        servers = {server.name: server for service in services for server in service.back.servers}
        backends = [
            Backend(name=server.name, address=server.text)
            for server in servers.values()
            if server.port is not None and server.port > 0
        ]
        if not backends:
            raise InputError(services[0].name, "no server of it has an address with a port")
        return Api(
            url=url or self._front_url(api, services),
            proxy_section=services[0].name,
            backends=tuple(backends),
        )

    def _front_url(self, api: ApiName, services: list[Service]) -> str:
        binds = [bind for service in services for bind in service.front.binds if bind.port]
        for bind in binds:
            host = self._front_host(bind)
            if host:
                scheme = "https" if "ssl" in bind.options else "http"
                shown = f"[{host}]" if ":" in host else host
                return f"{scheme}://{shown}:{bind.port}/v1"
        raise InputError(
            f"{api}.url",
            f"{services[0].front.name} is bound to {', '.join(b.text for b in binds) or 'no port'}",
            f"say the address that clients use: --{api}-url http://HOST:PORT/v1",
        )

    def _front_host(self, bind: Bind) -> str | None:
        """The bind's host; of a wildcard, the address that a Heat file has there (the guide's A)."""
        if bind.host not in WILDCARDS:
            return bind.host
        servers = {s.text for _, _, service in self.subject.services for s in service.back.servers}
        for conf in self.subject.heat:
            for api in APIS:
                at = conf.listener(api)
                if at.port == bind.port and not at.wildcard and at.text not in servers:
                    return at.host
        return None

    def _proxy(self, side: ProxySide) -> Proxy:
        stats, user, password = self._stats(side)
        logs = self.known.logs
        if not stats:
            self._ask(
                "proxy.stats", "where HAProxy's state can be asked", "--stats unix:///run/haproxy.sock"
            )
        if not logs:
            targets = ", ".join(s.words[0] for s in side.configuration.globals.all("log") if s.words)
            self._ask(
                "proxy.logs",
                f"where its log can be read (it logs to {targets or 'no target'})",
                "--log udp://HOST:PORT, or --log file:///var/log/haproxy.log",
            )
        return Proxy(
            name=side.name,
            stats=stats,
            stats_user=user,
            stats_password=password,
            logs=logs,
            config=tuple(self._near(name) for name in self._files(side.name)),
            checks=_checks(self._services("rest")),
        )

    def _files(self, proxy: str) -> list[str]:
        return [name for owner, files in self.subject.inputs.proxies if owner == proxy for name, _ in files]

    def _stats(self, side: ProxySide) -> tuple[tuple[str, ...], str | None, Secret | None]:
        found = list(self.known.stats)
        user, password = None, None
        configuration = side.configuration
        for setting in configuration.globals.all("stats"):
            if setting.words[:1] == ("socket",) and len(setting.words) > 1 and not self.known.stats:
                found.extend(_socket_url(setting.words[1]))
        for proxy in configuration.proxies:
            uri = next((s.words[1] for s in proxy.values.all("stats") if s.words[0:1] == ("uri",)), None)
            login = next((s.words[1] for s in proxy.values.all("stats") if s.words[0:1] == ("auth",)), None)
            if uri is None:
                continue
            pages = [url for bind in proxy.binds for url in _page_url(bind, uri)]
            if not self.known.stats:
                found.extend(pages)
            if login and (pages or self.known.stats) and password is None:
                user, _, text = login.partition(":")
                password = self._secret("stats_password", text)
        return tuple(dict.fromkeys(found)), user, password

    def _broker(self) -> Broker | None:
        named = [(place, conf.transport) for place, conf in enumerate(self.subject.heat)]
        named = [(place, transport) for place, transport in named if transport.value and transport.hosts]
        if not named:
            if self.subject.heat:
                self._ask("broker", "RabbitMQ: the Heat files name none", "transport_url in heat.conf")
            return None
        # The file of the broker's own machine may say localhost: another one tells its address.
        place, transport = next(
            ((p, t) for p, t in named if not heat_conf.loopback(t.hosts[0].host)), named[0]
        )
        if self.known.management_url is None:
            host = self._broker_host(place, transport)
            self._ask(
                "broker.management",
                "RabbitMQ's management API (often at port 15672)",
                f"--management-url http://{host}:15672",
            )
        node = transport.hosts[0]
        host = self._broker_host(place, transport)
        scheme = "amqps" if transport.tls else "amqp"
        return Broker(
            amqp=f"{scheme}://{f'[{host}]' if ':' in host else host}:{node.port}",
            management=self.known.management_url,
            user=node.user,
            password=self._secret("broker_password", node.password),
            vhost=transport.vhost,
        )

    def _broker_host(self, place: int, transport: Transport) -> str:
        host = transport.hosts[0].host
        return self.subject.machines.get(place, host) if heat_conf.loopback(host) else host

    def _engines(self) -> Engines | None:
        names = self.known.engines or tuple(dict.fromkeys(conf.host for conf in self.subject.heat))
        if not names:
            self._ask("engines", "the hosts that run heat-engine", "--engine HOST")
            return None
        said = {conf.engine_workers for conf in self.subject.heat if conf.host in names}
        workers = self.known.engine_workers
        if workers is None and len(said) == 1:
            workers = said.pop()
        if workers is None:
            self._ask(
                "engines.workers",
                "processes of each heat-engine (num_engine_workers is not set, or not everywhere the same)",
                "--engine-workers N",
            )
        return Engines(names=names, workers=workers or 1)

    @property
    def _auth_url(self) -> str | None:
        if self.known.auth_url:
            return self.known.auth_url
        urls = [conf.keystone.text.strip().rstrip("/") for conf in self.subject.heat if conf.keystone]
        for url in urls:
            if not heat_conf.loopback(heat_conf.host_of(url)):
                root = url.removesuffix("/v2.0").removesuffix("/v3")
                return f"{root}/v3"
        return None

    def _identity(self) -> Identity | None:
        known = self.known
        url = self._auth_url
        for key, what, option, value in (
            ("identity.auth_url", "Keystone's URL", "--auth-url URL", url),
            ("identity.username", "the user that the suite is", "--username NAME", known.username),
            ("identity.project", "the project that the suite works in", "--project NAME", known.project),
        ):
            if not value:
                self._ask(key, what, option)
        if not url or not known.username or not known.project:
            return None
        return Identity(
            auth_url=url,
            username=known.username,
            password=Secret(env=known.password_env),
            project=known.project,
            user_domain=known.user_domain,
            project_domain=known.project_domain,
            region=known.region,
        )

    def _heat_files(self) -> Iterator[HeatFiles]:
        for host, files in self.subject.inputs.heat:
            yield HeatFiles(host=host, files=tuple(self._near(name) for name, _ in files))

    def _near(self, name: str) -> Path:
        """A path as the deployment file should name it: relative where that stays below its folder."""
        path = Path(name).absolute()
        try:
            return path.relative_to(self.folder.absolute())
        except ValueError:
            return path

    def _expect(self) -> Expect:
        """What is configured, as a start of what is wanted."""
        services = self._services("rest")
        front, back = services[0].front, services[0].back
        servers = [
            server for name in APIS for service in self._services(name) for server in service.back.servers
        ]
        limits = {server.count("maxconn") for server in servers}
        self._ask("expect.max_detection_s", "how soon a failed API must be found", "seconds, in the file")
        return Expect(
            balance=back.word("balance"),
            hash_type=back.word("hash-type"),
            weights={server.name: server.weight for server in servers if server.weight != 1},
            server_maxconn=limits.pop() if len(limits) == 1 else None,
            timeout_client_s=front.timeout_s("client") or None,
            timeout_server_s=back.timeout_s("server") or None,
            timeout_connect_s=back.timeout_s("connect") or None,
            timeout_queue_s=back.timeout_s("queue") or None,
            timeout_http_request_s=front.timeout_s("http-request") or None,
            cut_sessions=_cut(servers),
            tcp_keepalive=bool(front.option("tcpka", "clitcpka") and back.option("tcpka", "srvtcpka")),
            rpc_timeout_s=float(self.subject.rpc_response_timeout_s),
        )


def _checks(services: Sequence[Service]) -> Checks | None:
    """How the servers of a section are checked, as most of them are; None where none is."""
    checked = [(s, service.back) for service in services for s in service.back.servers if s.check]
    if not checked:
        return None

    def timing(server: Server) -> tuple[float, int, int, float | None, float | None]:
        fast, down = server.time_s("fastinter") or None, server.time_s("downinter") or None
        return server.inter_s, server.fall, server.rise, fast, down

    (inter, fall, rise, fast, down), _ = Counter(timing(server) for server, _ in checked).most_common(1)[0]
    back = checked[0][1]
    return Checks(
        inter_s=inter,
        fall=fall,
        rise=rise,
        fastinter_s=fast,
        downinter_s=down,
        timeout_check_s=back.timeout_s("check") or None,
        timeout_connect_s=back.timeout_s("connect") or None,
    )


def _cut(servers: Sequence[Server]) -> bool:
    """Whether the sessions of every server that is checked end when it is marked down."""
    actions = [server.parameters.get("on-marked-down") for server in servers if server.check]
    return bool(actions) and all(action and action.value == "shutdown-sessions" for action in actions)


def _socket_url(text: str) -> list[str]:
    """The URL of a `stats socket`; none where it cannot be reached from outside HAProxy."""
    if text.startswith("/"):
        return [f"unix://{text}"]
    if text.startswith(("unix@/", "uxst@/")):
        return [f"unix://{text.partition('@')[2]}"]
    if text.startswith(("fd@", "sockpair@", "abns@", "unix@", "uxst@")):
        return []
    host, _, port = text.rpartition("@")[2].rpartition(":")
    if not port.isascii() or not port.isdigit():
        return []
    return [f"tcp://{'127.0.0.1' if host in WILDCARDS else host}:{port}"]


def _page_url(bind: Bind, uri: str) -> list[str]:
    if bind.port is None:
        return []
    host = "127.0.0.1" if bind.host in WILDCARDS else bind.host
    shown = f"[{host}]" if ":" in host else host
    return [f"{'https' if 'ssl' in bind.options else 'http'}://{shown}:{bind.port}{uri}"]
